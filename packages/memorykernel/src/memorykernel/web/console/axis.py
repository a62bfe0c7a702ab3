"""The time axis of a picture: where an instant lies, and which instants get a mark. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from memorykernel.core.activity_v3 import Span

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000
_MOST_TICKS: Final = 7
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 6000, 12000, 60000)
_DAYS: Final = (1, 2, 7, 14)
_LAST_YEAR: Final = 9999


class Tick(NamedTuple):
    """A mark on the axis: where, in percent with three digits, and its label."""

    x: str
    label: str


def place(at_us: int, window: Span) -> float:
    """Where an instant lies, in percent of the window; at its edge when it lies outside."""
    share = (at_us - window.start) / (window.end - window.start)
    return 100 * min(max(share, 0.0), 1.0)


def percent(value: float) -> str:
    """A share as SVG has it."""
    return f"{value:.3f}%"


def list_ticks(window: Span) -> tuple[Tick, ...]:
    """The marks of a window: beginnings of days or months, at most seven."""
    days = (window.end - window.start) / _DAY_US
    step_days = next((step for step in _DAYS if days / step <= _MOST_TICKS), None)
    if step_days is not None:
        return _list_days(window, step_days)
    months = days / 30.44
    step = next((step for step in _MONTHS if months / step <= _MOST_TICKS), _MONTHS[-1])
    return _list_months(window, step)


def _list_days(window: Span, step: int) -> tuple[Tick, ...]:
    step_us = step * _DAY_US
    first = -(-window.start // step_us) * step_us
    instants = range(first, window.end, step_us)
    return tuple(Tick(percent(place(each, window)), f"{_day(each).day} {_day(each):%b}") for each in instants)


def _list_months(window: Span, step: int) -> tuple[Tick, ...]:
    start = _day(window.start)
    # Counted from year 0, so that steps of years begin in round years.
    number = -(-(start.year * 12 + start.month) // step) * step
    ticks = []
    while (year := number // 12) <= _LAST_YEAR:
        at = datetime(max(year, 1), number % 12 + 1, 1, tzinfo=UTC)
        at_us = (at - _EPOCH) // timedelta(microseconds=1)
        if at_us >= window.end:
            break
        if at_us >= window.start:
            label = f"{at.year}" if step >= 12 else f"{at:%b} {at.year}"
            ticks.append(Tick(percent(place(at_us, window)), label))
        number += step
    return tuple(ticks)


def _day(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
