"""Rows of benchmarks: what they must hold, and whether a goal is met. Verdicts are computed, never typed.

A row is `{"name", "value", "unit", "limit", "ratio", "goal"}`:

- `limit` maps the name of each limit or peer figure that the value is made of to its value *in the row's
  unit*; a name that ends in `_ns`, `_us`, `_ms` or `_s` is in that unit and converted.
- `ratio` is value over limit; computed from the sum of the limits when null.
- `goal` is a number or a text such as `"<= 10 ms"` or `">= 3000"`, or null. A bare number is an upper bound
  for times and a lower bound for rates (`.../s`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

_SECONDS: Final[Mapping[str, float]] = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_GOAL: Final = re.compile(r"\s*(<=|>=|<|>|==|=)?\s*\+?([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([^\s]*)\s*")
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "=": operator.eq,
}
LIMIT_FACTOR: Final = 2.0
"""A time within this many times the sum of its limits counts as met."""


class RowRefused(ValueError):
    """Raised when a benchmark returns a row that does not say what a row must say."""


class Verdict(StrEnum):
    """What became of a goal."""

    MET = "met"
    AT_LIMIT = "within 2x limits"
    MISSED = "missed"
    NO_GOAL = "no goal"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value; see the module."""

    name: str
    value: float
    unit: str
    limit: dict[str, float] = {}
    ratio: float | None = None
    goal: float | str | None = None


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """A bound in a row's own unit."""

    relation: str
    bound: float

    def is_met(self, value: float) -> bool:
        """Say whether a value in the row's unit is within the bound."""
        return _COMPARE[self.relation](value, self.bound)


def read_row(raw: object) -> Row:
    """Return a benchmark's row as a record.

    Raises:
        RowRefused: When a field is missing or mistyped, or the goal cannot be read.
    """
    try:
        row = msgspec.convert(raw, Row)
    except msgspec.ValidationError as exc:
        raise RowRefused(f"a row cannot be read: {exc}; expected {', '.join(Row.__struct_fields__)}") from exc
    parse_goal(row)
    return row


def parse_goal(row: Row) -> Goal | None:
    """Return the goal in the row's unit; None when there is none.

    Raises:
        RowRefused: When it is no bound, or in a unit that the row's cannot be compared with.
    """
    if row.goal is None:
        return None
    if not isinstance(row.goal, str):
        return Goal(relation=_usual_relation(row.unit), bound=row.goal)
    found = _GOAL.fullmatch(row.goal)
    if found is None:
        raise RowRefused(f"goal {row.goal!r} of {row.name} is no bound, expected one such as '<= 10 ms'")
    relation, number, unit = found.groups()
    bound = float(number.replace(",", "").replace("_", ""))
    return Goal(relation=relation or _usual_relation(row.unit), bound=_convert(row, bound, unit))


def sum_limits(row: Row) -> float:
    """Return the sum of a row's limits in its unit; 0 without any."""
    return sum(_convert(row, value, _unit_of(name)) for name, value in row.limit.items())


def calculate_ratio(row: Row) -> float | None:
    """Return the row's ratio, or value over the sum of its limits, or None without limits."""
    if row.ratio is not None:
        return row.ratio
    total = sum_limits(row)
    return row.value / total if total > 0 else None


def judge(row: Row) -> Verdict:
    """Say what became of the goal. The limits excuse times only, never rates or counts."""
    goal = parse_goal(row)
    if goal is None:
        return Verdict.NO_GOAL
    if goal.is_met(row.value):
        return Verdict.MET
    is_time = row.unit in _SECONDS and goal.relation in ("<=", "<")
    return Verdict.AT_LIMIT if is_time and row.value <= LIMIT_FACTOR * sum_limits(row) else Verdict.MISSED


def describe_verdict(row: Row) -> str:
    """Return the verdict, and for a missed goal how far off it is."""
    verdict, goal = judge(row), parse_goal(row)
    if verdict is not Verdict.MISSED or goal is None or goal.bound == 0 or row.value == 0:
        return str(verdict)
    return f"missed, {max(row.value / goal.bound, goal.bound / row.value):.2g}x off"


def _usual_relation(unit: str) -> str:
    return ">=" if unit.endswith("/s") else "<="


def _unit_of(name: str) -> str:
    suffix = name.rpartition("_")[2]
    return suffix if suffix in _SECONDS else ""


def _convert(row: Row, value: float, unit: str) -> float:
    if unit in ("", row.unit):
        return value
    if unit in _SECONDS and row.unit in _SECONDS:
        return value * _SECONDS[unit] / _SECONDS[row.unit]
    raise RowRefused(f"{unit} in {row.name} cannot be compared with {row.unit}")
