"""What one connection counts, with the sizes of the chunks in which it gets its data fixed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from memorykernel.web.arrival import Arrival
from memorykernel.web.connection import MAX_HEAD_BYTES, ConnectionLimits, make_protocol
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MAX_HEAD_BYTES + b"x" * MAX_HEAD_BYTES


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes] = []
        self.is_cut = False

    @property
    def written(self) -> bytes:
        return b"".join(self.packets)

    def write(self, data: Any) -> None:
        self.packets.append(bytes(data))

    def abort(self) -> None:
        self.is_cut = True

    def close(self) -> None:
        self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_cut

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def reply_empty(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await Response()(scope, receive, send)


async def reply_early(scope: Scope, receive: Receive, send: Send) -> None:
    """Ask for the body, and do not wait for it."""
    asking = asyncio.ensure_future(receive())
    await asyncio.wait([asking], timeout=0)
    asking.cancel()
    await Response()(scope, receive, send)


async def receive_nothing() -> Any:
    raise AssertionError("the body is not asked for")


async def break_off(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    raise RuntimeError("the body does not come")


async def reply_in_parts(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"on", "more_body": True})
    await send({"type": "http.response.body", "body": b"ce"})


async def receive_chunks(*chunks: bytes) -> tuple[int, list[str]]:
    """Receive them, each answered as far as it can be; the number of replies, and why it was cut."""
    wire, refusals = await exchange(reply_empty, *chunks)
    return wire.written.count(b"HTTP/1.1 200 OK"), refusals


async def exchange(app: ASGIApp, *chunks: bytes) -> tuple[Wire, list[str]]:
    refusals: list[str] = []
    limits = ConnectionLimits(
        arrival_s=None, refuse=lambda: reply_empty, malformed=b"", count_refusal=refusals.append
    )
    state, wire = ServerState(), Wire()
    connection = make_protocol(limits)(Config(app, ws="none", log_config=None), state, {})
    connection.connection_made(wire)
    for chunk in chunks:
        connection.data_received(chunk)
        while state.tasks:
            await asyncio.wait(state.tasks)
    connection.connection_lost(ConnectionAbortedError())
    return wire, refusals


@pytest.mark.parametrize("split", [1, 10, len(HEAD) - 1])
def test_the_end_of_a_large_request_is_no_part_of_the_head_behind_it(split: int) -> None:
    assert asyncio.run(receive_chunks(LARGE + HEAD[:split], HEAD[split:])) == (2, [])


def test_a_head_behind_another_request_has_the_same_limit() -> None:
    endless = b"x" * MAX_HEAD_BYTES
    assert asyncio.run(receive_chunks(LARGE + HEAD[:-4], endless, b"x")) == (1, ["head"])


def test_the_head_of_a_reply_leaves_with_the_beginning_of_its_body() -> None:
    wire, _ = asyncio.run(exchange(reply_in_parts, HEAD))
    first, second = wire.packets
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\non")
    assert second == b"ce"


def test_a_reply_without_a_body_leaves_whole() -> None:
    wire, _ = asyncio.run(exchange(reply_empty, HEAD.replace(b"GET", b"HEAD")))
    assert wire.written.endswith(b"\r\n\r\n")


def test_continue_is_said_before_the_body_comes() -> None:
    asked = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    wire, _ = asyncio.run(exchange(reply_early, asked))
    assert wire.packets[0] == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_reply_that_breaks_off_shows_its_head_and_ends_the_connection() -> None:
    wire, _ = asyncio.run(exchange(break_off, HEAD))
    assert wire.is_cut
    assert wire.written.startswith(b"HTTP/1.1 200 OK\r\n")


def test_of_a_header_that_comes_twice_the_first_counts_and_case_does_not() -> None:
    headers = [(b"host", b"a"), (b"host", b"b"), (b"x-name", b"\xe9")]
    arrived = Arrival({"type": "http", "headers": headers}, receive_nothing)
    assert arrived.headers.get("Host") == "a" == arrived.headers["host"]
    assert arrived.headers.get("X-Name") == "\xe9"
    assert arrived.headers.get("absent") is None
    assert arrived.headers.get("absent", "0") == "0"
