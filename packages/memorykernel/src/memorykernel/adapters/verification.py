"""Verifying a whole store in parallel; what is the same for every store.

The work is cut into parts, and each is done by one process on a connection of its own. One state is
verified, that of the beginning: what is written meanwhile lies behind the last rows that parts were cut for,
and answers are replayed on the states that they name. Damage never ends the work; a part that cannot be read
on is a finding that names the part's table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Final, NamedTuple

import msgspec

from memorykernel.adapters.integrity import Damage

MAX_FOUND: Final = 20
"""How many findings of one table are reported at most."""

_SIZES: Final = {"memory_chain": 20_000, "answer_chain": 20_000, "answers": 1_000}
"""How many rows one part has."""

Progress = Callable[[int, int], None]
"""Told after each part how many rows and entries are done, of how many."""


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified and what was found; `not_replayable` answers are older than their questions.

    What is in `warnings` is no damage, but should be known.
    """

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
    warnings: tuple[str, ...] = ()


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


class Found(NamedTuple):
    """What came of a part."""

    damage: tuple[Damage, ...]
    replayed: int = 0
    not_replayable: int = 0


class Work(NamedTuple):
    """What there is to verify: the state of the beginning, cut into parts."""

    version: int
    counts: dict[str, int]
    heads: dict[str, str]
    parts: list[Part]


NOTHING: Final = Work(0, {}, {}, [])


def cut(table: str, first: int, last: int, count: int, version: int) -> Iterator[Part]:
    """Cut a table's rows, which are numbered without gaps; a damaged number may be far away.

    Args:
        table: The table.
        first, last: Its lowest and highest number.
        count: How many rows it has.
        version: The store's schema.
    """
    size, dense = _SIZES[table], min(last, count)
    for start in range(first, dense + 1, size):
        yield Part(table, start, min(start + size - 1, dense), version)
    if last > dense:
        yield Part(table, dense + 1, last, version)


def verify_parts(
    work: Work, check: Callable[[Part], Found], *, jobs: int, progress: Progress, found: Iterable[Damage] = ()
) -> VerifyReport:
    """Do all parts and put together what was found.

    Args:
        work: The parts.
        check: Does one; other processes are sent it.
        jobs: How many processes; with 1 all is done in this one.
        progress: Called after each part.
        found: What was found already.
    """
    damage = list(found)
    replayed, not_replayable, done, total = 0, 0, 0, sum(part.size for part in work.parts)
    for part, outcome in _run(work.parts, check, jobs):
        damage += outcome.damage
        replayed += outcome.replayed
        not_replayable += outcome.not_replayable
        done += part.size
        progress(done, total)
    return VerifyReport(
        ok=not damage,
        schema_version=work.version,
        records=work.counts.get("records", 0),
        links=work.counts.get("links", 0),
        answers=work.counts.get("answers", 0),
        replayed=replayed,
        not_replayable=not_replayable,
        memory_head=work.heads.get("memory_chain"),
        answer_head=work.heads.get("answer_chain"),
        damage=_sort(damage),
    )


def _sort(found: Iterable[Damage]) -> tuple[Damage, ...]:
    """By table and row, at most so many of each table, so that none hides another."""
    tables: defaultdict[str, list[Damage]] = defaultdict(list)
    for each in sorted(set(found), key=lambda one: (one.table, one.row or 0, one.finding)):
        tables[each.table].append(each)
    return tuple(each for table in tables.values() for each in table[:MAX_FOUND])


def _run(parts: list[Part], check: Callable[[Part], Found], jobs: int) -> Iterator[tuple[Part, Found]]:
    if jobs == 1 or len(parts) == 0:
        yield from ((part, check(part)) for part in parts)
        return
    # Spawned, not forked: a connection must not be carried into another process.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        # The long ones first, so that the processes end together.
        futures = {pool.submit(check, part): part for part in sorted(parts, key=_is_short)}
        yield from ((futures[future], future.result()) for future in as_completed(futures))


def _is_short(part: Part) -> bool:
    return part.table != "answers"
