"""Checking a SQLite file from end to end, and saying which row is damaged.

Three looks: SQLite's own check of its pages and indexes, both hash chains against the rows that they
stand for, and the term index against the records. Text is read as bytes, so that a row whose bytes
are no longer text is found like any other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from memorykernel.adapters.integrity import (
    ANSWERS_SCHEMA,
    LAST,
    MAX_DAMAGE,
    SUBJECTS,
    ChainWalk,
    Damage,
    IntegrityReport,
    check_subject,
    find_misindexed_words,
    find_misplaced_keys,
    find_misposted_record,
    find_uncovered,
    list_chains,
    list_cover_queries,
)
from memorykernel.adapters.sqlite_chain import ChainTable
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_postings import find_misposted
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, TERM_INDEX_SCHEMA, read_version
from memorykernel.adapters.sqlite_scopes import find_misplaced
from memorykernel.adapters.sqlite_terms import find_misindexed
from memorykernel.core.chain import list_peaks


def check_integrity(file: SqliteFile) -> IntegrityReport:
    """Check everything that the file holds, in one consistent state.

    What cannot be seen from inside is that the newest entries were cut off: compare `memory_head` with a
    head that somebody noted (every answer of ordering.v2 names the one it was given on).

    Raises:
        DatabaseMissing: There is no such file.
    """
    file.let_spill()
    with file.reading() as connection:
        version = read_version(connection)
        found = list(_cap(_find_damage(connection, version)))
        return IntegrityReport(
            ok=not found,
            schema_version=version,
            records=count_rows(connection, "records"),
            links=count_rows(connection, "links"),
            answers=count_rows(connection, "answers") if version >= ANSWERS_SCHEMA else 0,
            memory_head=read_head(connection, "memory_chain"),
            answer_head=read_head(connection, "answer_chain") if version >= ANSWERS_SCHEMA else None,
            damage=tuple(found),
        )


def _find_damage(connection: sqlite3.Connection, version: int) -> Iterator[Damage]:
    for table in list_chains(version):
        yield from check_entries(connection, table, version, 0, LAST)
        yield from check_cover(connection, table)
    yield from _check_pages(connection)
    if version >= TERM_INDEX_SCHEMA:
        yield from check_terms(connection)
    if version >= SCOPE_SCHEMA:
        yield from check_scopes(connection)


def check_entries(
    connection: sqlite3.Connection, table: ChainTable, version: int, first: int, last: int
) -> Iterator[Damage]:
    """Check a stretch of a chain, and the rows that its entries stand for.

    Args:
        connection: In a read of one state.
        table: The chain.
        version: The file's schema.
        first, last: The numbers of the stretch's entries, both included.
    """
    walk = ChainWalk(table, first, _load_peaks(connection, table, version, first))
    entries = connection.cursor()
    for entry in entries.execute(
        f"{_select_entries(table, version)} WHERE entry_seq BETWEEN ? AND ? ORDER BY entry_seq", (first, last)
    ):
        seq, kind, subject, digest = entry[:4]
        if seq != 0:
            row = _read_subject(connection, kind, subject, grown=version >= SCOPE_SCHEMA)
            yield from check_subject(kind, subject, digest, row)
        yield from walk.step(entry)


def check_cover(connection: sqlite3.Connection, table: ChainTable) -> Iterator[Damage]:
    """Check that every row of a chain's tables has one entry, and every entry's row is another one."""
    for subject_table, statement in list_cover_queries(table):
        for (row,) in connection.execute(statement):
            yield find_uncovered(subject_table, row)


def _load_peaks(
    connection: sqlite3.Connection, table: ChainTable, version: int, first: int
) -> Iterator[tuple[int, bytes, int | None]]:
    """What a stretch can jump to in front of it."""
    for peak in list_peaks(first - 1) if first else ():
        where = f"{_select_entries(table, version)} WHERE entry_seq = ?"
        row = connection.execute(where, (peak,)).fetchone()
        if row is not None:
            yield peak, row[4], row[5]


def _select_entries(table: ChainTable, version: int) -> str:
    time = "recorded_at_us" if table == "memory_chain" and version >= SCOPE_SCHEMA else "NULL"
    return f"SELECT entry_seq, kind, subject_seq, digest, head, {time} FROM {table}"  # noqa: S608  # closed set of names


def _read_subject(
    connection: sqlite3.Connection, kind: str, subject: int, *, grown: bool
) -> tuple[Any, ...] | None:
    if kind not in SUBJECTS:
        return None
    table, key, columns, columns_4 = SUBJECTS[kind]
    # CAST reads text as the bytes it is stored in; numbers stay numbers, as the digest has them.
    texts = ", ".join(
        f"CASE typeof({each}) WHEN 'text' THEN CAST({each} AS BLOB) ELSE {each} END"
        for each in (*columns, *(columns_4 if grown else ()))
    )
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {texts} FROM {table} WHERE {key} = ?",  # noqa: S608  # names of our own columns
        (subject,),
    ).fetchone()
    return row


def _check_pages(connection: sqlite3.Connection) -> Iterator[Damage]:
    for (finding,) in connection.execute(f"PRAGMA integrity_check({MAX_DAMAGE})"):
        if finding != "ok":
            yield Damage(table="sqlite", row=None, id=None, finding=str(finding))


def check_scopes(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Check the keys of scopes and memberships against the records."""
    yield from map(find_misplaced_keys, find_misplaced(connection))


def check_terms(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Check the term index, and the lists of words, against the records."""
    yield from map(find_misindexed_words, find_misindexed(connection))
    if read_version(connection) >= SCOPE_SCHEMA:
        yield from map(find_misposted_record, find_misposted(connection))


def _cap(found: Iterator[Damage]) -> Iterator[Damage]:
    """At most MAX_DAMAGE findings; a file that SQLite cannot read on is one more."""
    try:
        for number, damage in enumerate(found, start=1):
            yield damage
            if number == MAX_DAMAGE:
                return
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
        yield Damage(table="sqlite", row=None, id=None, finding=f"cannot be read further: {exc}")


def count_rows(connection: sqlite3.Connection, table: str) -> int:
    """How many rows a table has."""
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # closed set


def read_head(connection: sqlite3.Connection, table: ChainTable) -> str:
    """A chain's head, 64 hex digits."""
    newest = f"SELECT head FROM {table} ORDER BY entry_seq DESC LIMIT 1"  # noqa: S608  # closed set of names
    head = connection.execute(newest).fetchone()
    return bytes(head[0]).hex()
