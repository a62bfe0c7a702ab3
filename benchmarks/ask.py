"""What a persisted answer costs: in process and over loopback, by every ruleset, beside a peer.

The peer is the published implementation's approach in SQLite: load every record for every question, then
choose in memory. Only its SQL is timed, which flatters it. In process, answers are persisted without fsync
(synchronous=NORMAL); the service makes them durable (see `durable`). Each question matches up to ten
constraints in eight scopes. Stores are made once and kept under build/; one million records only with
BENCH_LONG=1. Beside the time by the clock stands that of the processor, which other programs change less.

What an answer of ordering.v3 at 1,000 records is made of, in microseconds of the fastest tenth of 1,500,
taken part by part while other programs kept both cores busy; the whole takes 270 to 300:

    read       95    36 of them in SQLite, 14 to decode its JSON, 8 to make records of it
    resolve   115    43 to judge ten rules, 18 to show them, 12 to digest the inputs, 17 until when it holds
    keep       70    27 to insert the answer and its chain entry, 22 to commit, 4 to begin
    the rest   12    admission, encoding, the stored question
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from memorykernel import Release, default_release, open_kernel
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.request import AddConstraint, Ask, read_request
from memorykernel.wiring import Kernel

from benchmarks.limit import load_limits

_GOAL_P95: Final = {1_000: "<= 0.5 ms", 100_000: "<= 1 ms", 1_000_000: "<= 3 ms"}
_GOAL_HTTP: Final = "<= 1 ms"
_GOALS_HOLD_FOR: Final = ("ordering.v2", "ordering.v3")
_STORES: Final = Path("build/bench-db")
LONG: Final = os.environ.get("BENCH_LONG") == "1"
"""Whether one million records are measured too; making them takes minutes, the first time."""

_PEER_SQL: Final = "SELECT * FROM records"
RELEASES: Final = {
    "ordering.v3": default_release("service.v4"),
    "ordering.v2": default_release("service.v3"),
    "ordering.v1": Release(
        service_contract="service.v2",
        ruleset="ordering.v1",
        recall_ruleset="recall-ordering.v1",
        schema_version=4,
    ),
}


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure asks at 1,000 and 100,000 records (10,000 when quick; 1,000,000 too in the long form).

    Args:
        data_dir: Not used; the records are made here.
        quick: Fewer records and questions.
    """
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="ask-") as folder:
        for size in list_sizes(quick):
            path = copy_store(size, Path(folder))
            peer_ms = _measure_peer(path, 5 if size < 1_000_000 else 1)
            rows.append(_row(f"peer: load every record, SQL alone, {size:,} records, p50", peer_ms))
            for ruleset in RELEASES:
                rows += _measure_in_process(path, size, ruleset, peer_ms, 300 if quick else 2_000)
            if size == 1_000:
                rows += _measure_http(path, size, 300 if quick else 2_000)
    return rows


def list_sizes(quick: bool) -> tuple[int, ...]:
    """How many records the stores have that are measured."""
    if quick:
        return (1_000, 10_000)
    return (1_000, 100_000, 1_000_000) if LONG else (1_000, 100_000)


def copy_store(size: int, folder: Path) -> Path:
    """A store of so many constraints, all of them at the newest schema; made once and copied from then on."""
    made = _STORES / f"{size}-{_name_schema()}.db"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        fresh = made.with_suffix(".part")
        fresh.unlink(missing_ok=True)
        _fill(fresh, size)
        fresh.rename(made)
    return Path(shutil.copy(made, folder / f"{size}.db"))


def _measure_in_process(
    path: Path, size: int, ruleset: str, peer_ms: float, rounds: int
) -> list[dict[str, object]]:
    kernel = open_kernel(path, RELEASES[ruleset])
    times = _time(lambda number: kernel.asking.ask(_question(number, size)), rounds)
    busy = _time(lambda number: kernel.asking.ask(_question(number, size)), rounds, time.thread_time)
    kernel.file.close()
    name = f"ask in process, persisted, {ruleset}, {size:,} records"
    p50, p95 = _percentiles(times)
    goal = _GOAL_P95.get(size) if ruleset in _GOALS_HOLD_FOR else None
    return [
        _row(f"{name}, p50 (ratio: to the peer)", p50, ratio=p50 / peer_ms),
        _row(f"{name}, p95 (ratio: to the peer)", p95, ratio=p95 / peer_ms, goal=goal),
        _row(f"{name}, p95 of processor time", _percentiles(busy)[1]),
    ]


def _measure_http(path: Path, size: int, rounds: int) -> list[dict[str, object]]:
    with serving(path) as connection:
        ask = _time(lambda number: _post(connection, "/v1/query/ask", question_body(number, size)), rounds)
        health = _time(lambda _: _get(connection, "/v1/health"), rounds)
    limits = load_limits()
    limit = {"loopback_ms": limits.loopback_ms}
    p50, p95 = _percentiles(ask)
    bare, _ = _percentiles(health)
    # One at a time, each answer waits for an fsync of its own.
    durable = {"health_ms": bare, "fdatasync_ms": limits.fdatasync_ms}
    return [
        _row("GET /v1/health over loopback, p50: what HTTP costs", bare, limit=limit),
        _row(f"ask over loopback, persisted, {size:,} records, p50", p50, limit=durable, goal=_GOAL_HTTP),
        _row(f"ask over loopback, persisted, {size:,} records, p95", p95, limit=durable),
    ]


def _measure_peer(path: Path, rounds: int) -> float:
    connection = sqlite3.connect(path)
    try:
        return _percentiles(_time(lambda _: connection.execute(_PEER_SQL).fetchall(), rounds))[0]
    finally:
        connection.close()


@cache
def _name_schema() -> str:
    """What the tables are told by, so that a store of other ones is made anew."""
    with tempfile.TemporaryDirectory(prefix="schema-") as folder:
        path = Path(folder) / "empty.db"
        kernel = open_kernel(path, default_release())
        kernel.schema_care.migrate(dry_run=False)
        kernel.file.close()
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
    return hashlib.sha256(repr(tables).encode()).hexdigest()[:8]


def _fill(path: Path, size: int) -> None:
    kernel: Kernel = open_kernel(path, default_release())
    kernel.schema_care.migrate(dry_run=False)
    kernel.file.close()
    file = SqliteFile(path)
    SqliteMemory(file).add_records(_records(size), now_us=0)
    file.close()


def _records(size: int) -> Iterator[NewRecord]:
    """A tenth of the records share their scope with nine others; eight of all are wildcards."""
    for number in range(size):
        group = number // 10
        scope = {
            "actor": f"actor-{group}",
            "action": f"action-{group % 7}",
            "resource": f"resource-{group % 11}",
        }
        if number < 8:
            bits = {"actor": number & 1, "action": number & 2, "resource": number & 4}
            scope = {key: "*" if bits[key] else value for key, value in scope.items()}
        fresh = Fresh(
            memory_version_id=f"01V{number:023d}", memory_id=f"01M{number:023d}", now_us=1_770_000_000_000_000
        )
        yield admit_record(read_request(_record_body(scope, number), AddConstraint, strict=True), fresh)


def _record_body(scope: dict[str, str], number: int) -> dict[str, Any]:
    return {
        **scope,
        "effect": "deny" if number % 3 else "allow",
        "note": f"policy {number} of the handbook, paragraph {number % 97}",
        "version": 1,
        "writer": "policy-team",
        "justification": "reviewed",
        "source_uri": f"file:///handbook/{number}.md",
        "evidence": [],
        "truth_status": "asserted",
        "authority": ("authoritative", "derived", "note")[number % 3],
        "supersedes": [],
        "contradicts": [],
    }


def question_body(number: int, size: int) -> dict[str, Any]:
    """A question that ten constraints match by their values."""
    group = number * 7919 % (size // 10)
    return {
        "text": f"question {number}",
        "actor": f"actor-{group}",
        "action": f"action-{group % 7}",
        "resource": f"resource-{group % 11}",
        "as_of": None,
    }


def _question(number: int, size: int) -> Ask:
    return read_request(question_body(number, size), Ask, strict=True)


@contextmanager
def serving(path: Path | str, *options: str) -> Iterator[http.client.HTTPConnection]:
    """A running `mk serve` on a store, and one connection to it."""
    command = [sys.executable, "-c", "from memorykernel.cli import main; main()", "serve"]
    arguments = ["--db", str(path), "--bind", "127.0.0.1:0", *options]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        host, port = json.loads(process.stdout.readline())["url"].removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            yield connection
        finally:
            connection.close()
            process.terminate()


def _post(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> None:
    connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    _finish(connection)


def _get(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    _finish(connection)


def _finish(connection: http.client.HTTPConnection) -> None:
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"expected 200, got {response.status}: {body[:200]!r}")


def _time(
    act: Callable[[int], object], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    act(0)  # the first one opens the file and warms caches
    times = []
    for number in range(rounds):
        begun = clock()
        act(number)
        times.append((clock() - begun) * 1000)
    return times


def _percentiles(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), sorted(times)[int(len(times) * 0.95)]


def _row(
    name: str,
    value_ms: float,
    *,
    limit: dict[str, float] | None = None,
    ratio: float | None = None,
    goal: str | None = None,
) -> dict[str, object]:
    return {
        "name": name,
        "value": value_ms,
        "unit": "ms",
        "limit": limit or {},
        "ratio": ratio,
        "goal": goal,
    }
