"""What one connection counts, with the sizes of the chunks in which it gets its data fixed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from memorykernel.web.connection import MAX_HEAD_BYTES, ConnectionLimits, make_protocol
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MAX_HEAD_BYTES + b"x" * MAX_HEAD_BYTES


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_cut = False

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_cut

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def reply_empty(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await Response()(scope, receive, send)


async def receive_chunks(*chunks: bytes) -> tuple[int, list[str]]:
    """Receive them, each answered as far as it can be; the number of replies, and why it was cut."""
    refusals: list[str] = []
    limits = ConnectionLimits(
        arrival_s=None, refuse=lambda: reply_empty, malformed=b"", count_refusal=refusals.append
    )
    state, wire = ServerState(), Wire()
    connection = make_protocol(limits)(Config(reply_empty, ws="none", log_config=None), state, {})
    connection.connection_made(wire)
    for chunk in chunks:
        connection.data_received(chunk)
        while state.tasks:
            await asyncio.wait(state.tasks)
    connection.connection_lost(ConnectionAbortedError())
    return wire.written.count(b"HTTP/1.1 200 OK"), refusals


@pytest.mark.parametrize("split", [1, 10, len(HEAD) - 1])
def test_the_end_of_a_large_request_is_no_part_of_the_head_behind_it(split: int) -> None:
    assert asyncio.run(receive_chunks(LARGE + HEAD[:split], HEAD[split:])) == (2, [])


def test_a_head_behind_another_request_has_the_same_limit() -> None:
    endless = b"x" * MAX_HEAD_BYTES
    assert asyncio.run(receive_chunks(LARGE + HEAD[:-4], endless, b"x")) == (1, ["head"])
