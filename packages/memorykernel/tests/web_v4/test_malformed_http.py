"""What is no HTTP: told so in an envelope, behind the replies to what was asked before it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from contracts.core.envelope import POLICIES, check_reply

MALFORMED = {
    "request line": b"GET /v1/he alth HTTP/1.1\r\nHost: x\r\n\r\n",
    "not ASCII in the path": b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "header": b"GET /v1/health HTTP/1.1\r\nNo colon\r\n\r\n",
    "length": b"POST /v1/query/ask HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "chunk": b"POST /v1/query/ask HTTP/1.1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.fixture(scope="module", params=["service.v2", "service.v4"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kit: Any
) -> Iterator[Any]:
    path = tmp_path_factory.mktemp("malformed") / "memory.db"
    with kit.serve(path, "--service-contract", request.param) as running:
        running.contract = request.param
        yield running


def read_all(raw: socket.socket) -> list[bytes]:
    """Every reply until the server ends the connection."""
    received = b"".join(iter(lambda: raw.recv(65536), b""))
    return [b"HTTP/1.1 " + each for each in received.split(b"HTTP/1.1 ")[1:]]


def check_refusal(server: Any, reply: bytes) -> None:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head
    breaches = check_reply(
        POLICIES[server.contract],
        status=400,
        content_type="application/json",
        body=body,
        max_bytes=4096,
    )
    assert breaches == ()
    assert b'"code":"validation_error"' in body


@pytest.mark.parametrize("kind", MALFORMED)
def test_it_is_refused_in_an_envelope(server: Any, edge: Any, kind: str) -> None:
    with edge.connect(server) as raw:
        raw.sendall(MALFORMED[kind])
        (refusal,) = read_all(raw)
    check_refusal(server, refusal)


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("before", [1, 3])
def test_what_was_asked_before_it_is_answered_before_it(
    server: Any, kit: Any, edge: Any, kind: str, before: int
) -> None:
    asked = edge.post("/v1/query/ask", kit.ask(as_of=None))
    with edge.connect(server) as raw:
        raw.sendall(asked * before + MALFORMED[kind] + asked)
        *answers, refusal = read_all(raw)
    assert [each[:13] for each in answers] == [b"HTTP/1.1 200 "] * before
    check_refusal(server, refusal)


def test_a_body_that_goes_wrong_later_is_refused_once_and_others_are_served(
    server: Any, kit: Any, edge: Any
) -> None:
    head, _, tail = MALFORMED["chunk"].partition(b"zz")
    with edge.connect(server) as raw, edge.connect(server) as other:
        raw.sendall(head + b"2\r\n{}\r\n")
        other.sendall(edge.head("GET", "/v1/health"))
        assert edge.read(other)[0] == 200
        raw.sendall(b"zz" + tail)
        (refusal,) = read_all(raw)
    check_refusal(server, refusal)
    assert server.call("GET", "/v1/health").status == 200


def test_two_hosts_are_refused_and_the_connection_goes_on(server: Any, edge: Any) -> None:
    with edge.connect(server) as raw:
        for second in ("127.0.0.1", "elsewhere.example"):
            raw.sendall(edge.head("GET", "/v1/health", host=second))
            status, _, body = edge.read(raw)
            assert (status, body["error"]["code"]) == (400, "validation_error")
            assert "2 Host headers" in body["error"]["message"]
            assert body["service_contract_version"] == server.contract
        raw.sendall(edge.head("GET", "/v1/health"))
        assert edge.read(raw)[0] == 200


def test_who_goes_on_sending_still_reads_the_refusal(server: Any, edge: Any) -> None:
    with edge.connect(server) as raw:
        raw.sendall(MALFORMED["header"])
        for _ in range(64):
            raw.sendall(bytes(65536))
        (refusal,) = read_all(raw)
    check_refusal(server, refusal)


def chunk(kit: Any, edge: Any, *lines: bytes) -> bytes:
    """A question in one chunk, and the beginning of what is behind it."""
    head, _, body = edge.post("/v1/query/ask", kit.ask(as_of=None)).partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    said = [*kept, b"Transfer-Encoding: chunked", b"", b"%x" % len(body), body]
    return b"\r\n".join((*said, *lines))


def test_a_trailer_is_no_header(server: Any, kit: Any, edge: Any) -> None:
    named = b"service.v3"
    with edge.connect(server) as raw:
        for trailer in (b"Service-Contract-Version: " + named, b"Host: elsewhere.example"):
            raw.sendall(chunk(kit, edge, b"0", trailer, b"", b""))
            status, _, body = edge.read(raw)
            assert (status, body["service_contract_version"]) == (200, server.contract)


@pytest.mark.parametrize(("begin", "more"), [(b"0\r\n", b"X: y\r\n"), (b"0\r\nX: ", b"y"), (b"1;x=", b"y")])
def test_what_a_body_comes_with_is_bounded(
    server: Any, kit: Any, edge: Any, begin: bytes, more: bytes
) -> None:
    with edge.connect(server) as raw:
        raw.sendall(chunk(kit, edge, begin))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            raw.sendall(more * 8_000_000)
    assert server.call("GET", "/v1/health").status == 200


def test_a_body_in_the_smallest_chunks_is_read(server: Any, kit: Any, edge: Any) -> None:
    asked = {**kit.ask(as_of=None), "padding": "x" * 200_000}
    head, _, body = edge.post("/v1/query/ask", asked).partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    chunks = b"".join(b"1\r\n%c\r\n" % each for each in body)
    with edge.connect(server) as raw:
        raw.sendall(b"\r\n".join([*kept, b"Transfer-Encoding: chunked", b"", chunks + b"0", b"", b""]))
        assert edge.read(raw)[0] == 200


OFFERS = 2000
"""More than any call stack is deep."""


def test_any_number_of_offers_at_once_is_ignored(server: Any, edge: Any) -> None:
    one = edge.head("GET", "/v1/health", connection="Upgrade", upgrade="h2c")
    last = edge.head("GET", "/v1/health", connection="Upgrade, close", upgrade="h2c")
    with edge.connect(server) as raw:
        raw.sendall(one * OFFERS + last)
        replies = read_all(raw)
    assert {each[:13] for each in replies} == {b"HTTP/1.1 200 "}
    assert len(replies) == OFFERS + 1


OFFER = {
    "websocket": {"connection": "Upgrade", "upgrade": "websocket"},
    "HTTP/2": {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABkAAQ"},
}


@pytest.mark.parametrize("offer", OFFER)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_offer_of_another_protocol_is_ignored_and_the_body_read(
    server: Any, kit: Any, edge: Any, offer: str, is_chunked: bool
) -> None:
    asked = {**kit.ask(as_of=None), "padding": "x" * 500_000}
    one = edge.post("/v1/query/ask", asked, **OFFER[offer])
    if is_chunked:
        head, _, body = one.partition(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        one = b"\r\n".join([*kept, b"Transfer-Encoding: chunked", b"", chunks])
    last = edge.head("GET", "/v1/health", connection="Upgrade, close", upgrade="h2c")
    with edge.connect(server) as raw:
        raw.sendall(one * 3 + last)
        replies = read_all(raw)
    assert [each[:13] for each in replies] == [b"HTTP/1.1 200 "] * 4
    assert all(b'"ruleset_version"' in each for each in replies[:3])
