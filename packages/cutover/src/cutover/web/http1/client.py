"""The sending end: one origin, kept connections, one deadline per exchange, and the kind of each failure.

Invariants: a connection carries one exchange at a time; it is used again only when its last exchange
ended cleanly, nothing came after it and both sides want to keep it. No redirects, no decompression.
A request is never sent twice: whether a repetition is harmless is not for a proxy to guess.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from cutover.core.stop import Failure
from cutover.web.http1.message import MAX_BODY_BYTES, MAX_HEADER_BYTES, Headers, Response, encode_request

IDLE_LIMIT_S: Final = 30.0
"""Servers of this project close idle connections after 75 s; a client must be the first to let go."""
_BODILESS: Final = frozenset({204, 304})


class ExchangeFailed(Exception):
    """No complete reply came.

    Args:
        failure: Which kind.
        detail: What was seen, one line.
    """

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure


class Client:
    """Sends requests to one address. Lives on one event loop.

    Args:
        address: http://host:port.
        max_body_bytes: Longest body of a reply.
    """

    def __init__(self, address: str, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        split = urlsplit(address)
        self._host, self._port = split.hostname or "127.0.0.1", split.port or 80
        self._authority = f"{self._host}:{self._port}".encode()
        self._max_body_bytes = max_body_bytes
        self._idle: list[_Connection] = []
        self._closed = False

    async def request(
        self, method: str, target: bytes, headers: Headers, body: bytes, *, timeout_s: float
    ) -> Response:
        """Send one request (not HEAD) and return the whole reply.

        Args:
            timeout_s: For everything: connecting, sending, and the reply's last byte.

        Raises:
            ExchangeFailed: When no complete reply came.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        connection = self._take(loop.time()) or await self._connect(timeout_s)
        data = encode_request(method, target, self._authority, headers, body)
        response = await connection.exchange(data, deadline)
        if self._closed or not connection.is_reusable:
            connection.close()
        else:
            connection.idle_since = loop.time()
            self._idle.append(connection)
        return response

    def close(self) -> None:
        """Close idle connections now and the others when their exchange is over; idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _take(self, now: float) -> _Connection | None:
        """Return the connection used last; drop those that were closed or idle for too long."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and now - connection.idle_since < IDLE_LIMIT_S:
                if self._idle and now - self._idle[0].idle_since >= IDLE_LIMIT_S:
                    self._idle.pop(0).close()
                return connection
            connection.close()
        return None

    async def _connect(self, timeout_s: float) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop, self._max_body_bytes), self._host, self._port
                )
        except TimeoutError:
            raise ExchangeFailed(Failure.TIMEOUT, "connecting took too long") from None
        except OSError as exc:
            raise ExchangeFailed(Failure.REFUSED, exc.strerror or "cannot connect") from None
        return connection


class _Connection(asyncio.Protocol):
    """One connection; the methods without underscore after `close` are httptools' callbacks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_body_bytes: int) -> None:
        self._loop = loop
        self._max_body_bytes = max_body_bytes
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._begin()
        self.is_reusable = True
        self.idle_since = 0.0

    def _begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._received = self._size = self._head_size = self._status = 0
        self._until_eof = False

    async def exchange(self, data: bytes, deadline: float) -> Response:
        """Send a request and wait for its whole reply."""
        if self._transport is None or self._transport.is_closing():
            raise ExchangeFailed(Failure.RESET, "the connection was closed")
        self._begin()
        waiter: asyncio.Future[Response] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_at(deadline, self._fail, Failure.TIMEOUT, "no complete reply in time")
        self._transport.write(data)
        try:
            return await waiter
        finally:
            timer.cancel()
            if self._waiter is not None:  # we were cancelled: nobody waits for what still comes
                self._waiter = None
                self.close()

    def close(self) -> None:
        """Close; idempotent."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.close()  # nothing was asked: what comes now belongs to no exchange
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self.is_reusable = False
            self._fail(Failure.GARBAGE, str(exc))
        if self._received > MAX_HEADER_BYTES and not self._status:
            self._fail(Failure.GARBAGE, f"more than {MAX_HEADER_BYTES} bytes of headers")

    def eof_received(self) -> bool:
        self.is_reusable = False
        if self._until_eof:
            self._finish()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_reusable = False
        if self._received:
            self._fail(Failure.CUT, f"closed after {self._received} bytes")
        else:
            self._fail(Failure.RESET, "closed without a byte")

    def on_message_begin(self) -> None:
        if self._waiter is None:  # a second reply to one request: keep it out of the first
            self._begin()
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEADER_BYTES:
            self._fail(Failure.GARBAGE, f"more than {MAX_HEADER_BYTES} bytes of headers")

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        names = {name for name, _ in self._headers}
        framed = b"content-length" in names or b"transfer-encoding" in names
        self._until_eof = not framed and self._status >= 200 and self._status not in _BODILESS

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._max_body_bytes:
            self._fail(Failure.TOO_LARGE, f"a body of more than {self._max_body_bytes} bytes")
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._status < 200:  # an interim response; the real one follows
            self._headers, self._status = [], 0
        else:
            self._finish()

    def _finish(self) -> None:
        if self._waiter is None:
            return
        waiter, self._waiter = self._waiter, None
        self.is_reusable = self.is_reusable and not self._until_eof and self._parser.should_keep_alive()
        if not waiter.done():
            waiter.set_result(Response(self._status, self._headers, b"".join(self._body)))

    def _fail(self, failure: Failure, detail: str) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            if not waiter.done():
                waiter.set_exception(ExchangeFailed(failure, detail))
            self.close()
