"""What the gateway counted since it started. Written on the event loop only; read from anywhere."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from cutover.core.route import RouteTable
from cutover.ports import GatewayStats
from cutover.web.gateway.reply import MadeReason


class Tally:
    """Counts, and the first answer of each release since the routes last changed."""

    def __init__(self) -> None:
        self.served: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.withheld: Counter[str] = Counter()
        self.made: Counter[MadeReason] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.timeouts: Counter[str] = Counter()
        self._first: dict[str, datetime] = {}
        self._changed = threading.Condition()
        self._is_closing = False

    def restart(self) -> None:
        """The routes changed: wait for first answers anew, and forgive missed deadlines."""
        self.timeouts.clear()
        with self._changed:
            self._first.clear()

    def has_answered(self, release_tag: str) -> bool:
        """Say whether a release's first answer since the routes changed is known."""
        return release_tag in self._first

    def note_answer(self, release_tag: str, now: datetime) -> None:
        """Remember the first answer of a release and wake who waits for it."""
        with self._changed:
            self._first[release_tag] = now
            self._changed.notify_all()

    def await_answer(self, release_tag: str, since: datetime, timeout_s: float) -> datetime | None:
        """Block (never on the loop) until a release answers at or after `since`; None when it does not."""

        def is_there() -> bool:
            return release_tag in self._first and self._first[release_tag] >= since

        with self._changed:
            if not is_there():
                self._first.pop(release_tag, None)
            self._changed.wait_for(lambda: self._is_closing or is_there(), timeout_s)
            return self._first.get(release_tag)

    def close(self) -> None:
        """No answers will come any more: wake who waits for one."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def counts(self) -> Mapping[str, int]:
        """Return the counters that a restoration is described with."""
        made = {f"gateway-made/{reason}": count for reason, count in self.made.items()}
        return {"enriched": self.answered.total(), "withheld": self.withheld.total(), **made}

    def read(self, table: RouteTable, log_size: int) -> GatewayStats:
        """Return everything, with the routes that are applied."""
        return GatewayStats(
            served=dict(self.served),
            withheld=dict(self.withheld),
            gateway_made={reason.value: count for reason, count in self.made.items()},
            in_flight={tag: count for tag, count in self.in_flight.items() if count},
            first_reply_after=dict(self._first),
            routes={contract: route.release_tag for contract, route in table.contracts.items()},
            log_size=log_size,
        )
