"""The ASGI application: routing, and the one exception boundary.

Every path and every method ends here in an envelope: a route is asked for all methods and answers 405 itself,
an unknown path falls to a default, and whatever an endpoint raises becomes an error envelope. An
unexpected exception is logged with its trace and answered without it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from memorykernel.errors import MemoryKernelError, UnknownRoute, UnsupportedMethod
from memorykernel.web.envelope import Envelopes, find_status
from memorykernel.web.routes import JSON, Endpoints, Handler

_LOG: Final = structlog.wrap_logger(
    structlog.WriteLogger(sys.stderr),
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # The plain trace: a pretty one would print local variables, and with them what users sent.
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
)
_UNEXPECTED: Final = "the server failed unexpectedly; its log has the cause"


def build_app(endpoints: Endpoints) -> ASGIApp:
    """Build the application over the endpoints."""
    envelopes = endpoints.envelopes
    resources = {path: _Resource(by_method, envelopes) for path, by_method in endpoints.table().items()}
    templates = [Route(path, resource) for path, resource in resources.items() if "{" in path]
    router = Router(templates, redirect_slashes=False, default=_Nowhere({}, envelopes))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Most paths are fixed: finding them by name saves trying a pattern after another.
        await resources.get(scope["path"], router)(scope, receive, send)

    return app


class _Resource:
    """All methods of one path."""

    def __init__(self, by_method: Mapping[str, Handler], envelopes: Envelopes) -> None:
        # HEAD is GET without the body, which the server leaves out.
        self._by_method = dict(by_method)
        if "GET" in by_method:
            self._by_method["HEAD"] = by_method["GET"]
        self._envelopes = envelopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except ClientDisconnect:
            # Nobody is there to read it, but the protocol wants an answer.
            return Response(status_code=400)
        except MemoryKernelError as error:
            return self._fail(error)
        except Exception:  # noqa: BLE001  # the one boundary: logged, and answered without its trace
            _LOG.exception("unexpected failure", path=request.url.path)
            return self._fail(MemoryKernelError(_UNEXPECTED))

    async def _dispatch(self, request: Request) -> Response:
        handler = self._by_method.get(request.method)
        if handler is None:
            allow = tuple(sorted(self._by_method))
            raise UnsupportedMethod(f"the method is not supported here; expected {' or '.join(allow)}", allow)
        return await handler(request)

    def _fail(self, error: MemoryKernelError) -> Response:
        headers = {"allow": ", ".join(error.allow)} if isinstance(error, UnsupportedMethod) else None
        body = self._envelopes.wrap_error(error)
        return Response(body, status_code=find_status(error), media_type=JSON, headers=headers)


class _Nowhere(_Resource):
    """Every path that no endpoint has."""

    async def _dispatch(self, request: Request) -> Response:
        raise UnknownRoute("no endpoint has this path; GET /v1/openapi lists them")
