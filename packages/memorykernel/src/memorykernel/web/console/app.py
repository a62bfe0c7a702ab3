"""The console as an application: its routes, and its one exception boundary."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from contracts.core.service import SERVICE_V4
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from memorykernel.errors import MemoryKernelError, Unauthenticated, UnknownRoute
from memorykernel.web.access import HostCheck
from memorykernel.web.console.door import HOME, LOGIN, LOGOUT, Door, lead_in
from memorykernel.web.console.entrance import Entrance, GuardedEntrance, Visit
from memorykernel.web.console.guard import add_headers, require_own
from memorykernel.web.console.pages import Pages
from memorykernel.web.console.render import render
from memorykernel.web.envelope import Envelopes
from memorykernel.web.journal import LOG
from memorykernel.web.limits import CURRENT, choose_limit

_STATIC: Final = {"console.css": "text/css", "icon.svg": "image/svg+xml"}
_UNEXPECTED: Final = "the console failed unexpectedly; the server's log has the cause"

Handler = Callable[[Request], Awaitable[Response]]
Show = Callable[[Pages, Request], Awaitable[Response]]


def build_pages(entrance: Entrance, *, hosts: HostCheck, timeout_ms: int) -> ASGIApp:
    """Build the console; everything is below `HOME`.

    Args:
        entrance: Lets requests in.
        hosts: The host names that are answered to.
        timeout_ms: How long a page may take.
    """
    guard = _Guard(entrance, hosts=hosts, timeout_ms=timeout_ms)
    nothing = guard.inside(_show_nothing)

    async def fall_through(scope: Scope, receive: Receive, send: Send) -> None:
        await (await nothing(Request(scope, receive)))(scope, receive, send)

    routes = [
        Route("/", guard.outside(_show_root)),
        *(Route(path, guard.inside(show), methods=[method]) for method, path, show in _PAGES),
        *(Route(f"{HOME}/static/{name}", guard.outside(_show_file(name))) for name in _STATIC),
        *(_list_doors(guard, entrance) if isinstance(entrance, GuardedEntrance) else ()),
    ]
    return add_headers(Router(routes, redirect_slashes=False, default=fall_through))


def put_before(console: ASGIApp, service: ASGIApp) -> ASGIApp:
    """Let the console answer what is below its path, and the service everything else."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        is_ours = path == HOME or path.startswith(f"{HOME}/")
        await (console if is_ours else service)(scope, receive, send)

    return choose


class _Guard:
    """What every request passes: its limit, the checks of host and origin, the entrance, the boundary."""

    def __init__(self, entrance: Entrance, *, hosts: HostCheck, timeout_ms: int) -> None:
        self._entrance = entrance
        self._hosts = hosts
        self._timeout_ms = timeout_ms
        self._envelopes = Envelopes(service_contract=SERVICE_V4)

    def inside(self, show: Show) -> Handler:
        """A page that is shown to who was let in."""

        async def admit(request: Request) -> Response:
            try:
                visit = await self._entrance.admit(request)
            except Unauthenticated:
                return lead_in(request)
            try:
                return await show(Pages(visit), request)
            except MemoryKernelError as error:
                return self._fail(error, visit)

        return self.outside(admit)

    def outside(self, handler: Handler) -> Handler:
        """A page that everybody is shown."""

        async def guarded(request: Request) -> Response:
            now_s = asyncio.get_running_loop().time()
            CURRENT.set(choose_limit(request.url.path, now_s, self._timeout_ms))
            try:
                require_own(request.method, request.headers, self._hosts)
                return await handler(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except MemoryKernelError as error:
                return self._fail(error)
            except Exception:  # noqa: BLE001  # the one boundary: logged, and answered without its trace
                LOG.exception("unexpected failure", route=HOME)
                return self._fail(MemoryKernelError(_UNEXPECTED))

        return guarded

    def _fail(self, error: MemoryKernelError, visit: Visit | None = None) -> Response:
        status = self._envelopes.find_status(error)
        return render("problem.html", visit=visit, status=status, problem=error.message)


_PAGES: Final[tuple[tuple[str, str, Show], ...]] = (
    ("GET", HOME, Pages.home),
    ("POST", f"{HOME}/ask", Pages.ask),
    ("GET", f"{HOME}/recall", Pages.memories),
    ("POST", f"{HOME}/recall", Pages.recall),
    ("GET", f"{HOME}/answer/{{context_package_id}}", Pages.answer),
    ("GET", f"{HOME}/answer/{{context_package_id}}/proof", Pages.proof),
    ("GET", f"{HOME}/answer/{{context_package_id}}/exclusions", Pages.exclusions),
    ("GET", f"{HOME}/memory/{{memory_id}}", Pages.memory),
    ("GET", f"{HOME}/record/{{memory_version_id}}", Pages.record),
    ("GET", f"{HOME}/check", Pages.draft),
    ("POST", f"{HOME}/check", Pages.check),
)


def _list_doors(guard: _Guard, entrance: GuardedEntrance) -> list[Route]:
    door = Door(entrance)
    return [
        Route(LOGIN, guard.outside(door.show)),
        Route(LOGIN, guard.outside(door.sign_in), methods=["POST"]),
        Route(LOGOUT, guard.outside(door.sign_out), methods=["POST"]),
    ]


async def _show_root(_: Request) -> Response:
    return RedirectResponse(HOME)


async def _show_nothing(_: Pages, __: Request) -> Response:
    raise UnknownRoute("the console has no such page; go back to its first one")


def _show_file(name: str) -> Handler:
    content = files("memorykernel.web.console").joinpath("static", name).read_bytes()

    async def show(_: Request) -> Response:
        return Response(content, media_type=_STATIC[name])

    return show
