"""What ordering.v3 sees of a question: the rules whose scope matches, each judged, in order of precedence.

The answer, the pages of its exclusions and the instant until which it holds are all read off one view.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from memorykernel.core.activity_v2 import Claims, group_claims
from memorykernel.core.activity_v3 import ExclusionV3, Span, StandingV3, find_span, judge_standing_v3
from memorykernel.core.cursor import PageKey, page_key
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.membership import Memberships, Place, list_places
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent
from memorykernel.core.scope_pattern import Keys, Specificity, encode_scope, measure_keys
from memorykernel.core.validity import Precedence, TimedRule, meet_spans
from memorykernel.core.vocabulary import Effect, Result


class JudgedRule(NamedTuple):
    """A constraint whose scope matches, at least through a membership that does not count."""

    key: PageKey
    candidate: Candidate
    content: ConstraintContent
    specificity: Specificity
    places: tuple[Place, ...]
    standing: StandingV3

    @property
    def precedence(self) -> Precedence:
        """What decides; times and ids order, they never decide."""
        return self.key[:5]


class PolicyView(NamedTuple):
    """The rules that match, those that count and those that do not, each by precedence."""

    active: Sequence[JudgedRule]
    inactive: Sequence[JudgedRule]
    memberships: Memberships
    claims: Claims


def view_policy(question: PolicyQuestion, evidence: PolicyEvidence) -> PolicyView:
    """Judge the evidence; its order and whatever cannot match mean nothing."""
    claims = group_claims(evidence.supersessions)
    memberships = Memberships(question, evidence.candidates, claims)
    actor_keys, action_keys, resource_keys = memberships.list_keys()
    matching = []
    for candidate in evidence.candidates:
        content = candidate.content
        if not isinstance(content, ConstraintContent):
            continue
        keys = encode_scope(content.scope)
        if keys[0] in actor_keys and keys[1] in action_keys and keys[2] in resource_keys:
            matching.append(_judge(candidate, content, keys, memberships, claims))
    matching.sort(key=lambda each: each.key)
    return PolicyView(
        active=[each for each in matching if each.standing.exclusion is None],
        inactive=[each for each in matching if each.standing.exclusion is not None],
        memberships=memberships,
        claims=claims,
    )


def find_sides(view: PolicyView) -> dict[Effect, list[Candidate]]:
    """The rules that decide, by effect: those of the highest precedence."""
    sides: dict[Effect, list[Candidate]] = {Effect.ALLOW: [], Effect.DENY: []}
    for each in takewhile(lambda one: one.precedence == view.active[0].precedence, view.active):
        sides[each.content.effect].append(each.candidate)
    return sides


def decide(sides: dict[Effect, list[Candidate]]) -> Result:
    """The result of `find_sides`."""
    if bool(sides[Effect.ALLOW]) == bool(sides[Effect.DENY]):
        return Result.INCONCLUSIVE
    return Result.ALLOW if sides[Effect.ALLOW] else Result.DENY


def time_rules(view: PolicyView) -> list[TimedRule]:
    """The rules that match with the spans during which each counts."""
    return [
        TimedRule(each.precedence, each.content.effect, spans)
        for each in (*view.active, *view.inactive)
        if (spans := _find_spans(each, view))
    ]


def _judge(
    candidate: Candidate,
    content: ConstraintContent,
    keys: Keys,
    memberships: Memberships,
    claims: Claims,
) -> JudgedRule:
    specificity = measure_keys(keys)
    places = list_places(keys)
    standing = judge_standing_v3(candidate, claims, memberships.as_of_us)
    if lacking := [place for place in places if not memberships.counts(place)]:
        reasons = (*map(memberships.explain, lacking), *standing.reasons)
        standing = StandingV3(exclusion=ExclusionV3.NO_MEMBERSHIP, reasons=reasons)
    key = page_key(candidate, specificity)
    return JudgedRule(key, candidate, content, specificity, places, standing)


def _find_spans(rule: JudgedRule, view: PolicyView) -> tuple[Span, ...]:
    span = find_span(rule.candidate, view.claims)
    if span is None:
        return ()
    return meet_spans((span,), view.memberships.find_spans(rule.places)) if rule.places else (span,)
