"""From a stop observed to the baseline's first answer, over many aborts under traffic.

Real parts: the gateway process, git, the signed log on the disk, a release process, and a consumer-like
process that asks all the time, and on reload reads its pin from the live ref, preflights it through the
gateway and swaps. This process plays the executor: it moves everything to the target, appends `Stopped`
(durable before anything moves) and calls the gateway. Times are those of the signed `Restored` entries.

A program folder takes at most `PER_FOLDER` aborts, as a real one would.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from cutover.adapters.consumer_client import HttpConsumer
from cutover.adapters.gateway_client import HttpGateway
from cutover.adapters.git import BareRepository
from cutover.adapters.http import LoopbackHttp
from cutover.core.entry import Operation, Restored, StepDone, StepIntended, StopCondition, Stopped
from cutover.core.switch import ForwardStep
from cutover.web.http1.client import Client, ExchangeFailed
from cutover.web.http1.message import Request, Response
from cutover.web.http1.server import Connection, Server

from benchmarks.gateway import ASK, CONTRACT, percentile, row, started
from benchmarks.limit import load_limits
from packages.cutover.tests.move import LIVE_REF, V2, V3, Move, make_station

RATE: Final = 500
"""Requests per second of the consumer-like process; it shares two cores with everything it measures."""
PER_FOLDER: Final = 20
_TOKEN: Final = "bench"  # noqa: S105 - known to both ends of this benchmark only
_FSYNCS, _GITS, _TRIPS = 7, 3, 6
"""On the way to the first answer: Stopped, four more entries and two intents made durable; one git process of
the gateway and two of the consumer; refresh, reload, two preflights and the answer, each a round trip."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What the consumer-like process counted.

    Args:
        lost: Requests without a complete reply.
        breaking: Replies of another contract than the one asked by.
    """

    asked: int
    applied: int
    gateway_made: int
    lost: int
    breaking: int


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure 40 (quick) or 200 aborts.

    Args:
        data_dir: Not used.
        quick: Fewer aborts.
    """
    restored: list[Restored] = []
    tallies: list[Tally] = []
    with started("release") as release:
        while len(restored) < (40 if quick else 200):
            found, tally = _abort_in_new_folder(release)
            restored += found
            tallies.append(tally)
    return _rows(restored, tallies)


def _abort_in_new_folder(release: str) -> tuple[list[Restored], Tally]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stop-bench-")))
        move = Move(folder)
        move.open_baseline(release)
        (folder / "token").write_text(_TOKEN)
        consumer = stack.enter_context(started("consumer", str(folder), module=__name__))
        stack.enter_context(started("gateway", str(folder), consumer, module=__name__))
        control = HttpConsumer(LoopbackHttp(), consumer, folder / "token")
        gateway = HttpGateway(LoopbackHttp(), folder)
        control.reload()
        found = [_abort(move, number, release, control, gateway) for number in range(1, PER_FOLDER + 1)]
        tally = LoopbackHttp().request("GET", f"{consumer}/tally").body
        return found, msgspec.json.decode(tally, type=Tally)


def _abort(move: Move, attempt: int, release: str, consumer: HttpConsumer, gateway: HttpGateway) -> Restored:
    repin = move.prepared.drill
    step = {"operation": Operation.DRILL, "attempt": attempt, "step": ForwardStep.OPEN_TARGET}
    move.add(msgspec.convert(step, StepIntended))
    move.open_route(V3, "v0.4.0", release)
    gateway.refresh()
    assert move.origin.compare_and_swap(LIVE_REF, repin.forward_commit, move.live())
    assert consumer.reload() == repin.forward_commit
    move.add(msgspec.convert({**step, "facts": {}}, StepDone))
    time.sleep(0.05)  # traffic on the target, so that something is at risk
    move.add(Stopped(condition=StopCondition.MANUAL, reason="bench", observed_at=datetime.now(UTC)))
    gateway.refresh()
    for _ in range(500):
        time.sleep(0.01)
        last = move.log.read().entries[-1].body
        if isinstance(last, Restored):
            return last
    raise TimeoutError("the way back did not end within 5 s")


def _rows(restored: list[Restored], tallies: list[Tally]) -> list[dict[str, object]]:
    limits = load_limits()
    made_of = {
        f"fdatasync_x{_FSYNCS}_ms": _FSYNCS * limits.fdatasync_ms,
        f"update_ref_x{_GITS}_ms": _GITS * limits.update_ref_ms,
        f"loopback_x{_TRIPS}_ms": _TRIPS * limits.loopback_ms,
    }
    total = [_ms(r.t_observed, r.t_first_baseline_reply) for r in restored]
    routed = [_ms(r.t_observed, r.t_routed) for r in restored]
    decided = [_ms(r.t_observed, r.t_decided) for r in restored]
    name = f"stop: observed to first baseline reply, {len(restored)} aborts at {RATE}/s"
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts.update(msgspec.structs.asdict(tally))
    return [
        row(f"{name}, p50", percentile(total, 50), "ms", made_of),
        row(f"{name}, p99", percentile(total, 99), "ms", made_of, "<= 10 ms"),
        row(f"{name}, max", max(total), "ms", made_of, "<= 50 ms"),
        row("stop: observed to decision durable, p50", percentile(decided, 50), "ms",
            {"fdatasync_x2_ms": 2 * limits.fdatasync_ms}),
        row("stop: observed to routes swapped, p50", percentile(routed, 50), "ms",
            {"fdatasync_x3_ms": 3 * limits.fdatasync_ms}),
        row(f"stop: requests lost of {counts['asked']:,}", counts["lost"], "requests", {}, "== 0"),
        row("stop: breaking replies delivered", counts["breaking"], "replies", {}, "== 0"),
    ]  # fmt: skip


def _ms(begin: datetime, end: datetime | None) -> float:
    return float("inf") if end is None else (end - begin).total_seconds() * 1000


class Consumer:
    """Asks all the time by the contract of the pin it runs on; swaps it on reload after a preflight."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._origin = BareRepository(folder / "consumer.git")
        self._contract = V2
        self._gateway: Client | None = None
        self._counts: Counter[str] = Counter(dict.fromkeys(Tally.__struct_fields__, 0))
        self._asking: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request, _connection: Connection) -> Response:
        """Reload, or tell what was counted."""
        if request.path == "/tally":
            return _json(dict(self._counts))
        commit, contract = await asyncio.to_thread(self._read_pin)
        gateway = self._connect()
        for method, path in (("GET", b"/v1/health"), ("POST", b"/v1/db/schema-version")):
            reply = await gateway.request(method, path, [(CONTRACT[0], contract.encode())], b"", timeout_s=5)
            assert reply.status == 200
        self._contract = contract
        return _json({"outcome": "swapped", "commit": commit, "reason": None})

    async def ask_on(self) -> None:
        """Ask at a fixed rate, whether or not earlier questions are answered."""
        begun, number = time.perf_counter(), 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
            if self._gateway is not None:
                task = asyncio.create_task(self._ask(self._gateway, self._contract))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    def _read_pin(self) -> tuple[str, str]:
        commit = self._origin.resolve(LIVE_REF) or ""
        pin = self._origin.read_blob(commit, "pin.json") or b""
        return commit, V3 if pin.startswith(b"target") else V2

    def _connect(self) -> Client:
        if self._gateway is None:
            place = msgspec.json.decode((self._folder / "run" / "gateway.json").read_bytes())
            self._gateway = Client(place["url"])
        return self._gateway

    async def _ask(self, gateway: Client, contract: str) -> None:
        self._counts["asked"] += 1
        headers = [(b"content-type", b"application/json"), (CONTRACT[0], contract.encode())]
        try:
            reply = await gateway.request("POST", b"/v1/query/ask", headers, ASK, timeout_s=5)
        except ExchangeFailed:
            self._counts["lost"] += 1
            return
        body = msgspec.json.decode(reply.body)
        self._counts["breaking"] += body["service_contract_version"] != contract
        self._counts["applied" if reply.status == 200 else "gateway_made"] += 1


def _json(value: object) -> Response:
    return Response(200, [(b"content-type", b"application/json")], msgspec.json.encode(value))


async def _serve_consumer(folder: Path) -> None:
    consumer = Consumer(folder)
    url = await Server(consumer.handle).listen("127.0.0.1", 0)
    print(json.dumps({"event": "ready", "url": url, "pid": os.getpid()}), flush=True)
    await consumer.ask_on()


def _serve_gateway(folder: Path, consumer: str) -> None:
    from cutover.web.gateway.server import serve_gateway

    control = HttpConsumer(LoopbackHttp(), consumer, folder / "token")
    serve_gateway(replace(make_station(folder), consumer=control), bind="127.0.0.1:0")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["consumer", where]:
            uvloop.run(_serve_consumer(Path(where)))
        case ["gateway", where, consumer_url]:
            _serve_gateway(Path(where), consumer_url)
        case _:
            sys.exit("usage: python -m benchmarks --only stop")
