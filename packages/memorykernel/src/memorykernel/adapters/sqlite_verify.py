"""Verifying a whole file in parallel: everything that `sqlite_integrity` checks, and every answer replayed.

See `verification`. A file that is no database of ours, or cannot be opened, is damage too.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Final

from memorykernel.adapters.integrity import Damage, list_chains
from memorykernel.adapters.replay import check_answers
from memorykernel.adapters.rows import Row
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_form import (
    check_header,
    check_ledger,
    check_pages,
    check_request_keys,
    check_schema,
)
from memorykernel.adapters.sqlite_integrity import (
    check_cover,
    check_entries,
    check_scopes,
    check_terms,
    count_rows,
    read_head,
)
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, TERM_INDEX_SCHEMA, read_version
from memorykernel.adapters.sqlite_semantic import open_semantic
from memorykernel.adapters.storage_fault import explain, is_no_damage
from memorykernel.adapters.verification import (
    MAX_FOUND,
    NOTHING,
    Found,
    Part,
    Progress,
    VerifyReport,
    Work,
    cut,
    verify_parts,
)
from memorykernel.errors import MemoryKernelError, QueryFailed
from memorykernel.service.known_state import Remembered

_BATCH: Final = 200
_SINCE_SCOPES: Final = ("schema_migrations", "constraint_scopes", "request_keys")
_BEGINNING, _APPLICATION = 0, 68
"""Where in a header the file's format and its program are named."""
_MALFORMED: Final = re.compile(r"malformed database schema \(([^)]*)\)")


def verify(path: Path, *, answers: bool, jobs: int, progress: Progress) -> VerifyReport:
    """Verify a file from end to end.

    Args:
        path: The file.
        answers: Replay the answers too.
        jobs: How many processes; with 1 all is done in this one.
        progress: Called after each part.

    Raises:
        QueryFailed: It cannot be looked at, for a reason that says nothing about what is in it.
    """
    found, work = list(check_header(path)), NOTHING
    try:
        work = _look(path, answers=answers)
    except (sqlite3.Error, MemoryKernelError, TypeError, UnicodeDecodeError) as exc:
        if isinstance(exc, sqlite3.Error) and not found and is_no_damage(exc):
            raise QueryFailed(f"nothing was verified: {explain(exc)}") from exc
        found = _judge(path, found, exc)
    try:
        return verify_parts(work, partial(check_part, path), jobs=jobs, progress=progress, found=found)
    finally:
        _close_last(path)


def _close_last(path: Path) -> None:
    """Leave nothing beside the file: who closes it last removes -wal and -shm; other processes just end."""
    file = _open(path)
    with suppress(sqlite3.Error, MemoryKernelError), file.reading() as connection:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    file.close()
    _open.cache_clear()
    _remember.cache_clear()


def _judge(path: Path, found: list[Damage], exc: Exception) -> list[Damage]:
    """What to say of a file that cannot be looked at; one finding when it is none of ours."""
    rows = {each.row for each in found}
    if _BEGINNING in rows:
        return found
    if _APPLICATION in rows and "no such table" in str(exc):
        return [Damage(table="file", row=None, id=None, finding="the file is a database of another program")]
    return [*found, *_describe(path, exc)]


def _describe(path: Path, exc: Exception) -> Iterator[Damage]:
    """Why a file cannot be looked at: a table cannot be read, or the definition of a table or an index."""
    file = SqliteFile(path)
    found: list[Damage] = []
    with suppress(sqlite3.Error, MemoryKernelError, UnicodeDecodeError), file.reading() as connection:
        found.extend(islice(check_pages(connection), MAX_FOUND))
    file.close()
    yield from found
    named = _MALFORMED.search(str(exc))
    if named is not None or not found:
        name = named[1] if named else None
        # Nothing but the schema is read before the first statement runs.
        is_schema = (
            "malformed" in str(exc) or "no such column" in str(exc) or isinstance(exc, UnicodeDecodeError)
        )
        table = "sqlite_schema" if is_schema else "file"
        yield Damage(table=table, row=None, id=name, finding=f"cannot be opened: {exc}")


def _look(path: Path, *, answers: bool) -> Work:
    file = SqliteFile(path)
    try:
        with file.reading() as connection:
            version = read_version(connection)
            chains = list_chains(version)
            tables = ("records", "links", *(("answers",) if "answer_chain" in chains else ()))
            parts = [Part("file", 1, 1, version), Part("sqlite_schema", 1, 1, version)]
            for table in chains:
                newest = connection.execute(f"SELECT max(entry_seq) FROM {table}").fetchone()[0] or 0  # noqa: S608  # closed set
                parts += cut(table, 0, newest, count_rows(connection, table), version)
                parts.append(Part(f"{table} cover", 1, 1, version))
            if version >= TERM_INDEX_SCHEMA:
                parts.append(Part("record_terms", 1, 1, version))
            if version >= SCOPE_SCHEMA:
                parts += [Part(table, 1, 1, version) for table in _SINCE_SCOPES]
            if answers and "answers" in tables:
                newest = connection.execute("SELECT max(answer_seq) FROM answers").fetchone()[0] or 0
                parts += cut("answers", 1, newest, count_rows(connection, "answers"), version)
            counts = {table: count_rows(connection, table) for table in tables}
            return Work(version, counts, {table: read_head(connection, table) for table in chains}, parts)
    finally:
        file.close()


@lru_cache(maxsize=1)
def _open(path: Path) -> SqliteFile:
    return SqliteFile(path)


@lru_cache(maxsize=1)
def _remember(path: Path) -> Remembered:
    file = _open(path)
    memory = SqliteMemory(file)
    return Remembered(memory=memory, answers=SqliteAnswers(file), semantic=open_semantic(file, memory))


def check_part(path: Path, part: Part) -> Found:
    """Do one part; what a process of the pool runs."""
    file = _open(path)
    if part.table == "answers":
        remembered = _remember(path)
        damage, replayed, untold = check_answers(remembered, _read_answers(file, part.first, part.last))
        return Found(tuple(damage[:MAX_FOUND]), replayed, untold)
    found: list[Damage] = []
    try:
        with file.reading() as connection:
            found.extend(islice(_choose(part)(connection), MAX_FOUND))
    except (sqlite3.Error, UnicodeDecodeError, ValueError, TypeError, KeyError, AttributeError) as exc:
        table = part.table.removesuffix(" cover")
        found.append(Damage(table=table, row=None, id=None, finding=f"cannot be read on: {exc}"))
    return Found(tuple(map(_clean, found)))


def _clean(damage: Damage) -> Damage:
    """A damaged row number may be anything; what is no number is told in words."""
    row: object = damage.row
    if row is None or isinstance(row, int):
        return damage
    return Damage(table=damage.table, row=None, id=damage.id, finding=f"{damage.finding}, at {row!r}")


def _choose(part: Part) -> Callable[[sqlite3.Connection], Iterator[Damage]]:
    match part.table:
        case "file":
            return check_pages
        case "sqlite_schema":
            return partial(check_schema, version=part.version)
        case "memory_chain" | "answer_chain" as table:
            return partial(check_entries, table=table, version=part.version, first=part.first, last=part.last)
        case "memory_chain cover":
            return partial(check_cover, table="memory_chain")
        case "answer_chain cover":
            return partial(check_cover, table="answer_chain")
        case "record_terms":
            return check_terms
        case "schema_migrations":
            return check_ledger
        case "constraint_scopes":
            return check_scopes
        case _:
            return check_request_keys


def _read_answers(file: SqliteFile, first: int, last: int) -> Iterator[Row | Damage]:
    """The rows of a range, some at a time; ends with a finding where they cannot be read on."""
    while first <= last:
        try:
            with file.reading() as connection:
                grown = ", ruleset, head, question" if read_version(connection) >= SCOPE_SCHEMA else ""
                rows = connection.execute(
                    f"SELECT answer_seq, context_package_id, package{grown} FROM answers"  # noqa: S608  # column names
                    " WHERE answer_seq BETWEEN ? AND ? ORDER BY answer_seq LIMIT ?",
                    (first, last, _BATCH),
                ).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            yield Damage(table="answers", row=first, id=None, finding=f"cannot be read on: {exc}")
            return
        yield from rows
        if len(rows) < _BATCH or not rows[-1][0] >= first:
            return
        first = rows[-1][0] + 1
