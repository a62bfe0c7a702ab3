"""What the conflict check costs inside a write, by the shape of what is written.

The check alone is timed, in a write transaction that is taken back afterwards; a write makes its record
durable besides, so one `fdatasync` of the same run stands beside each value. The stores are those of `ask`
(ten rules share a scope), with what makes a check hard added: thousands of `*`-ish and prefix scopes, a
group of 8,000 members that rules name, another one that shares a few of them, and a member of 300 groups.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.request import AddConstraintV4, AddMembership, read_request
from memorykernel.ports import WriteTransaction
from memorykernel.service.guarding import IN_WRITE

from benchmarks.ask import copy_store, list_sizes
from benchmarks.limit import load_limits

GOAL: Final = "<= 2 ms"
MEMBERS: Final = 8_000
POPULAR: Final = 300
WIDE: Final = 5_000
_NOW_US: Final = 1_770_000_000_000_000
_COMMON: Final[dict[str, Any]] = {
    "version": 1,
    "writer": "policy-team",
    "justification": "reviewed",
    "source_uri": "file:///handbook.md",
    "evidence": [],
    "truth_status": "asserted",
    "authority": "authoritative",
    "supersedes": [],
    "contradicts": [],
}


class _TakenBack(Exception):
    """Ends a write that is not to be kept."""


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure checks at 1,000 and 100,000 records (10,000 when quick; 1,000,000 too in the long form).

    Args:
        data_dir: Not used; the records are made here.
        quick: Fewer records and writes.
    """
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="conflict-") as folder:
        for size in list_sizes(quick):
            file = SqliteFile(copy_store(size, Path(folder)))
            memory = SqliteMemory(file)
            memory.add_records(_make_crowd(), now_us=_NOW_US)
            for name, make in _list_shapes(size).items():
                rows += _measure(memory, f"{name}, {size:,} records", make, 50 if quick else 300)
            file.close()
    return rows


def _list_shapes(size: int) -> dict[str, Callable[[int], NewRecord]]:
    """Writes by shape, each the n-th of its kind."""
    groups = size // 10

    def place(number: int) -> dict[str, Any]:
        group = 10 + number * 7919 % (groups - 10)
        return {
            "actor": f"actor-{group}",
            "action": f"action-{group % 7}",
            "resource": f"resource-{group % 11}",
        }

    def replaced(number: int) -> str:
        # The authoritative one of the ten rules of a place.
        return f"01V{(10 + number * 7919 % (groups - 10)) * 10 + 2:023d}"

    def rule(number: int, **changes: Any) -> NewRecord:
        return _rule(10**9 + number, **(place(number) | changes))

    return {
        "exact scope where nothing is": lambda n: rule(n, actor=f"new-{n}"),
        "exact scope of ten rules": lambda n: rule(n, effect="allow"),
        "'*' in one field": lambda n: rule(n, resource="*"),
        "'*' in two fields": lambda n: rule(n, action="*", resource="*"),
        "'*' in all fields": lambda n: rule(n, actor="*", action="*", resource="*"),
        "prefix": lambda n: rule(n, actor=f"people/d{n % 50}/", actor_match="prefix"),
        "group of 8,000": lambda n: rule(n, actor="staff", actor_match="group", resource=f"vault-{n % 20}"),
        "group of 8,000 that meets another": lambda n: rule(
            n, actor="guests", actor_match="group", action="open", resource=f"vault-{n % 20}", effect="allow"
        ),
        "membership into a group of 8,000": lambda n: _membership(10**9 + n, "staff", f"people/new-{n}"),
        "membership of a member of 300 groups": lambda n: _membership(10**9 + n, "staff", "people/popular"),
        "supersession by a new version": lambda n: rule(n, supersedes=[replaced(n)]),
        "supersession by another rule": lambda n: rule(n, actor=f"new-{n}", supersedes=[replaced(n)]),
    }


def _make_crowd() -> Iterator[NewRecord]:
    """What makes a check hard."""
    number = iter(range(2 * 10**9, 3 * 10**9))
    for each in range(MEMBERS):
        yield _membership(next(number), "staff", f"people/d{each % 50}/p{each}")
        yield _membership(next(number), "guests", f"people/d{each % 50}/{'p' if each < 10 else 'g'}{each}")
    for each in range(POPULAR):
        yield _membership(next(number), f"club-{each}", "people/popular")
    for each in range(WIDE):
        effect = "allow" if each % 2 else "deny"
        yield _rule(next(number), actor="*", action=f"verb-{each}", resource="*", effect=effect)
        yield _rule(next(number), actor="*", action="*", resource=f"thing-{each}", effect=effect)
        yield _rule(next(number), actor="*", action="*", resource="*", effect="deny")
        prefix = f"people/d{each % 50}/"
        yield _rule(
            next(number),
            actor=prefix,
            actor_match="prefix",
            action=f"verb-{each}",
            resource="x",
            effect=effect,
        )
    for each in range(20):
        yield _rule(next(number), actor="staff", actor_match="group", action="open", resource=f"vault-{each}")


def _rule(number: int, **fields: Any) -> NewRecord:
    body: dict[str, Any] = {**_COMMON, "effect": "deny", **fields}
    return admit_record(read_request(body, AddConstraintV4, strict=True), _name(number))


def _membership(number: int, group: str, member: str) -> NewRecord:
    body: dict[str, Any] = {**_COMMON, "field": "actor", "group": group, "member": member}
    return admit_record(read_request(body, AddMembership, strict=True), _name(number))


def _name(number: int) -> Fresh:
    return Fresh(memory_version_id=f"01W{number:023d}", memory_id=f"01N{number:023d}", now_us=_NOW_US)


def _measure(
    memory: SqliteMemory, name: str, make: Callable[[int], NewRecord], rounds: int
) -> list[dict[str, object]]:
    seconds: list[float] = []
    cpu: list[float] = []
    found = truncated = 0

    def check(transaction: WriteTransaction) -> None:
        nonlocal found, truncated
        for number in range(rounds):
            new = make(number)
            began, worked = time.perf_counter(), time.thread_time()
            named = map(transaction.load_record, new.record.supersedes)
            superseded = [each for each in named if each is not None]
            conflicts = IN_WRITE.check_record(transaction.look_around(), new, superseded)
            cpu.append(time.thread_time() - worked)
            seconds.append(time.perf_counter() - began)
            found += bool(conflicts.conflicts)
            truncated += conflicts.truncated
        raise _TakenBack

    with contextlib.suppress(_TakenBack):
        memory.write(check, now_us=_NOW_US)
    told = f"conflict check: {name} ({found}/{rounds} conflicts, {truncated} truncated)"
    return [
        _row(f"{told}, p50", statistics.median(seconds)),
        _row(f"{told}, p95", _p95(seconds), goal=GOAL),
        _row(f"{told}, p95 of processor time", _p95(cpu)),
    ]


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def _row(name: str, seconds: float, *, goal: str | None = None) -> dict[str, object]:
    limit = {"fdatasync_ms": load_limits().fdatasync_ms}
    return {"name": name, "value": seconds * 1000, "unit": "ms", "limit": limit, "ratio": None, "goal": goal}
