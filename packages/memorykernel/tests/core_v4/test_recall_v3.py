"""recall-ordering.v3: against a naive specification, page by page, and within its bounds."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.context_package import ContextPackage, encode_package
from memorykernel.core.evidence import Candidate, RecallEvidence
from memorykernel.core.package_bounds import MAX_PACKAGE_BYTES
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v3 import list_recall_exclusions_v3, resolve_recall_v3
from memorykernel.core.record import SummaryContent
from memorykernel.core.terms import describe_content, unicode_terms
from memorykernel.core.vocabulary import Field, RecordType, SummaryType
from memorykernel.errors import MistypedField

from packages.memorykernel.tests.core_v4.naive_spec import AUTHORITY, TRUTH, spec_confidence, spec_exclusion
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


def recall(text: str = "usb drive политика", *types: RecordType, **changes: Any) -> RecallQuestion:
    question = RecallQuestion(text=text, record_types=types, as_of_us=5 * SECOND)
    return msgspec.structs.replace(question, **changes)


def make_summary(number: int, summary: str = "usb drive", **changes: Any) -> Candidate:
    changes = {"record_type": RecordType.DECISION, "content": SummaryContent(summary=summary), **changes}
    return msgspec.structs.replace(make_rule(number), **changes)


def evidence(universe: Universe, text: str = "usb drive политика", seed: int | None = None) -> RecallEvidence:
    asked, records = set(unicode_terms(text)), list(universe.records)
    if seed is not None:
        random.Random(seed).shuffle(records)
    matched = {
        r.memory_version_id: len(asked & set(unicode_terms(describe_content(r.content)))) for r in records
    }
    return RecallEvidence(
        head=HEAD, candidates=tuple(records), supersessions=tuple(universe.claims()), matched=matched
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


def spec_recall(universe: Universe, as_of_us: int) -> tuple[list[str], list[tuple[str, str]]]:
    asked = {"usb", "drive", "политика"}

    def key(record: Candidate) -> tuple[Any, ...]:
        matched = len(asked & set(describe_content(record.content).split()))
        ranks = (AUTHORITY[record.authority], TRUTH[record.truth_status], spec_confidence(record))
        times = (record.effective_at_us, record.created_at_us)
        negated = tuple(-each for each in (matched, *ranks, *times))
        return (*negated, record.memory_id, record.memory_version_id)

    matching = sorted((r for r in universe.records if key(r)[0] < 0), key=key)
    judged = [(record.memory_version_id, spec_exclusion(universe, record, as_of_us)) for record in matching]
    return [each for each, reason in judged if reason is None], [
        (each, reason) for each, reason in judged if reason is not None
    ]


@given(summaries(), st.integers(0, 12))
def test_it_recalls_as_the_specification_says(universe: Universe, as_of: int) -> None:
    package = resolve_recall_v3(recall(as_of_us=as_of * SECOND), evidence(universe))
    selected, excluded = spec_recall(universe, as_of * SECOND)
    assert [each.memory_version_id for each in package.selected_items] == selected
    assert [each.memory_version_id for each in package.excluded_items] == [each for each, _ in excluded]
    assert isinstance(package.exclusions, msgspec.Struct)
    assert sum(package.exclusions.by_reason.values()) == package.exclusions.total == len(excluded)
    assert all(package.exclusions.by_reason[reason] for _, reason in excluded)
    assert (package.next_cursor, package.answer.holds_until) == (None, None)


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
    found = resolve_recall_v3(
        recall("ann", RecordType.MEMBERSHIP, RecordType.CONSTRAINT), evidence(Universe(records), "ann")
    )
    assert {item.record_type for item in found.selected_items} == {"membership", "constraint"}
    assert found.query.record_types == (RecordType.CONSTRAINT, RecordType.MEMBERSHIP)
