"""The gateway's second socket, loopback only: `POST /control/refresh` and `GET /control/stats`.

Every request carries `Authorization: Bearer <token>` (`run/control.token`), compared in constant time.
Nothing here can open a route: the log alone can.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from cutover.errors import CutoverError
from cutover.web.gateway.keeper import Keeper
from cutover.web.http1.message import Request, Response
from cutover.web.http1.server import Connection

REFRESH_PATH: Final = "/control/refresh"
STATS_PATH: Final = "/control/stats"
_JSON: Final = [(b"content-type", b"application/json")]


class Control:
    """Answers control requests.

    Args:
        keeper: Whose routes and counts these are.
        token: What a caller must know.
    """

    def __init__(self, keeper: Keeper, token: str) -> None:
        self._keeper = keeper
        self._expected = f"Bearer {token}".encode()

    async def handle(self, request: Request, _connection: Connection) -> Response:
        """Answer one request."""
        if not hmac.compare_digest(request.header(b"authorization") or b"", self._expected):
            return _refuse(401, "expected the bearer token of run/control.token")
        match request.method, request.path:
            case "POST", "/control/refresh":
                return await self._refresh()
            case "GET", "/control/stats":
                return Response(200, list(_JSON), msgspec.json.encode(self._keeper.stats()))
            case _:
                return _refuse(404, f"expected POST {REFRESH_PATH} or GET {STATS_PATH}")

    async def _refresh(self) -> Response:
        try:
            stats = await self._keeper.refresh()
        except CutoverError as exc:
            return _refuse(500, str(exc))
        return Response(200, list(_JSON), msgspec.json.encode(stats))


def _refuse(status: int, error: str) -> Response:
    return Response(status, list(_JSON), msgspec.json.encode({"error": error}))
