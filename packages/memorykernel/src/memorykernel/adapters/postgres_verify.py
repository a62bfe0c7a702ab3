"""Verifying a whole PostgreSQL database in parallel: all of `postgres_integrity`, and every answer replayed.

See `verification`. A server that cannot be asked is no damage; a page of which it says that it is damaged is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from typing import Final

import psycopg

from memorykernel.adapters.integrity import Damage, list_chains
from memorykernel.adapters.postgres_answers import READ_ANSWERS, PostgresAnswers
from memorykernel.adapters.postgres_database import PostgresDatabase, Reading
from memorykernel.adapters.postgres_integrity import (
    SCOPE_SCHEMA,
    TERMS_SCHEMA,
    check_cover,
    check_entries,
    check_request_keys,
    check_schema,
    check_scopes,
    check_terms,
    count_rows,
    describe_unreadable,
    read_head,
    read_version,
)
from memorykernel.adapters.postgres_line import Row, describe_error
from memorykernel.adapters.postgres_memory import PostgresMemory
from memorykernel.adapters.postgres_schema import PostgresSchema
from memorykernel.adapters.replay import check_answers
from memorykernel.adapters.verification import (
    MAX_FOUND,
    Found,
    Part,
    Progress,
    VerifyReport,
    Work,
    cut,
    verify_parts,
)
from memorykernel.errors import SchemaUnavailable
from memorykernel.service.known_state import Remembered

_BATCH: Final = 200
_ANSWERS: Final = f"{READ_ANSWERS} WHERE answer_seq BETWEEN %s AND %s ORDER BY answer_seq LIMIT {_BATCH}"
_DAMAGED: Final = ("XX", "22")
"""SQLSTATEs of damage: an internal error such as a page that cannot be read, and text that is none."""


def verify(dsn: str, *, answers: bool, jobs: int, progress: Progress) -> VerifyReport:
    """Verify a database from end to end.

    Args:
        dsn: The database, at any schema of ours.
        answers: Replay the answers too.
        jobs: How many processes; with 1 all is done in this one.
        progress: Called after each part.

    Raises:
        SchemaUnavailable: The database cannot be read, or is none of ours.
    """
    if not PostgresSchema(_open(dsn), SCOPE_SCHEMA).load_status().current_version:
        raise SchemaUnavailable("the database is empty; check its name, or import an export into it")
    try:
        with _open(dsn).reading(patient=True) as reading:
            work = _look(reading, answers=answers)
        return verify_parts(work, partial(check_part, dsn), jobs=jobs, progress=progress)
    except psycopg.Error as exc:
        raise describe_unreadable(exc) from exc
    finally:
        _open(dsn).close()
        _open.cache_clear()


def _look(reading: Reading, *, answers: bool) -> Work:
    version = read_version(reading)
    chains = list_chains(version)
    tables = ("records", "links", *(("answers",) if "answer_chain" in chains else ()))
    parts = [Part("schema", 1, 1, version), Part("constraint_scopes", 1, 1, version)]
    for table in chains:
        parts += cut(table, 0, _find_last(reading, table, "entry_seq"), count_rows(reading, table), version)
        parts.append(Part(f"{table} cover", 1, 1, version))
    if version >= TERMS_SCHEMA:
        parts.append(Part("record_terms", 1, 1, version))
    if version >= SCOPE_SCHEMA:
        parts.append(Part("request_keys", 1, 1, version))
    if answers and "answers" in tables:
        newest = _find_last(reading, "answers", "answer_seq")
        parts += cut("answers", 1, newest, count_rows(reading, "answers"), version)
    counts = {table: count_rows(reading, table) for table in tables}
    return Work(version, counts, {table: read_head(reading, table) for table in chains}, parts)


def _find_last(reading: Reading, table: str, key: str) -> int:
    return int(reading.read(f"SELECT coalesce(max({key}), 0) FROM {table}")[0][0])  # noqa: S608  # closed set


@lru_cache(maxsize=1)
def _open(dsn: str) -> PostgresDatabase:
    return PostgresDatabase(dsn)


def check_part(dsn: str, part: Part) -> Found:
    """Do one part; what a process of the pool runs."""
    database = _open(dsn)
    if part.table == "answers":
        remembered = Remembered(memory=PostgresMemory(database), answers=PostgresAnswers(database))
        damage, replayed, untold = check_answers(remembered, _read_answers(database, part.first, part.last))
        return Found(tuple(damage[:MAX_FOUND]), replayed, untold)
    found: list[Damage] = []
    try:
        with database.reading(patient=True) as reading:
            found.extend(islice(_choose(part)(reading), MAX_FOUND))
    except psycopg.Error as exc:
        found.append(_describe(exc, part.table.removesuffix(" cover"), None))
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        table = part.table.removesuffix(" cover")
        found.append(Damage(table=table, row=None, id=None, finding=f"cannot be read on: {exc}"))
    return Found(tuple(found))


def _choose(part: Part) -> Callable[[Reading], Iterator[Damage]]:
    match part.table:
        case "memory_chain" | "answer_chain" as table:
            return partial(check_entries, table=table, first=part.first, last=part.last)
        case "memory_chain cover":
            return partial(check_cover, table="memory_chain")
        case "answer_chain cover":
            return partial(check_cover, table="answer_chain")
        case "constraint_scopes":
            return partial(check_scopes, version=part.version)
        case "record_terms":
            return check_terms
        case "request_keys":
            return check_request_keys
        case _:
            return partial(check_schema, version=part.version)


def _read_answers(database: PostgresDatabase, first: int, last: int) -> Iterator[Row | Damage]:
    """The rows of a range, some at a time; ends with a finding where they cannot be read on."""
    while first <= last:
        try:
            rows = database.query(_ANSWERS, (first, last))
        except psycopg.Error as exc:
            yield _describe(exc, "answers", first)
            return
        yield from rows
        if len(rows) < _BATCH:
            return
        first = rows[-1][0] + 1


def _describe(exc: psycopg.Error, table: str, row: int | None) -> Damage:
    """What an error of the server says about a table, if that is damaged; else the error is raised again."""
    if not (exc.sqlstate or "").startswith(_DAMAGED):
        raise exc
    return Damage(table=table, row=row, id=None, finding=f"cannot be read on: {describe_error(exc)}")
