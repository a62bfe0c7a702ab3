"""Verifying a whole file in parallel: everything that `sqlite_integrity` checks, and every answer replayed.

The work is cut into parts, and each is done by one process on a read connection of its own. One state is
verified, that of the beginning: what is written meanwhile lies behind the last rows that parts were cut for,
and answers are replayed on the states that they name. Damage never ends the work; a part that cannot be read
on is a finding that names the part's table.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_form import (
    check_header,
    check_ledger,
    check_pages,
    check_request_keys,
    check_schema,
)
from memorykernel.adapters.sqlite_integrity import (
    Damage,
    check_cover,
    check_entries,
    check_scopes,
    check_terms,
    count_rows,
    list_chains,
    read_head,
)
from memorykernel.adapters.sqlite_replay import check_answers
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, TERM_INDEX_SCHEMA, read_version
from memorykernel.errors import MemoryKernelError

_SINCE_SCOPES: Final = ("schema_migrations", "constraint_scopes", "request_keys")
MAX_FOUND: Final = 20
"""How many findings of one table are reported at most."""

_MALFORMED: Final = re.compile(r"malformed database schema \(([^)]*)\)")
_SIZES: Final = {"memory_chain": 20_000, "answer_chain": 20_000, "answers": 1_000}
"""How many rows one part has."""

Progress = Callable[[int, int], None]
"""Told after each part how many rows and entries are done, of how many."""


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified and what was found; `not_replayable` answers are older than their questions."""

    ok: bool
    schema_version: int
    records: int
    links: int
    answers: int
    replayed: int
    not_replayable: int
    memory_head: str | None
    answer_head: str | None
    damage: tuple[Damage, ...]


class Part(NamedTuple):
    """A piece of work: what is checked, and which rows of it."""

    table: str
    first: int
    last: int
    version: int

    @property
    def size(self) -> int:
        """How many rows it has, for progress."""
        return min(max(1, self.last - self.first + 1), _SIZES.get(self.table, 1))


class _Found(NamedTuple):
    damage: tuple[Damage, ...]
    replayed: int = 0
    not_replayable: int = 0


class _State(NamedTuple):
    version: int
    counts: dict[str, int]
    heads: dict[str, str]
    parts: list[Part]


def verify(path: Path, *, answers: bool, jobs: int, progress: Progress) -> VerifyReport:
    """Verify a file from end to end.

    Args:
        path: The file.
        answers: Replay the answers too.
        jobs: How many processes; with 1 all is done in this one.
        progress: Called after each part.
    """
    found = list(check_header(path))
    try:
        state = _look(path, answers=answers)
    except (sqlite3.Error, MemoryKernelError, TypeError, UnicodeDecodeError) as exc:
        state = _State(0, {}, {}, [])
        found.extend(_describe(path, exc))
    replayed, not_replayable, done, total = 0, 0, 0, sum(part.size for part in state.parts)
    for part, outcome in _run(path, state.parts, jobs):
        found += outcome.damage
        replayed += outcome.replayed
        not_replayable += outcome.not_replayable
        done += part.size
        progress(done, total)
    return VerifyReport(
        ok=not found,
        schema_version=state.version,
        records=state.counts.get("records", 0),
        links=state.counts.get("links", 0),
        answers=state.counts.get("answers", 0),
        replayed=replayed,
        not_replayable=not_replayable,
        memory_head=state.heads.get("memory_chain"),
        answer_head=state.heads.get("answer_chain"),
        damage=_sort(found),
    )


def _sort(found: Iterable[Damage]) -> tuple[Damage, ...]:
    """By table and row, at most so many of each table, so that none hides another."""
    tables: defaultdict[str, list[Damage]] = defaultdict(list)
    for each in sorted(set(found), key=lambda one: (one.table, one.row or 0, one.finding)):
        tables[each.table].append(each)
    return tuple(each for table in tables.values() for each in table[:MAX_FOUND])


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


def _look(path: Path, *, answers: bool) -> _State:
    file = SqliteFile(path)
    try:
        with file.reading() as connection:
            version = read_version(connection)
            chains = list_chains(version)
            tables = ("records", "links", *(("answers",) if "answer_chain" in chains else ()))
            parts = [Part("file", 1, 1, version), Part("sqlite_schema", 1, 1, version)]
            for table in chains:
                newest = connection.execute(f"SELECT max(entry_seq) FROM {table}").fetchone()[0] or 0  # noqa: S608  # closed set
                parts += _cut(connection, table, 0, newest, version)
                parts.append(Part(f"{table} cover", 1, 1, version))
            if version >= TERM_INDEX_SCHEMA:
                parts.append(Part("record_terms", 1, 1, version))
            if version >= SCOPE_SCHEMA:
                parts += [Part(table, 1, 1, version) for table in _SINCE_SCOPES]
            if answers and "answers" in tables:
                newest = connection.execute("SELECT max(answer_seq) FROM answers").fetchone()[0] or 0
                parts += _cut(connection, "answers", 1, newest, version)
            counts = {table: count_rows(connection, table) for table in tables}
            return _State(version, counts, {table: read_head(connection, table) for table in chains}, parts)
    finally:
        file.close()


def _cut(connection: sqlite3.Connection, table: str, first: int, last: int, version: int) -> Iterator[Part]:
    """Cut a table's rows, which are numbered without gaps; a damaged number may be far away."""
    size, dense = _SIZES[table], min(last, count_rows(connection, table))
    for start in range(first, dense + 1, size):
        yield Part(table, start, min(start + size - 1, dense), version)
    if last > dense:
        yield Part(table, dense + 1, last, version)


def _run(path: Path, parts: list[Part], jobs: int) -> Iterator[tuple[Part, _Found]]:
    if jobs == 1 or len(parts) == 0:
        try:
            yield from ((part, check_part(path, part)) for part in parts)
        finally:
            _open(path).close()
            _open.cache_clear()
        return
    # Spawned, not forked: a connection must not be carried into another process.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        # The long ones first, so that the processes end together.
        futures = {pool.submit(check_part, path, part): part for part in sorted(parts, key=_order)}
        yield from ((futures[future], future.result()) for future in as_completed(futures))


def _order(part: Part) -> bool:
    return part.table == "answers"


@lru_cache(maxsize=1)
def _open(path: Path) -> SqliteFile:
    return SqliteFile(path)


def check_part(path: Path, part: Part) -> _Found:
    """Do one part; what a process of the pool runs."""
    file = _open(path)
    if part.table == "answers":
        damage, replayed, untold = check_answers(file, part.first, part.last)
        return _Found(tuple(damage[:MAX_FOUND]), replayed, untold)
    found: list[Damage] = []
    try:
        with file.reading() as connection:
            found.extend(islice(_choose(part)(connection), MAX_FOUND))
    except (sqlite3.Error, UnicodeDecodeError, ValueError, TypeError, KeyError, AttributeError) as exc:
        table = part.table.removesuffix(" cover")
        found.append(Damage(table=table, row=None, id=None, finding=f"cannot be read on: {exc}"))
    return _Found(tuple(map(_clean, found)))


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
