"""ordering.v3 against the naive specification, and the laws that it promises."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memorykernel.core.context_package import ContextPackage, encode_package
from memorykernel.core.evidence import Candidate
from memorykernel.core.instant import format_instant, parse_instant
from memorykernel.core.ordering_v2 import resolve_policy_v2
from memorykernel.core.ordering_v3 import decide_policy_v3, resolve_policy_v3
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.ruleset import POLICY_RULESETS
from memorykernel.core.vocabulary import Authority, Effect, Field, Match, TruthStatus

from packages.memorykernel.tests.core_v4.naive_spec import spec_answer, spec_instants, spec_rank
from packages.memorykernel.tests.core_v4.small_world import (
    ACTORS,
    SECOND,
    Universe,
    ask,
    make_membership,
    make_rule,
    questions,
    rules,
    universes,
)

many = settings(max_examples=200)
"""Universes, each with every question of `ASKED`: thousands of cases."""

ASKED = [
    ask(as_of, actor=actor, resource=resource)
    for as_of in (0, 2, 4, 7, 11)
    for actor in ACTORS
    for resource in ("usb", "disk:1")
]


def resolve(universe: Universe, question: PolicyQuestion | None = None) -> ContextPackage:
    return resolve_policy_v3(question or ask(), universe.evidence())


@many
@given(universes())
def test_it_answers_as_the_specification_says(universe: Universe) -> None:
    for question in ASKED:
        compare_with_specification(universe, question)


def compare_with_specification(universe: Universe, question: PolicyQuestion) -> None:
    package, spec = resolve(universe, question), spec_answer(universe, question)
    assert package.answer.result == spec.result
    assert decide_policy_v3(question, universe.evidence()) == spec.result
    assert [each.memory_version_id for each in package.selected_items] == spec.selected
    assert [each.memory_version_id for each in package.excluded_items] == [each for each, _ in spec.excluded]
    assert isinstance(package.exclusions, msgspec.Struct)
    assert package.exclusions.total == len(spec.excluded)
    counted = {reason: count for reason, count in package.exclusions.by_reason.items() if count}
    assert counted == {
        reason: sum(each == reason for _, each in spec.excluded) for _, reason in spec.excluded
    }


@many
@given(universes())
def test_it_holds_exactly_until_the_result_changes(universe: Universe) -> None:
    for question in ASKED[::3]:
        compare_validity(universe, question)


def compare_validity(universe: Universe, question: PolicyQuestion) -> None:
    now = spec_answer(universe, question).result
    later = (instant for instant in spec_instants(universe) if instant > question.as_of_us)
    changes = (
        instant
        for instant in later
        if spec_answer(universe, msgspec.structs.replace(question, as_of_us=instant)).result != now
    )
    first = next(changes, None)
    holds_until = resolve(universe, question).answer.holds_until
    assert holds_until == (None if first is None else format_instant(first))


def test_expiry_ends_effect_but_not_supersession() -> None:
    old, new = make_rule(1), make_rule(2, effect=Effect.ALLOW, expires_at_us=4 * SECOND)
    package = resolve(Universe((old, new), ((1, 0),)))
    assert package.answer.result == "inconclusive"
    reasons = {each.memory_version_id: each.why.reasons for each in package.excluded_items}
    assert reasons[old.memory_version_id] == (f"record is superseded by {new.memory_version_id}",)
    assert reasons[new.memory_version_id] == ("expires_at is not later than as_of",)


def test_a_membership_that_does_not_count_is_named() -> None:
    rule = make_rule(1, actor="staff", actor_match=Match.GROUP)
    ended = make_membership(2, Field.ACTOR, "staff", "ann", expires_at_us=3 * SECOND)
    package = resolve(Universe((rule, ended)))
    assert package.excluded_items[0].why.reasons == (
        f"membership does not count: actor is a member of 'staff' by {ended.memory_version_id}: expired",
    )
    renewed = make_membership(3, Field.ACTOR, "staff", "ann", expires_at_us=9 * SECOND)
    package = resolve(Universe((rule, ended, renewed)))
    assert package.answer.result == "deny"
    assert package.answer.holds_until == "1970-01-01T00:00:09Z"
    assert package.selected_items[0].why.reasons[1] == "actor is a member of 'staff'"
    assert isinstance(package.determinism.inputs, msgspec.Struct)
    assert package.determinism.inputs.records == 3


@given(universes(linked=False, most=5))
def test_without_patterns_and_expiry_it_decides_as_v2(universe: Universe) -> None:
    plain = {"actor_match": Match.EXACT, "action_match": Match.EXACT, "resource_match": Match.EXACT}
    records = []
    for each in universe.records:
        if not hasattr(each.content, "scope"):
            continue
        scope = msgspec.structs.replace(each.content.scope, **plain)
        content = msgspec.structs.replace(each.content, scope=scope)
        records.append(msgspec.structs.replace(each, content=content, expires_at_us=None))
    evidence = Universe(tuple(records)).evidence()
    old, new = resolve_policy_v2(ask(), evidence), resolve_policy_v3(ask(), evidence)
    assert (new.answer.result, new.answer.why) == (old.answer.result, old.answer.why)
    ids = [[each.memory_version_id for each in package.selected_items] for package in (old, new)]
    assert ids[0] == ids[1]


def test_the_times_of_the_question_are_part_of_its_id() -> None:
    universe = Universe((make_rule(1),))
    known = ask(as_known_at="txn_" + "cd" * 32)
    first, second = resolve(universe), resolve(universe, known)
    assert first.context_package_id != second.context_package_id
    assert first.query.as_known_at is None
    assert second.query.as_known_at == known.as_known_at
    assert POLICY_RULESETS["ordering.v3"].needs_patterns


@given(universes(), questions(), st.integers(0, 2**16))
def test_the_order_of_the_evidence_changes_no_byte(
    universe: Universe, question: PolicyQuestion, seed: int
) -> None:
    shuffled = universe.evidence(random.Random(seed))
    assert encode_package(resolve_policy_v3(question, shuffled)) == encode_package(
        resolve(universe, question)
    )


@given(universes(), rules(5000), questions())
def test_a_rule_that_does_not_match_changes_no_byte_and_a_lower_one_no_answer(
    universe: Universe, extra: Candidate, question: PolicyQuestion
) -> None:
    before = resolve(universe, question)
    more = Universe((*universe.records, extra), universe.links)
    after = resolve(more, question)
    seen = spec_answer(more, question)
    if extra.memory_version_id not in (*seen.selected, *(each for each, _ in seen.excluded)):
        assert encode_package(after) == encode_package(before)
        return
    by_id = {each.memory_version_id: each for each in universe.records}
    top = [by_id[each.memory_version_id] for each in before.selected_items[:1]]
    if extra.memory_version_id not in seen.selected or (top and spec_rank(extra) < spec_rank(top[0])):
        assert after.answer.result == before.answer.result
        assert after.answer.why == before.answer.why


@given(universes(), questions())
def test_as_of_before_and_behind_everything(universe: Universe, question: PolicyQuestion) -> None:
    instants = spec_instants(universe) or [0]
    early = msgspec.structs.replace(question, as_of_us=instants[0] - 1)
    assert resolve(universe, early).selected_items == ()
    late = msgspec.structs.replace(question, as_of_us=instants[-1])
    answer = resolve(universe, late).answer
    assert answer.holds_until is None
    much_later = msgspec.structs.replace(question, as_of_us=instants[-1] + 10**9 * SECOND)
    assert resolve(universe, much_later).answer == answer


@given(universes(), questions())
def test_between_two_answers_nothing_changes(universe: Universe, question: PolicyQuestion) -> None:
    answer = resolve(universe, question).answer
    if isinstance(answer.holds_until, str):
        change = parse_instant(answer.holds_until, field="holds_until")
        before = msgspec.structs.replace(question, as_of_us=change - 1)
        assert resolve(universe, before).answer.result == answer.result
        at = msgspec.structs.replace(question, as_of_us=change)
        assert resolve(universe, at).answer.result != answer.result


WIDER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"actor": "*"}),
    ({"resource": "disk:1"}, {"resource": "disk:", "resource_match": Match.PREFIX}),
    ({}, {"action": "tools", "action_match": Match.GROUP}),
    (
        {"actor": "ops/night/", "actor_match": Match.PREFIX},
        {"actor": "ops/", "actor_match": Match.PREFIX},
    ),
    ({"action": "tools", "action_match": Match.GROUP}, {"action": "*"}),
]


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
@pytest.mark.parametrize("effect", Effect)
def test_a_rule_is_never_overruled_by_one_whose_scope_contains_its_own(
    narrow: dict[str, Any], wide: dict[str, Any], effect: Effect
) -> None:
    other = Effect.ALLOW if effect is Effect.DENY else Effect.DENY
    weak = make_rule(1, effect=effect, authority=Authority.NOTE, confidence=0.0, **narrow)
    strong = make_rule(2, effect=other, truth_status=TruthStatus.OBSERVED, confidence=1.0, **wide)
    member = make_membership(3, Field.ACTION, "tools", "use")
    values = {key: value for key, value in narrow.items() if key in ("actor", "resource")}
    if "actor" in values:
        values["actor"] += "eve"
    assert resolve(Universe((weak, strong, member)), ask(**values)).answer.result == effect.value
