"""The application: every route, one exception boundary, the guard around it."""

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from assistsupport.errors import AssistSupportError, DraftUnknown, KnowledgeError, TicketRefused
from assistsupport.web import api, page
from assistsupport.web.guard import Guard
from assistsupport.web.site import Site
from assistsupport.web.wire import BadRequest, encode_error

_log = structlog.get_logger("assistsupport.web")
_CODE_BY_STATUS = {404: "request.not-found", 405: "request.method"}


def build_app(site: Site) -> ASGIApp:
    """Return the ASGI application of a site."""
    static = StaticFiles(packages=[("assistsupport.web", "static")])
    app = Starlette(
        routes=[*api.ROUTES, *page.ROUTES, Mount("/static", static)],
        exception_handlers={
            AssistSupportError: _answer_refusal,
            HTTPException: _answer_http_error,
            Exception: _answer_defect,
        },
    )
    app.state.site = site
    return Guard(app, site.allowed_hosts)  # outermost, so that every reply carries its headers


async def _answer_refusal(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, AssistSupportError)  # noqa: S101 - registered for this type
    status = _status_of(exc)
    if status >= 500:
        _log.error("request failed", path=request.url.path, code=exc.code, error=str(exc))
    response = encode_error(exc.code, str(exc), status)
    if status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def _status_of(exc: AssistSupportError) -> int:
    match exc:
        case BadRequest():
            return exc.status
        case TicketRefused():
            return 422
        case DraftUnknown():
            return 404
        case KnowledgeError():
            return 503
        case _:
            return 500


async def _answer_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this type
    code = _CODE_BY_STATUS.get(exc.status_code, "request.refused")
    response = encode_error(code, exc.detail.lower(), exc.status_code)
    response.headers.update(exc.headers or {})
    return response


async def _answer_defect(request: Request, exc: Exception) -> Response:
    # the traceback follows from uvicorn, to which Starlette hands the exception on
    _log.error("defect", path=request.url.path, error=type(exc).__name__)
    return encode_error("internal", "something went wrong on our side; the log has the details", 500)
