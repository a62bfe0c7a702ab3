"""The ASGI application: who asks, in which contract, for what; and the one exception boundary.

Every path and every method ends here in an envelope: a route is asked for all methods and answers 405 itself,
an unknown path falls to a default, and whatever an endpoint raises becomes an error envelope. An
unexpected exception is logged with its trace and answered without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from contracts.core.service import SERVICE_CONTRACT_HEADER, SERVICE_V4
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from memorykernel.core.access import AccessList
from memorykernel.errors import (
    Forbidden,
    MalformedHttp,
    MemoryKernelError,
    RefusedHost,
    Unauthenticated,
    UnknownContract,
    UnknownRoute,
    UnsupportedMethod,
)
from memorykernel.web.access import AccessSource, HostCheck, require_token
from memorykernel.web.arrival import Arrival
from memorykernel.web.envelope import Envelopes
from memorykernel.web.journal import LOG, RequestIds
from memorykernel.web.lifecycle import Lifecycle
from memorykernel.web.limits import CURRENT, choose_limit
from memorykernel.web.metrics import CONTENT_TYPE, Metrics
from memorykernel.web.routes import JSON, Handler

_UNEXPECTED: Final = "the server failed unexpectedly; its log has the cause"
_READY: Final = "/v1/ready"
_METRICS: Final = "/metrics"
_NO_ROUTE: Final = "none"
_REQUEST_ID: Final = "x-request-id"
_REQUEST_ID_NAME: Final = _REQUEST_ID.encode()
_ANSWERS: Final = {"/v1/query/ask": "ask", "/v1/query/recall": "recall"}
# Inside a JSON string every quotation mark has a backslash before it, so no question can contain this.
_RESULT: Final = b'"answer":{"result":"'

_REFUSALS: Final[dict[type[MemoryKernelError], str]] = {
    Unauthenticated: "token",
    Forbidden: "scope",
    RefusedHost: "host",
}


class Table(Protocol):
    """What has the endpoints of one contract."""

    @property
    def envelopes(self) -> Envelopes:
        """The contract's envelopes."""
        ...

    def table(self) -> dict[str, dict[str, Handler]]:
        """Path -> method -> handler."""
        ...


Tables = Mapping[str, Table]
"""The endpoints of each contract that is spoken, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How tokens are checked, when they are asked for.

    Attributes:
        source: The tokens.
        lobby: What is answered without one.
        open_tenant: The endpoints of a tenant.
        only_tenant: The one tenant whose tokens count; None for all.
    """

    source: AccessSource
    lobby: Tables
    open_tenant: Callable[[str], Tables]
    only_tenant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """How the edge behaves.

    Attributes:
        timeout_ms: The limit of a request; None for none.
        hosts: The host names that are answered to; None for all.
        metrics: Counts, and is shown at /metrics; None for neither.
        log_requests: A line for every request, not only for failures.
    """

    timeout_ms: int | None = None
    hosts: HostCheck | None = None
    metrics: Metrics | None = None
    log_requests: bool = False
    lifecycle: Lifecycle = field(default_factory=Lifecycle)


class Surface:
    """The endpoints of one contract, found by path."""

    def __init__(self, table: Table, metrics: Metrics | None = None) -> None:
        self.envelopes = table.envelopes
        by_path = table.table()
        if metrics is not None:
            by_path[_METRICS] = {"GET": _show(metrics)}
        # Most paths are fixed: finding them by name saves trying a pattern after another.
        self._resources = {path: _Resource(path, by_method) for path, by_method in by_path.items()}
        self._templates = [
            (Route(path, _NOWHERE), resource) for path, resource in self._resources.items() if "{" in path
        ]

    def find(self, scope: Scope) -> _Resource:
        """The resource of a request; sets the parameters of its path."""
        resource = self._resources.get(scope["path"])
        if resource is not None:
            return resource
        for route, resource in self._templates:
            match, parameters = route.matches(scope)
            if match is not Match.NONE:
                scope["path_params"] = parameters["path_params"]
                return resource
        return _Nowhere(_NO_ROUTE, {})


class _Resource:
    """All methods of one path."""

    def __init__(self, route: str, by_method: Mapping[str, Handler]) -> None:
        self.route = route
        # HEAD is GET without the body, which the server leaves out.
        self._by_method = dict(by_method)
        if "GET" in by_method:
            self._by_method["HEAD"] = by_method["GET"]

    async def answer(self, request: Request) -> Response:
        """Let the method's handler answer."""
        handler = self._by_method.get(request.method)
        if handler is None:
            allow = tuple(sorted(self._by_method))
            raise UnsupportedMethod(f"the method is not supported here; expected {' or '.join(allow)}", allow)
        return await handler(request)


class _Nowhere(_Resource):
    """Every path that no endpoint has."""

    async def answer(self, request: Request) -> Response:
        raise UnknownRoute("no endpoint has this path; GET /v1/openapi lists them")


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotImplementedError("routes are only matched, never called")


_NOWHERE: Final[ASGIApp] = _nowhere


@dataclass(slots=True)
class _Exchange:
    """One request and what is known about it so far."""

    request: Request
    surface: Surface
    started_s: float
    route: str = _NO_ROUTE
    request_id: str = ""
    tenant: str | None = None
    error: MemoryKernelError | None = None


class Edge:
    """The application.

    Args:
        started: The contract that the server was started in; it answers what cannot be understood.
        tables: The endpoints of each contract, for everybody; with `access`, the lobby's.
        access: None when no token is asked for.
        options: How it behaves.
    """

    def __init__(self, started: str, tables: Tables, *, access: Access | None, options: EdgeOptions) -> None:
        self._options = options
        self._access = access
        self._surfaces = self._build(access.lobby if access else tables)
        self._default = self._surfaces[started]
        self._negotiates = started == SERVICE_V4
        self._tenants: dict[str, dict[str, Surface]] = {}
        self._opening = asyncio.Lock()
        self._fault: str | None = None
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        now_s = asyncio.get_running_loop().time()
        request = Arrival(scope, receive)
        # The loop's clock is enough for deadlines; it is only as fine as a millisecond.
        exchange = _Exchange(request=request, surface=self._default, started_s=time.perf_counter())
        CURRENT.set(choose_limit(scope["path"], now_s, self._options.timeout_ms))
        response = await self._answer(exchange)
        try:
            await response(scope, receive, send)
        finally:
            self._record(exchange, response)

    def refuse_connection(self) -> ASGIApp:
        """The application of a connection that is one too many."""

        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            error = choose_limit(scope["path"], 0.0, None).refuse_overload()
            response = self._fail(self._default.envelopes, error)
            response.headers["connection"] = "close"
            await response(scope, receive, send)

        return refuse

    def describe_malformed(self) -> bytes:
        """The body of the reply to what is no HTTP; in the started contract, as no other can be named."""
        error = MalformedHttp("what arrived is no HTTP request and the connection ends; mend the client")
        return self._default.envelopes.wrap_error(error)

    async def _answer(self, exchange: _Exchange) -> Response:
        try:
            response = await self._dispatch(exchange)
        except ClientDisconnect:
            # Nobody is there to read it, but the protocol wants an answer.
            return Response(status_code=400)
        except MemoryKernelError as error:
            exchange.error = error
        except Exception as error:  # noqa: BLE001  # the one boundary: logged, and answered without its trace
            LOG.error("unexpected failure", route=exchange.route, exc_info=error)
            exchange.error = MemoryKernelError(_UNEXPECTED)
        if exchange.error is not None:
            response = self._fail(exchange.surface.envelopes, exchange.error)
        if exchange.surface.envelopes.service_contract == SERVICE_V4:
            exchange.request_id = self._ids.choose(exchange.request.headers.get(_REQUEST_ID))
            response.raw_headers.append((_REQUEST_ID_NAME, exchange.request_id.encode("latin-1")))
        return response

    async def _dispatch(self, exchange: _Exchange) -> Response:
        request = exchange.request
        contract = self._choose_contract(exchange)
        hosts = request.headers.getlist("host")
        if len(hosts) > 1:
            # RFC 9112, section 3.2: whoever routes by the one must not be answered by the other.
            raise MalformedHttp(f"the request has {len(hosts)} Host headers; expected one, mend the client")
        if self._options.hosts is not None and hosts:
            self._options.hosts.check(hosts[0])
        if self._access is not None:
            surfaces = await self._authenticate(exchange, self._access)
            exchange.surface = surfaces[contract]
        resource = exchange.surface.find(request.scope)
        exchange.route = resource.route
        if resource.route == _READY:
            self._options.lifecycle.require_open()
        return await resource.answer(request)

    def _choose_contract(self, exchange: _Exchange) -> str:
        named = exchange.request.headers.get(SERVICE_CONTRACT_HEADER) if self._negotiates else None
        if named is None:
            return self._default.envelopes.service_contract
        if named not in self._surfaces:
            raise UnknownContract(
                f"the contract that the request names is not spoken here; expected one of"
                f" {', '.join(sorted(self._surfaces))}",
                {"header": SERVICE_CONTRACT_HEADER},
            )
        exchange.surface = self._surfaces[named]
        return named

    async def _authenticate(self, exchange: _Exchange, access: Access) -> dict[str, Surface]:
        headers, scope = exchange.request.headers, exchange.request.scope
        authorization = headers.get("authorization")
        public = self._default.find(scope).route not in (_NO_ROUTE, _METRICS)
        if authorization is None and public:
            return self._surfaces
        entry = require_token(self._load_access(access.source), authorization, scope["path"])
        if access.only_tenant not in (None, entry.tenant):
            raise Forbidden("the token is for another tenant than this server has; use that tenant's server")
        exchange.tenant = entry.tenant
        if entry.tenant not in self._tenants:
            async with self._opening:
                if entry.tenant not in self._tenants:
                    # On a thread: making a database waits for the disk.
                    tables = await asyncio.to_thread(access.open_tenant, entry.tenant)
                    self._tenants[entry.tenant] = self._build(tables)
        return self._tenants[entry.tenant]

    def _load_access(self, source: AccessSource) -> AccessList:
        found = source.load()
        if source.fault != self._fault:
            self._fault = source.fault
            if source.fault is not None:
                LOG.error("the access file cannot be used and nobody is let in", cause=source.fault)
        return found

    def _build(self, tables: Tables) -> dict[str, Surface]:
        return {contract: Surface(table, self._options.metrics) for contract, table in tables.items()}

    def _fail(self, envelopes: Envelopes, error: MemoryKernelError) -> Response:
        return Response(
            envelopes.wrap_error(error),
            status_code=envelopes.find_status(error),
            media_type=JSON,
            headers=envelopes.list_headers(error),
        )

    def _record(self, exchange: _Exchange, response: Response) -> None:
        seconds = time.perf_counter() - exchange.started_s
        if self._options.metrics is not None:
            self._count(self._options.metrics, exchange, response, seconds)
        if self._options.log_requests or _is_noteworthy(exchange.error, response.status_code):
            self._log(exchange, response, seconds)

    def _count(self, metrics: Metrics, exchange: _Exchange, response: Response, seconds: float) -> None:
        contract = exchange.surface.envelopes.service_contract
        metrics.count_request(exchange.route, response.status_code, contract, seconds)
        error = exchange.error
        if error is None:
            if exchange.route in _ANSWERS and response.status_code == 200:
                metrics.count_answer(_ANSWERS[exchange.route], _find_result(bytes(response.body)))
        elif reason := _find_refusal(error):
            metrics.count_refusal(reason)
        elif response.status_code >= 500:
            metrics.count_store_error(error.code)

    def _log(self, exchange: _Exchange, response: Response, seconds: float) -> None:
        error = exchange.error
        line = LOG.bind(
            request_id=exchange.request_id or self._ids.choose(exchange.request.headers.get(_REQUEST_ID)),
            method=exchange.request.method[:16],
            route=exchange.route,
            status=response.status_code,
            contract=exchange.surface.envelopes.service_contract,
            ms=round(seconds * 1000, 3),
        )
        if exchange.tenant is not None:
            line = line.bind(tenant=exchange.tenant)
        if error is None:
            line.info("request")
        elif response.status_code < 500:
            line.info("request", code=error.code, kind=type(error).__name__)
        else:
            line.warning("request", code=error.code, kind=type(error).__name__, cause=error.message)


def _show(metrics: Metrics) -> Handler:
    async def show(_: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return show


def _is_noteworthy(error: MemoryKernelError | None, status: int) -> bool:
    return status >= 500 or isinstance(error, (Unauthenticated, Forbidden, RefusedHost))


def _find_refusal(error: MemoryKernelError) -> str | None:
    details = error.details or {}
    if error.retry_after_s is not None:
        return str(details.get("reason", "wait"))
    if "timeout_ms" in details:
        return "timeout"
    return _REFUSALS.get(type(error))


def _find_result(body: bytes) -> str:
    start = body.find(_RESULT) + len(_RESULT)
    result = body[start : body.find(b'"', start)].decode("ascii", "replace") if start >= len(_RESULT) else ""
    return result if result in ("allow", "deny", "inconclusive") else "unknown"
