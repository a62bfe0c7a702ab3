"""Filling a SQLite store that holds nothing with a bundle, so that its chains get the same heads.

Fast because indexes are made once, at the end, from sorted rows; and because nothing is looked up while
rows go in. What is looked up for every single write elsewhere is asked about all of them in the end: that
links lead to records, that supersessions form no cycle, that the heads are those of the manifest.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, cast

from memorykernel.adapters.bundle_order import Sequencer
from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    decode_scope,
    digest_answer,
    digest_record,
)
from memorykernel.core.bundle import AnswerLine, Manifest, Member, MemoryLine, RecordLine, RequestLine
from memorykernel.core.bundle_line import link_values, parse_lines, record_values
from memorykernel.core.chain import (
    GENESIS_ANSWERS,
    GENESIS_MEMORY,
    JumpHeads,
    digest_entry,
    next_head,
    next_timed_head,
)
from memorykernel.core.scope_pattern import encode_scope
from memorykernel.core.terms import unicode_terms
from memorykernel.errors import BundleInvalid, WriteConflict
from memorykernel.ports import Bundle

_COLUMN: Final = {name: number for number, name in enumerate((*RECORD_COLUMNS, *RECORD_COLUMNS_4))}
_ACTOR, _NOTE, _SUMMARY = _COLUMN["actor"], _COLUMN["note"], _COLUMN["summary"]
_TYPE, _MATCHING, _FIELD = _COLUMN["record_type"], _COLUMN["matching"], _COLUMN["field"]
_MAX_SHOWN: Final = 20
WORDS_AT_ONCE: Final = 2_000_000
"""How many words of records are sorted in memory at once: 8 bytes each, and each different one."""

_INDEXES: Final = """
SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name
"""
_DANGLING: Final = """
SELECT DISTINCT l.{end}_version_id FROM links l
LEFT JOIN records r ON r.memory_version_id = l.{end}_version_id WHERE r.record_seq IS NULL LIMIT ?
"""
_FORWARD: Final = """
SELECT l.from_version_id, l.to_version_id FROM links l
JOIN records f ON f.memory_version_id = l.from_version_id
JOIN records t ON t.memory_version_id = l.to_version_id
WHERE l.relation = 'supersedes' AND f.record_seq <= t.record_seq
"""
_REACHES: Final = """
WITH RECURSIVE reached (id) AS (
  SELECT ?1
  UNION
  SELECT l.to_version_id FROM reached JOIN links l
  ON l.from_version_id = reached.id AND l.relation = 'supersedes'
)
SELECT 1 FROM reached WHERE id = ?2
"""


def load_exactly(
    connection: sqlite3.Connection,
    bundle: Bundle,
    manifest: Manifest,
    *,
    words_at_once: int = WORDS_AT_ONCE,
) -> int:
    """Fill an empty store inside a write transaction; see `ports.DataTarget`.

    Args:
        connection, bundle, manifest: The store, and what it is filled with.
        words_at_once: How many words of records are sorted in memory at once.

    Returns:
        How many lines were taken over.
    """
    # Links are checked in the end, all at once.
    connection.execute("PRAGMA defer_foreign_keys = ON")
    indexes = connection.execute(_INDEXES).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    loader = _Loader(connection, words_at_once)
    orders = {member: Sequencer(connection, member) for member in Member}
    for chunk in bundle.read_chunks(manifest):
        lines = parse_lines(chunk.member, chunk.path, chunk.data)
        for due in orders[chunk.member].take(lines):
            loader.add(chunk.member, due)
    state = manifest.state
    orders[Member.MEMORY].finish(state.records + state.links)
    orders[Member.ANSWERS].finish(state.answers)
    orders[Member.REQUESTS].finish(state.requests)
    loader.finish()
    for _, statement in indexes:
        connection.execute(statement)
    _check_links(connection)
    loader.check_heads(manifest)
    return state.records + state.links + state.answers + state.requests


def _insert(table: str, columns: Iterable[str]) -> str:
    names = tuple(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608  # column names


_INSERT_RECORD: Final = _insert("records", ("record_seq", *RECORD_COLUMNS, *RECORD_COLUMNS_4))
_INSERT_LINK: Final = _insert("links", ("link_seq", *LINK_COLUMNS))
_INSERT_ANSWER: Final = _insert("answers", ("answer_seq", *ANSWER_COLUMNS, *ANSWER_COLUMNS_4))
_INSERT_ENTRY: Final = "INSERT INTO memory_chain VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_ANSWER_ENTRY: Final = "INSERT INTO answer_chain VALUES (?, 'answer', ?, ?, ?)"
_INSERT_TERMS: Final = "INSERT INTO record_terms SELECT ?, value FROM json_each(?)"
_INSERT_REQUEST: Final = "INSERT INTO request_keys VALUES (?, ?, ?, ?, ?)"


class _Loader:
    def __init__(self, connection: sqlite3.Connection, words_at_once: int) -> None:
        self._connection = connection
        self._words_at_once = words_at_once
        self._head, self._answer_head = GENESIS_MEMORY, GENESIS_ANSWERS
        self._jumps = JumpHeads(GENESIS_MEMORY)
        self._before_us: int | None = None
        self._words: defaultdict[str, array[int]] = defaultdict(partial(array, "q"))
        self._word_count = 0
        connection.execute("CREATE TEMP TABLE loaded_scopes (a TEXT, b TEXT, c TEXT, record_seq INTEGER)")

    def add(self, member: Member, due: Sequence[Any]) -> None:
        try:
            match member:
                case Member.MEMORY:
                    self._add_memory(cast("Sequence[MemoryLine]", due))
                case Member.ANSWERS:
                    self._add_answers(cast("Sequence[AnswerLine]", due))
                case Member.REQUESTS:
                    self._add_requests(cast("Sequence[RequestLine]", due))
        except sqlite3.IntegrityError as exc:
            raise BundleInvalid(
                f"'{member}' holds the same thing twice, or what no store lets in, among seq {due[0].seq} to"
                f" {due[-1].seq}: {exc}; export again"
            ) from exc

    def finish(self) -> None:
        """Fill the tables that are derived from the records, in the order of their keys."""
        self._index_words()
        self._connection.execute(
            "INSERT INTO constraint_scopes SELECT a, b, c, record_seq FROM loaded_scopes ORDER BY 1, 2, 3, 4"
        )
        self._connection.execute("DROP TABLE loaded_scopes")

    def check_heads(self, manifest: Manifest) -> None:
        """Pass when the chains end as the manifest says."""
        state = manifest.state
        found = (self._head.hex(), self._answer_head.hex())
        if found != (state.memory_head, state.answer_head):
            raise BundleInvalid(
                "the lines do not give the heads of the manifest:"
                f" expected {state.memory_head[:16]} and {state.answer_head[:16]},"
                f" got {found[0][:16]} and {found[1][:16]}; export again"
            )

    def _add_memory(self, due: Sequence[MemoryLine]) -> None:
        records: list[Row] = []
        links: list[Row] = []
        entries: list[Row] = []
        for line in due:
            if isinstance(line, RecordLine):
                values = record_values(line)
                entries.append(self._append(line, "record", digest_record(values)))
                records.append((line.subject, *values))
            else:
                values = link_values(line)
                entries.append(self._append(line, "link", digest_entry(values)))
                links.append((line.subject, *values))
        self._connection.executemany(_INSERT_RECORD, records)
        self._connection.executemany(_INSERT_LINK, links)
        self._connection.executemany(_INSERT_ENTRY, entries)
        self._index(records)

    def _append(self, line: MemoryLine, kind: str, digest: bytes) -> Row:
        before_us, time_us = self._before_us, line.recorded_at_us
        if before_us is not None and (time_us is None or time_us < before_us):
            raise BundleInvalid(f"entry {line.seq} was recorded before the one in front of it; export again")
        if time_us is None:
            head = next_head(self._head, kind=kind, subject=line.subject, digest=digest)
            self._jumps.find(line.seq)
        else:
            head = next_timed_head(
                self._head,
                jump_head=self._jumps.find(line.seq),
                entry_seq=line.seq,
                kind=kind,
                subject=line.subject,
                digest=digest,
                recorded_at_us=time_us,
            )
        self._jumps.push(line.seq, head)
        self._head, self._before_us = head, time_us
        return line.seq, kind, line.subject, digest, head, time_us

    def _index(self, records: Iterable[Row]) -> None:
        words = self._words
        scopes: list[Row] = []
        members: list[Row] = []
        for row in records:
            record_seq, values = row[0], row[1:]
            text = values[_SUMMARY]
            if text is None:
                actor, action, resource = values[_ACTOR : _ACTOR + 3]
                text = " ".join((actor, action, resource, values[_NOTE] or ""))
                scope = decode_scope(actor, action, resource, values[_MATCHING])
                scopes.append((*encode_scope(scope), record_seq))
            elif values[_FIELD] is not None:
                field, group, member = values[_FIELD : _FIELD + 3]
                members.append((field, member, group, record_seq))
            found = unicode_terms(text)
            self._word_count += len(found)
            for word in found:
                words[word].append(record_seq)
            if self._word_count >= self._words_at_once:
                self._index_words()
        self._connection.executemany("INSERT INTO loaded_scopes VALUES (?, ?, ?, ?)", scopes)
        self._connection.executemany("INSERT INTO memberships VALUES (?, ?, ?, ?)", members)

    def _index_words(self) -> None:
        """Write the words of the records so far, in the order of the index: a statement a word, not a row."""
        rows = ((word, str(self._words[word].tolist())) for word in sorted(self._words))
        self._connection.executemany(_INSERT_TERMS, rows)
        self._words.clear()
        self._word_count = 0

    def _add_answers(self, due: Sequence[AnswerLine]) -> None:
        answers, entries = [], []
        for line in due:
            values = (
                line.context_package_id,
                bytes(line.package),
                line.ruleset,
                None if line.head is None else bytes.fromhex(line.head),
                line.question,
                line.actor,
                line.action,
                line.resource,
            )
            digest = digest_answer(values)
            self._answer_head = next_head(
                self._answer_head, kind="answer", subject=line.subject, digest=digest
            )
            answers.append((line.subject, *values))
            entries.append((line.seq, line.subject, digest, self._answer_head))
        self._connection.executemany(_INSERT_ANSWER, answers)
        self._connection.executemany(_INSERT_ANSWER_ENTRY, entries)

    def _add_requests(self, due: Sequence[RequestLine]) -> None:
        rows = [(each.key, bytes.fromhex(each.sha256), each.reply, each.recorded_at_us) for each in due]
        self._connection.executemany(_INSERT_REQUEST, [(*row, digest_entry(row)) for row in rows])


def _check_links(connection: sqlite3.Connection) -> None:
    for end in ("from", "to"):
        missing = [row[0] for row in connection.execute(_DANGLING.format(end=end), (_MAX_SHOWN,))]
        if missing:
            raise WriteConflict(
                f"links lead to records that are not in the bundle: {', '.join(missing)}; export again",
                {"memory_version_ids": ", ".join(missing)},
            )
    # A supersession of an older record by a newer one closes no cycle, and nearly all are of that kind.
    for maker, target in connection.execute(_FORWARD).fetchall():
        if connection.execute(_REACHES, (target, maker)).fetchone():
            raise WriteConflict(
                f"{maker} and {target} supersede each other, directly or through others; export again",
                {"from": maker, "to": target},
            )
