"""`ordering.v2`: the default rules for policy questions.

In one sentence: among the constraints that match and count at as_of, the most specific ones decide,
and of these the ones of highest authority, truth status and confidence; if both effects stand at
that top, the answer is inconclusive and names them.

Properties (each has a test): the same for any order of the evidence; an unrelated or
lower-precedence record never changes the answer; a more specific rule is never overruled by a
less specific one; a conflict is never decided by accident (times and ids order, they never decide).

Decisions where the text is silent:
- Specificity is the number of fields that fit exactly. Two rules that fit in different fields are of
  equal specificity.
- Selected items are not bounded: they are the rules that apply to one question. Excluded ones are
  the nearest misses by the same precedence, at most 20, and the trace counts all of them.
- The sentence of a conflict names at most ten records a side; the selected items have them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from memorykernel.core.activity_v2 import (
    MAX_NEAREST_MISSES,
    Standing,
    count_exclusions,
    describe_exclusions,
    group_claims,
    judge_standing,
)
from memorykernel.core.context_package import (
    POLICY_TIE_BREAKERS,
    Answer,
    ContextPackage,
    Determinism,
    Why,
    describe_question,
    exclude,
    rank_items,
    score_candidate,
)
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.identity import package_id_v2, snapshot_v2
from memorykernel.core.ordering_v1 import (
    REASON_ACTIVE,
    WHY_CONFLICT,
    WHY_NOTHING,
    answer_effect,
    explain_specificity,
)
from memorykernel.core.precedence import SCOPE_FIELDS, measure_specificity, measure_standing, precedence_key
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent
from memorykernel.core.vocabulary import Effect, Result

NAME: Final = "ordering.v2"
_MAX_NAMED: Final = 10


class _Judged(NamedTuple):
    candidate: Candidate
    specificity: int
    standing: Standing


def resolve_policy_v2(question: PolicyQuestion, evidence: PolicyEvidence) -> ContextPackage:
    """Answer a policy question by ordering.v2.

    Pure. The order of the evidence does not matter. The same question, time and head give the same
    package, byte for byte.

    Args:
        question: The question.
        evidence: The version index is not looked at.
    """
    judged = _judge(question, evidence)
    active = [each for each in judged if each.standing.exclusion is None]
    inactive = [each for each in judged if each.standing.exclusion is not None]
    snapshot_id = snapshot_v2(evidence.head)
    scope = (question.actor, question.action, question.resource)
    query = describe_question(question)
    return ContextPackage(
        context_package_id=package_id_v2(NAME, question, scope, snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME, snapshot_id=snapshot_id, tie_breakers=POLICY_TIE_BREAKERS
        ),
        answer=_answer(active),
        selected_items=rank_items((each.candidate, _include(each)) for each in active),
        excluded_items=rank_items(
            (each.candidate, exclude(*each.standing.reasons)) for each in inactive[:MAX_NEAREST_MISSES]
        ),
        ordering_trace=_trace(inactive),
    )


def _judge(question: PolicyQuestion, evidence: PolicyEvidence) -> list[_Judged]:
    scope = (question.actor, question.action, question.resource)
    claims = group_claims(evidence.supersessions)
    matching = [
        _Judged(candidate, specificity, judge_standing(candidate, claims, question.as_of_us))
        for candidate in evidence.candidates
        if (specificity := measure_specificity(candidate, scope)) is not None
    ]
    return sorted(matching, key=lambda each: precedence_key(each.candidate, each.specificity))


def _include(judged: _Judged) -> Why:
    return Why(
        included=True,
        reasons=(explain_specificity(judged.specificity), REASON_ACTIVE, *judged.standing.reasons),
        rule_scores=score_candidate(judged.candidate, judged.specificity / SCOPE_FIELDS),
    )


def _precedence(judged: _Judged) -> tuple[int, tuple[int, int, float]]:
    return judged.specificity, measure_standing(judged.candidate)


def _answer(active: Sequence[_Judged]) -> Answer:
    if not active:
        return Answer(result=Result.INCONCLUSIVE, why=WHY_NOTHING)
    highest = _precedence(active[0])
    sides: dict[Effect, list[str]] = {Effect.ALLOW: [], Effect.DENY: []}
    for each in takewhile(lambda one: _precedence(one) == highest, active):
        if isinstance(each.candidate.content, ConstraintContent):
            sides[each.candidate.content.effect].append(each.candidate.memory_version_id)
    if all(sides.values()):
        named = "; ".join(f"{effect} {_name(ids)}" for effect, ids in sides.items())
        return Answer(result=Result.INCONCLUSIVE, why=f"{WHY_CONFLICT}: {named}")
    return answer_effect(next(effect for effect, ids in sides.items() if ids))


def _name(version_ids: list[str]) -> str:
    named = ", ".join(sorted(version_ids)[:_MAX_NAMED])
    more = len(version_ids) - _MAX_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _trace(inactive: Sequence[_Judged]) -> tuple[str, ...]:
    shown = min(len(inactive), MAX_NEAREST_MISSES)
    return (
        "filter: record_type=constraint",
        "filter: scope_match(actor, action, resource)",
        describe_exclusions(count_exclusions(each.standing for each in inactive)),
        f"limit: excluded_items shows the {shown} nearest of {len(inactive)}",
        "sort: precedence tuple with deterministic tie-breakers",
        "decide: top specificity, authority, truth status and confidence; both effects are inconclusive",
    )
