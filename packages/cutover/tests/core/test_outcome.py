"""Only PASSED passes: how outcomes join."""

from __future__ import annotations

from cutover.core.outcome import (
    DecisionOutcome,
    Outcome,
    calculate_decision_outcome,
    failed,
    passed,
    unknown,
    warned,
)
from hypothesis import given
from hypothesis import strategies as st

outcomes = st.lists(st.sampled_from(Outcome), max_size=8)
RANK = {DecisionOutcome.GO: 0, DecisionOutcome.HOLD: 1, DecisionOutcome.NO_GO: 2}


def test_nothing_considered_is_hold() -> None:
    assert calculate_decision_outcome([]) is DecisionOutcome.HOLD


@given(outcomes)
def test_go_needs_every_gate_to_pass(found: list[Outcome]) -> None:
    is_go = calculate_decision_outcome(found) is DecisionOutcome.GO
    assert is_go == (bool(found) and all(outcome is Outcome.PASSED for outcome in found))


@given(outcomes)
def test_one_failure_is_no_go_and_nothing_else_is(found: list[Outcome]) -> None:
    assert (calculate_decision_outcome(found) is DecisionOutcome.NO_GO) == (Outcome.FAILED in found)


@given(outcomes)
def test_order_does_not_matter(found: list[Outcome]) -> None:
    assert calculate_decision_outcome(found) is calculate_decision_outcome(reversed(found))


@given(outcomes.filter(bool), st.sampled_from(Outcome))
def test_one_more_gate_never_helps(found: list[Outcome], more: Outcome) -> None:
    before, after = calculate_decision_outcome(found), calculate_decision_outcome([*found, more])
    assert RANK[after] >= RANK[before]


def test_verdicts_carry_their_code_and_no_evidence_yet() -> None:
    for make, outcome in ((failed, Outcome.FAILED), (unknown, Outcome.UNKNOWN), (warned, Outcome.WARNED)):
        verdict = make("some-code", "a fact")
        assert (verdict.outcome, verdict.reason_code, verdict.evidence) == (outcome, "some-code", ())
    assert passed("all held").reason_code == "passed"
