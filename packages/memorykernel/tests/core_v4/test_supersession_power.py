"""Which links have power, said before they are written; and that ordering.v3 agrees."""

from __future__ import annotations

from typing import Any

import pytest
from memorykernel.core.ordering_v3 import resolve_policy_v3
from memorykernel.core.supersession import explain_refusal, require_power
from memorykernel.core.vocabulary import Authority, Effect, TruthStatus
from memorykernel.errors import WriteConflict

from packages.memorykernel.tests.core_v4.small_world import SECOND, Universe, ask, make_rule


@pytest.mark.parametrize("target", Authority)
@pytest.mark.parametrize("maker", Authority)
@pytest.mark.parametrize("truth", TruthStatus)
def test_a_link_is_refused_exactly_when_it_would_change_nothing(
    maker: Authority, target: Authority, truth: TruthStatus
) -> None:
    rule = make_rule(1, authority=target)
    new = make_rule(2, effect=Effect.ALLOW, actor="bob", authority=maker, truth_status=truth)
    package = resolve_policy_v3(ask(), Universe((rule, new), ((1, 0),)).evidence())
    assert (explain_refusal(new, rule) is None) == (package.answer.result == "inconclusive")


def test_a_note_cannot_retire_an_authoritative_rule_and_the_refusal_says_so() -> None:
    rule, note = make_rule(1), make_rule(2, authority=Authority.NOTE)
    with pytest.raises(WriteConflict, match="authority note, which cannot supersede") as caught:
        require_power(note, rule)
    assert caught.value.details == {"field": "supersedes", "memory_version_id": rule.memory_version_id}
    require_power(rule, note)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"truth_status": TruthStatus.RETRACTED}, "is retracted"),
        ({"memory_version_id": f"V{1:025d}"}, "cannot supersede itself"),
    ],
)
def test_other_powerless_links_are_refused_too(changes: dict[str, Any], reason: str) -> None:
    refusal = explain_refusal(make_rule(2, **changes), make_rule(1))
    assert refusal is not None
    assert reason in refusal


def test_a_maker_of_another_time_has_power() -> None:
    assert explain_refusal(make_rule(2, effective_at_us=9 * SECOND), make_rule(1)) is None
    assert explain_refusal(make_rule(2, expires_at_us=2 * SECOND), make_rule(1)) is None
