"""What every request passes: the Host check, the origin check, and headers on every reply.

A page on the internet can make a browser send requests to 127.0.0.1, and by DNS rebinding even read
the replies. The Host header names the page's own domain then, so a server on loopback answers to
loopback names only; and a request that changes something must not come from another site.
"""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistsupport.web.wire import BadRequest, encode_error

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: What it guards.
        allowed_hosts: Host names that a request may name, without port; empty allows any.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str]) -> None:
        self._app = app
        self._allowed_hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on; either way the reply carries the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refuse(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refuse(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._allowed_hosts and _name_of(host) not in self._allowed_hosts:
            return encode_error(
                "request.host",
                f"host '{host[:80]}' is not served here; open the address that 'serve' printed",
                421,
            )
        if scope["method"] not in _SAFE_METHODS and not _is_own_origin(headers, host):
            return encode_error(
                "request.origin", "the request comes from another site; expected our own page", 403
            )
        return None


def _name_of(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _is_own_origin(headers: Headers, host: str) -> bool:
    """Tell whether a request that changes something is ours; programs send neither of the two headers."""
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site not in _OWN_SITES:
        return False
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def check_control_token(request: Request, expected: str | None) -> None:
    """Let a request with the control token pass.

    Raises:
        BadRequest: The token is missing or another one, or this server has none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    # compared in constant time, also when no token is set, so that a stranger learns nothing
    given = token.strip().encode()
    is_same = hmac.compare_digest(given, (expected or "").encode())
    if not (expected and is_same and scheme.lower() == "bearer"):
        raise BadRequest(
            "control.unauthorized",
            401,
            "control token is missing or wrong; send 'Authorization: Bearer TOKEN'",
        )
