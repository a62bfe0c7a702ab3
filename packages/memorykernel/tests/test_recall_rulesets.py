"""recall-ordering.v1 and recall-ordering.v2 against a naive specification, and their words."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Set
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.context_package import encode_package
from memorykernel.core.evidence import Candidate, RecallEvidence, Supersession
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v1 import resolve_recall_v1
from memorykernel.core.recall_ordering_v2 import resolve_recall_v2
from memorykernel.core.record import ConstraintContent, Scope, SummaryContent
from memorykernel.core.terms import ascii_terms, describe_content, unicode_terms
from memorykernel.core.vocabulary import Authority, Effect, RecordType, SummaryType, TruthStatus

HEAD = "ab" * 32
AUTHORITY = {"authoritative": 3, "derived": 2, "note": 1}
TRUTH = {"observed": 5, "asserted": 4, "inferred": 3, "speculative": 2, "retracted": 1}
WORDS = ["usb", "drive", "Drive", "policy", "x"]


def ask(text: str = "usb drive", *types: RecordType) -> RecallQuestion:
    return RecallQuestion(text=text, record_types=types, as_of_us=5_000_000)


def make_record(number: int, summary: str = "usb drive", **changes: Any) -> Candidate:
    made = Candidate(
        memory_version_id=f"V{number:025d}",
        memory_id=f"M{number:025d}",
        record_type=RecordType.DECISION,
        version=1,
        truth_status=TruthStatus.ASSERTED,
        authority=Authority.DERIVED,
        confidence=None,
        created_at_us=1_000_000,
        effective_at_us=1_000_000,
        content=SummaryContent(summary=summary),
    )
    return msgspec.structs.replace(made, **changes)


def evidence(
    records: list[Candidate], superseded: Set[str] = frozenset(), terms: Any = unicode_terms, text: str = ""
) -> RecallEvidence:
    asked = set(terms(text or "usb drive"))
    return RecallEvidence(
        head=HEAD,
        candidates=tuple(records),
        supersessions=tuple(
            Supersession(
                superseded_id=each,
                superseder_id="W" * 26,
                authority=Authority.AUTHORITATIVE,
                truth_status=TruthStatus.OBSERVED,
                effective_at_us=0,
            )
            for each in superseded
        ),
        matched={r.memory_version_id: len(asked & set(terms(describe_content(r.content)))) for r in records},
        version_index="".join(sorted(f"{r.memory_id}:{r.memory_version_id}" for r in records)).encode(),
    )


@st.composite
def universes(draw: st.DrawFn) -> tuple[list[Candidate], set[str]]:
    numbers = draw(st.lists(st.integers(0, 999), max_size=8, unique=True))
    made = [
        make_record(
            number,
            " ".join(draw(st.lists(st.sampled_from(WORDS), max_size=4))) or "nothing",
            record_type=draw(st.sampled_from([RecordType(each) for each in SummaryType])),
            truth_status=draw(st.sampled_from(TruthStatus)),
            authority=draw(st.sampled_from(Authority)),
            confidence=draw(st.sampled_from([None, 0.5, 0.9])),
            created_at_us=draw(st.integers(0, 2)),
            effective_at_us=draw(st.integers(3, 6)) * 1_000_000,
        )
        for number in numbers
    ]
    ids = [record.memory_version_id for record in made]
    superseded = draw(st.sets(st.sampled_from(ids), max_size=2)) if ids else set()
    return made, superseded


def spec_order(matched: int, record: Candidate) -> tuple[Any, ...]:
    confidence = 0.5 if record.confidence is None else record.confidence
    best_first = (matched, AUTHORITY[record.authority], TRUTH[record.truth_status], confidence)
    times = (record.effective_at_us, record.created_at_us)
    return (*(-each for each in (*best_first, *times)), record.memory_id, record.memory_version_id)


def spec_matched(record: Candidate) -> int:
    """How many of 'usb' and 'drive' the summary has, in any case."""
    assert isinstance(record.content, SummaryContent)
    held = {word.lower() for word in record.content.summary.split(" ")}
    return ("usb" in held) + ("drive" in held)


@given(universes())
def test_v1_recalls_as_the_specification_says(universe: tuple[list[Candidate], set[str]]) -> None:
    records, superseded = universe
    package = resolve_recall_v1(ask(), evidence(records, superseded, ascii_terms))
    reasons = {}
    for record in records:
        if record.truth_status == "retracted":
            reasons[record.memory_version_id] = "truth_status is retracted"
        elif record.memory_version_id in superseded:
            reasons[record.memory_version_id] = "record is superseded by a newer linked record"
        elif not spec_matched(record):
            reasons[record.memory_version_id] = "no lexical overlap with query text"
    selected = [record for record in records if record.memory_version_id not in reasons]
    selected.sort(key=lambda record: spec_order(spec_matched(record), record))
    assert [i.memory_version_id for i in package.selected_items] == [r.memory_version_id for r in selected]
    assert [(i.memory_version_id, *i.why.reasons) for i in package.excluded_items] == sorted(reasons.items())
    assert package.answer.why == (
        f"Recall query selected {len(selected)} memories across record types"
        " [decision, preference, event, outcome]"
    )


@given(universes())
def test_v2_recalls_as_the_specification_says(universe: tuple[list[Candidate], set[str]]) -> None:
    records, superseded = universe
    package = resolve_recall_v2(ask(), evidence(records, superseded))
    found = [record for record in records if spec_matched(record)]
    found.sort(key=lambda record: spec_order(spec_matched(record), record))
    active = [
        record.memory_version_id
        for record in found
        if record.truth_status != "retracted"
        and record.effective_at_us <= 5_000_000
        and record.memory_version_id not in superseded
    ]
    missed = [r.memory_version_id for r in found if r.memory_version_id not in active]
    assert [item.memory_version_id for item in package.selected_items] == active
    assert [item.memory_version_id for item in package.excluded_items] == missed
    assert package.answer.result == "inconclusive"


@given(universe=universes(), seed=st.integers(0, 999))
def test_the_order_of_the_evidence_changes_no_byte(
    universe: tuple[list[Candidate], set[str]], seed: int
) -> None:
    records, superseded = universe
    shuffled = random.Random(seed).sample(records, len(records))
    for resolve, terms in ((resolve_recall_v1, ascii_terms), (resolve_recall_v2, unicode_terms)):
        one = resolve(ask(), evidence(records, superseded, terms))
        assert encode_package(one) == encode_package(resolve(ask(), evidence(shuffled, superseded, terms)))


def test_v2_is_bounded_and_says_what_it_left_out() -> None:
    records = [make_record(n) for n in range(90)]
    package = resolve_recall_v2(ask(), evidence(records))
    assert (len(package.selected_items), len(package.excluded_items)) == (50, 20)
    assert package.excluded_items[0].why.reasons == ("ranked below the 50 selected",)
    assert package.ordering_trace[2:4] == (
        "exclude: not in effect 0, retracted 0, superseded 0, ranked below the 50 selected 40",
        "limit: excluded_items shows the 20 nearest of 40",
    )


def test_v1_selected_items_and_trace_are_as_published() -> None:
    package = resolve_recall_v1(ask("usb stick"), evidence([make_record(1)], terms=ascii_terms))
    assert package.selected_items[0].why.reasons == (
        "lexical relevance matched 1/2 normalized terms",
        "record_type=decision included in recall scope",
        "passed active filters (not retracted, not superseded)",
    )
    assert package.selected_items[0].why.rule_scores is not None
    assert package.selected_items[0].why.rule_scores.scope_match == 0.5
    assert package.ordering_trace == (
        "filter: record_type in [decision, preference, event, outcome]",
        "filter: lexical overlap with normalized query terms",
        "exclude: retracted and superseded",
        "sort: recall precedence tuple with deterministic tie-breakers",
    )
    assert (package.query.actor, package.query.action, package.query.resource) == ("*", "*", "*")
    assert package.determinism.tie_breakers[0] == "lexical_match_count desc"


def test_v1_keeps_types_as_given_and_sorts_them_for_the_snapshot() -> None:
    question = ask("usb", RecordType.PREFERENCE, RecordType.EVENT, RecordType.PREFERENCE)
    package = resolve_recall_v1(question, evidence([]))
    assert package.ordering_trace[0] == "filter: record_type in [preference, event]"
    text = b"usb5query_mode=recallrecord_types=event,preference"
    assert package.determinism.snapshot_id == "txn_" + hashlib.sha256(text).hexdigest()[:16]


def test_v2_lists_types_in_the_order_of_the_vocabulary() -> None:
    one = resolve_recall_v2(ask("usb", RecordType.OUTCOME, RecordType.EVENT), evidence([]))
    other = resolve_recall_v2(ask("usb", RecordType.EVENT, RecordType.OUTCOME), evidence([]))
    assert encode_package(one) == encode_package(other)


@pytest.mark.parametrize("resolve", [resolve_recall_v1, resolve_recall_v2])
def test_a_constraint_is_found_by_scope_and_note_only_when_asked_for(resolve: Any) -> None:
    scope = Scope(actor="user", action="use", resource="drive")
    content = ConstraintContent(scope=scope, effect=Effect.DENY, note="usb")
    rule = make_record(1, record_type=RecordType.CONSTRAINT, content=content)
    assert resolve(ask(), evidence([rule])).selected_items == ()
    found = resolve(ask("usb drive", RecordType.CONSTRAINT), evidence([rule])).selected_items
    assert found[0].why.reasons[0] == "lexical relevance matched 2/2 normalized terms"


@pytest.mark.parametrize("text", ["!!!", "é", "-"])
def test_a_text_without_terms_selects_nothing(text: str) -> None:
    assert resolve_recall_v1(ask(text), evidence([make_record(1)], text=text)).selected_items == ()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("USB drives, USB", ("drives", "usb")),
        ("it's a_b c-d x", ("a_b", "c-d", "its")),
        ("café naïve", ("caf", "nave")),
        ("one\u2003two\x1cthree", ("one", "twothree")),
        ("日本語", ()),
    ],
)
def test_ascii_terms(text: str, terms: tuple[str, ...]) -> None:
    assert ascii_terms(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("USB_drive-policy, USB", ("drive", "policy", "usb")),
        ("STRASSE straße", ("strasse",)),
        ("Ｃａｆé cafe\u0301", ("café",)),
        ("नीति हिन्दी", ("नीति", "हिन्दी")),
        ("日本の規則", ("の", "則", "日", "本", "規")),
        ("rule 7, a x", ("7", "rule")),
        ("سياسة الأجهزة", ("الأجهزة", "سياسة")),
    ],
)
def test_unicode_terms(text: str, terms: tuple[str, ...]) -> None:
    assert unicode_terms(text) == terms


@given(st.text(max_size=40))
def test_terms_are_unique_sorted_and_found_again_in_themselves(text: str) -> None:
    for split in (ascii_terms, unicode_terms):
        terms = split(text)
        assert list(terms) == sorted(set(terms))
        assert set(split(" ".join(terms))) == set(terms)
