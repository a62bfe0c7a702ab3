"""Whether the clock can be believed, told by what was recorded with it.

An entry is never recorded before the one in front of it. So a clock that once ran ahead leaves a time in the
chain that everything after it shares until the real time gets there, and meanwhile a question about what was
known "now" does not see what was written since. Nothing is lost, and nobody can say afterwards which time was
right: it can only be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from memorykernel.core.instant import format_instant
from memorykernel.ports import Clock, Memory

MAX_LEAD_US: Final = 60_000_000
"""How far ahead the newest entry may be without a warning: clocks of several machines differ a little."""

_EVER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockCare:
    """Compares the clock with the newest entry of the memory."""

    memory: Memory
    clock: Clock

    def list_warnings(self) -> tuple[str, ...]:
        """What an operator should know of the clock; empty when there is nothing.

        Raises:
            QueryFailed: The store could not.
        """
        newest = self.memory.find_snapshot(_EVER)
        return list_warnings(None if newest is None else newest.recorded_at_us, self.clock.now_us())


def list_warnings(newest_us: int | None, now_us: int) -> tuple[str, ...]:
    """As `ClockCare.list_warnings`. Pure.

    Args:
        newest_us: When the newest entry was recorded, microseconds since 1970 UTC; None when it is not known.
        now_us: The clock.
    """
    lead_us = 0 if newest_us is None else newest_us - now_us
    if newest_us is None or lead_us <= MAX_LEAD_US:
        return ()
    told = (
        f"the newest entry was recorded at {format_instant(newest_us)}, {lead_us // 1_000_000} s ahead of"
        " this clock: until then as_known_at with a time misses what is written now; correct the clock, and"
        " name a snapshot_id instead of a time"
    )
    return (told,)
