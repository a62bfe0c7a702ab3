"""The versions of one memory, over both times. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from memorykernel.core.activity_v3 import FOREVER, Span
from memorykernel.core.instant import parse_instant
from memorykernel.core.record import MemoryRecord
from memorykernel.core.timeline import DAY_US
from memorykernel.service.lineage import MemoryStory, RecordStory
from memorykernel.web.console.axis import Tick, list_ticks, percent, place
from memorykernel.web.console.picture import ROW, TOP, Shape, draw_shape
from memorykernel.web.console.wording import (
    describe_content,
    describe_instant,
    describe_text_instant,
    shorten,
)

_AXIS: Final = 28
_UNSAID: Final = frozenset(
    {"memory_version_id", "memory_id", "version", "created_at", "supersedes", "contradicts", "provenance"}
)
"""What differs between any two versions, or is shown elsewhere."""

_TIMES: Final = frozenset({"effective_at", "expires_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field that a version says otherwise than the one before."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """A version: where it stands, what it changed, and its bar."""

    story: RecordStory
    summary: str
    short_summary: str
    tone: str
    changes: tuple[FieldChange, ...]
    y: int
    valid: Shape
    recorded: str | None
    is_superseded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryView:
    """A memory."""

    memory_id: str
    lines: tuple[VersionLine, ...]
    truncated: bool
    ticks: tuple[Tick, ...]
    height: int
    now: str
    now_text: str
    summary: str


def view_memory(story: MemoryStory, now_us: int) -> MemoryView:
    """Lay out the versions of a memory."""
    spans = [_find_span(each.record) for each in story.versions]
    window = _choose_window(story.versions, spans, now_us)
    lines = []
    for number, (version, span) in enumerate(zip(story.versions, spans, strict=True)):
        before = story.versions[number - 1].record if number else None
        lines.append(_lay_out(number, version, before, span, window))
    return MemoryView(
        memory_id=story.memory_id,
        lines=tuple(lines),
        truncated=story.truncated,
        ticks=list_ticks(window),
        height=TOP + ROW * len(lines) + _AXIS,
        now=percent(place(now_us, window)),
        now_text=describe_instant(now_us),
        summary="; ".join(
            f"version {each.story.record.version} {each.summary} from {describe_instant(span.start)}"
            for each, span in zip(lines, spans, strict=True)
        ),
    )


def _lay_out(
    number: int, story: RecordStory, before: MemoryRecord | None, span: Span, window: Span
) -> VersionLine:
    record = story.record
    content = record.payload.payload
    summary = describe_content(content)
    recorded = None if story.recorded_at is None else parse_instant(story.recorded_at, field="recorded_at")
    is_inside = recorded is not None and window.start <= recorded <= window.end
    return VersionLine(
        story=story,
        summary=summary,
        short_summary=shorten(f"v{record.version} {summary}", 38),
        tone=getattr(content, "effect", "neutral"),
        changes=() if before is None else _compare(before, record),
        y=TOP + ROW * number,
        valid=draw_shape(span, window),
        recorded=percent(place(recorded, window)) if recorded is not None and is_inside else None,
        is_superseded=bool(story.superseded_by),
    )


def _find_span(record: MemoryRecord) -> Span:
    start = parse_instant(record.effective_at, field="effective_at")
    return Span(start, parse_instant(record.expires_at, field="expires_at") if record.expires_at else FOREVER)


def _choose_window(versions: tuple[RecordStory, ...], spans: list[Span], now_us: int) -> Span:
    instants = [now_us]
    for version, span in zip(versions, spans, strict=True):
        instants += [at for at in span if at < FOREVER]
        if version.recorded_at is not None:
            instants.append(parse_instant(version.recorded_at, field="recorded_at"))
    margin = max((max(instants) - min(instants)) // 16, 7 * DAY_US)
    return Span(min(instants) - margin, max(instants) + margin)


def _compare(before: MemoryRecord, after: MemoryRecord) -> tuple[FieldChange, ...]:
    old, new = _flatten(before), _flatten(after)
    return tuple(
        FieldChange(name=name, before=old.get(name, "none"), after=new.get(name, "none"))
        for name in (*new, *(each for each in old if each not in new))
        if old.get(name) != new.get(name)
    )


def _flatten(record: MemoryRecord) -> dict[str, str]:
    document: dict[str, Any] = msgspec.to_builtins(record)
    flat = {name: value for name, value in document.items() if name not in _UNSAID and name != "payload"}
    content: dict[str, Any] = document["payload"]["payload"]
    flat |= content.pop("scope", {}) | content
    return {name: _spell(name, value) for name, value in flat.items()}


def _spell(name: str, value: Any) -> str:
    if value is None:
        return "none"
    return describe_text_instant(value) if name in _TIMES else str(value)
