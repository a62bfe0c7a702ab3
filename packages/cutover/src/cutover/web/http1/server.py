"""The answering end: one listening socket, whole requests in, one response each, in order.

Invariants: a handler sees complete, bounded requests only; what is not HTTP/1.1 is answered 400 here and
never reaches it. Requests of one connection are answered one after the other; an exchange that has begun
is carried to its end even when its client goes away. `close` stops accepting, lets exchanges end, and
then closes the connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, cast

import httptools

from cutover.web.http1.message import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    Problem,
    Request,
    Response,
    encode_response,
)

KEEP_ALIVE_S: Final = 75.0
REQUEST_TIMEOUT_S: Final = 20.0
"""How long a request may take to arrive."""
MAX_WAITING: Final = 16
"""Pipelined requests that wait on one connection before reading pauses."""
_BACKLOG: Final = 1024
_SWEEP_S: Final = 1.0
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_GARBAGE: Final = Response(
    400, [(b"content-type", b"text/plain; charset=utf-8")], b"not an HTTP/1.1 request\n"
)

Handler = Callable[[Request, "Connection"], Awaitable[Response | None]]
"""Answers a request; None when it has dealt with the connection itself."""


class Server:
    """Listens on one address and hands requests to a handler. Lives on one event loop.

    Args:
        handler: Answers requests; an exception from it closes that connection and is reported to the loop.
        max_body_bytes: Longest body of a request.
    """

    def __init__(self, handler: Handler, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.handler = handler
        self.max_body_bytes = max_body_bytes
        self.connections: set[Connection] = set()
        self.is_closing = False
        self.emptied = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> str:
        """Start to accept connections; return http://host:port with the real port.

        Raises:
            OSError: When the address is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, loop), host, port, backlog=_BACKLOG, reuse_address=True
        )
        self._sweeper = loop.create_task(self._sweep())
        bound = self._server.sockets[0].getsockname()
        return f"http://{bound[0]}:{bound[1]}"

    def stop_listening(self) -> None:
        """Close the listening socket; connections stay. New ones are refused by the kernel."""
        if self._server is not None:
            self._server.close()

    async def close(self, *, grace_s: float = 5.0) -> None:
        """Stop accepting, let exchanges end for at most `grace_s`, close everything; idempotent."""
        self.is_closing = True
        self.stop_listening()
        if grace_s > 0:
            for connection in list(self.connections):
                connection.close_when_idle()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.emptied.wait(), grace_s if self.connections else 0)
        for connection in list(self.connections):
            connection.reset()
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            for connection in list(self.connections):
                connection.close_if_late(loop.time())


class _NotARequest(Exception):
    """What comes in cannot be taken."""


class Connection(asyncio.Protocol):
    """One client's connection; the methods named `on_` are httptools' callbacks."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._last = False
        self._paused = False
        self._deadline = loop.time() + REQUEST_TIMEOUT_S
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._head_size = self._received = 0
        self._in_headers = self._too_large = False

    # What a handler may do with the connection.

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport is None or self._transport.is_closing()

    def write_raw(self, data: bytes) -> None:
        """Write exact bytes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close after what was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close with a TCP reset; what was not sent yet is lost."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # What the server does with it.

    def close_when_idle(self) -> None:
        """Close now, or after the exchange that has begun."""
        self._last = True
        if self._task is None:
            self.close()

    def close_if_late(self, now: float) -> None:
        """Close when a request takes too long to arrive, or none comes."""
        if self._task is None and now > self._deadline:
            self.reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if not self._server.connections and self._server.is_closing:
            self._server.emptied.set()
        self._waiting.clear()
        self._last = True

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last = True  # the request was taken; what follows would be another protocol
        except httptools.HttpParserError:
            self._refuse()
        if self._in_headers and self._received > MAX_HEADER_BYTES:
            self._refuse()

    def on_message_begin(self) -> None:
        self._begin()
        self._in_headers = True
        self._deadline = self._loop.time() + REQUEST_TIMEOUT_S

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._count_head(len(name) + len(value))

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEADER_BYTES:
            raise _NotARequest

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if self._parser.get_http_version() not in _VERSIONS:
            raise _NotARequest  # llhttp reads HTTP/0.9 and a 2.0 preamble too
        if any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers):
            self.write_raw(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= self._server.max_body_bytes:
            self._body.append(body)
        elif not self._too_large:
            self._too_large = True
            self._body.clear()
            self._take(Problem.TOO_LARGE)

    def on_message_complete(self) -> None:
        if not self._too_large and not self._last:
            self._take(None)
        self._received = 0

    def _take(self, problem: Problem | None) -> None:
        method, body = self._parser.get_method().decode("latin-1"), b"".join(self._body)
        request = Request(method, self._target, self._headers, body, problem)
        keep_alive = problem is None and self._parser.should_keep_alive()
        self._last = self._last or not keep_alive
        self._waiting.append((request, keep_alive))
        if self._task is None:
            self._task = self._loop.create_task(self._answer_all())
        elif len(self._waiting) >= MAX_WAITING and self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                await self._answer(*self._waiting.popleft())
        except BaseException:
            self.reset()
            raise
        finally:
            self._task = None
        self._deadline = self._loop.time() + KEEP_ALIVE_S
        if self._last:
            self.close()
        elif self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    async def _answer(self, request: Request, keep_alive: bool) -> None:
        response = await self._server.handler(request, self)
        if response is None:
            self._last = True
            return
        keep_alive = keep_alive and not self._server.is_closing
        self._last = self._last or not keep_alive
        self.write_raw(encode_response(response, is_head=request.method == "HEAD", keep_alive=keep_alive))

    def _refuse(self) -> None:
        """Answer what is not a request, after the requests before it."""
        if self._last:
            return
        self._last = True
        if self._task is None:
            self.write_raw(encode_response(_GARBAGE, is_head=False, keep_alive=False))
            self.close()
