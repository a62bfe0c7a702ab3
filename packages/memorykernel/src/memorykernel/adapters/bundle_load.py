"""Filling a SQLite store that holds nothing with a bundle; see `bundle_rows`.

Indexes are made once, at the end, and tables that are derived are filled from sorted rows.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from memorykernel.adapters.bundle_apart import WORTH_IT, is_worth_it, pour_apart
from memorykernel.adapters.bundle_rows import MemoryRows, check_links, pour, refuse_rows
from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    place_row,
)
from memorykernel.core.bundle import Manifest, Member
from memorykernel.core.posting import LONGEST_WORD, index_word
from memorykernel.ports import Bundle

WORDS_AT_ONCE: Final = 2_000_000
"""How many words of records are sorted in memory at once: 8 bytes each, and each different one."""

_TEMP_KIB: Final = 65536
"""SQLite holds 2 MB of temporary tables otherwise, and the places of records are looked up in no order."""

_INDEXES: Final = """
SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name
"""


def load_exactly(
    connection: sqlite3.Connection,
    bundle: Bundle,
    manifest: Manifest,
    *,
    words_at_once: int = WORDS_AT_ONCE,
    apart_from: int = WORTH_IT,
) -> int:
    """Fill an empty store inside a write transaction; see `ports.DataTarget`.

    Args:
        connection, bundle, manifest: The store, and what it is filled with.
        words_at_once: How many words of records are sorted in memory at once.
        apart_from: From how many records and links on a second process makes the rows.

    Returns:
        How many lines were taken over.
    """
    # Links are checked in the end, all at once.
    connection.execute("PRAGMA defer_foreign_keys = ON")
    indexes = connection.execute(_INDEXES).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    tables = _Tables(connection, words_at_once)
    heads = (
        pour_apart(bundle, manifest, tables)
        if is_worth_it(manifest, apart_from)
        else pour(bundle, manifest, tables, connection)
    )
    tables.finish()
    for _, statement in indexes:
        connection.execute(statement)
    check_links(lambda statement: connection.execute(statement).fetchall())
    heads.check_heads(manifest)
    state = manifest.state
    return state.records + state.links + state.answers + state.requests


def _insert(table: str, columns: Iterable[str]) -> str:
    names = tuple(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608  # column names


_INSERT_RECORD: Final = _insert("records", ("record_seq", *RECORD_COLUMNS, *RECORD_COLUMNS_4))
_INSERT_LINK: Final = _insert("links", ("link_seq", *LINK_COLUMNS))
_INSERT_ANSWER: Final = _insert("answers", ("answer_seq", *ANSWER_COLUMNS, *ANSWER_COLUMNS_4))
_INSERT_ENTRY: Final = "INSERT INTO memory_chain VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_ANSWER_ENTRY: Final = "INSERT INTO answer_chain VALUES (?, ?, ?, ?, ?)"
_INSERT_TERMS: Final = "INSERT INTO record_terms SELECT ?, value FROM json_each(?)"
_INSERT_POSTINGS: Final = f"""
INSERT INTO postings
SELECT iif(length(t.term) <= {LONGEST_WORD}, t.term, index_word(t.term)), p.slot, p.rank, t.record_seq
FROM record_terms t CROSS JOIN loaded_places p USING (record_seq) ORDER BY t.term, p.slot, p.rank
"""  # noqa: S608  # a number
_INSERT_REQUEST: Final = "INSERT INTO request_keys VALUES (?, ?, ?, ?, ?)"


class _Tables:
    """See `bundle_rows.RowSink`."""

    def __init__(self, connection: sqlite3.Connection, words_at_once: int) -> None:
        self._connection = connection
        self._words_at_once = words_at_once
        self._words: defaultdict[str, array[int]] = defaultdict(partial(array, "q"))
        self._word_count = 0
        connection.execute(f"PRAGMA temp.cache_size = -{_TEMP_KIB}")
        connection.execute(
            "CREATE TEMP TABLE loaded_places (record_seq INTEGER PRIMARY KEY, slot INTEGER, rank BLOB)"
        )
        connection.execute("CREATE TEMP TABLE loaded_scopes (a TEXT, b TEXT, c TEXT, record_seq INTEGER)")

    def add_memory(self, rows: MemoryRows) -> None:
        """See `bundle_rows.RowSink`."""
        with self._letting_in(Member.MEMORY) as connection:
            connection.executemany(_INSERT_RECORD, rows.records)
            connection.executemany(_INSERT_LINK, rows.links)
            connection.executemany(_INSERT_ENTRY, rows.entries)
            connection.executemany("INSERT INTO loaded_scopes VALUES (?, ?, ?, ?)", rows.scopes)
            connection.executemany("INSERT INTO memberships VALUES (?, ?, ?, ?)", rows.members)
            self._keep_words(rows)

    def add_answers(self, answers: list[Row], entries: list[Row]) -> None:
        """See `bundle_rows.RowSink`."""
        with self._letting_in(Member.ANSWERS) as connection:
            connection.executemany(_INSERT_ANSWER, answers)
            connection.executemany(_INSERT_ANSWER_ENTRY, entries)

    def add_requests(self, requests: list[Row]) -> None:
        """See `bundle_rows.RowSink`."""
        with self._letting_in(Member.REQUESTS) as connection:
            connection.executemany(_INSERT_REQUEST, requests)

    def finish(self) -> None:
        """Fill the tables that are derived from the records, in the order of their keys."""
        self._index_words()
        self._connection.create_function("index_word", 1, index_word, deterministic=True)
        self._connection.execute(_INSERT_POSTINGS)
        self._connection.execute(
            "INSERT INTO constraint_scopes SELECT a, b, c, record_seq FROM loaded_scopes ORDER BY 1, 2, 3, 4"
        )
        self._connection.execute("DROP TABLE loaded_places")
        self._connection.execute("DROP TABLE loaded_scopes")

    def _keep_words(self, rows: MemoryRows) -> None:
        words = self._words
        for record_seq, found in rows.words:
            self._word_count += len(found)
            for word in found:
                words[word].append(record_seq)
            if self._word_count >= self._words_at_once:
                self._index_words()
        places = ((row[0], *place_row(row[1:])) for row in rows.records)
        self._connection.executemany("INSERT INTO loaded_places VALUES (?, ?, ?)", places)

    def _index_words(self) -> None:
        """Write the words of the records so far, in the order of the index: a statement a word, not a row."""
        rows = ((word, str(self._words[word].tolist())) for word in sorted(self._words))
        self._connection.executemany(_INSERT_TERMS, rows)
        self._words.clear()
        self._word_count = 0

    @contextmanager
    def _letting_in(self, member: Member) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection
        except sqlite3.IntegrityError as exc:
            raise refuse_rows(member, exc) from exc
