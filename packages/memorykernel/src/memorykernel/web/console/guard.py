"""What every page passes: the checks of host and origin, and headers on every reply.

The pages have no script at all, so none is permitted: text that got in as markup could still run nothing.
A form must come from these pages: asking keeps an answer, and no other site shall make a browser ask.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memorykernel.errors import Forbidden, MalformedHttp
from memorykernel.web.access import HostCheck

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})


def add_headers(app: ASGIApp) -> ASGIApp:
    """Put the headers on every reply of an application."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, send_guarded)

    return guarded


def require_own(method: str, headers: Headers, hosts: HostCheck) -> None:
    """Pass when a request may be answered.

    Raises:
        MalformedHttp: It names more than one host.
        RefusedHost: It is for a name that this server does not have.
        Forbidden: It is a form that another site sent.
    """
    named = headers.getlist("host")
    if len(named) > 1:
        # RFC 9112, section 3.2: whoever routes by the one must not be answered by the other.
        raise MalformedHttp(f"the request has {len(named)} Host headers; expected one, mend the client")
    host = named[0] if named else ""
    hosts.check(host)
    if method not in _SAFE_METHODS and not _is_own_origin(headers, host):
        raise Forbidden(
            "the form comes from another site; open the console's own page and send it from there"
        )


def _is_own_origin(headers: Headers, host: str) -> bool:
    """Tell whether a form is ours; programs, which no site can steer, send neither of the two headers."""
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site not in _OWN_SITES:
        return False
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:  # it is none
        return False
