"""The real clock; the only place in this package that reads one for rules to use."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock` over the machine's clocks."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC, in microseconds."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Let that much time pass."""
        time.sleep(seconds)
