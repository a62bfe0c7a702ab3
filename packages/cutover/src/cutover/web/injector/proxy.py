"""One request on its way through the injector, with at most one fault on."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

import msgspec

from cutover.core.fault import FAULTS, FaultOrder
from cutover.web.http1.client import Client, ExchangeFailed
from cutover.web.http1.message import Request, Response, encode_response
from cutover.web.http1.server import Connection, Server
from cutover.web.injector.alteration import ALTERATIONS, QUESTION_PATHS, make_error

UPSTREAM_TIMEOUT_S: Final = 60.0
HANG_LIMIT_S: Final = 60.0
DRIP_S: Final = 0.05
_GARBAGE: Final = b"\x16\x03\x01 this is no HTTP\r\n\r\n"
_HOP_BY_HOP: Final = frozenset(
    {
        *(b"connection", b"content-length", b"expect", b"host", b"keep-alive", b"proxy-authenticate"),
        *(b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
"""RFC 9110 section 7.6.1, and what frames a message: made anew on each side."""


class Injector:
    """Passes requests to `upstream`, unchanged or through the fault that is on.

    Whole messages: an endless stream of events does not pass.

    Args:
        upstream: http://host:port of what stands behind it.
    """

    def __init__(self, upstream: str) -> None:
        self._client = Client(upstream, max_body_bytes=16 << 20)
        self._server = Server(self._handle)
        self._bound = ("127.0.0.1", 0)
        self._order: FaultOrder | None = None
        self._left: int | None = None
        self._cleared = asyncio.Event()

    @property
    def order(self) -> FaultOrder | None:
        """The fault that is on."""
        return self._order

    async def listen(self, host: str, port: int) -> str:
        """Accept requests; return the URL with the real port."""
        url = await self._server.listen(host, port)
        self._bound = (host, int(url.rpartition(":")[2]))
        return url

    async def inject(self, order: FaultOrder) -> None:
        """Switch a fault on, in place of any other."""
        await self.clear()
        if order.kind == "kill" and order.pid is not None:
            os.kill(order.pid, signal.SIGKILL)
            return
        self._order, self._left = order, order.times
        self._cleared = asyncio.Event()
        if order.kind == "refuse" and order.routes is None and order.times is None:
            await self._server.close(grace_s=0.0)

    async def clear(self) -> None:
        """Pass everything again; what hangs or drips now ends."""
        self._order = None
        self._cleared.set()
        if self._server.is_closing:
            self._server = Server(self._handle)
            await self._server.listen(*self._bound)

    async def close(self) -> None:
        """Stop."""
        self._cleared.set()
        await self._server.close(grace_s=1.0)
        self._client.close()

    def _take(self, request: Request) -> FaultOrder | None:
        """Return the fault that this request meets, and count it."""
        order = self._order
        if order is None or (order.routes is not None and not request.path.startswith(order.routes)):
            return None
        if order.kind == "refuse-questions" and request.path not in QUESTION_PATHS:
            return None
        if self._left is not None:
            if self._left <= 0:
                return None
            self._left -= 1
        return order

    async def _handle(self, request: Request, connection: Connection) -> Response | None:
        order = self._take(request)
        match order.kind if order else None:
            case "refuse" | "reset":
                connection.reset()
                return None
            case "hang":
                await self._wait(HANG_LIMIT_S)
                connection.reset()
                return None
            case "garbage":
                connection.write_raw(_GARBAGE)
                connection.close()
                return None
            case "refuse-questions":
                return make_error(request, "query_failed", "the question could not be answered")
            case _:
                return await self._pass(request, connection, order)

    async def _pass(
        self, request: Request, connection: Connection, order: FaultOrder | None
    ) -> Response | None:
        response = await self._ask(request)
        if response is None:
            connection.reset()
            return None
        match order.kind if order else None:
            case None:
                return response
            case "late" if order is not None:
                await self._wait(order.delay_ms / 1000)
                return response
            case "slow":
                await self._drip(request, response, connection)
                return None
            case "truncate":
                data = encode_response(response, is_head=False, keep_alive=True)
                connection.write_raw(data[: len(data) - max(1, len(response.body) // 2)])
                connection.close()
                return None
            case kind:
                return ALTERATIONS[kind](request, response) if kind in ALTERATIONS else response

    async def _ask(self, request: Request) -> Response | None:
        headers = [header for header in request.headers if header[0] not in _HOP_BY_HOP]
        method = "GET" if request.method == "HEAD" else request.method
        try:
            response = await self._client.request(
                method, request.target, headers, request.body, timeout_s=UPSTREAM_TIMEOUT_S
            )
        except ExchangeFailed:
            return None
        response.headers = [header for header in response.headers if header[0] not in _HOP_BY_HOP]
        return response

    async def _drip(self, request: Request, response: Response, connection: Connection) -> None:
        data = encode_response(response, is_head=request.method == "HEAD", keep_alive=False)
        for at in range(len(data)):
            if connection.is_closed:
                return
            if self._cleared.is_set():
                connection.write_raw(data[at:])
                break
            connection.write_raw(data[at : at + 1])
            await self._wait(DRIP_S)
        connection.close()

    async def _wait(self, seconds: float) -> None:
        """Wait, but not longer than the fault is on."""
        try:
            await asyncio.wait_for(self._cleared.wait(), seconds)
        except TimeoutError:
            return


def parse_order(data: bytes) -> FaultOrder:
    """Read an order.

    Raises:
        ValueError: When it is none, with what is wrong.
    """
    try:
        order = msgspec.json.decode(data, type=FaultOrder)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"no fault order: {exc}") from exc
    if order.kind not in FAULTS:
        raise ValueError(f"unknown fault {order.kind!r}, expected one of {', '.join(FAULTS)}")
    if (order.kind == "kill") != (order.pid is not None) or (order.pid is not None and order.pid <= 1):
        raise ValueError("kill, and only kill, needs the pid of a process")
    return order
