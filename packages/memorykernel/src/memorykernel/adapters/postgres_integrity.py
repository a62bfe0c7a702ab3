"""Checking a PostgreSQL database from end to end, and saying which row is damaged.

Both hash chains against the rows that they stand for, and the derived tables against the records, in one
consistent state. Pages and indexes are the server's to check (`pg_amcheck`, data checksums).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import psycopg

from memorykernel.adapters.postgres_database import ChainTable, PostgresDatabase, Reading
from memorykernel.adapters.postgres_line import Row, describe_error
from memorykernel.adapters.postgres_scopes import find_misplaced
from memorykernel.adapters.postgres_terms import find_misindexed
from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
)
from memorykernel.adapters.sqlite_integrity import MAX_DAMAGE, Damage, IntegrityReport
from memorykernel.core.chain import (
    GENESIS_ANSWERS,
    GENESIS_MEMORY,
    JumpHeads,
    digest_columns,
    next_head,
    next_timed_head,
)
from memorykernel.errors import SchemaUnavailable

_BATCH: Final = 1000
_ANSWERS_SCHEMA: Final = 2
_TERMS_SCHEMA: Final = 3
_SUBJECTS: Final = {
    "record": ("records", "record_seq", RECORD_COLUMNS, RECORD_COLUMNS_4),
    "link": ("links", "link_seq", LINK_COLUMNS, ()),
    "answer": ("answers", "answer_seq", ANSWER_COLUMNS, ANSWER_COLUMNS_4),
}


def check_integrity(database: PostgresDatabase) -> IntegrityReport:
    """Check everything that the database holds; see `sqlite_integrity.check_integrity`.

    Raises:
        SchemaUnavailable: The database cannot be read.
    """
    try:
        with database.reading(patient=True) as reading:
            return _check(reading)
    except psycopg.Error as exc:
        raise SchemaUnavailable(
            f"the database cannot be read: {describe_error(exc)}; check the server and repeat"
        ) from exc


def _check(reading: Reading) -> IntegrityReport:
    ((version,),) = reading.read("SELECT max(version) FROM schema_migrations")
    found = tuple(islice(_find_damage(reading, version), MAX_DAMAGE))
    return IntegrityReport(
        ok=not found,
        schema_version=version,
        records=_count(reading, "records"),
        links=_count(reading, "links"),
        answers=_count(reading, "answers") if version >= _ANSWERS_SCHEMA else 0,
        memory_head=_read_head(reading, "memory_chain"),
        answer_head=_read_head(reading, "answer_chain") if version >= _ANSWERS_SCHEMA else None,
        damage=found,
    )


def _find_damage(reading: Reading, version: int) -> Iterator[Damage]:
    yield from _check_chain(reading, "memory_chain", GENESIS_MEMORY, ("record", "link"))
    if version >= _ANSWERS_SCHEMA:
        yield from _check_chain(reading, "answer_chain", GENESIS_ANSWERS, ("answer",))
    for record_seq in find_misplaced(reading, version):
        finding = "keys in the index are not those of the record"
        yield Damage(table="constraint_scopes", row=record_seq, id=None, finding=finding)
    if version >= _TERMS_SCHEMA:
        for record_seq in find_misindexed(reading):
            finding = "words in the index are not those of the record"
            yield Damage(table="record_terms", row=record_seq, id=None, finding=finding)


def _check_chain(
    reading: Reading, table: ChainTable, genesis: bytes, kinds: Sequence[str]
) -> Iterator[Damage]:
    """Walk a chain; after a damaged head go on from the stored one, so that one fault is one finding."""
    head, expected_seq, before_us = genesis, 0, None
    covered: Counter[str] = Counter()
    jumps = JumpHeads(genesis)
    for batch in _list_entries(reading, table):
        subjects = _read_subjects(reading, batch)
        for seq, kind, subject, digest, stored, recorded_at_us in batch:
            if seq != expected_seq:
                yield Damage(table=table, row=expected_seq, id=None, finding="entry is missing")
            if seq == 0 and (digest, stored) != (genesis, genesis):
                yield Damage(table=table, row=0, id=None, finding="first head is not the chain's own")
            if seq > 0:
                yield from _check_subject(kind, subject, digest, subjects)
                covered[kind] += 1
                if before_us is not None and (recorded_at_us is None or recorded_at_us < before_us):
                    yield Damage(table=table, row=seq, id=None, finding="recorded before the entry in front")
                entry = (seq, kind, subject, digest, recorded_at_us)
                if stored != _follow(head, entry, jumps.find(seq)):
                    finding = "head does not follow from the one before"
                    yield Damage(table=table, row=seq, id=None, finding=finding)
                jumps.push(seq, stored)
            head, expected_seq, before_us = stored, seq + 1, recorded_at_us
    for kind in kinds:
        if _count(reading, _SUBJECTS[kind][0]) != covered[kind]:
            finding = "rows and chain entries differ in number"
            yield Damage(table=_SUBJECTS[kind][0], row=None, id=None, finding=finding)


def _follow(head: bytes, entry: Row, jump_head: bytes) -> bytes:
    seq, kind, subject, digest, recorded_at_us = entry
    if recorded_at_us is None:
        return next_head(head, kind=kind, subject=subject, digest=digest)
    return next_timed_head(
        head,
        jump_head=jump_head,
        entry_seq=seq,
        kind=kind,
        subject=subject,
        digest=digest,
        recorded_at_us=recorded_at_us,
    )


def _check_subject(
    kind: str, subject: int, digest: bytes, subjects: dict[tuple[str, int], Row]
) -> Iterator[Damage]:
    if kind not in _SUBJECTS:
        yield Damage(table="memory_chain", row=None, id=None, finding="entry is of an unknown kind")
        return
    table, _, columns, _ = _SUBJECTS[kind]
    row = subjects.get((kind, subject))
    if row is None:
        yield Damage(table=table, row=subject, id=None, finding="row is missing")
    elif digest_columns(row, len(columns)) != digest:
        yield Damage(table=table, row=subject, id=row[0], finding="content is not what was written")


def _list_entries(reading: Reading, table: ChainTable) -> Iterator[list[Row]]:
    timed = "recorded_at_us" if table == "memory_chain" else "NULL::bigint"
    statement = f"SELECT entry_seq, kind, subject_seq, digest, head, {timed} FROM {table}"  # noqa: S608  # closed set
    after = -1
    while batch := reading.read(
        f"{statement} WHERE entry_seq > %s ORDER BY entry_seq LIMIT %s", (after, _BATCH)
    ):
        yield batch
        after = batch[-1][0]


def _read_subjects(reading: Reading, batch: list[Row]) -> dict[tuple[str, int], Row]:
    """The rows that a batch of entries stands for, by kind and row number."""
    found: dict[tuple[str, int], Row] = {}
    for kind, (table, key, columns, grown) in _SUBJECTS.items():
        wanted = [subject for _, of_kind, subject, *_ in batch if of_kind == kind]
        if wanted:
            names = ", ".join((key, *columns, *grown))
            rows = reading.read(f"SELECT {names} FROM {table} WHERE {key} = ANY(%s)", (wanted,))  # noqa: S608  # our own names
            found.update({(kind, row[0]): row[1:] for row in rows})
    return found


def _count(reading: Reading, table: str) -> int:
    return int(reading.read(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608  # closed set of names


def _read_head(reading: Reading, table: ChainTable) -> str:
    newest = f"SELECT head FROM {table} ORDER BY entry_seq DESC LIMIT 1"  # noqa: S608  # closed set of names
    return bytes(reading.read(newest)[0][0]).hex()
