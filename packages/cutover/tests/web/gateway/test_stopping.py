"""What the gateway withholds, when it stops, and that it takes everything back by itself."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from contracts.core.envelope import POLICIES, check_reply
from cutover.adapters.gateway_client import HttpGateway
from cutover.adapters.http import LoopbackHttp
from cutover.core.entry import Observed, Operation, Restored, StopCondition, Stopped
from cutover.errors import Refused
from cutover.ports import Reply
from cutover.web.http1.message import Request, Response
from cutover.web.http1.server import Connection

from packages.cutover.tests.move import V2, V3, Move
from packages.cutover.tests.web.servers import (
    Caller,
    LoopThread,
    Release,
    RunningGateway,
    gateway_of,
    success,
)

ROOT = Path(__file__).parents[5]
BODY = success(V3, answer="x")
ERROR = {"service_contract_version": V3, "error": {"code": "query_failed", "message": "m"}}


def encoded(**changes: object) -> bytes:
    return msgspec.json.encode({**ERROR, **changes})


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"

BREAKING: dict[str, Callable[[Release], None]] = {
    "not-json": lambda r: r.reply(200, b"<html>"),
    "empty": lambda r: r.reply(200, b""),
    "wrong media type": lambda r: r.reply(200, BODY, b"text/html"),
    "duplicate key": lambda r: r.reply(200, BODY[:-1] + b',"data":{}}'),
    "wrong version": lambda r: r.reply(200, success(V2)),
    "extra key": lambda r: r.reply(200, BODY[:-1] + b',"more":1}'),
    "missing key": lambda r: r.reply(200, b'{"service_contract_version":"service.v3","data":{}}'),
    "unknown code": lambda r: r.reply(500, encoded(error={"code": "teapot", "message": "m"})),
    "forbidden key": lambda r: r.reply(500, encoded(legacy_error="m")),
    "status does not fit": lambda r: r.reply(400, encoded()),
    "redirect": lambda r: r.reply(307, b""),
    "201": lambda r: r.reply(201, BODY),
    "garbage": lambda r: r.send(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "nothing": lambda r: r.send(b""),
    "reset": lambda r: r.send(b"", reset=True),
    "truncated": lambda r: r.send(HEAD % len(BODY) + BODY[:-5]),
    "half a header": lambda r: r.send(b"HTTP/1.1 200 OK\r\ncontent-ty"),
    "endless header": lambda r: r.send(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 40_000),
    "too large": lambda r: r.reply(200, b" " * ((2 << 20) + 1)),
    "dead": lambda r: r.die(),
}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look again and again, for at most about 20 s."""
    pause = threading.Event()
    for _ in range(2000):
        if is_so():
            return
        pause.wait(0.01)
    pytest.fail("it did not come to pass")


def await_restored(move: Move, operation: Operation = Operation.ABORT) -> Restored:
    """Wait (bounded) until the way back has ended."""
    wait_until(lambda: bool(move.bodies(Restored)))
    (restored,) = move.bodies(Restored)
    assert isinstance(restored, Restored)
    assert restored.operation is operation
    return restored


def assert_gateway_made(reply: Reply, contract: str, status: int = 500) -> None:
    assert reply.status == status
    content_type = reply.headers["content-type"]
    policy = POLICIES[contract]
    assert not check_reply(
        policy, status=status, content_type=content_type, body=reply.body, max_bytes=1 << 20
    )
    assert json.loads(reply.body)["error"]["details"]["origin"] == "gateway"


def keep_asking(move: Move, gateway: Caller) -> threading.Thread:
    """Be the consumer: ask by the baseline's contract once it was told to reload."""

    def run() -> None:
        move.consumer.reloaded.wait(20)
        over = time.monotonic() + 20
        while time.monotonic() < over and not move.bodies(Restored):
            gateway.ask(V2)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", BREAKING)
def test_a_breaking_reply_of_the_target_is_withheld_and_everything_is_taken_back(
    move: Move, gateway: RunningGateway, target: Release, kind: str
) -> None:
    move.forward(Operation.FORWARD, address=target.address)
    gateway.refresh()
    assert gateway.ask(V3).status == 200
    consumer = keep_asking(move, gateway)
    BREAKING[kind](target)
    assert_gateway_made(gateway.ask(V3), V3)
    restored = await_restored(move)
    consumer.join()
    (stopped,) = move.bodies(Stopped)
    assert isinstance(stopped, Stopped)
    assert stopped.condition is StopCondition.CONTRACT_MISMATCH
    assert "v0.4.0 POST /v1/query/ask" in stopped.reason
    assert_gateway_made(gateway.ask(V3), V3, 503)
    assert gateway.ask(V2).status == 200
    assert move.live() == move.prepared.execution.inverse_commit == move.consumer.commit
    assert restored.t_first_baseline_reply is not None
    assert restored.t_observed <= restored.t_decided <= restored.t_routed <= restored.t_first_baseline_reply
    assert gateway.stats().withheld == {"v0.4.0": 1}


def test_errors_that_keep_the_contract_pass_and_stop_nothing(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    move.forward(Operation.FORWARD, address=target.address)
    gateway.refresh()
    target.reply(500, encoded())
    for _ in range(5):
        reply = gateway.ask(V3)
        assert (reply.status, reply.body) == (500, encoded())
    gateway.refresh()
    assert move.bodies(Stopped) == []


def test_the_document_passes_without_an_envelope_by_its_media_type(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    move.forward(Operation.FORWARD, address=target.address)
    gateway.refresh()
    target.reply(200, b"openapi: 3.1.0\n", b"application/yaml; charset=utf-8")
    assert gateway.request("GET", "/v1/openapi", contract=V3).body == b"openapi: 3.1.0\n"
    target.reply(200, b"openapi: 3.1.0\n", b"text/html")
    assert_gateway_made(gateway.request("GET", "/v1/openapi", contract=V3), V3)


def test_missed_deadlines_stop_only_when_there_are_enough(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    async def hang(_request: Request, _connection: Connection) -> Response | None:
        await asyncio.sleep(30)
        return None

    move.forward(Operation.FORWARD, address=target.address)
    gateway.refresh()
    target.behavior = hang
    reply = gateway.ask(V3)
    assert_gateway_made(reply, V3)
    assert json.loads(reply.body)["error"]["details"]["timeout_ms"] == 300
    gateway.refresh()
    assert move.bodies(Stopped) == []
    gateway.ask(V3)
    await_restored(move)
    (stopped,) = move.bodies(Stopped)
    assert isinstance(stopped, Stopped)
    assert "missed its deadline 2 times" in stopped.reason


def test_outside_a_move_a_breaking_reply_is_withheld_and_written_down_once_but_stops_nothing(
    move: Move, gateway: RunningGateway, baseline: Release
) -> None:
    baseline.reply(200, b"<html>")
    for _ in range(5):
        assert_gateway_made(gateway.ask(V2), V2)
    gateway.refresh()
    wait_until(lambda: bool(move.bodies(Observed)))
    (seen,) = move.bodies(Observed)
    assert isinstance(seen, Observed)
    assert seen.subject == "gateway/breach"
    assert seen.facts["release"] == "v0.3.2"
    assert move.bodies(Stopped) == []
    assert gateway.stats().withheld == {"v0.3.2": 5}
    baseline.behavior = baseline.answer
    assert gateway.ask(V2).status == 200


def test_a_stop_by_anybody_is_taken_back_without_an_executor_or_a_refresh(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    move.forward(Operation.DRILL, address=target.address)
    gateway.refresh()
    consumer = keep_asking(move, gateway)
    move.stop(StopCondition.MANUAL, signer="consumer")
    restored = await_restored(move, Operation.DRILL)
    consumer.join()
    assert restored.t_first_baseline_reply is not None
    assert move.live() == move.prepared.drill.inverse_commit


def test_requests_in_flight_finish_where_they_began(move: Move, target: Release, thread: LoopThread) -> None:
    arrived, go_on = threading.Event(), asyncio.Event()

    async def wait(request: Request, connection: Connection) -> Response:
        arrived.set()
        await go_on.wait()
        return await target.answer(request, connection)

    move.program = msgspec.structs.replace(
        move.program, watch=msgspec.structs.replace(move.program.watch, reply_timeout_s=15.0)
    )
    with gateway_of(move.station(), thread) as patient, ThreadPoolExecutor(3) as pool:
        move.forward(Operation.FORWARD, address=target.address)
        patient.refresh()
        target.behavior = wait
        asked = [pool.submit(patient.ask, V3) for _ in range(3)]
        arrived.wait(5)
        wait_until(lambda: patient.stats().in_flight == {"v0.4.0": 3})
        move.stop()
        patient.refresh()
        wait_until(lambda: V3 not in patient.stats().routes)
        assert_gateway_made(patient.ask(V3), V3, 503)
        thread.loop.call_soon_threadsafe(go_on.set)
        assert [json.loads(one.result(10).body)["data"]["tag"] for one in asked] == ["v0.4.0"] * 3
        assert await_restored(move).requests_at_risk == 3


def test_a_gateway_that_starts_in_the_middle_takes_back_what_was_stopped(
    move: Move, target: Release, thread: LoopThread
) -> None:
    move.forward(Operation.FORWARD, address=target.address)
    move.stop()
    with gateway_of(move.station(), thread) as gateway:
        consumer = keep_asking(move, gateway)
        assert await_restored(move).t_first_baseline_reply is not None
        consumer.join()
        assert_gateway_made(gateway.ask(V3), V3, 503)


def test_a_gateway_that_is_told_to_end_finishes_the_way_back_first(
    move: Move, target: Release, thread: LoopThread
) -> None:
    with gateway_of(move.station(), thread) as gateway:
        move.forward(Operation.FORWARD, address=target.address)
        move.stop()
        gateway.refresh()
    (restored,) = move.bodies(Restored)
    assert isinstance(restored, Restored)
    assert restored.t_first_baseline_reply is None
    assert move.live() == move.prepared.execution.inverse_commit


def test_a_moved_ref_is_tried_again_until_the_way_back_ends(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    repin = move.prepared.execution
    move.forward(Operation.FORWARD, address=target.address)
    foreign = move.origin.commit_files(
        repin.forward_commit, {"x": b"x"}, "x", "A <a@b.example>", datetime.now(UTC)
    )
    move.origin.compare_and_swap(move.prepared.live_ref, foreign, repin.forward_commit)
    move.stop()
    gateway.refresh()
    wait_until(lambda: bool(move.bodies(Observed)))
    assert_gateway_made(gateway.ask(V3), V3, 503)
    assert move.bodies(Restored) == []
    move.origin.compare_and_swap(move.prepared.live_ref, repin.forward_commit, foreign)
    gateway.refresh()
    await_restored(move)
    assert move.live() == repin.inverse_commit


SERVE = """
import sys
from pathlib import Path
from cutover.web.gateway.server import serve_gateway
from packages.cutover.tests.move import make_station
serve_gateway(make_station(Path(sys.argv[1])), bind="127.0.0.1:0")
"""


def test_the_process_says_when_it_is_ready_and_ends_well_on_sigterm(move: Move) -> None:
    command = [sys.executable, "-c", SERVE, str(move.folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["pid"]) == ("ready", process.pid)
        assert Caller(ready["url"]).ask(V2).status == 200
        assert (move.folder / "run" / "gateway.json").exists()
        process.send_signal(signal.SIGTERM)
        out, logged = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out == ""
    assert json.loads(logged.splitlines()[-1])["event"].startswith("closing")
    assert not (move.folder / "run" / "gateway.json").exists()


def test_a_gateway_killed_in_the_middle_of_a_move_is_taken_over_by_the_next(
    move: Move, target: Release, thread: LoopThread
) -> None:
    move.forward(Operation.FORWARD, address=target.address)
    command = [sys.executable, "-c", SERVE, str(move.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        assert Caller(url).ask(V3).status == 200
        process.kill()
    move.stop()
    with gateway_of(move.station(), thread) as gateway:
        consumer = keep_asking(move, gateway)
        await_restored(move)
        consumer.join()
        assert gateway.ask(V2).status == 200
    assert move.live() == move.prepared.execution.inverse_commit
    (down,) = (b for b in move.bodies(Observed) if isinstance(b, Observed))
    assert (down.subject, down.facts["pid"]) == ("gateway/downtime", str(process.pid))
    assert 0 <= float(down.facts["down_s"]) < 30


def test_a_second_gateway_on_one_folder_is_refused(
    move: Move, gateway: RunningGateway, thread: LoopThread
) -> None:
    with pytest.raises(Refused, match="already runs"), gateway_of(move.station(), thread):
        pass
    assert gateway.ask(V2).status == 200
    assert HttpGateway(LoopbackHttp(), move.folder).stats().served == {"v0.3.2": 1}


def test_a_gateway_that_ended_well_leaves_no_downtime(move: Move, thread: LoopThread) -> None:
    for _ in range(2):
        with gateway_of(move.station(), thread) as gateway:
            assert gateway.ask(V2).status == 200
    assert move.bodies(Observed) == []
