"""recall-semantic.v1: against a naive specification, page by page, and within its bounds."""

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
from memorykernel.core.recall_semantic import (
    MAX_FOUND,
    MAX_READ,
    MIN_SIMILARITY,
    list_semantic_exclusions,
    needs_more,
    resolve_semantic,
)
from memorykernel.core.record import SummaryContent
from memorykernel.core.vector import DIMENSIONS, Model, QuestionVector
from memorykernel.core.vocabulary import Authority, RecordType, TruthStatus
from memorykernel.errors import MistypedField

from packages.memorykernel.tests.core_v4.naive_spec import AUTHORITY, TRUTH, spec_confidence, spec_exclusion
from packages.memorykernel.tests.core_v4.small_world import (
    HEAD,
    SECOND,
    Universe,
    make_claim,
    make_rule,
    standings,
)

BOTH = (RecordType.DECISION, RecordType.EVENT)
MEANING = QuestionVector(model=Model(name="words", weights_sha256="0" * 64), vector=bytes(DIMENSIONS))


def recall(*types: RecordType, **changes: Any) -> RecallQuestion:
    question = RecallQuestion(text="usb", record_types=types, as_of_us=5 * SECOND, meaning=MEANING)
    return msgspec.structs.replace(question, **changes)


def make_summary(number: int, **changes: Any) -> Candidate:
    changes = {"record_type": RecordType.DECISION, "content": SummaryContent(summary="usb"), **changes}
    return msgspec.structs.replace(make_rule(number), **changes)


def show(universe: Universe, near: dict[str, int], seed: int | None = None) -> RecallEvidence:
    records = list(universe.records)
    if seed is not None:
        random.Random(seed).shuffle(records)
    return RecallEvidence(
        head=HEAD,
        candidates=tuple(records),
        supersessions=tuple(universe.claims()),
        matched=near,
        vectors_sha256="1" * 64,
    )


@st.composite
def neighborhoods(draw: st.DrawFn) -> tuple[Universe, dict[str, int]]:
    """Records of any standing and links, and how near each is; few distances, so that they meet."""
    numbers = draw(st.lists(st.integers(0, 999), max_size=8, unique=True))
    made = tuple(
        make_summary(
            number,
            record_type=draw(st.sampled_from([RecordType.DECISION, RecordType.EVENT])),
            **draw(standings()),
        )
        for number in numbers
    )
    pairs = [(new, old) for new in range(len(made)) for old in range(new)]
    links = tuple(draw(st.lists(st.sampled_from(pairs), max_size=3))) if pairs else ()
    near = {each.memory_version_id: draw(st.sampled_from([19, 20, 55, 55, 100])) for each in made}
    return Universe(made, links), near


def specify(
    universe: Universe, near: dict[str, int], as_of_us: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """What is selected, and what is excluded and why, in loops."""

    def key(record: Candidate) -> tuple[Any, ...]:
        ranks = (AUTHORITY[record.authority], TRUTH[record.truth_status], spec_confidence(record))
        times = (record.effective_at_us, record.created_at_us)
        negated = tuple(-each for each in (near[record.memory_version_id], *ranks, *times))
        return (*negated, record.memory_id, record.memory_version_id)

    found = sorted((r for r in universe.records if near[r.memory_version_id] >= MIN_SIMILARITY), key=key)
    judged = [(record.memory_version_id, spec_exclusion(universe, record, as_of_us)) for record in found]
    return [each for each, reason in judged if reason is None], [
        (each, reason) for each, reason in judged if reason is not None
    ]


@given(neighborhoods(), st.integers(0, 12))
def test_it_recalls_as_the_specification_says(
    neighborhood: tuple[Universe, dict[str, int]], as_of: int
) -> None:
    universe, near = neighborhood
    package = resolve_semantic(recall(as_of_us=as_of * SECOND, record_types=BOTH), show(universe, near))
    selected, excluded = specify(universe, near, as_of * SECOND)
    assert [each.memory_version_id for each in package.selected_items] == selected
    assert [each.memory_version_id for each in package.excluded_items] == [each for each, _ in excluded]
    assert isinstance(package.exclusions, msgspec.Struct)
    assert sum(package.exclusions.by_reason.values()) == package.exclusions.total == len(excluded)
    assert all(package.exclusions.by_reason[reason] for _, reason in excluded)
    assert (package.next_cursor, package.answer.holds_until) == (None, None)


@given(neighborhoods(), st.integers(0, 99))
def test_the_order_of_the_evidence_changes_no_byte(
    neighborhood: tuple[Universe, dict[str, int]], seed: int
) -> None:
    shuffled = resolve_semantic(recall(), show(*neighborhood, seed=seed))
    assert encode_package(shuffled) == encode_package(resolve_semantic(recall(), show(*neighborhood)))


def test_of_equally_near_records_the_one_with_authority_comes_first() -> None:
    note = make_summary(1, authority=Authority.NOTE)
    rule = make_summary(2)
    nearer = make_summary(3, authority=Authority.NOTE, truth_status=TruthStatus.OBSERVED)
    near = dict(zip((each.memory_version_id for each in (note, rule, nearer)), (50, 50, 51), strict=True))
    package = resolve_semantic(recall(), show(Universe((note, rule, nearer)), near))
    shown = [(item.memory_version_id[-1], item.why.reasons[0]) for item in package.selected_items]
    assert shown == [
        ("3", "similarity 0.51 by words"),
        ("2", "similarity 0.50 by words"),
        ("1", "similarity 0.50 by words"),
    ]


def test_an_answer_names_its_rules_its_weights_and_its_vectors() -> None:
    package = resolve_semantic(recall(), show(Universe(()), {}))
    named = package.determinism
    assert named.ruleset_version == "recall-semantic.v1"
    assert named.tie_breakers[0] == "similarity_hundredths desc"
    assert isinstance(named.meaning, msgspec.Struct)
    assert msgspec.to_builtins(named.meaning, builtin_types=(bytes,)) == {
        "model": "words",
        "weights_sha256": "0" * 64,
        "question_vector": MEANING.vector,
        "vectors_sha256": "1" * 64,
    }


def many(count: int, **changes: Any) -> tuple[Universe, dict[str, int]]:
    universe = Universe(tuple(make_summary(number, **changes) for number in range(count)))
    return universe, {each.memory_version_id: 90 for each in universe.records}


def test_pages_are_a_partition_of_the_two_hundred_nearest() -> None:
    neighborhood = many(230)
    pages: list[ContextPackage] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        pages.append(resolve_semantic(recall(cursor=cursor), show(*neighborhood)))
        found = pages[-1].next_cursor
        assert not isinstance(found, msgspec.UnsetType)
        cursor = found
    items = [item for page in pages for item in page.selected_items]
    assert [item.rank for item in items] == list(range(1, MAX_FOUND + 1))
    assert len({item.memory_version_id for item in items}) == MAX_FOUND
    assert len({page.context_package_id for page in pages}) == len(pages) == 4


def test_a_cursor_of_another_recall_other_weights_or_of_exclusions_is_refused() -> None:
    universe, near = many(60)
    expired = (make_summary(500 + n, expires_at_us=2 * SECOND) for n in range(30))
    dead = Universe((*universe.records, *expired))
    far = near | {each.memory_version_id: 30 for each in dead.records[60:]}
    first = resolve_semantic(recall(), show(dead, far))
    assert isinstance(first.exclusions, msgspec.Struct)
    other = msgspec.structs.replace(MEANING, model=Model(name="words", weights_sha256="2" * 64))
    for question in (
        recall(cursor=first.next_cursor, text="drive"),
        recall(cursor=first.next_cursor, meaning=other),
        recall(cursor=first.exclusions.next_cursor),
        recall(cursor="cur_x"),
    ):
        with pytest.raises(MistypedField, match="cursor"):
            resolve_semantic(question, show(dead, far))
    page = list_semantic_exclusions(recall(), show(dead, far), first.exclusions.next_cursor, 100)
    assert [item.rank for item in page.items] == list(range(21, 31))
    assert page.next_cursor is None


def test_more_is_read_until_enough_counts_or_there_is_no_more() -> None:
    alive, dead = many(MAX_FOUND), many(MAX_FOUND, truth_status=TruthStatus.RETRACTED)
    assert not needs_more(recall(), show(*alive), MAX_FOUND)
    assert needs_more(recall(), show(*dead), MAX_FOUND)
    assert not needs_more(recall(), show(*dead), MAX_FOUND + 1)
    assert not needs_more(recall(), show(*dead), MAX_READ)


@pytest.mark.parametrize("bad", ["\x00", "é", "𝕏"])
def test_a_package_stays_small_whatever_is_stored(bad: str) -> None:
    hostile = tuple(
        make_summary(n, memory_id=bad * (9 * n), memory_version_id=f"V{n}" if n % 3 else bad * (99 * n + 1))
        for n in range(80)
    )
    makers = [make_summary(500 + n, memory_version_id=f"{n}" + bad * 4000) for n in range(4)]
    shown = show(Universe(hostile), {each.memory_version_id: 100 for each in hostile})
    claims = tuple(make_claim(maker, old) for maker in makers for old in hostile[:40])
    for as_of_us in (5 * SECOND, 0):
        asked = recall(as_of_us=as_of_us, text=bad * 2000)
        package = resolve_semantic(asked, msgspec.structs.replace(shown, supersessions=claims))
        assert len(encode_package(package)) <= MAX_PACKAGE_BYTES
