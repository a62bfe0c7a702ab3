"""What the gateway adds to a request, beside the same release asked directly in the same run.

A release process answers a fixed, realistic policy answer; the gateway judges every reply. Direct and
through are measured in turns, so that a busy machine slows both. Requests come at a fixed rate whether or
not earlier ones are answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import uvloop
from cutover.web.http1.client import Client
from cutover.web.http1.message import Request, Response
from cutover.web.http1.server import Connection, Server

from benchmarks.limit import load_limits
from packages.cutover.tests.move import Move, make_station

RATE: Final = 2_000
CONNECTIONS: Final = 32
ROUNDS: Final = 3
ASK: Final = (
    b'{"text":"May an agent refund this order?","actor":"agent","action":"refund",'
    b'"resource":"order","as_of":null}'
)
CONTRACT: Final = (b"service-contract-version", b"service.v2")
_HEADERS: Final = ((b"content-type", b"application/json"), CONTRACT)
_GOAL_ADDED: Final = "<= 0.15 ms"
_ROOM: Final = "8,800-10,800/s"


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure added latency at 2,000 requests/s and throughput.

    Args:
        data_dir: Not used; the answer is made here.
        quick: Fewer requests.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        release = stack.enter_context(started("release"))
        move = Move(folder)
        move.open_baseline(release)
        gateway = stack.enter_context(started("gateway", str(folder)))
        return uvloop.run(_measure(release, gateway, 2_000 if quick else 10_000))


@contextmanager
def started(*arguments: str, module: str = "benchmarks.gateway") -> Iterator[str]:
    """Run a part of a benchmark in a process of its own; yield its URL."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()


def make_answer(contract: str) -> bytes:
    """Return a policy answer of the usual size (about 3 KB)."""
    item = {
        "rank": 1,
        "memory_version_id": "01JKZ3Y5Q8W2N4R6T8V0X2Z4B6",
        "memory_id": "01JKZ3Y5Q8W2N4R6T8V0X2Z4B7",
        "record_type": "constraint",
        "version": 1,
        "truth_status": "asserted",
        "confidence": None,
        "authority": "authoritative",
        "why": {
            "included": True,
            "reasons": ["scope specificity score=3 for actor/action/resource", "passed active filters"],
            "rule_scores": {
                "scope_match": 1.0,
                "authority_rank": 3,
                "truth_status_rank": 4,
                "confidence": 0.5,
            },
        },
    }
    answer = {"result": "allow", "why": "Highest-precedence active constraint allows the action"}
    data = {"context_package_id": "cpkg_1", "answer": answer, "selected_items": [item] * 7}
    return json.dumps(
        {"service_contract_version": contract, "api_contract_version": "api.v1", "data": data}
    ).encode()


async def _measure(release: str, gateway: str, requests: int) -> list[dict[str, object]]:
    direct, through = Client(release), Client(gateway)
    for client in (direct, through):
        await _flood(client, 500)
    paced: dict[Client, list[float]] = {direct: [], through: []}
    rates: dict[Client, list[float]] = {direct: [], through: []}
    for _ in range(ROUNDS):
        for client in (direct, through):
            paced[client] += await _pace(client, requests // ROUNDS)
            rates[client].append(await _flood(client, requests // ROUNDS))
    return _rows(paced[direct], paced[through], max(rates[direct]), max(rates[through]))


def _rows(
    direct: list[float], through: list[float], direct_rate: float, through_rate: float
) -> list[dict[str, object]]:
    limits = load_limits()
    p50, p50_through = statistics.median(direct), statistics.median(through)
    loopback = {"loopback_ms": limits.loopback_ms}
    return [
        row(f"gateway: direct to the release, {RATE:,}/s, p50", p50, "ms", loopback),
        row(f"gateway: through the gateway, {RATE:,}/s, p50", p50_through, "ms", {"direct_ms": p50}),
        row(f"gateway: added per request, {RATE:,}/s, p50", p50_through - p50, "ms", loopback, _GOAL_ADDED),
        row(
            f"gateway: through the gateway, {RATE:,}/s, p99",
            percentile(through, 99),
            "ms",
            {"direct_p99_ms": percentile(direct, 99)},
        ),
        row(
            f"gateway: requests through, {CONNECTIONS} at once (room {_ROOM})",
            through_rate,
            "requests/s",
            {"direct": direct_rate},
        ),
    ]


def row(
    name: str, value: float, unit: str, limit: dict[str, float], goal: str | None = None
) -> dict[str, object]:
    """Return a row of `benchmarks.report`."""
    rounded = {key: round(number, 4) for key, number in limit.items()}
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "limit": rounded,
        "ratio": None,
        "goal": goal,
    }


def percentile(times: list[float], share: int) -> float:
    """Return a percentile (1..99) of at least two times."""
    return statistics.quantiles(times, n=100, method="inclusive")[share - 1]


async def _ask(client: Client, times: list[float]) -> None:
    begun = time.perf_counter()
    response = await client.request("POST", b"/v1/query/ask", _HEADERS, ASK, timeout_s=5.0)
    times.append((time.perf_counter() - begun) * 1000)
    assert response.status == 200


async def _pace(client: Client, requests: int) -> list[float]:
    times: list[float] = []
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(requests):
            if (wait := begun + number / RATE - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            group.create_task(_ask(client, times))
    return times


async def _flood(client: Client, requests: int) -> float:
    times: list[float] = []

    async def ask_on() -> None:
        for _ in range(requests // CONNECTIONS):
            await _ask(client, times)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(ask_on())
    return len(times) / (time.perf_counter() - begun)


async def serve_release() -> None:
    """Answer every request with a valid success of the contract that it names."""
    answers = {name.encode(): make_answer(name) for name in ("service.v2", "service.v3")}

    async def answer(request: Request, _connection: Connection) -> Response:
        body = answers[request.header(CONTRACT[0]) or b"service.v2"]
        return Response(200, [(b"content-type", b"application/json")], body)

    url = await Server(answer).listen("127.0.0.1", 0)
    print(json.dumps({"event": "ready", "url": url, "pid": os.getpid()}), flush=True)
    await asyncio.Event().wait()


def _serve_gateway(folder: Path) -> None:
    from cutover.web.gateway.server import serve_gateway

    serve_gateway(make_station(folder), bind="127.0.0.1:0")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["release"]:
            uvloop.run(serve_release())
        case ["gateway", where]:
            _serve_gateway(Path(where))
        case _:
            sys.exit("usage: python -m benchmarks --only gateway")
