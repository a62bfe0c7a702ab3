"""recall-ordering.v3 as its text says it, in loops over a whole universe; shares nothing with what it judges.

It counts every list, sorts every record, and cuts then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from memorykernel.core.evidence import Candidate
from memorykernel.core.recall_search import SearchBounds
from memorykernel.core.record import ConstraintContent, MembershipContent

from packages.memorykernel.tests.core_v4.naive_spec import AUTHORITY, TRUTH, spec_confidence, spec_exclusion
from packages.memorykernel.tests.core_v4.small_world import Universe

SUMMARIES = ("decision", "preference", "event", "outcome")


@dataclass(frozen=True)
class SpecFound:
    """What a search finds, best first, with how many words each has; and how many records have each word."""

    records: list[Candidate]
    matched: dict[str, int]
    held: dict[str, int]
    complete: bool


@dataclass(frozen=True)
class SpecPage:
    """One page: ids in order, with the reason of what is excluded, and whether another page follows."""

    selected: list[str]
    excluded: list[tuple[str, str]]
    complete: bool
    last: str | None


def spec_words(text: str) -> list[str]:
    """The words of a text of which the words are separated by blanks, in order."""
    return list(dict.fromkeys(text.lower().split()))


def spec_name(word: str) -> str:
    """What the lists call a word."""
    return word if len(word) <= 64 else f"~{hashlib.sha256(word.encode()).hexdigest()}"


def spec_text(record: Candidate) -> str:
    """What a record is found by."""
    content = record.content
    if isinstance(content, ConstraintContent):
        return f"{content.scope.actor} {content.scope.action} {content.scope.resource} {content.note or ''}"
    if isinstance(content, MembershipContent):
        return f"{content.field} {content.member} is a member of {content.group}"
    return content.summary


def spec_search(
    universe: Universe,
    text: str,
    as_of_us: int,
    bounds: SearchBounds,
    types: Collection[str] = SUMMARIES,
) -> SpecFound:
    """Everything that a search finds, on all pages."""
    asked = spec_words(text)
    words = asked[: bounds.max_words]
    of_types = [record for record in universe.records if record.record_type in types]
    lists = {word: [each for each in of_types if word in spec_words(spec_text(each))] for word in words}
    found: dict[str, Candidate] = {}
    room, complete = bounds.max_read, len(asked) == len(words)
    counted = {word: min(len(listed), bounds.max_read + 1) for word, listed in lists.items()}
    queue = sorted((counted[word], spec_name(word), word) for word in words if lists[word])
    for _, _, word in queue:
        if room >= len(lists[word]):
            found |= {each.memory_version_id: each for each in lists[word]}
            room -= len(lists[word])
            continue
        complete = False
        current = [each for each in lists[word] if each.effective_at_us <= as_of_us]
        current.sort(key=_list_order)
        found |= {each.memory_version_id: each for each in current[:room]}
        room = 0
    matched = {name: sum(each in lists[word] for word in words) for name, each in found.items()}
    records = sorted(found.values(), key=lambda each: (-matched[each.memory_version_id], *_order(each)))
    return SpecFound(records, matched, counted, complete)


def spec_pages(
    universe: Universe,
    text: str,
    as_of_us: int,
    bounds: SearchBounds,
    types: Collection[str] = SUMMARIES,
    page_size: int = 50,
) -> list[SpecPage]:
    """All pages of a recall."""
    found = spec_search(universe, text, as_of_us, bounds, types)
    rest, pages = found.records, []
    while True:
        seen = rest[: bounds.max_seen]
        judged = [(each, spec_exclusion(universe, each, as_of_us)) for each in seen]
        active = [each.memory_version_id for each, reason in judged if reason is None]
        ids = [each.memory_version_id for each in seen]
        selected = active[:page_size]
        goes_on = len(rest) > len(seen)
        end = len(seen) if goes_on else None
        behind = ids.index(selected[-1]) + 1 if len(active) > page_size else end
        pages.append(
            SpecPage(
                selected=selected,
                excluded=[(each.memory_version_id, reason) for each, reason in judged if reason is not None],
                complete=found.complete and not goes_on,
                last=None if behind is None else ids[behind - 1],
            )
        )
        if behind is None:
            return pages
        rest = rest[behind:]


def _digest(record: Candidate) -> bytes:
    return hashlib.sha256(record.memory_version_id.encode()).digest()[:8]


def _list_order(record: Candidate) -> tuple[Any, ...]:
    """Retracted last, then the highest authority, then what took effect last."""
    retracted = record.truth_status == "retracted"
    return (
        retracted,
        0 if retracted else -AUTHORITY[record.authority],
        -record.effective_at_us,
        _digest(record),
    )


def _order(record: Candidate) -> tuple[Any, ...]:
    certain = int(spec_confidence(record) * 10_000)
    ranks = (AUTHORITY[record.authority], TRUTH[record.truth_status], certain, record.effective_at_us)
    return (*(-each for each in ranks), _digest(record))
