"""What only the machine knows: the time, how long something took, ids nobody can guess."""

import secrets
import time
from datetime import UTC, datetime


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC."""
        return datetime.now(UTC)


class SystemStopwatch:
    """Implements `ports.Stopwatch`."""

    def elapsed_ms(self) -> float:
        """Return milliseconds on the monotonic clock."""
        return time.perf_counter() * 1000


class RandomIds:
    """Implements `ports.Ids`."""

    def new_draft_id(self) -> str:
        """Return 32 random hex digits."""
        return secrets.token_hex(16)
