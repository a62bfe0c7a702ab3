"""Gate `window`: the clock is inside the window, and the days of notice and overlap have passed.

Derived from the program, the hand-offs and the instant. Notice counts from the newest hand-off; overlap
from the first that named this very tag object, since when both contracts could be had. A clock behind the
newest entry is no clock: UNKNOWN.
Source: cutover-program, table "Gates" and "Time".
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff
from cutover.core.evidence import WindowFacts
from cutover.core.gate.gate import Clause, ClauseGate
from cutover.core.outcome import Outcome

_SECOND = timedelta(seconds=1)
_DAY_S = 86400.0


class WindowGate(ClauseGate[WindowFacts]):
    """The clock beside the program's window."""

    name = "window"

    def gather(self, case: Case) -> tuple[WindowFacts, tuple[str, ...]] | None:
        """Derive the evidence; None before the first hand-off, from which the days are counted."""
        handed = case.all(HandedOff)
        if not handed:
            return None
        newest, window = handed[-1], case.program.window
        same = [entry for entry, body in handed if body.tag_object == newest[1].tag_object]
        return (
            WindowFacts(
                now=case.now,
                newest_entry_at=max(entry.time for entry in case.entries),
                clock_skew_s=case.program.thresholds.clock_skew_s,
                not_before=window.not_before,
                opens_at=window.opens_at,
                closes_at=window.closes_at,
                handed_off_at=newest[0].time,
                notice_days=window.notice_days,
                overlap_since=same[0].time,
                overlap_days=window.overlap_days,
            ),
            (),
        )

    def describe(self, evidence: WindowFacts) -> str:
        """Return the window, and how much notice it asks for."""
        return (
            f"inside {evidence.opens_at.isoformat()} .. {evidence.closes_at.isoformat()}, with "
            f"{evidence.notice_days:g} days of notice and {evidence.overlap_days:g} of overlap passed"
        )

    rows = (
        Clause(
            reason_code="too-early",
            find_breach=lambda e: (
                f"nothing may move before {e.not_before.isoformat()}" if e.now < e.not_before else None
            ),
            break_fact=lambda e: (replace(e, not_before=e.now + _SECOND),),
        ),
        Clause(
            reason_code="window-not-open",
            find_breach=lambda e: (
                f"the window opens at {e.opens_at.isoformat()}" if e.now < e.opens_at else None
            ),
            break_fact=lambda e: (replace(e, opens_at=e.now + _SECOND),),
        ),
        Clause(
            reason_code="window-closed",
            find_breach=lambda e: (
                f"the window closed at {e.closes_at.isoformat()}" if e.now >= e.closes_at else None
            ),
            break_fact=lambda e: (replace(e, closes_at=e.now),),
        ),
        Clause(
            reason_code="notice-too-short",
            find_breach=lambda e: (
                None
                if _days(e.now - e.handed_off_at) >= e.notice_days
                else f"{_days(e.now - e.handed_off_at):.2f} days of notice, expected {e.notice_days:g}"
            ),
            break_fact=lambda e: (replace(e, notice_days=_days(e.now - e.handed_off_at) + 14.0),),
        ),
        Clause(
            reason_code="overlap-too-short",
            find_breach=lambda e: (
                None
                if _days(e.now - e.overlap_since) >= e.overlap_days
                else f"{_days(e.now - e.overlap_since):.2f} days of overlap, expected {e.overlap_days:g}"
            ),
            break_fact=lambda e: (replace(e, overlap_days=_days(e.now - e.overlap_since) + 14.0),),
        ),
        Clause(
            reason_code="clock-behind",
            find_breach=lambda e: (
                "the clock is behind the newest entry"
                if (e.newest_entry_at - e.now).total_seconds() > e.clock_skew_s
                else None
            ),
            outcome=Outcome.UNKNOWN,
        ),
    )


def _days(span: timedelta) -> float:
    """Return days; a hand-off a moment in the future, as clocks have it, counts as now."""
    return max(0.0, span.total_seconds() / _DAY_S)
