"""Signing in and out: a token once, and from then on a session.

No other site can send these forms (`guard`), so none can sign a browser in as somebody else or out.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from memorykernel.errors import Forbidden, Unauthenticated
from memorykernel.web.body import read_body
from memorykernel.web.console.entrance import COOKIE, GuardedEntrance
from memorykernel.web.console.form import read_form
from memorykernel.web.console.render import render
from memorykernel.web.journal import LOG

HOME: Final = "/console"
LOGIN: Final = "/console/login"
LOGOUT: Final = "/console/logout"
_INSIDE: Final = re.compile(r"(?!.*(?:\.|%2[Ee]){2})/console(?!/log(?:in|out)\b)(?:[/?][\x21-\x7e]*)?")
"""No two dots either: a browser takes them for a way up and out."""


class Door:
    """The handlers of signing in and out.

    Args:
        entrance: Knows tokens and sessions.
    """

    def __init__(self, entrance: GuardedEntrance) -> None:
        self._entrance = entrance

    async def show(self, request: Request) -> Response:
        """GET /console/login: the form."""
        return show_form(choose_way(request.query_params.get("next")))

    async def sign_in(self, request: Request) -> Response:
        """POST /console/login: begin a session, and go where somebody wanted to go."""
        form = read_form(await read_body(request))
        way = choose_way(form.get("next"))
        try:
            entry, key = self._entrance.sign_in(form.get("token", ""))
        except (Unauthenticated, Forbidden) as error:
            LOG.warning("refused at the console", kind=type(error).__name__)
            status = 403 if isinstance(error, Forbidden) else 401
            return show_form(way, status=status, problem=error.message)
        LOG.info("signed in to the console", token=entry.id, tenant=entry.tenant)
        # Whatever session the browser had is over: a key that was planted in it opens nothing.
        self._entrance.sign_out(request)
        reply = RedirectResponse(way, status_code=303)
        reply.set_cookie(
            COOKIE, key, path=HOME, httponly=True, samesite="strict", secure=_is_encrypted(request)
        )
        return reply

    async def sign_out(self, request: Request) -> Response:
        """POST /console/logout: end the session."""
        self._entrance.sign_out(request)
        reply = RedirectResponse(LOGIN, status_code=303)
        reply.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="strict")
        return reply


def show_form(way: str, *, status: int = 200, problem: str | None = None) -> Response:
    """The page that asks for a token; afterwards it leads to `way`."""
    return render("login.html", status=status, problem=problem, way=way)


def lead_in(request: Request) -> Response:
    """What somebody gets who is not signed in: the form, and behind it the page that was asked for."""
    if request.method not in ("GET", "HEAD"):
        return show_form(HOME, status=401, problem="the session is over and nothing was done; sign in again")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = "" if wanted == HOME else "?" + urlencode({"next": wanted})
    return RedirectResponse(LOGIN + query, status_code=303)


def choose_way(wanted: str | None) -> str:
    """Where to go after signing in: a page of the console, the first one unless another is named. Pure."""
    return wanted if wanted is not None and _INSIDE.fullmatch(wanted) else HOME


def _is_encrypted(request: Request) -> bool:
    """Tell whether the browser sees HTTPS, which the proxy that ends it does not tell us."""
    return request.headers.get("origin", "").startswith("https://")
