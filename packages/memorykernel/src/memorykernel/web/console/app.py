"""The console as an application: its routes, and its one exception boundary."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from memorykernel.errors import MemoryKernelError, UnknownRoute
from memorykernel.web.console.guard import add_headers, require_own
from memorykernel.web.console.pages import Pages
from memorykernel.web.console.site import Site
from memorykernel.web.envelope import Envelopes
from memorykernel.web.journal import LOG
from memorykernel.web.limits import CURRENT, choose_limit

PATH: Final = "/console"
_STATIC: Final = {"console.css": "text/css", "icon.svg": "image/svg+xml"}
_UNEXPECTED: Final = "the console failed unexpectedly; the server's log has the cause"

Handler = Callable[[Request], Awaitable[Response]]


def build_pages(site: Site) -> ASGIApp:
    """Build the pages of a site; everything is below `PATH`."""
    pages = Pages(site)
    envelopes = Envelopes(service_contract=site.asking.release.service_contract)

    def guard(handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            limit = choose_limit(request.url.path, asyncio.get_running_loop().time(), site.timeout_ms)
            CURRENT.set(limit)
            try:
                require_own(request.method, request.headers, site.hosts)
                return await handler(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except MemoryKernelError as error:
                return pages.fail(error, envelopes.find_status(error))
            except Exception:  # noqa: BLE001  # the one boundary: logged, and answered without its trace
                LOG.exception("unexpected failure", route=PATH)
                return pages.fail(MemoryKernelError(_UNEXPECTED), 500)

        return guarded

    async def show_nothing(_: Request) -> Response:
        raise UnknownRoute("the console has no such page; go back to its first one")

    async def show_root(_: Request) -> Response:
        return RedirectResponse(PATH)

    nothing = guard(show_nothing)

    async def fall_through(scope: Scope, receive: Receive, send: Send) -> None:
        await (await nothing(Request(scope, receive)))(scope, receive, send)

    routes = [
        Route("/", guard(show_root)),
        Route(PATH, guard(pages.home)),
        Route(f"{PATH}/ask", guard(pages.ask), methods=["POST"]),
        Route(f"{PATH}/answer/{{context_package_id}}", guard(pages.answer)),
        Route(f"{PATH}/answer/{{context_package_id}}/proof", guard(pages.proof)),
        Route(f"{PATH}/answer/{{context_package_id}}/exclusions", guard(pages.exclusions)),
        Route(f"{PATH}/memory/{{memory_id}}", guard(pages.memory)),
        Route(f"{PATH}/record/{{memory_version_id}}", guard(pages.record)),
        Route(f"{PATH}/check", guard(pages.draft)),
        Route(f"{PATH}/check", guard(pages.check), methods=["POST"]),
        *(Route(f"{PATH}/static/{name}", guard(_show_file(name, kind))) for name, kind in _STATIC.items()),
    ]
    return add_headers(Router(routes, redirect_slashes=False, default=fall_through))


def put_before(console: ASGIApp, service: ASGIApp) -> ASGIApp:
    """Let the console answer what is below its path, and the service everything else."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        is_ours = path == PATH or path.startswith(f"{PATH}/")
        await (console if is_ours else service)(scope, receive, send)

    return choose


def _show_file(name: str, kind: str) -> Handler:
    content = files("memorykernel.web.console").joinpath("static", name).read_bytes()

    async def show(_: Request) -> Response:
        return Response(content, media_type=kind)

    return show
