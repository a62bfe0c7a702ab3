"""Whoever carries the traffic, as the way back sees it: the gateway itself, or its control endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from cutover.errors import ReleaseUnreachable
from cutover.ports import Clock, GatewayControl

_POLL_S = 0.02


class Traffic(Protocol):
    """Whoever carries the traffic, seen from the way back."""

    def apply_routes(self) -> int:
        """Make routes match the log now; return the requests in flight on the target at that instant."""
        ...

    def await_baseline_reply(self, since: datetime, timeout_s: float) -> datetime | None:
        """Return when the baseline's first answer after `since` was passed on; None when none was seen."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return counters that only grow: `enriched`, `withheld`, `gateway-made/<reason>`."""
        ...


class RemoteTraffic:
    """Traffic behind the control endpoint, for an executor; a dead gateway carries none.

    Args:
        gateway: The control endpoint.
        clock: For waiting.
        baseline_tag, target_tag: Releases whose counts matter.
    """

    def __init__(self, gateway: GatewayControl, clock: Clock, *, baseline_tag: str, target_tag: str) -> None:
        self._gateway, self._clock = gateway, clock
        self._baseline, self._target = baseline_tag, target_tag

    def apply_routes(self) -> int:
        """Make the gateway read the log; see `Traffic`."""
        try:
            return self._gateway.refresh().in_flight.get(self._target, 0)
        except ReleaseUnreachable:
            return 0

    def await_baseline_reply(self, since: datetime, timeout_s: float) -> datetime | None:
        """Look at the gateway's first replies until one fits; see `Traffic`."""
        deadline = self._clock.monotonic() + timeout_s
        while self._clock.monotonic() < deadline:
            try:
                first = self._gateway.stats().first_reply_after.get(self._baseline)
            except ReleaseUnreachable:
                return None
            if first is not None and first >= since:
                return first
            self._clock.pause(_POLL_S)
        return None

    def counts(self) -> Mapping[str, int]:
        """Return the gateway's counters; see `Traffic`."""
        try:
            stats = self._gateway.stats()
        except ReleaseUnreachable:
            return {}
        made = {f"gateway-made/{reason}": count for reason, count in stats.gateway_made.items()}
        return {"withheld": sum(stats.withheld.values()), **made}
