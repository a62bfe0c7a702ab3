"""Checking a database from end to end, and saying which row is damaged.

Three looks: SQLite's own check of its pages and indexes, both hash chains against the rows that they
stand for, and the term index against the records. Text is read as bytes, so that a row whose bytes
are no longer text is found like any other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
)
from memorykernel.adapters.sqlite_chain import ChainTable
from memorykernel.adapters.sqlite_file import SPILL, SqliteFile
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, TERM_INDEX_SCHEMA, read_version
from memorykernel.adapters.sqlite_scopes import find_misplaced
from memorykernel.adapters.sqlite_terms import find_misindexed
from memorykernel.core.chain import (
    GENESIS_ANSWERS,
    GENESIS_MEMORY,
    JumpHeads,
    digest_columns,
    list_peaks,
    next_head,
    next_timed_head,
)

MAX_DAMAGE: Final = 20
"""How many findings are reported at most; one is enough to know."""

_ANSWERS_SCHEMA: Final = 2
_SUBJECTS: Final = {
    "record": ("records", "record_seq", RECORD_COLUMNS, RECORD_COLUMNS_4),
    "link": ("links", "link_seq", LINK_COLUMNS, ()),
    "answer": ("answers", "answer_seq", ANSWER_COLUMNS, ANSWER_COLUMNS_4),
}
"""Kind of entry -> table, key, its first columns, and those that schema 4 added."""

_KINDS: Final[dict[ChainTable, tuple[str, ...]]] = {
    "memory_chain": ("record", "link"),
    "answer_chain": ("answer",),
}
_GENESES: Final[dict[ChainTable, bytes]] = {
    "memory_chain": GENESIS_MEMORY,
    "answer_chain": GENESIS_ANSWERS,
}
_LAST: Final = 2**63 - 1


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was written."""

    table: str
    row: int | None
    id: str | None
    finding: str


class IntegrityReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found; `damage` is empty when all is as it was written."""

    ok: bool
    schema_version: int
    records: int
    links: int
    answers: int
    memory_head: str
    answer_head: str | None
    damage: tuple[Damage, ...]


def check_integrity(file: SqliteFile) -> IntegrityReport:
    """Check everything that the file holds, in one consistent state.

    What cannot be seen from inside is that the newest entries were cut off: compare `memory_head` with a
    head that somebody noted (every answer of ordering.v2 names the one it was given on).

    Raises:
        DatabaseMissing: There is no such file.
    """
    with file.reading() as connection:
        connection.execute(SPILL)
        version = read_version(connection)
        found = list(_cap(_find_damage(connection, version)))
        return IntegrityReport(
            ok=not found,
            schema_version=version,
            records=count_rows(connection, "records"),
            links=count_rows(connection, "links"),
            answers=count_rows(connection, "answers") if version >= _ANSWERS_SCHEMA else 0,
            memory_head=read_head(connection, "memory_chain"),
            answer_head=read_head(connection, "answer_chain") if version >= _ANSWERS_SCHEMA else None,
            damage=tuple(found),
        )


def list_chains(version: int) -> tuple[ChainTable, ...]:
    """The chains that a schema has."""
    return ("memory_chain", "answer_chain") if version >= _ANSWERS_SCHEMA else ("memory_chain",)


def _find_damage(connection: sqlite3.Connection, version: int) -> Iterator[Damage]:
    for table in list_chains(version):
        yield from check_entries(connection, table, version, 0, _LAST)
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

    After a damaged head it goes on from the stored one, so that one fault is one finding; therefore stretches
    that are checked one by one say the same as the chain checked at once.

    Args:
        connection: In a read of one state.
        table: The chain.
        version: The file's schema.
        first, last: The numbers of the stretch's entries, both included.
    """
    genesis = _GENESES[table]
    jumps = JumpHeads(genesis)
    head, before_us = _load_front(connection, table, version, first, jumps)
    expected_seq = first
    entries = connection.cursor()
    for seq, kind, subject, digest, stored, recorded_at_us in entries.execute(
        f"{_select_entries(table, version)} WHERE entry_seq BETWEEN ? AND ? ORDER BY entry_seq", (first, last)
    ):
        for missing in range(expected_seq, min(seq, expected_seq + MAX_DAMAGE)):
            yield Damage(table=table, row=missing, id=None, finding="entry is missing")
        if seq == 0:
            if (kind, subject, digest, stored, recorded_at_us) != ("genesis", 0, genesis, genesis, None):
                yield Damage(table=table, row=0, id=None, finding="first head is not the chain's own")
        else:
            yield from _check_subject(connection, kind, subject, digest, grown=version >= SCOPE_SCHEMA)
            if before_us is not None and (recorded_at_us is None or recorded_at_us < before_us):
                yield Damage(table=table, row=seq, id=None, finding="recorded before the entry in front")
            jump_head = jumps.find(seq)
            if recorded_at_us is None:
                follows = next_head(head, kind=kind, subject=subject, digest=digest)
            else:
                follows = next_timed_head(
                    head,
                    jump_head=jump_head,
                    entry_seq=seq,
                    kind=kind,
                    subject=subject,
                    digest=digest,
                    recorded_at_us=recorded_at_us,
                )
            jumps.push(seq, stored)
            if follows != stored:
                yield Damage(
                    table=table, row=seq, id=None, finding="head does not follow from the one before"
                )
        head, expected_seq, before_us = stored, seq + 1, recorded_at_us


def check_cover(connection: sqlite3.Connection, table: ChainTable) -> Iterator[Damage]:
    """Check that every row of a chain's tables has one entry, and every entry's row is another one."""
    for kind in _KINDS[table]:
        subject_table, key = _SUBJECTS[kind][:2]
        bare = f"""
        SELECT {key} FROM {subject_table}
        WHERE {key} NOT IN (SELECT subject_seq FROM {table} WHERE kind = ?) LIMIT {MAX_DAMAGE}"""  # noqa: S608  # closed sets of names
        for (row,) in connection.execute(bare, (kind,)):
            yield Damage(
                table=subject_table, row=row, id=None, finding="rows and chain entries differ in number"
            )
        doubled = f"SELECT subject_seq FROM {table} WHERE kind = ? GROUP BY 1 HAVING count(*) > 1"  # noqa: S608  # closed set of names
        for (row,) in connection.execute(doubled, (kind,)):
            yield Damage(
                table=subject_table, row=row, id=None, finding="rows and chain entries differ in number"
            )


def _load_front(
    connection: sqlite3.Connection, table: ChainTable, version: int, first: int, jumps: JumpHeads
) -> tuple[bytes, int | None]:
    """The head and time in front of a stretch, and into `jumps` the older heads that it can jump to."""
    head, before_us = _GENESES[table], None
    for peak in list_peaks(first - 1) if first else ():
        where = f"{_select_entries(table, version)} WHERE entry_seq = ?"
        row = connection.execute(where, (peak,)).fetchone()
        if row is not None:
            head, before_us = row[4:]
            jumps.push(peak, head)
    return head, before_us


def _select_entries(table: ChainTable, version: int) -> str:
    time = "recorded_at_us" if table == "memory_chain" and version >= SCOPE_SCHEMA else "NULL"
    return f"SELECT entry_seq, kind, subject_seq, digest, head, {time} FROM {table}"  # noqa: S608  # closed set of names


def _check_subject(
    connection: sqlite3.Connection, kind: str, subject: int, digest: bytes, *, grown: bool
) -> Iterator[Damage]:
    if kind not in _SUBJECTS:
        yield Damage(table="memory_chain", row=None, id=None, finding="entry is of an unknown kind")
        return
    table, key, columns, columns_4 = _SUBJECTS[kind]
    # CAST reads text as the bytes it is stored in; numbers stay numbers, as the digest has them.
    texts = ", ".join(
        f"CASE typeof({each}) WHEN 'text' THEN CAST({each} AS BLOB) ELSE {each} END"
        for each in (*columns, *(columns_4 if grown else ()))
    )
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {texts} FROM {table} WHERE {key} = ?",  # noqa: S608  # names of our own columns
        (subject,),
    ).fetchone()
    if row is None:
        yield Damage(table=table, row=subject, id=None, finding="row is missing")
    elif digest_columns(row, len(columns)) != digest:
        name = row[0].decode(errors="replace") if isinstance(row[0], bytes) else str(row[0])
        yield Damage(table=table, row=subject, id=name, finding="content is not what was written")


def _check_pages(connection: sqlite3.Connection) -> Iterator[Damage]:
    for (finding,) in connection.execute(f"PRAGMA integrity_check({MAX_DAMAGE})"):
        if finding != "ok":
            yield Damage(table="sqlite", row=None, id=None, finding=str(finding))


def check_scopes(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Check the keys of scopes and memberships against the records."""
    for record_seq in find_misplaced(connection):
        finding = "keys in the index are not those of the record"
        yield Damage(table="constraint_scopes", row=record_seq, id=None, finding=finding)


def check_terms(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Check the term index against the records."""
    for record_seq in find_misindexed(connection):
        finding = "words in the index are not those of the record"
        yield Damage(table="record_terms", row=record_seq, id=None, finding=finding)


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
