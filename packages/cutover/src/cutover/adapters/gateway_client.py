"""The gateway's control endpoint, found through the program folder.

`run/gateway.json` and `run/control.token` are read anew for every call: a gateway that was started again
listens elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from cutover.errors import ReleaseUnreachable
from cutover.ports import GatewayStats, Http

REFRESH_TIMEOUT_S: Final = 10.0
STATS_TIMEOUT_S: Final = 2.0


class _Place(msgspec.Struct, frozen=True):
    control_url: str


class HttpGateway:
    """A `GatewayControl` over HTTP.

    Args:
        http: Sends the requests.
        folder: The program folder.
    """

    def __init__(self, http: Http, folder: Path) -> None:
        self._http = http
        self._run = folder / "run"

    def refresh(self) -> GatewayStats:
        """Make the gateway read the log now; returns when routes match it.

        Raises:
            ReleaseUnreachable: When it is not running, does not answer or cannot follow the log.
        """
        return self._call("POST", "/control/refresh", REFRESH_TIMEOUT_S)

    def stats(self) -> GatewayStats:
        """Return its counts.

        Raises:
            ReleaseUnreachable: When it is not running or does not answer.
        """
        return self._call("GET", "/control/stats", STATS_TIMEOUT_S)

    def _call(self, method: str, path: str, timeout_s: float) -> GatewayStats:
        try:
            place = msgspec.json.decode((self._run / "gateway.json").read_bytes(), type=_Place)
            token = (self._run / "control.token").read_text(encoding="ascii").strip()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise ReleaseUnreachable("no gateway runs here; start 'cutover gateway'") from exc
        headers = {"authorization": f"Bearer {token}"}
        reply = self._http.request(method, place.control_url + path, headers=headers, timeout_s=timeout_s)
        if reply.status != 200:
            said = reply.body[:300].decode("utf-8", "replace")
            raise ReleaseUnreachable(f"the gateway answered {reply.status}: {said}")
        try:
            return msgspec.json.decode(reply.body, type=GatewayStats)
        except msgspec.MsgspecError as exc:
            raise ReleaseUnreachable(f"the gateway answered something else: {exc}; restart it") from exc
