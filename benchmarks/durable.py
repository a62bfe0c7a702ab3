"""Durable answers a second over HTTP: many clients, each asks again as soon as it is answered.

Every answer is on disk when it leaves (synchronous=FULL, group commit). Beside it the same without fsync, and
what one fsync for each answer could reach at best: one over this run's fdatasync. Then the same on a server
of PostgreSQL, beside one commit for each answer there. The clients are one event loop on the same two cores.

The goal is missed. What one process does for an answer at 100,000 records, in microseconds of processor time,
measured while other programs kept both cores busy: 500 in all, 610 before temporary tables stayed in memory.

    event loop   110   20 of them system calls: HTTP, routing, limits, counting
    reader       290   strict JSON, evidence, rules, encoding; 230 when it does not share the interpreter
    committer     95   55 of them system calls: writing the log

The 410 that are not system calls share one interpreter, so one process cannot pass about 2,400 answers a
second at this speed. Two workers have an interpreter each.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import tempfile
import time
from pathlib import Path
from typing import Final, cast

import uvloop
from memorykernel.adapters.postgres_group import PostgresGroup
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.wiring import import_file, open_moving, write_export

from benchmarks.ask import copy_store, question_body, serving
from benchmarks.limit import load_limits
from packages.memorykernel.tests.postgres_cluster import running_cluster

_CLIENTS: Final = 48
_GOAL_RATE: Final = ">= 3000"
_GOAL_P99: Final = "<= 25 ms"
_PATIENCE_S: Final = 120
_HEAD_END: Final = b"\r\n\r\n"
_VARIANTS: Final = {
    "durable": (),
    "durable, 2 worker processes": ("--workers", "2"),
    "not fsynced": ("--durability", "normal"),
}


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure at 100,000 records (10,000 when quick).

    Args:
        data_dir: Not used; the records are made here.
        quick: Fewer records and questions.
    """
    size, rounds = (10_000, 2_000) if quick else (100_000, 12_000)
    rows: list[dict[str, object]] = []
    for variant, options in _VARIANTS.items():
        with tempfile.TemporaryDirectory(prefix="durable-") as folder:
            path = copy_store(size, Path(folder))
            with serving(path, *options) as connection:
                uvloop.run(_load(connection, size, 500))
                seconds, times = uvloop.run(_load(connection, size, rounds))
        rows += _describe(f"ask over HTTP, {variant}, {size:,} records, {_CLIENTS} clients", seconds, times)
    with tempfile.TemporaryDirectory(prefix="durable-") as folder:
        rows += _measure_postgresql(Path(folder), size, rounds)
    return rows


def _measure_postgresql(folder: Path, size: int, rounds: int) -> list[dict[str, object]]:
    """The same on a server of PostgreSQL, and beside it one commit for each answer, without HTTP."""
    with running_cluster() as server:
        location = server.make_schema()
        bundle = folder / "bundle.tar"
        file = copy_store(size, folder)
        write_export(open_moving(file), bundle, exported_at=None, sign_key=None, recipients=[])
        import_file(open_moving(location), bundle, verify_key=None, identity=None)
        server.execute("ANALYZE")
        with serving(location) as connection:
            uvloop.run(_load(connection, size, 500))
            seconds, times = uvloop.run(_load(connection, size, rounds))
        name = f"ask over HTTP on PostgreSQL, durable, {size:,} records, {_CLIENTS} clients"
        rows = _describe(name, seconds, times)
        one_each = _time_one_commit_each(location, min(rounds, 1000))
    rows[0]["limit"] = {"one_commit_each_without_http": one_each}
    rows[0]["name"] = str(rows[0]["name"]).replace("one fdatasync each", "one commit each, without HTTP")
    return rows


def _time_one_commit_each(location: str, rounds: int) -> float:
    """How many answers a second are kept when each has a commit, and an fsync, of its own."""
    group = PostgresGroup(location, max_group=1)
    question = PolicyQuestion(text="?", actor="a", action="b", resource="c", as_of_us=0)
    asked = StoredQuestion(ruleset="ordering.v3", head="00" * 32, question=question)
    begun = time.perf_counter()
    tickets = [group.begin_answer(f"cpkg_{number}", bytes(2000), asked) for number in range(rounds)]
    for ticket in tickets:
        ticket.wait()
    seconds = time.perf_counter() - begun
    group.close()
    return rounds / seconds


def _describe(name: str, seconds: float, times: list[float]) -> list[dict[str, object]]:
    ranked = sorted(times)
    one_each = 1000 / load_limits().fdatasync_ms
    durable = "not" not in name
    return [
        {
            "name": f"{name}: answers (ratio: to one fdatasync each)",
            "value": len(times) / seconds,
            "unit": "1/s",
            "limit": {"one_fdatasync_each": one_each},
            "goal": _GOAL_RATE if durable else None,
        },
        {
            "name": f"{name}: p50",
            "value": ranked[len(ranked) // 2] * 1000,
            "unit": "ms",
        },
        {
            "name": f"{name}: p99",
            "value": ranked[int(len(ranked) * 0.99)] * 1000,
            "unit": "ms",
            "goal": _GOAL_P99 if durable else None,
        },
    ]


class _Load:
    """Questions that wait to be asked, and how long those that were took."""

    def __init__(self, size: int, rounds: int, clients: int) -> None:
        self.requests = [_encode(number, size) for number in range(rounds)]
        self.times: list[float] = []
        self.failed: bytes | None = None
        self.open = clients
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def leave(self) -> None:
        self.open -= 1
        if self.open == 0:
            self.over.set_result(None)


class _Client(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""
        self._begun = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is none by name
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end or len(body) < _read_length(head):
            return
        self._load.times.append(time.perf_counter() - self._begun)
        if not head.startswith(b"HTTP/1.1 200 "):
            self._load.failed = self._received
        self._received = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.leave()

    def _ask(self) -> None:
        if not self._load.requests:
            self._transport.close()
            return
        self._begun = time.perf_counter()
        self._transport.write(self._load.requests.pop())


async def _load(connection: http.client.HTTPConnection, size: int, rounds: int) -> tuple[float, list[float]]:
    loop = asyncio.get_running_loop()
    load = _Load(size, rounds, _CLIENTS)
    begun = time.perf_counter()
    for _ in range(_CLIENTS):
        await loop.create_connection(lambda: _Client(load), connection.host, connection.port)
    await asyncio.wait_for(load.over, _PATIENCE_S)
    seconds = time.perf_counter() - begun
    if load.failed is not None or len(load.times) != rounds:
        raise RuntimeError(
            f"expected {rounds} answers, got {len(load.times)}: {(load.failed or b'')[:200]!r}"
        )
    return seconds, load.times


def _encode(number: int, size: int) -> bytes:
    body = json.dumps(question_body(number, size)).encode()
    head = "POST /v1/query/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _read_length(head: bytes) -> int:
    name = b"content-length:"
    return int(head.lower().partition(name)[2].partition(b"\r\n")[0])
