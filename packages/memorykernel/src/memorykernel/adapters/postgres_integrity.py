"""Checking a PostgreSQL database from end to end, and saying which row is damaged.

Both hash chains against the rows that they stand for, the derived tables against the records, and whether the
indexes and guards of the migrations are there. Pages are the server's to check (data checksums,
`pg_amcheck`); what it says of a damaged one is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import psycopg

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
from memorykernel.adapters.postgres_database import ChainTable, PostgresDatabase, Reading
from memorykernel.adapters.postgres_line import Row, describe_error
from memorykernel.adapters.postgres_postings import find_misposted
from memorykernel.adapters.postgres_schema import list_indexes_and_guards
from memorykernel.adapters.postgres_scopes import find_misplaced
from memorykernel.adapters.postgres_terms import find_misindexed
from memorykernel.core.chain import digest_entry, list_peaks
from memorykernel.errors import SchemaUnavailable

SCOPE_SCHEMA: Final = 4
TERMS_SCHEMA: Final = 3
_BATCH: Final = 1000
_REQUESTS: Final = "SELECT request_key, request_sha256, reply, recorded_at_us, digest FROM request_keys"
_MADE: Final = """
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = current_schema()::regnamespace AND i.indisvalid
UNION ALL
SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND t.tgenabled IN ('O', 'A') AND NOT t.tgisinternal
"""


def check_integrity(database: PostgresDatabase) -> IntegrityReport:
    """Check everything that the database holds; see `sqlite_integrity.check_integrity`.

    Raises:
        SchemaUnavailable: The database cannot be read.
    """
    try:
        with database.reading(patient=True) as reading:
            return _check(reading)
    except psycopg.Error as exc:
        raise describe_unreadable(exc) from exc


def describe_unreadable(exc: psycopg.Error) -> SchemaUnavailable:
    """What to say when a check cannot go on, and not because of damage."""
    return SchemaUnavailable(
        f"the database cannot be read: {describe_error(exc)}; check the server and repeat"
    )


def _check(reading: Reading) -> IntegrityReport:
    version = read_version(reading)
    found = tuple(islice(_find_damage(reading, version), MAX_DAMAGE))
    has_answers = version >= ANSWERS_SCHEMA
    return IntegrityReport(
        ok=not found,
        schema_version=version,
        records=count_rows(reading, "records"),
        links=count_rows(reading, "links"),
        answers=count_rows(reading, "answers") if has_answers else 0,
        memory_head=read_head(reading, "memory_chain"),
        answer_head=read_head(reading, "answer_chain") if has_answers else None,
        damage=found,
    )


def _find_damage(reading: Reading, version: int) -> Iterator[Damage]:
    for table in list_chains(version):
        yield from check_entries(reading, table, 0, LAST)
        yield from check_cover(reading, table)
    yield from check_scopes(reading, version)
    if version >= TERMS_SCHEMA:
        yield from check_terms(reading)
    if version >= SCOPE_SCHEMA:
        yield from check_request_keys(reading)
    yield from check_schema(reading, version)


def check_entries(reading: Reading, table: ChainTable, first: int, last: int) -> Iterator[Damage]:
    """Check a stretch of a chain, and the rows that its entries stand for.

    Args:
        reading: One state.
        table: The chain.
        first, last: The numbers of the stretch's entries, both included.
    """
    walk = ChainWalk(table, first, _read_peaks(reading, table, first))
    for batch in _list_entries(reading, table, first, last):
        subjects = _read_subjects(reading, batch)
        for entry in batch:
            seq, kind, subject, digest = entry[:4]
            if seq != 0:
                yield from check_subject(kind, subject, digest, subjects.get((kind, subject)))
            yield from walk.step(entry)


def check_cover(reading: Reading, table: ChainTable) -> Iterator[Damage]:
    """Check that every row of a chain's tables has one entry, and every entry's row is another one."""
    for subject_table, statement in list_cover_queries(table):
        for (row,) in reading.read(statement):
            yield find_uncovered(subject_table, row)


def check_scopes(reading: Reading, version: int) -> Iterator[Damage]:
    """Check the keys of scopes and memberships against the records."""
    yield from map(find_misplaced_keys, find_misplaced(reading, version))


def check_terms(reading: Reading) -> Iterator[Damage]:
    """Check the term index, and the lists of words, against the records."""
    yield from map(find_misindexed_words, find_misindexed(reading))
    if read_version(reading) >= SCOPE_SCHEMA:
        yield from map(find_misposted_record, find_misposted(reading))


def check_request_keys(reading: Reading) -> Iterator[Damage]:
    """Check each kept request against its digest."""
    for key, *values, digest in reading.stream(_REQUESTS):
        if digest_entry((key, *values)) != digest:
            finding = "content is not what was written"
            yield Damage(table="request_keys", row=None, id=key, finding=finding)


def check_schema(reading: Reading, version: int) -> Iterator[Damage]:
    """Check that the indexes of the migrations can be used, and that the guards are on."""
    made = {name for (name,) in reading.read(_MADE)}
    for name in sorted(set(list_indexes_and_guards(version)) - made):
        finding = "is not there, not valid or switched off"
        yield Damage(table="schema", row=None, id=name, finding=finding)


def read_version(reading: Reading) -> int:
    """The schema of the database."""
    return int(reading.read("SELECT max(version) FROM schema_migrations")[0][0])


def count_rows(reading: Reading, table: str) -> int:
    """How many rows a table has."""
    return int(reading.read(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608  # closed set of names


def read_head(reading: Reading, table: ChainTable) -> str:
    """A chain's head, 64 hex digits."""
    newest = f"SELECT head FROM {table} ORDER BY entry_seq DESC LIMIT 1"  # noqa: S608  # closed set of names
    return bytes(reading.read(newest)[0][0]).hex()


def _select_entries(table: ChainTable) -> str:
    timed = "recorded_at_us" if table == "memory_chain" else "NULL::bigint"
    return f"SELECT entry_seq, kind, subject_seq, digest, head, {timed} FROM {table}"  # noqa: S608  # closed set


def _read_peaks(reading: Reading, table: ChainTable, first: int) -> list[tuple[int, bytes, int | None]]:
    """What a stretch can jump to in front of it."""
    if first == 0:
        return []
    statement = f"{_select_entries(table)} WHERE entry_seq = ANY(%s::bigint[]) ORDER BY entry_seq"
    return [(row[0], row[4], row[5]) for row in reading.read(statement, (list_peaks(first - 1),))]


def _list_entries(reading: Reading, table: ChainTable, first: int, last: int) -> Iterator[list[Row]]:
    within = f"WHERE entry_seq BETWEEN %s AND %s ORDER BY entry_seq LIMIT {_BATCH}"
    while batch := reading.read(f"{_select_entries(table)} {within}", (first, last)):
        yield batch
        first = batch[-1][0] + 1


def _read_subjects(reading: Reading, batch: list[Row]) -> dict[tuple[str, int], Row]:
    """The rows that a batch of entries stands for, by kind and row number."""
    found: dict[tuple[str, int], Row] = {}
    for kind, (table, key, columns, grown) in SUBJECTS.items():
        wanted = [subject for _, of_kind, subject, *_ in batch if of_kind == kind]
        if wanted:
            names = ", ".join((key, *columns, *grown))
            rows = reading.read(f"SELECT {names} FROM {table} WHERE {key} = ANY(%s)", (wanted,))  # noqa: S608  # our own names
            found.update({(kind, row[0]): row[1:] for row in rows})
    return found
