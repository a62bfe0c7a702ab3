"""The picture of an answer, as shapes: positions in percent of the width and in pixels of the height. Pure.

Horizontal positions are percentages so that one drawing fits every width without scaling its text; what a
shape looks like is for the style sheet to say.
"""

from __future__ import annotations

from typing import Final

import msgspec

from memorykernel.core.activity_v3 import FOREVER, Span
from memorykernel.core.instant import format_instant
from memorykernel.core.timeline import RuleBar, Stretch, Timeline, find_result
from memorykernel.service.picturing import Moment, Picture
from memorykernel.web.console.axis import Tick, list_ticks, percent, place
from memorykernel.web.console.wording import (
    describe_instant,
    describe_result,
    describe_scope,
    shorten,
)

TOP: Final = 40
"""Where the first row begins: below the mark of the instant asked about."""

ROW: Final = 44
"""The height of a row: a line of text and a bar."""

_BAND: Final = 56
_AXIS: Final = 28
_WIDE_LABEL: Final = 90
_NARROW_LABEL: Final = 30
_ROOM_FOR_WORD: Final = 11.0
"""From how many percent of the width on a stretch has room for its word."""

_ROOM_IF_NARROW: Final = 28.0
"""The same on a narrow screen."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle in time; `is_open` when it goes on behind the edge."""

    x: str
    width: str
    is_open: bool = False


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in the picture.

    Attributes:
        state: "decides", "counts" or "silent" when the question is asked.
        recorded: Where it was recorded; None when that is outside of the picture.
    """

    y: int
    effect: str
    state: str
    label: str
    short_label: str
    valid: Shape
    counting: tuple[Shape, ...]
    recorded: str | None


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of an answer band."""

    shape: Shape
    result: str
    word: str
    has_room: bool
    has_room_if_narrow: bool
    is_asked: bool
    since: str
    since_text: str
    until_text: str


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """All of the picture.

    Attributes:
        as_of: Where the instant asked about lies, in percent; its label is aligned by `as_of_anchor`.
        summary: The picture in words.
    """

    height: int
    band_y: int
    as_of: str
    as_of_anchor: str
    as_of_text: str
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    band: tuple[Piece, ...]
    summary: str


class MomentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A state of knowledge with its band; `result` is its answer at the instant asked about."""

    recorded_at: str
    recorded_text: str
    snapshot_id: str
    learned: tuple[str, ...]
    band: tuple[Piece, ...]
    result: str
    word: str


def draw(picture: Picture) -> Drawing:
    """Turn a picture into shapes."""
    timeline = picture.timeline
    window = timeline.window
    as_of = place(timeline.question.as_of_us, window)
    rows = tuple(
        _draw_row(number, bar, window, picture.recorded_at_us) for number, bar in enumerate(timeline.bars)
    )
    band_y = TOP + ROW * len(rows)
    return Drawing(
        height=band_y + _BAND + _AXIS,
        band_y=band_y,
        as_of=percent(as_of),
        as_of_anchor="start" if as_of < 20 else "end" if as_of > 80 else "middle",
        as_of_text=describe_instant(timeline.question.as_of_us),
        ticks=list_ticks(window),
        rows=rows,
        band=draw_band(timeline.answers, window, timeline.question.as_of_us),
        summary=_summarize(timeline),
    )


def draw_band(answers: tuple[Stretch, ...], window: Span, as_of_us: int) -> tuple[Piece, ...]:
    """Draw what is answered over a window, and mark the stretch that was asked about."""
    return tuple(_draw_piece(each, window, as_of_us) for each in answers)


def draw_moment(moment: Moment, timeline: Timeline) -> MomentRow:
    """Draw a state of knowledge over the window of its picture."""
    result = find_result(moment.answers, timeline.question.as_of_us)
    return MomentRow(
        recorded_at=format_instant(moment.recorded_at_us),
        recorded_text=describe_instant(moment.recorded_at_us),
        snapshot_id=moment.snapshot_id,
        learned=moment.learned,
        band=draw_band(moment.answers, timeline.window, timeline.question.as_of_us),
        result=result.value,
        word=describe_result(result),
    )


def draw_shape(span: Span, window: Span) -> Shape:
    """Draw a span, cut to the window; never so thin that it cannot be seen."""
    start, end = place(span.start, window), place(span.end, window)
    start = min(start, 99.6)
    return Shape(x=percent(start), width=percent(max(end - start, 0.4)), is_open=span.end >= FOREVER)


def _draw_row(number: int, bar: RuleBar, window: Span, recorded_at_us: dict[str, int]) -> Row:
    scope = describe_scope(bar.content.scope)
    recorded = recorded_at_us.get(bar.candidate.memory_version_id)
    is_inside = recorded is not None and window.start <= recorded <= window.end
    return Row(
        y=TOP + ROW * number,
        effect=bar.content.effect.value,
        state="decides" if bar.decides else "counts" if bar.is_active else "silent",
        label=shorten(scope, _WIDE_LABEL),
        short_label=shorten(scope, _NARROW_LABEL),
        valid=draw_shape(bar.valid, window),
        counting=tuple(draw_shape(span, window) for span in bar.counting),
        recorded=percent(place(recorded, window)) if recorded is not None and is_inside else None,
    )


def _draw_piece(stretch: Stretch, window: Span, as_of_us: int) -> Piece:
    shape = draw_shape(stretch.span, window)
    return Piece(
        shape=shape,
        result=stretch.result.value,
        word=describe_result(stretch.result),
        has_room=float(shape.width.rstrip("%")) >= _ROOM_FOR_WORD,
        has_room_if_narrow=float(shape.width.rstrip("%")) >= _ROOM_IF_NARROW,
        is_asked=stretch.span.start <= as_of_us < stretch.span.end,
        since=format_instant(stretch.span.start),
        since_text=describe_instant(stretch.span.start),
        until_text=describe_instant(stretch.span.end),
    )


def _summarize(timeline: Timeline) -> str:
    shown = "1 rule matches" if len(timeline.bars) == 1 else f"{len(timeline.bars)} rules match"
    told = "; ".join(
        f"from {describe_instant(each.span.start)} {describe_result(each.result).lower()}"
        for each in timeline.answers
    )
    asked = describe_instant(timeline.question.as_of_us)
    return f"{shown}. The answer over time: {told}. Asked for {asked} UTC."
