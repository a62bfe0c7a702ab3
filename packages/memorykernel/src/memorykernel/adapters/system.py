"""The machine's clock and randomness."""

from __future__ import annotations

import time


class SystemClock:
    """The real clock, to the microsecond."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""
        return time.time_ns() // 1000


class RandomIds:
    """ULIDs of the given time with 80 random bits each."""

    def mint_ulid(self, now_us: int) -> str:
        """A ULID that nobody has seen; `now_us` is in microseconds since 1970 UTC."""
        # Imported late: it brings in much, and only writes need it.
        from ulid import ULID

        return str(ULID.from_timestamp(now_us // 1000))
