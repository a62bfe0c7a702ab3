"""The injector's process: a socket for traffic and a loopback socket to switch faults.

Control: `POST /fault` with a `FaultOrder` as JSON (204, 400 with what is wrong), `DELETE /fault` (204),
`GET /fault` (200, the order that is on or null). It carries no token: it stands in demos, tests and
scratch collections only, and a way to misbehave is all it offers.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import uvloop

from cutover.web.http1.message import Request, Response
from cutover.web.http1.server import Connection, Server
from cutover.web.injector.proxy import Injector, parse_order


def serve_injector(upstream: str, *, bind: str, control: str) -> None:
    """Pass traffic to `upstream` until SIGTERM or SIGINT.

    Args:
        upstream: http://host:port of what stands behind it.
        bind: HOST:PORT for traffic; port 0 takes a free one.
        control: HOST:PORT for the faults.

    Raises:
        OSError: When an address is taken.
    """
    uvloop.run(_serve(upstream, bind, control))


async def _serve(upstream: str, bind: str, control: str) -> None:
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    async with running_injector(upstream, bind=bind, control=control) as (url, control_url):
        ready = {"event": "ready", "url": url, "control_url": control_url, "pid": os.getpid()}
        print(msgspec.json.encode(ready).decode(), flush=True)
        await stopping.wait()


@asynccontextmanager
async def running_injector(upstream: str, *, bind: str, control: str) -> AsyncIterator[tuple[str, str]]:
    """Pass traffic on the running loop until the block ends; yield the URLs of traffic and control."""
    injector = Injector(upstream)
    switch = Server(FaultSwitch(injector).handle)
    try:
        yield await injector.listen(*_split(bind)), await switch.listen(*_split(control))
    finally:
        await injector.close()
        await switch.close(grace_s=0.5)


class FaultSwitch:
    """Answers control requests of one injector; not those of a web page.

    A page on the internet can make a browser post to a loopback port, and one of the orders kills a process.
    Browsers name where a post comes from, programs do not.
    """

    def __init__(self, injector: Injector) -> None:
        self._injector = injector

    async def handle(self, request: Request, _connection: Connection) -> Response:
        """Switch, clear or tell."""
        if request.header(b"origin") is not None:
            return _answer(403, {"error": "the request comes from a web page; expected a program"})
        if request.path != "/fault":
            return _answer(404, {"error": "expected /fault"})
        match request.method:
            case "GET":
                return _answer(200, {"fault": self._injector.order})
            case "DELETE":
                await self._injector.clear()
                return Response(204, [])
            case "POST":
                return await self._switch(request)
            case _:
                return _answer(405, {"error": "expected GET, POST or DELETE"})

    async def _switch(self, request: Request) -> Response:
        try:
            await self._injector.inject(parse_order(request.body))
        except ValueError as exc:
            return _answer(400, {"error": str(exc)})
        except ProcessLookupError:
            return _answer(400, {"error": "no such process"})
        return Response(204, [])


def _answer(status: int, body: object) -> Response:
    return Response(status, [(b"content-type", b"application/json")], msgspec.json.encode(body))


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host or "127.0.0.1", int(port)
