"""Every fault by the bytes that come out, and nothing changed when none is on."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from contracts.core.envelope import POLICIES, BreachCode, check_reply
from cutover.core.fault import FAULTS, PRODUCER_FAULTS
from cutover.ports import Reply
from cutover.web.injector.server import running_injector

from packages.cutover.tests.move import V2, V3
from packages.cutover.tests.web.servers import ASK, Caller, LoopThread, Release

ROOT = Path(__file__).parents[5]
SERVE = """
import sys
from cutover.web.injector.server import serve_injector
serve_injector(sys.argv[1], bind="127.0.0.1:0", control="127.0.0.1:0")
"""


class RunningInjector(Caller):
    """An injector process and its control."""

    def __init__(self, url: str, control_url: str) -> None:
        super().__init__(url)
        self.control = Caller(control_url)

    def inject(self, kind: str, **more: object) -> None:
        """Switch a fault on."""
        body = json.dumps({"kind": kind, **more}).encode()
        assert self.control.request("POST", "/fault", body=body).status == 204

    def clear(self) -> None:
        """Switch it off."""
        assert self.control.request("DELETE", "/fault").status == 204


@pytest.fixture
def injector(target: Release, thread: LoopThread) -> Iterator[RunningInjector]:
    anywhere = "127.0.0.1:0"
    with thread.within(running_injector(target.address, bind=anywhere, control=anywhere)) as urls:
        yield RunningInjector(*urls)


def give_up(injector: RunningInjector, *, after_s: float) -> None:
    """Ask on a new connection and expect no reply within a time."""
    connection = http.client.HTTPConnection(urlsplit(injector.url).netloc, timeout=after_s)
    connection.request("POST", "/v1/query/ask", ASK)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def breaches(reply: Reply, contract: str = V3) -> set[BreachCode]:
    found = check_reply(
        POLICIES[contract],
        status=reply.status,
        content_type=reply.headers.get("content-type"),
        body=reply.body,
        max_bytes=2 << 20,
    )
    return {breach.code for breach in found}


def test_without_a_fault_everything_passes_unchanged(injector: RunningInjector, target: Release) -> None:
    target.reply(418, b"\x00\xff", b"application/octet-stream")
    reply = injector.request("PUT", "/any?q=1", body=b"\x01\x02", headers={"x-mine": "yes"})
    assert (reply.status, reply.body) == (418, b"\x00\xff")
    assert reply.headers["content-type"] == "application/octet-stream"
    (seen,) = target.requests
    assert (seen.method, seen.target, seen.body) == ("PUT", b"/any?q=1", b"\x01\x02")
    assert seen.header(b"x-mine") == b"yes"


@pytest.mark.parametrize(
    ("fault", "breach"),
    [
        ("empty", BreachCode.NOT_JSON),
        ("bad-json", BreachCode.NOT_JSON),
        ("duplicate-keys", BreachCode.NOT_JSON),
        ("wrong-content-type", BreachCode.NOT_JSON),
        ("oversized", BreachCode.NOT_JSON),
        ("redirect", BreachCode.NOT_JSON),
        ("extra-field", BreachCode.UNKNOWN_KEY),
        ("missing-field", BreachCode.MISSING_KEY),
        ("wrong-version", BreachCode.WRONG_VERSION),
        ("unknown-code", BreachCode.UNKNOWN_ERROR_CODE),
    ],
)
def test_a_changed_reply_breaks_the_policy_in_its_own_way(
    injector: RunningInjector, fault: str, breach: BreachCode
) -> None:
    assert breaches(injector.ask(V3)) == set()
    injector.inject(fault)
    assert breaches(injector.ask(V3)) == {breach}
    injector.clear()
    assert breaches(injector.ask(V3)) == set()


def test_error_envelopes_get_the_forbidden_key_and_successes_pass(
    injector: RunningInjector, target: Release
) -> None:
    injector.inject("non-2xx-extra")
    assert breaches(injector.ask(V3)) == set()
    error = {"service_contract_version": V3, "error": {"code": "query_failed", "message": "m"}}
    target.reply(500, json.dumps(error).encode())
    assert breaches(injector.ask(V3)) == {BreachCode.FORBIDDEN_KEY}


@pytest.mark.parametrize("contract", [V2, V3])
def test_refused_questions_are_valid_errors_and_everything_else_passes(
    injector: RunningInjector, target: Release, contract: str
) -> None:
    injector.inject("refuse-questions")
    reply = injector.ask(contract)
    assert reply.status == 500
    assert json.loads(reply.body)["error"]["code"] == "query_failed"
    assert breaches(reply, contract) == set()
    assert target.requests == []
    assert injector.request("GET", "/v1/health").status == 200


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("refuse", ConnectionRefusedError),
        ("reset", ConnectionResetError),
        ("garbage", http.client.BadStatusLine),
        ("truncate", http.client.IncompleteRead),
    ],
)
def test_no_complete_reply_comes(injector: RunningInjector, fault: str, error: type[Exception]) -> None:
    injector.inject(fault)
    with pytest.raises(error):
        injector.ask(V3)
    injector.clear()
    assert injector.ask(V3).status == 200


def test_refusing_cuts_connections_that_are_kept(injector: RunningInjector) -> None:
    place = urlsplit(injector.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        sock.sendall(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200")
        injector.inject("refuse")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_request_that_hangs_is_reset_when_the_fault_is_cleared(injector: RunningInjector) -> None:
    injector.inject("hang")
    give_up(injector, after_s=0.1)
    place = urlsplit(injector.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        sock.sendall(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n")
        give_up(injector, after_s=0.1)
        injector.clear()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_dripping_reply_comes_at_once_when_the_fault_is_cleared(injector: RunningInjector) -> None:
    injector.inject("slow")
    place = urlsplit(injector.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        sock.sendall(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert sock.recv(100) == b"H"
        injector.clear()
        assert sock.makefile("rb").read().endswith(b"}")


def test_a_late_reply_is_late_and_whole(injector: RunningInjector) -> None:
    injector.inject("late", delay_ms=200)
    give_up(injector, after_s=0.05)
    assert breaches(injector.ask(V3)) == set()


def test_one_letter_of_a_draft_is_altered_and_nothing_else(
    injector: RunningInjector, target: Release
) -> None:
    draft = {
        "draft_id": "d",
        "draft": {"disposition": "answer", "text": "Good day."},
        "policy": {"text": "x"},
    }
    target.reply(200, json.dumps(draft).encode())
    injector.inject("altered")
    seen = json.loads(injector.request("POST", "/api/v1/drafts", body=b"{}").body)
    assert seen == {**draft, "draft": {"disposition": "answer", "text": "Good day!"}}
    target.reply(200, b'{"commit": "c"}')
    assert injector.request("GET", "/api/v1/status").body == b'{"commit": "c"}'


def test_a_fault_can_be_limited_to_routes_and_to_a_number_of_requests(injector: RunningInjector) -> None:
    injector.inject("extra-field", routes=["/v1/query"], times=2)
    assert breaches(injector.request("GET", "/v1/health")) == set()
    assert [bool(breaches(injector.ask(V3))) for _ in range(4)] == [True, True, False, False]


def test_killing_ends_a_process_at_once(injector: RunningInjector) -> None:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as victim:
        injector.inject("kill", pid=victim.pid)
        assert victim.wait(5) == -9


def test_what_is_on_can_be_asked(injector: RunningInjector) -> None:
    assert json.loads(injector.control.request("GET", "/fault").body) == {"fault": None}
    injector.inject("hang")
    assert json.loads(injector.control.request("GET", "/fault").body)["fault"]["kind"] == "hang"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"kind": "unheard-of"}', "unknown fault"),
        (b'{"kind": "hang", "why": 1}', "no fault order"),
        (b"{", "no fault order"),
        (b'{"kind": "kill"}', "needs the pid"),
        (b'{"kind": "hang", "pid": 7}', "needs the pid"),
        (b'{"kind": "kill", "pid": 1}', "needs the pid"),
        (b'{"kind": "kill", "pid": 4194305}', "no such process"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(injector: RunningInjector, body: bytes, said: str) -> None:
    reply = injector.control.request("POST", "/fault", body=body)
    assert reply.status == 400
    assert said in json.loads(reply.body)["error"]
    assert injector.ask(V3).status == 200


def test_the_process_says_when_it_is_ready_and_ends_well_on_sigterm(target: Release) -> None:
    command = [sys.executable, "-c", SERVE, target.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["pid"]) == ("ready", process.pid)
        running = RunningInjector(ready["url"], ready["control_url"])
        running.inject("extra-field")
        assert breaches(running.ask(V3)) == {BreachCode.UNKNOWN_KEY}
        process.terminate()
        assert process.wait(10) == 0


def test_the_faults_before_a_producer_are_the_others() -> None:
    assert set(FAULTS) - set(PRODUCER_FAULTS) == {"altered", "kill"}
    assert all(FAULTS.values())


def test_a_web_page_cannot_order_a_fault(injector: RunningInjector) -> None:
    body = json.dumps({"kind": "hang"}).encode()
    for origin in ("https://example.com", injector.control.url, "null"):
        reply = injector.control.request("POST", "/fault", body=body, headers={"origin": origin})
        assert reply.status == 403
    assert json.loads(injector.control.request("GET", "/fault").body) == {"fault": None}
