"""uvicorn's connection, with limits for who is slow and for how many there are.

- A request must arrive whole: its head within the limit, and its body within the limit again. The application
  answers a slow body first; whoever drags on after that is cut.
- A head has at most `MAX_HEAD_BYTES`, and so has what a chunked body comes with: extensions and trailers. A
  trailer is never a header: whoever checked the head did not see it (RFC 9110, 6.5.1).
- Who does not read a reply is cut when nothing moved for `STALLED_S`.
- Connections beyond the cap get one envelope that says so; far beyond it they are closed at once.
- What is no HTTP is told so in an envelope, behind the replies to the requests before it, and ends the
  connection. uvicorn would say it in plain text, ahead of replies that others on the connection wait for.
- An offer to change to another protocol is ignored, as RFC 9110 (7.8) allows: some clients make it with every
  request. The parser stops there, and would take the body for the next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httptools
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from memorykernel.web.arrival import ARRIVED

MAX_HEAD_BYTES: Final = 65_536
STALLED_S: Final = 30.0
_FRAMING: Final = 8
"""How many bytes frame a byte of a body that comes in the smallest chunks, rounded up."""

_MAX_UNREAD_BYTES: Final = 8 * 1024 * 1024
"""How much who was refused may go on sending."""

MAX_CONNECTIONS: Final = 1000
SURPLUS: Final = 100
"""How many connections beyond the cap are told so."""

_MALFORMED: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%b"
)

_ANSWER_S: Final = 1.0
"""How much later than the application answers it a slow body is cut; how long a surplus request may take, and
how long who was refused may go on sending before the refusal is taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a connection may take.

    Attributes:
        arrival_s: How long the head of a request may take to arrive, and its body; None for ever.
        max_connections: How many connections are served.
        refuse: Makes the application of a connection that is one too many.
        malformed: The body of the reply to what is no HTTP.
        count_refusal: Told why a connection was cut.
        stalled_s: How long a reply may wait for its reader.
    """

    arrival_s: float | None
    max_connections: int = MAX_CONNECTIONS
    refuse: Callable[[], ASGIApp]
    malformed: bytes
    count_refusal: Callable[[str], None]
    stalled_s: float = STALLED_S


class _Joined(asyncio.Transport):
    """Sends the head of a reply with the beginning of its body: one packet and one system call, not two.

    It is what a request's cycle writes to and closes; everything else concerns the connection.
    """

    def __init__(self, cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
        super().__init__()
        self._cycle = cycle
        self._transport = transport
        self._head: bytes | None = None
        self._has_begun = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what is not a reply's head, after the head if that waits."""
        if self._head is not None:
            data = self._head + data
            self._head = None
        elif self._cycle.response_started and not self._has_begun:
            self._has_begun = True
            if self._cycle.scope["method"] != "HEAD":  # whose reply has nothing behind its head
                self._head = bytes(data)
                return
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection when all is sent."""
        if self._head is not None:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is being closed."""
        return self._transport.is_closing()


def make_protocol(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """The connection class with these limits; uvicorn wants a class, and makes the instances."""

    class _Limited(LimitedConnection):
        pass

    _Limited.limits = limits
    return _Limited


class _Parser(httptools.HttpRequestParser):
    """Goes on behind a head that offers another protocol."""

    def __init__(self, connection: LimitedConnection) -> None:
        super().__init__(connection)
        self._connection = connection

    def feed_data(self, data: Any) -> None:
        """Parse what arrived: in a loop, since there can be as many offers in it as requests."""
        parser, rest = self, memoryview(data)
        while (behind := parser._find_offer(rest)) is not None:
            parser, rest = self._connection.ignore_offer(), rest[behind:]
            if not rest:
                return

    def _find_offer(self, data: memoryview) -> int | None:
        """Parse up to a head with an offer: where it ends; None when there is none."""
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            return int(stop.args[0])
        return None


class LimitedConnection(HttpToolsProtocol):
    """A connection that ends itself."""

    limits: ConnectionLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = _Parser(self)
        self._is_behind_offer = False
        self._cut: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._framed_bytes = 0
        self._in_head = True
        self._in_message = True
        self._is_shared = False
        self._is_malformed = False
        self._unanswered = 0
        self._unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        surplus = len(self.connections) - self.limits.max_connections
        if surplus > SURPLUS:
            self._abort("connections")
        elif surplus > 0:
            self.app = self.limits.refuse()
            self._arm(_ANSWER_S, "connections")
        else:
            self._arm(self.limits.arrival_s, "slow")

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._resume()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_malformed:  # nobody knows where the next request begins
            self._unread_bytes += len(data)
            if self._unread_bytes > _MAX_UNREAD_BYTES:
                self.transport.abort()
            return
        was_in_head, self._is_shared = self._in_head, False
        self._framed_bytes += len(data)  # `on_body` takes off what is body
        super().data_received(data)
        if self._has_ended:
            return
        if not self._in_message:
            self._disarm()
        elif self._in_head:
            # Of data that ended another request too, nobody knows how much is of this head.
            self._head_bytes += 0 if self._is_shared else len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._abort("head")
            elif self._cut is None:
                self._arm(self.limits.arrival_s, "slow")
        elif was_in_head:
            if self.limits.arrival_s is not None:
                self._disarm()
                self._arm(self.limits.arrival_s + _ANSWER_S, "slow")
        elif self._framed_bytes > MAX_HEAD_BYTES:
            self._abort("head")

    def ignore_offer(self) -> _Parser:
        """A parser for what is behind a head that offered another protocol: one that did not see it."""
        framing = [
            b"%b: %b\r\n" % header
            for header in self.headers
            if header[0] in (b"content-length", b"transfer-encoding")
        ]
        self.parser = parser = _Parser(self)
        self._is_behind_offer = True
        parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
        self._is_behind_offer = False
        return parser

    def on_message_begin(self) -> None:
        if self._is_behind_offer:
            return
        self._in_message = self._in_head = True
        self._head_bytes = self._framed_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_behind_offer:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head and not self._is_behind_offer:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_behind_offer:
            return
        super().on_headers_complete()
        self.cycle.transport = _Joined(self.cycle, self.transport)
        self._in_head = False
        self._unanswered += 1

    def on_body(self, body: bytes) -> None:
        self._framed_bytes = max(0, self._framed_bytes - _FRAMING * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # the head alone; see `ignore_offer`
        self._in_message = False
        self._is_shared = True
        self.scope[ARRIVED] = True  # type: ignore[typeddict-unknown-key]  # ours
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        if self._is_malformed and self._unanswered == 0:
            self._refuse_malformed()

    def send_400_response(self, msg: str) -> None:
        self._is_malformed = True
        if self._in_message and not self._in_head and not self.cycle.response_complete:
            self._drop_newest()
        if self._unanswered == 0:
            self._refuse_malformed()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.limits.stalled_s, self._abort, "stalled")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._resume()

    def timeout_keep_alive_handler(self) -> None:
        # Closing would wait for a reader of what is still buffered, who may never come.
        self.transport.abort()

    @property
    def _has_ended(self) -> bool:
        return self._is_malformed or self.transport.is_closing()

    def _drop_newest(self) -> None:
        """Forget the request whose body turned out to be malformed: the refusal is its reply."""
        self._unanswered -= 1
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _refuse_malformed(self) -> None:
        self.limits.count_refusal("malformed")
        if not self.transport.is_closing():
            body = self.limits.malformed
            self.transport.write(_MALFORMED % (len(body), body))
            self._hang_up()

    def _hang_up(self) -> None:
        """Close when the other side has, or soon: closing on unread data would take the reply back."""
        self.transport.write_eof()
        self.flow.resume_reading()
        self._disarm()
        self._cut = self.loop.call_later(_ANSWER_S, self.transport.abort)

    def _resume(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _arm(self, seconds: float | None, reason: str) -> None:
        if seconds is not None:
            self._cut = self.loop.call_later(seconds, self._abort, reason)

    def _disarm(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _abort(self, reason: str) -> None:
        self.limits.count_refusal(reason)
        self.transport.abort()
