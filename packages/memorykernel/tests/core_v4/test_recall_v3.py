"""recall-ordering.v3: against a naive specification, page by page, and within its bounds."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.context_package import ContextPackage, encode_package
from memorykernel.core.evidence import Candidate, RecallEvidence, WordCount
from memorykernel.core.package_bounds import MAX_PACKAGE_BYTES
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v3 import list_recall_exclusions_v3, resolve_recall_v3
from memorykernel.core.recall_search import BOUNDS, SearchBounds
from memorykernel.core.record import SummaryContent
from memorykernel.core.vocabulary import Field, RecordType, SummaryType
from memorykernel.errors import MistypedField

from packages.memorykernel.tests.core_v4.naive_recall import SUMMARIES, spec_pages, spec_search
from packages.memorykernel.tests.core_v4.small_world import (
    HEAD,
    SECOND,
    Universe,
    make_claim,
    make_membership,
    make_rule,
    standings,
)

WORDS = ["usb", "drive", "политика", "政策", "other"]
TEXT = "usb drive политика"
SMALL = SearchBounds(max_words=2, max_read=3, max_seen=2)


def recall(text: str = TEXT, *types: RecordType, **changes: Any) -> RecallQuestion:
    question = RecallQuestion(text=text, record_types=types, as_of_us=5 * SECOND)
    return msgspec.structs.replace(question, **changes)


def make_summary(number: int, summary: str = "usb drive", **changes: Any) -> Candidate:
    changes = {"record_type": RecordType.DECISION, "content": SummaryContent(summary=summary), **changes}
    return msgspec.structs.replace(make_rule(number), **changes)


def evidence(
    universe: Universe,
    text: str = TEXT,
    seed: int | None = None,
    *,
    bounds: SearchBounds = BOUNDS,
    as_of_us: int = 5 * SECOND,
    types: Collection[str] = SUMMARIES,
) -> RecallEvidence:
    """What a store that follows the rule would read, by the specification, and all pages of it at once."""
    found = spec_search(universe, text, as_of_us, bounds, types)
    records = list(found.records)
    if seed is not None:
        random.Random(seed).shuffle(records)
    return RecallEvidence(
        head=HEAD,
        candidates=tuple(records),
        supersessions=tuple(universe.claims()),
        matched=found.matched,
        words=tuple(WordCount(word, held) for word, held in found.held.items()),
    )


@st.composite
def summaries(draw: st.DrawFn) -> Universe:
    numbers = draw(st.lists(st.integers(0, 999), max_size=8, unique=True))
    made = tuple(
        make_summary(
            number,
            " ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))),
            record_type=RecordType(draw(st.sampled_from(SummaryType))),
            **draw(standings()),
        )
        for number in numbers
    )
    pairs = [(new, old) for new in range(len(made)) for old in range(new)]
    return Universe(made, tuple(draw(st.lists(st.sampled_from(pairs), max_size=3))) if pairs else ())


@given(summaries(), st.integers(0, 12), st.sampled_from((BOUNDS, SMALL)))
def test_it_recalls_as_the_specification_says(universe: Universe, as_of: int, bounds: SearchBounds) -> None:
    as_of_us = as_of * SECOND
    shown = evidence(universe, bounds=bounds, as_of_us=as_of_us)
    cursor: str | None = None
    for page in spec_pages(universe, TEXT, as_of_us, bounds):
        package = resolve_recall_v3(recall(as_of_us=as_of_us, cursor=cursor), shown, bounds)
        assert [each.memory_version_id for each in package.selected_items] == page.selected
        assert [each.memory_version_id for each in package.excluded_items] == [i for i, _ in page.excluded]
        exclusions, inputs = package.exclusions, package.determinism.inputs
        assert isinstance(exclusions, msgspec.Struct)
        assert isinstance(inputs, msgspec.Struct)
        assert sum(exclusions.by_reason.values()) == exclusions.total == len(page.excluded)
        assert all(exclusions.by_reason[reason] for _, reason in page.excluded)
        assert (inputs.complete, exclusions.at_least) == (page.complete, not page.complete)
        assert (package.next_cursor is None) == (page.last is None)
        assert package.answer.holds_until is None
        assert isinstance(package.next_cursor, str | None)
        cursor = package.next_cursor
    assert cursor is None


@given(summaries(), st.integers(0, 99))
def test_the_order_of_the_evidence_changes_no_byte(universe: Universe, seed: int) -> None:
    shuffled = resolve_recall_v3(recall(), evidence(universe, seed=seed))
    assert encode_package(shuffled) == encode_package(resolve_recall_v3(recall(), evidence(universe)))


def follow(universe: Universe, **changes: Any) -> list[ContextPackage]:
    pages, cursor = [], None
    for _ in range(100):
        page = resolve_recall_v3(recall(cursor=cursor, **changes), evidence(universe))
        pages.append(page)
        if page.next_cursor is None:
            break
        assert isinstance(page.next_cursor, str)
        cursor = page.next_cursor
    return pages


def test_pages_are_a_partition_of_what_is_recalled() -> None:
    universe = Universe(tuple(make_summary(n) for n in range(120)))
    pages = follow(universe)
    assert [len(page.selected_items) for page in pages] == [50, 50, 20]
    items = [item for page in pages for item in page.selected_items]
    assert [item.rank for item in items] == list(range(1, 121))
    assert len({item.memory_version_id for item in items}) == 120
    assert len({page.context_package_id for page in pages}) == 3
    assert "limit: selected_items shows 20 behind the first 100 of 120" in pages[2].ordering_trace


def test_a_record_written_between_two_pages_repeats_and_hides_nothing() -> None:
    universe = Universe(tuple(make_summary(n) for n in range(60)))
    first = resolve_recall_v3(recall(), evidence(universe))
    assert isinstance(first.next_cursor, str)
    more = Universe((make_summary(900, "usb drive политика"), *universe.records, make_summary(901)))
    later = recall(cursor=first.next_cursor, as_of_us=6 * SECOND)
    second = resolve_recall_v3(later, evidence(more))
    shown = [item.memory_version_id for item in (*first.selected_items, *second.selected_items)]
    assert len(set(shown)) == len(shown) == 61


def test_a_cursor_of_another_recall_or_of_exclusions_is_refused() -> None:
    dead = tuple(make_summary(100 + n, expires_at_us=2 * SECOND) for n in range(30))
    universe = Universe((*(make_summary(n) for n in range(60)), *dead))
    first = resolve_recall_v3(recall(), evidence(universe))
    assert isinstance(first.exclusions, msgspec.Struct)
    for question in (
        recall("usb drive", cursor=first.next_cursor),
        recall(cursor=first.exclusions.next_cursor),
        recall(cursor="cur_x"),
    ):
        with pytest.raises(MistypedField, match="cursor"):
            resolve_recall_v3(question, evidence(universe))
    page = list_recall_exclusions_v3(recall(), evidence(universe), first.exclusions.next_cursor, 100)
    assert [item.rank for item in page.items] == list(range(21, 31))
    assert page.next_cursor is None


@pytest.mark.parametrize("bad", ["\x00", "é", "𝕏"])
def test_a_package_stays_small_and_pages_go_on_whatever_is_stored(bad: str) -> None:
    hostile = tuple(
        make_summary(
            n, memory_id=bad * (9 * n), memory_version_id=f"V{n:025d}" if n % 3 else bad * (99 * n + 1)
        )
        for n in range(80)
    )
    makers = [make_summary(500 + n, memory_version_id=f"{n}" + bad * 4000) for n in range(4)]
    universe = Universe(hostile)
    shown = evidence(universe)
    claims = tuple(make_claim(maker, old) for maker in makers for old in hostile[:40])
    shown = msgspec.structs.replace(shown, supersessions=claims)
    for as_of_us in (5 * SECOND, 0):
        package = resolve_recall_v3(recall(as_of_us=as_of_us), shown)
        assert len(encode_package(package)) <= MAX_PACKAGE_BYTES
    pages = follow(universe)
    assert pages[-1].next_cursor is None
    assert all(len(encode_package(page)) <= MAX_PACKAGE_BYTES for page in pages)


def test_memberships_and_constraints_are_recalled_when_they_are_asked_for() -> None:
    records = (make_membership(1, Field.ACTOR, "staff", "ann"), make_rule(2), make_summary(3, "ann"))
    types = (RecordType.MEMBERSHIP, RecordType.CONSTRAINT)
    found = resolve_recall_v3(recall("ann", *types), evidence(Universe(records), "ann", types=types))
    assert {item.record_type for item in found.selected_items} == {"membership", "constraint"}
    assert found.query.record_types == (RecordType.CONSTRAINT, RecordType.MEMBERSHIP)
