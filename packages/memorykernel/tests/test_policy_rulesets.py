"""ordering.v1 and ordering.v2 against a naive specification, and the laws that v2 promises.

The specification is written from the wire contract's text alone: it looks at every record of a whole
universe, has loops where the resolver has keys, and shares no code with it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.context_package import encode_package
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.ordering_v1 import resolve_policy_v1
from memorykernel.core.ordering_v2 import resolve_policy_v2
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, Scope, SummaryContent
from memorykernel.core.vocabulary import Authority, Effect, RecordType, TruthStatus

HEAD = "ab" * 32
QUESTION = PolicyQuestion(text="may I?", actor="ann", action="use", resource="usb", as_of_us=5_000_000)
AUTHORITY = {"authoritative": 3, "derived": 2, "note": 1}
TRUTH = {"observed": 5, "asserted": 4, "inferred": 3, "speculative": 2, "retracted": 1}


@dataclass(frozen=True)
class Universe:
    """Everything a store holds: records, and who supersedes whom by position."""

    records: tuple[Candidate, ...]
    links: tuple[tuple[int, int], ...] = ()

    def evidence(self, order: random.Random | None = None) -> PolicyEvidence:
        claims = [
            Supersession(
                superseded_id=self.records[old].memory_version_id,
                superseder_id=(by := self.records[new]).memory_version_id,
                authority=by.authority,
                truth_status=by.truth_status,
                effective_at_us=by.effective_at_us,
            )
            for new, old in self.links
        ]
        records = list(self.records)
        if order is not None:
            order.shuffle(records)
            order.shuffle(claims)
        index = "".join(sorted(f"{r.memory_id}:{r.memory_version_id}" for r in self.records)).encode()
        return PolicyEvidence(
            head=HEAD, candidates=tuple(records), supersessions=tuple(claims), version_index=index
        )


def make_record(number: int, **changes: Any) -> Candidate:
    """A specific, asserted, authoritative deny, unless told otherwise."""
    scope = {key: changes.pop(key, default) for key, default in (("actor", "ann"), ("action", "use"))}
    scope["resource"] = changes.pop("resource", "usb")
    content = ConstraintContent(scope=Scope(**scope), effect=changes.pop("effect", Effect.DENY), note=None)
    made = Candidate(
        memory_version_id=f"V{number:025d}",
        memory_id=f"M{number:025d}",
        record_type=RecordType.CONSTRAINT,
        version=1,
        truth_status=TruthStatus.ASSERTED,
        authority=Authority.AUTHORITATIVE,
        confidence=None,
        created_at_us=1_000_000,
        effective_at_us=1_000_000,
        content=content,
    )
    return msgspec.structs.replace(made, **changes)


@st.composite
def records(draw: st.DrawFn, number: int) -> Candidate:
    changes: dict[str, Any] = {
        "actor": draw(st.sampled_from(["ann", "ann", "*", "bob"])),
        "action": draw(st.sampled_from(["use", "use", "*", "buy"])),
        "resource": draw(st.sampled_from(["usb", "usb", "*"])),
        "effect": draw(st.sampled_from(Effect)),
        "truth_status": draw(st.sampled_from(TruthStatus)),
        "authority": draw(st.sampled_from(Authority)),
        "confidence": draw(st.sampled_from([None, 0.0, 0.5, 0.9, 1.0])),
        "created_at_us": draw(st.integers(0, 3)) * 1_000_000,
        "effective_at_us": draw(st.integers(3, 6)) * 1_000_000,
    }
    made = make_record(number, **changes)
    if draw(st.integers(0, 7)) == 0:
        summary = SummaryContent(summary="a decision")
        return msgspec.structs.replace(made, record_type=RecordType.DECISION, content=summary)
    return made


@st.composite
def universes(draw: st.DrawFn, *, linked: bool = True, most: int = 8) -> Universe:
    # Ids are dealt at random, so that no order can hide in them.
    numbers = draw(st.lists(st.integers(0, 999), max_size=most, unique=True))
    made = tuple(draw(records(number)) for number in numbers)
    pairs = [(new, old) for new in range(len(made)) for old in range(new)] if linked else []
    links = draw(st.lists(st.sampled_from(pairs), max_size=6, unique=True)) if pairs else []
    return Universe(made, tuple(links))


# --- the specification -------------------------------------------------------------------------


def spec_fit(record: Candidate) -> int | None:
    if not isinstance(record.content, ConstraintContent):
        return None
    scope, score = record.content.scope, 0
    for own, asked in ((scope.actor, "ann"), (scope.action, "use"), (scope.resource, "usb")):
        if own == asked:
            score += 1
        elif own != "*":
            return None
    return score


def spec_before(a: Candidate, b: Candidate) -> bool:
    """Whether a precedes b: compared one criterion after the other, in the order of the text."""
    for mine, other in (
        (spec_fit(a), spec_fit(b)),
        (AUTHORITY[a.authority], AUTHORITY[b.authority]),
        (TRUTH[a.truth_status], TRUTH[b.truth_status]),
        (spec_confidence(a), spec_confidence(b)),
        (a.effective_at_us, b.effective_at_us),
        (a.created_at_us, b.created_at_us),
    ):
        if mine != other:
            return (mine or 0) > (other or 0)
    return (a.memory_id, a.memory_version_id) < (b.memory_id, b.memory_version_id)


def spec_confidence(record: Candidate) -> float:
    return record.confidence if record.confidence is not None else 0.5


def spec_sorted(chosen: list[Candidate]) -> list[Candidate]:
    """Insertion sort by `spec_before`."""
    ordered: list[Candidate] = []
    for record in chosen:
        place = 0
        while place < len(ordered) and spec_before(ordered[place], record):
            place += 1
        ordered.insert(place, record)
    return ordered


def spec_result(top: list[Candidate]) -> str:
    effects = {str(r.content.effect) for r in top if isinstance(r.content, ConstraintContent)}
    return effects.pop() if len(effects) == 1 else "inconclusive"


def spec_v1(universe: Universe) -> tuple[str, list[str], list[tuple[str, str]]]:
    """Result, selected ids in order, excluded (id, reason) in order."""
    superseded = {universe.records[old].memory_version_id for _, old in universe.links}
    selected, excluded = [], []
    for record in universe.records:
        if spec_fit(record) is None:
            continue
        if record.truth_status == "retracted":
            excluded.append((record, "truth_status is retracted"))
        elif record.memory_version_id in superseded:
            excluded.append((record, "record is superseded by a newer linked record"))
        else:
            selected.append(record)
    ordered = spec_sorted(selected)
    top = []
    for record in ordered:
        first = ordered[0]
        same = (record.authority, record.truth_status, spec_confidence(record)) == (
            first.authority,
            first.truth_status,
            spec_confidence(first),
        )
        if not same:
            break
        top.append(record)
    excluded.sort(key=lambda pair: (pair[0].memory_id, pair[0].memory_version_id))
    ids = [record.memory_version_id for record in ordered]
    return spec_result(top), ids, [(record.memory_version_id, reason) for record, reason in excluded]


def spec_v2(universe: Universe) -> tuple[str, list[str], list[str]]:
    """Result, selected ids in order, excluded ids in order."""
    as_of = QUESTION.as_of_us

    def counts_by_itself(record: Candidate) -> bool:
        return record.effective_at_us <= as_of and record.truth_status != "retracted"

    def strong_makers(record: Candidate) -> list[Candidate]:
        makers = [universe.records[new] for new, old in universe.links if universe.records[old] is record]
        return [
            maker
            for maker in makers
            if counts_by_itself(maker) and AUTHORITY[maker.authority] >= AUTHORITY[record.authority]
        ]

    def active_above(record: Candidate) -> list[Candidate]:
        """The active records that supersede it, directly or through records that they replaced."""
        found = []
        for maker in strong_makers(record):
            found += active_above(maker) or [maker]
        return found

    matching = spec_sorted([record for record in universe.records if spec_fit(record) is not None])
    active = [record for record in matching if counts_by_itself(record) and not active_above(record)]
    most = max((spec_fit(record) or 0 for record in active), default=0)
    ranks = [
        (AUTHORITY[r.authority], TRUTH[r.truth_status], spec_confidence(r))
        for r in active
        if spec_fit(r) == most
    ]
    top = [
        record
        for record in active
        if spec_fit(record) == most
        and (AUTHORITY[record.authority], TRUTH[record.truth_status], spec_confidence(record)) == max(ranks)
    ]
    ids = [record.memory_version_id for record in active]
    missed = [record.memory_version_id for record in matching if record.memory_version_id not in ids]
    return spec_result(top), ids, missed[:20]


# --- against the specification -----------------------------------------------------------------


@given(universes())
def test_v1_answers_as_the_specification_says(universe: Universe) -> None:
    package = resolve_policy_v1(QUESTION, universe.evidence())
    result, selected, excluded = spec_v1(universe)
    assert package.answer.result == result
    assert [item.memory_version_id for item in package.selected_items] == selected
    assert [(item.memory_version_id, *item.why.reasons) for item in package.excluded_items] == excluded
    assert [item.rank for item in package.selected_items] == list(range(1, len(selected) + 1))


@given(universes())
def test_v2_answers_as_the_specification_says(universe: Universe) -> None:
    package = resolve_policy_v2(QUESTION, universe.evidence())
    result, selected, missed = spec_v2(universe)
    assert package.answer.result == result
    assert [item.memory_version_id for item in package.selected_items] == selected
    assert [item.memory_version_id for item in package.excluded_items] == missed


@pytest.mark.parametrize("resolve", [resolve_policy_v1, resolve_policy_v2])
@given(universe=universes(), seed=st.integers(0, 2**16))
def test_the_order_of_the_evidence_changes_no_byte(
    resolve: Callable[[PolicyQuestion, PolicyEvidence], Any], universe: Universe, seed: int
) -> None:
    shuffled = universe.evidence(random.Random(seed))
    assert encode_package(resolve(QUESTION, shuffled)) == encode_package(
        resolve(QUESTION, universe.evidence())
    )


# --- the laws of ordering.v2 -------------------------------------------------------------------


def rank(record: Candidate) -> tuple[int, int, int, float]:
    return (
        spec_fit(record) or 0,
        AUTHORITY[record.authority],
        TRUTH[record.truth_status],
        spec_confidence(record),
    )


@given(universe=universes(linked=False), extra=records(5000))
def test_v2_an_unrelated_or_lower_record_never_changes_the_answer(
    universe: Universe, extra: Candidate
) -> None:
    before = resolve_policy_v2(QUESTION, universe.evidence())
    by_id = {record.memory_version_id: record for record in universe.records}
    selected = [by_id[item.memory_version_id] for item in before.selected_items]
    unrelated = spec_fit(extra) is None
    if not (unrelated or (selected and rank(extra) < rank(selected[0]))):
        return
    after = resolve_policy_v2(QUESTION, Universe((*universe.records, extra)).evidence())
    assert after.answer == before.answer


def test_v1_is_not_monotonic_which_is_why_v2_exists() -> None:
    specific = make_record(1, effect=Effect.DENY)
    wildcard = make_record(2, effect=Effect.ALLOW, actor="*")
    assert resolve_policy_v1(QUESTION, Universe((specific,)).evidence()).answer.result == "deny"
    both = Universe((specific, wildcard)).evidence()
    assert resolve_policy_v1(QUESTION, both).answer.result == "inconclusive"
    assert resolve_policy_v2(QUESTION, both).answer.result == "deny"


@given(universes(linked=False))
def test_v2_only_the_most_specific_active_records_decide(universe: Universe) -> None:
    package = resolve_policy_v2(QUESTION, universe.evidence())
    if not package.selected_items:
        return
    best = max(item.why.rule_scores.scope_match for item in package.selected_items if item.why.rule_scores)
    chosen = {
        item.memory_version_id
        for item in package.selected_items
        if item.why.rule_scores and item.why.rule_scores.scope_match == best
    }
    alone = Universe(tuple(r for r in universe.records if r.memory_version_id in chosen))
    assert resolve_policy_v2(QUESTION, alone.evidence()).answer == package.answer


def test_v2_equal_precedence_with_both_effects_is_inconclusive_and_names_them() -> None:
    denies, allows = make_record(1), make_record(2, effect=Effect.ALLOW, created_at_us=3_000_000)
    answer = resolve_policy_v2(QUESTION, Universe((denies, allows)).evidence()).answer
    assert answer.result == "inconclusive"
    assert answer.why == (
        "Top-precedence constraints conflict (allow and deny):"
        f" allow {allows.memory_version_id}; deny {denies.memory_version_id}"
    )


def test_v2_a_conflict_of_many_names_ten_a_side_and_counts_the_rest() -> None:
    sides = [make_record(n, effect=Effect.ALLOW if n < 12 else Effect.DENY) for n in range(13)]
    why = resolve_policy_v2(QUESTION, Universe(tuple(sides)).evidence()).answer.why
    assert "and 2 more; deny V" in why


def test_v2_a_record_does_not_count_before_it_is_in_effect() -> None:
    later = make_record(1, effective_at_us=QUESTION.as_of_us + 1)
    package = resolve_policy_v2(QUESTION, Universe((later,)).evidence())
    assert package.answer.why == "No active matching constraints were found"
    assert package.excluded_items[0].why.reasons == ("effective_at is later than as_of",)
    assert "exclude: not in effect 1, retracted 0, superseded 0" in package.ordering_trace
    now = make_record(1, effective_at_us=QUESTION.as_of_us)
    assert resolve_policy_v2(QUESTION, Universe((now,)).evidence()).answer.result == "deny"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"authority": Authority.NOTE}, "authority note is below authoritative"),
        ({"truth_status": TruthStatus.RETRACTED}, "it is retracted"),
        ({"effective_at_us": 9_000_000}, "it is not in effect at as_of"),
    ],
)
def test_v2_a_weak_link_supersedes_nothing_and_is_named(changes: dict[str, Any], reason: str) -> None:
    rule, weak = make_record(1), make_record(2, actor="bob", **changes)
    universe = Universe((rule, weak), ((1, 0),))
    package = resolve_policy_v2(QUESTION, universe.evidence())
    assert package.answer.result == "deny"
    assert (
        package.selected_items[0].why.reasons[-1] == f"not superseded by {weak.memory_version_id}: {reason}"
    )
    assert resolve_policy_v1(QUESTION, universe.evidence()).answer.result == "inconclusive"


def test_v2_a_replaced_rule_does_not_come_back_when_its_replacement_is_replaced() -> None:
    chain = (make_record(1), make_record(2, effect=Effect.ALLOW), make_record(3, effect=Effect.ALLOW))
    package = resolve_policy_v2(QUESTION, Universe(chain, ((1, 0), (2, 1))).evidence())
    assert [item.memory_version_id for item in package.selected_items] == [chain[2].memory_version_id]


def test_v2_a_record_that_names_itself_supersedes_nothing() -> None:
    package = resolve_policy_v2(QUESTION, Universe((make_record(1),), ((0, 0),)).evidence())
    assert package.answer.result == "deny"


def test_v2_a_cycle_in_a_damaged_store_fails_to_inconclusive() -> None:
    pair = (make_record(1), make_record(2))
    package = resolve_policy_v2(QUESTION, Universe(pair, ((0, 1), (1, 0))).evidence())
    assert package.answer.result == "inconclusive"


def test_v2_shows_the_twenty_nearest_misses_and_counts_them_all() -> None:
    retracted = tuple(
        make_record(n, truth_status=TruthStatus.RETRACTED, actor="ann" if n % 2 else "*") for n in range(30)
    )
    package = resolve_policy_v2(QUESTION, Universe(retracted).evidence())
    assert len(package.excluded_items) == 20
    assert "exclude: not in effect 0, retracted 30, superseded 0" in package.ordering_trace
    assert "limit: excluded_items shows the 20 nearest of 30" in package.ordering_trace
    nearest = [item.memory_version_id for item in package.excluded_items[:15]]
    assert nearest == [record.memory_version_id for record in retracted if int(record.memory_id[1:]) % 2]


# --- ids ---------------------------------------------------------------------------------------


def test_v1_ids_follow_the_published_algorithm() -> None:
    universe = Universe((make_record(2), make_record(1, resource="other")))
    package = resolve_policy_v1(QUESTION, universe.evidence())
    text = "may I?5query_mode=policyactor=annaction=useresource=usb"
    names = "".join(f"M{n:025d}:V{n:025d}" for n in (1, 2))
    expected = "txn_" + hashlib.sha256((text + names).encode()).hexdigest()[:16]
    assert package.determinism.snapshot_id == expected
    assert package.context_package_id == f"cpkg_5_{expected}"
    assert package.generated_at == package.query.as_of == "1970-01-01T00:00:05Z"


def test_v2_the_id_names_question_time_and_state() -> None:
    evidence = Universe((make_record(1),)).evidence()
    base = resolve_policy_v2(QUESTION, evidence)
    assert base.determinism.snapshot_id == f"txn_{HEAD}"
    changed: list[dict[str, Any]] = [{"text": "x"}, {"actor": "x"}, {"as_of_us": 5_000_001}]
    others = [msgspec.structs.replace(QUESTION, **change) for change in changed]
    ids = {resolve_policy_v2(each, evidence).context_package_id for each in (QUESTION, *others)}
    other_state = msgspec.structs.replace(evidence, head="cd" * 32)
    ids.add(resolve_policy_v2(QUESTION, other_state).context_package_id)
    assert len(ids) == len(others) + 2


def test_v1_strings_are_as_published() -> None:
    package = msgspec.to_builtins(resolve_policy_v1(QUESTION, Universe((make_record(1),)).evidence()))
    assert package["answer"]["why"] == "Highest-precedence active constraint denies the action"
    assert package["selected_items"][0]["why"]["reasons"] == (
        "scope specificity score=3 for actor/action/resource",
        "passed active filters (not retracted, not superseded)",
    )
    assert package["ordering_trace"] == (
        "filter: record_type=constraint",
        "filter: scope_match(actor, action, resource)",
        "exclude: retracted and superseded",
        "sort: precedence tuple with deterministic tie-breakers",
    )


def test_a_question_about_a_wildcard_counts_an_equal_wildcard_as_exact() -> None:
    question = msgspec.structs.replace(QUESTION, actor="*")
    package = resolve_policy_v2(question, Universe((make_record(1, actor="*"), make_record(2))).evidence())
    assert [item.memory_version_id for item in package.selected_items] == [f"V{1:025d}"]
    assert package.selected_items[0].why.rule_scores is not None
    assert package.selected_items[0].why.rule_scores.scope_match == 1.0
