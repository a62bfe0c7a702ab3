"""Counterfactuals against brute force, and what they say of plain cases."""

from __future__ import annotations

import random
from itertools import combinations, product

import msgspec
from hypothesis import given, settings
from memorykernel.core.counterfactual import Counterfactual, Flip, find_counterfactual
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.vocabulary import Authority, Effect, Result, TruthStatus

from packages.memorykernel.tests.core_v4.naive_spec import spec_answer
from packages.memorykernel.tests.core_v4.small_world import (
    Universe,
    ask,
    make_rule,
    questions,
    universes,
    without,
)

some = settings(max_examples=200)


def spec_removals(universe: Universe, question: PolicyQuestion) -> set[tuple[str, ...]]:
    """Every smallest set, of up to three records, that gives another result when it is removed."""
    result = spec_answer(universe, question).result
    for size in (1, 2, 3):
        found = {
            tuple(sorted(universe.records[n].memory_version_id for n in removed))
            for removed in combinations(range(len(universe.records)), size)
            if spec_answer(without(universe, removed), question).result != result
        }
        if found:
            return found
    return set()


def explain(question: PolicyQuestion, universe: Universe) -> Counterfactual:
    """As a store would show it: only the superseders of what matches, not their contents."""
    return find_counterfactual(question, universe.evidence())


@some
@given(universes(), questions())
def test_removals_are_all_the_smallest_ones(universe: Universe, question: PolicyQuestion) -> None:
    found = explain(question, universe)
    removals = [each for each in found.flips if each.change == "remove"]
    expected = spec_removals(universe, question)
    assert {each.memory_version_ids for each in removals} == expected
    assert len(removals) == len(expected)
    assert (found.result, found.truncated) == (spec_answer(universe, question).result, False)
    by_id = {each.memory_version_id: n for n, each in enumerate(universe.records)}
    for flip in removals:
        assert isinstance(flip.memory_version_ids, tuple)
        left = without(universe, tuple(by_id[each] for each in flip.memory_version_ids))
        assert spec_answer(left, question).result == flip.result_after != found.result


def add(universe: Universe, flip: Flip | None, question: PolicyQuestion, **standing: object) -> Universe:
    scope = {"actor": question.actor, "action": question.action, "resource": question.resource}
    if flip is not None:
        assert isinstance(flip.addition, msgspec.Struct)
        named = ("effect", "authority", "truth_status", "confidence")
        standing = {name: getattr(flip.addition, name) for name in named}
    rule = make_rule(7777, effective_at_us=question.as_of_us, **scope, **standing)
    return Universe((*universe.records, rule), universe.links)


@some
@given(universes(most=5), questions())
def test_additions_are_enough_and_no_more_than_that(universe: Universe, question: PolicyQuestion) -> None:
    found = explain(question, universe)
    additions = {
        each.addition.effect: each for each in found.flips if isinstance(each.addition, msgspec.Struct)
    }
    truths = [TruthStatus.SPECULATIVE, TruthStatus.INFERRED, TruthStatus.ASSERTED, TruthStatus.OBSERVED]
    standings = product(
        (Authority.NOTE, Authority.DERIVED, Authority.AUTHORITATIVE), truths, (0.0, 0.5, 0.9, 1.0)
    )
    enough: dict[Effect, list[tuple[object, ...]]] = {effect: [] for effect in Effect}
    for effect, standing in product(Effect, list(standings)):
        authority, truth, confidence = standing
        more = add(
            universe,
            None,
            question,
            effect=effect,
            authority=authority,
            truth_status=truth,
            confidence=confidence,
        )
        if spec_answer(more, question).result != found.result:
            enough[effect].append(standing)
    assert additions.keys() == {effect for effect, flips in enough.items() if flips}
    for effect, flip in additions.items():
        assert (
            spec_answer(add(universe, flip, question), question).result == flip.result_after != found.result
        )
        addition = flip.addition
        assert isinstance(addition, msgspec.Struct)
        assert (addition.authority, addition.truth_status, addition.confidence) == enough[effect][0]


@given(universes(), questions())
def test_the_order_of_the_evidence_changes_nothing(universe: Universe, question: PolicyQuestion) -> None:
    shuffled = find_counterfactual(question, universe.evidence(random.Random(1)))
    assert shuffled == explain(question, universe)


def test_the_smallest_change_comes_first() -> None:
    found = explain(ask(), Universe((make_rule(1), make_rule(2, effect=Effect.ALLOW, actor="*"))))
    assert found.smallest == found.flips[0]
    assert found.smallest == Flip(
        change="remove", memory_version_ids=(f"V{1:025d}",), result_after=Result.ALLOW
    )
    twice = explain(ask(), Universe((make_rule(1), make_rule(2))))
    assert [each.change for each in twice.flips] == ["add", "remove"]
    assert twice.flips[1].memory_version_ids == (f"V{1:025d}", f"V{2:025d}")


def test_a_search_that_runs_out_says_so() -> None:
    many = Universe(tuple(make_rule(n) for n in range(60)))
    found = explain(ask(), many)
    assert found.truncated
    assert [each.change for each in found.flips] == ["add"]
    pairs = explain(
        ask(), Universe((make_rule(1), *(make_rule(n, effect=Effect.ALLOW) for n in range(2, 4))))
    )
    assert not pairs.truncated
