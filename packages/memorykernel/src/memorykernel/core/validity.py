"""How long an answer holds: the exact first instant at which the same records give another result.

Every rule counts during some spans of time, so a result can only change where one of them begins or ends.
These instants are visited in order, each once, with a count of the rules that stand at each precedence.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from memorykernel.core.activity_v3 import FOREVER, Span
from memorykernel.core.vocabulary import Effect, Result

Precedence = tuple[int, int, int, int, float]
"""Negated specificity (level, prefix length), authority, truth status, confidence: the smallest decides."""


class TimedRule(NamedTuple):
    """A rule that matches the question during the spans, which do not overlap."""

    precedence: Precedence
    effect: Effect
    spans: Sequence[Span]


_Event = tuple[int, Precedence, Effect, int]


class _Standings:
    """How many rules of each effect count now, at each precedence."""

    def __init__(self) -> None:
        self._counts: defaultdict[Precedence, dict[Effect, int]] = defaultdict(
            lambda: dict.fromkeys(Effect, 0)
        )
        self._heap: list[Precedence] = []

    def add(self, precedence: Precedence, effect: Effect, count: int) -> None:
        if precedence not in self._counts:
            heapq.heappush(self._heap, precedence)
        self._counts[precedence][effect] += count

    def result(self) -> Result:
        while self._heap and not any(self._counts[self._heap[0]].values()):
            del self._counts[heapq.heappop(self._heap)]
        if not self._heap:
            return Result.INCONCLUSIVE
        standing = self._counts[self._heap[0]]
        if all(standing.values()):
            return Result.INCONCLUSIVE
        return Result.ALLOW if standing[Effect.ALLOW] else Result.DENY


def find_change(rules: Iterable[TimedRule], as_of_us: int) -> int | None:
    """The first instant after `as_of_us` at which the result is another than at `as_of_us`.

    Returns:
        Microseconds since 1970 UTC, or None when the result stays for ever.
    """
    now: list[tuple[Precedence, Effect]] = []
    events: list[_Event] = []
    for precedence, effect, spans in rules:
        for start, end in spans:
            if start > as_of_us:
                events.append((start, precedence, effect, 1))
            elif as_of_us < end:
                now.append((precedence, effect))
            if as_of_us < end < FOREVER:
                events.append((end, precedence, effect, -1))
    if not events:
        return None
    standings = _Standings()
    for precedence, effect in now:
        standings.add(precedence, effect, 1)
    result = standings.result()
    events.sort()
    for instant, changes in groupby(events, key=_get_instant):
        for _, precedence, effect, count in changes:
            standings.add(precedence, effect, count)
        if standings.result() is not result:
            return instant
    return None


def _get_instant(event: _Event) -> int:
    return event[0]


def join_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The union of spans, in order, without overlaps."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return tuple(joined)


def meet_spans(one: Sequence[Span], other: Sequence[Span]) -> tuple[Span, ...]:
    """What two unions of spans have in common; both as `join_spans` gives them, and so is the result."""
    met: list[Span] = []
    mine = yours = 0
    while mine < len(one) and yours < len(other):
        common = Span(
            max(one[mine].start, other[yours].start),
            min(one[mine].end, other[yours].end),
        )
        if common.start < common.end:
            met.append(common)
        # What ends first has nothing in common with what comes later.
        if one[mine].end <= other[yours].end:
            mine += 1
        else:
            yours += 1
    return tuple(met)
