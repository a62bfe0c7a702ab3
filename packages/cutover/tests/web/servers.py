"""Real sockets for the tests: releases that answer by script, a gateway, and a client without opinions."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import uvloop
from cutover.ports import GatewayStats, Reply
from cutover.web.gateway.keeper import GatewayStation
from cutover.web.gateway.server import GatewayProcess, load_token, running_gateway
from cutover.web.http1.message import Request, Response
from cutover.web.http1.server import Connection, Server

T = TypeVar("T")
JSON = [(b"content-type", b"application/json")]
ASK = json.dumps({"text": "may I?", "actor": "a", "action": "b", "resource": "c", "as_of": None}).encode()


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    @contextmanager
    def within(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter an asynchronous context there, and leave it with the block."""
        value = self.call(_enter(context))
        try:
            yield value
        finally:
            self.call(_leave(context))

    def close(self) -> None:
        """End the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _enter(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


def success(contract: str, **data: object) -> bytes:
    """Return a valid success body."""
    return msgspec.json.encode(
        {"service_contract_version": contract, "api_contract_version": "api.v1", "data": data}
    )


Behavior = Callable[[Request, Connection], Awaitable[Response | None]]


class Release:
    """A release of one contract that answers by `behavior`; by default every request with a valid success.

    Args:
        thread: Where it runs.
        contract: What it speaks.
        tag: What it says it is.
    """

    def __init__(self, thread: LoopThread, contract: str, tag: str) -> None:
        self._thread = thread
        self.contract, self.tag = contract, tag
        self.requests: list[Request] = []
        self.behavior: Behavior = self.answer
        self._server = Server(self._handle)
        self.address = thread.call(self._server.listen("127.0.0.1", 0))

    async def answer(self, request: Request, _connection: Connection) -> Response:
        """Answer with a valid success."""
        return Response(200, list(JSON), success(self.contract, tag=self.tag))

    def reply(self, status: int, body: bytes, content_type: bytes = b"application/json") -> None:
        """Answer every request with this from now on."""

        async def behave(_request: Request, _connection: Connection) -> Response:
            return Response(status, [(b"content-type", content_type)], body)

        self.behavior = behave

    def send(self, data: bytes, *, reset: bool = False) -> None:
        """Answer every request with these exact bytes and close (or reset) from now on."""

        async def behave(_request: Request, connection: Connection) -> None:
            connection.write_raw(data)
            if reset:
                connection.reset()
            else:
                connection.close()

        self.behavior = behave

    def die(self) -> None:
        """Stop listening and reset every connection."""
        self._thread.call(self._server.close(grace_s=0.0))

    async def _handle(self, request: Request, connection: Connection) -> Response | None:
        self.requests.append(request)
        return await self.behavior(request, connection)


class Caller:
    """A client that sends what it is told."""

    def __init__(self, url: str) -> None:
        self.url = url

    def request(
        self,
        method: str,
        path: str,
        *,
        contract: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request on a connection of its own and return the whole reply."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=15)
        sent = {"service-contract-version": contract} if contract else {}
        if body is not None:
            sent["content-type"] = "application/json"
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            reply = connection.getresponse()
            return Reply(
                status=reply.status,
                headers={name.lower(): value for name, value in reply.getheaders()},
                body=reply.read(),
                elapsed_s=0.0,
            )
        finally:
            connection.close()

    def ask(self, contract: str | None = None) -> Reply:
        """Ask a policy question."""
        return self.request("POST", "/v1/query/ask", contract=contract, body=ASK)


class RunningGateway(Caller):
    """A gateway and its control endpoint."""

    def __init__(self, here: GatewayProcess, token: str) -> None:
        super().__init__(here.url)
        self.here = here
        self._control = Caller(here.control_url)
        self._auth = {"authorization": f"Bearer {token}"}

    def refresh(self) -> GatewayStats:
        """Make it read the log."""
        reply = self._control.request("POST", "/control/refresh", headers=self._auth)
        assert reply.status == 200, reply.body
        return msgspec.json.decode(reply.body, type=GatewayStats)

    def stats(self) -> GatewayStats:
        """Return its counts."""
        reply = self._control.request("GET", "/control/stats", headers=self._auth)
        return msgspec.json.decode(reply.body, type=GatewayStats)


@contextmanager
def gateway_of(station: GatewayStation, thread: LoopThread) -> Iterator[RunningGateway]:
    """Run a gateway in this process."""
    with thread.within(running_gateway(station, bind="127.0.0.1:0")) as here:
        yield RunningGateway(here, load_token(station.folder))
