"""Comparisons of two answers against brute force, and whom they name in plain cases."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from memorykernel.core.comparison import MAX_STEPS, Comparison, Side, compare_answers
from memorykernel.core.context_package import ContextPackage
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.ordering_v1 import resolve_policy_v1
from memorykernel.core.ordering_v2 import resolve_policy_v2
from memorykernel.core.ordering_v3 import resolve_policy_v3
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.vocabulary import Effect, Field, Match

from packages.memorykernel.tests.core_v4.naive_spec import spec_answer
from packages.memorykernel.tests.core_v4.small_world import (
    SECOND,
    Universe,
    ask,
    make_membership,
    make_rule,
    questions,
    universes,
    without,
)


def compare(question: PolicyQuestion, before: PolicyEvidence, after: PolicyEvidence) -> Comparison:
    return compare_answers(
        question,
        Side(resolve=resolve_policy_v3, evidence=before),
        Side(resolve=resolve_policy_v3, evidence=after),
    )


@settings(max_examples=200)
@given(universes(most=6), questions())
def test_of_two_states_a_smallest_set_of_what_was_written_in_between_is_responsible(
    universe: Universe, question: PolicyQuestion
) -> None:
    early = tuple(range(len(universe.records) // 2, len(universe.records)))
    before = without(universe, early)
    found = compare(question, before.evidence(), universe.evidence())
    assert (found.before, found.after) == (
        spec_answer(before, question).result,
        spec_answer(universe, question).result,
    )
    assert found.flips == (found.before != found.after) == bool(found.responsible)
    if not found.flips:
        return
    by_id = {each.memory_version_id: n for n, each in enumerate(universe.records)}
    assert {by_id[each] for each in found.responsible} <= set(early)
    assert restores(universe, early, found, question, [by_id[each] for each in found.responsible])
    for size in range(1, len(found.responsible)):
        for chosen in combinations(early, size):
            assert not restores(universe, early, found, question, list(chosen))


def restores(
    universe: Universe, late: tuple[int, ...], found: Comparison, question: PolicyQuestion, chosen: list[int]
) -> bool:
    """Whether without the chosen the later result is as before, or with them the earlier as after."""
    less = without(universe, tuple(chosen))
    more = without(universe, tuple(set(late) - set(chosen)))
    return (
        spec_answer(less, question).result == found.before
        or spec_answer(more, question).result == found.after
    )


def compare_rules(*records: Candidate) -> Comparison:
    evidence = Universe(records).evidence()
    return compare_answers(
        ask(),
        Side(resolve=resolve_policy_v1, evidence=evidence),
        Side(resolve=resolve_policy_v2, evidence=evidence),
    )


def test_of_two_rulesets_the_record_that_they_see_otherwise_is_responsible() -> None:
    specific, wildcard = make_rule(1), make_rule(2, effect=Effect.ALLOW, actor="*")
    found = compare_rules(specific, wildcard)
    assert (found.before, found.after, found.flips) == ("inconclusive", "deny", True)
    assert found.responsible == (wildcard.memory_version_id,)
    assert found.minimal
    later = make_rule(3, effective_at_us=9 * SECOND)
    assert compare_rules(later).responsible == (later.memory_version_id,)
    assert compare_rules(specific) == Comparison(
        before=found.after, after=found.after, flips=False, responsible=(), minimal=True, steps=4
    )


def test_a_link_written_later_makes_its_maker_responsible() -> None:
    old, new = make_rule(1), make_rule(2, effect=Effect.ALLOW, actor="bob")
    before, after = Universe((old, new)).evidence(), Universe((old, new), ((1, 0),)).evidence()
    assert compare(ask(), before, after).responsible == (new.memory_version_id,)


def test_a_membership_can_be_responsible() -> None:
    rule = make_rule(1, actor="staff", actor_match=Match.GROUP)
    member = make_membership(2, Field.ACTOR, "staff", "ann")
    found = compare(ask(), Universe((rule,)).evidence(), Universe((rule, member)).evidence())
    assert found.responsible == (member.memory_version_id,)


def test_of_many_records_a_set_that_cannot_be_thinned_is_responsible() -> None:
    early = tuple(make_rule(n, effect=Effect.ALLOW, actor="*") for n in range(3))
    late = tuple(make_rule(100 + n) for n in range(12))
    found = compare(ask(), Universe(early).evidence(), Universe((*early, *late)).evidence())
    assert found.responsible == (late[0].memory_version_id,)
    many = tuple(make_rule(200 + n, effective_at_us=(n % 2) * 9 * SECOND) for n in range(60))
    found = compare_rules(*early, *many)
    assert found.flips
    assert found.responsible


def test_the_work_of_a_comparison_does_not_grow_with_the_square_of_the_records() -> None:
    looked_at = 0

    def resolve(question: PolicyQuestion, evidence: PolicyEvidence) -> ContextPackage:
        nonlocal looked_at
        looked_at += len(evidence.candidates)
        return resolve_policy_v3(question, evidence)

    rules = tuple(make_rule(n) for n in range(900))
    sides = (Side(resolve=resolve, evidence=Universe(rules[:most]).evidence()) for most in (900, 0))
    found = compare_answers(ask(), *sides)
    assert (found.flips, len(found.responsible)) == (True, 1)
    assert looked_at < 2 * MAX_STEPS + 10 * len(rules)
