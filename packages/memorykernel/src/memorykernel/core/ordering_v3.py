"""`ordering.v3`: the rules for policy questions of service.v4.

In one sentence: ordering.v2, with scopes of prefixes and groups and with records that expire.

Properties (each has a test): those of ordering.v2; a rule is never overruled by one whose scope contains its
scope; the answer holds exactly until `holds_until`; the pages of the exclusions are a partition of them.

Decisions where the text is silent:
- A scope is as specific as what it says, whatever the question says: `scope_pattern.Specificity`.
- A rule that matches only through a membership that does not count is excluded for that, and what else speaks
  against it is told behind.
- Results are compared for `holds_until`, not their reasons: from "nothing" to "conflict" is no change.
- Memberships are inputs, not items: the rules that match through them name them.
- Selected items are at most fifty and excluded ones twenty, and as many as fit their bytes
  (`package_bounds`); the decision is made by all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from memorykernel.core.activity_v3 import count_by_reason, describe_counts
from memorykernel.core.context_package import (
    POLICY_TIE_BREAKERS,
    Answer,
    ContextPackage,
    Determinism,
    Exclusions,
    Item,
    Why,
    exclude,
    rank_items,
    score_candidate,
)
from memorykernel.core.cursor import bind_cursor
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.exclusion_page import ExclusionPage, cut_page, point_behind
from memorykernel.core.identity import package_id_v3, snapshot_v2
from memorykernel.core.inputs_digest import digest_inputs
from memorykernel.core.instant import format_instant
from memorykernel.core.ordering_v1 import WHY_CONFLICT, WHY_NOTHING, answer_effect
from memorykernel.core.package_bounds import (
    MAX_EXCLUDED,
    MAX_EXCLUDED_BYTES,
    MAX_SELECTED,
    MAX_SELECTED_BYTES,
    echo_question,
    excerpt,
    fit_items,
)
from memorykernel.core.policy_view_v3 import (
    JudgedRule,
    PolicyView,
    decide,
    find_sides,
    time_rules,
    view_policy,
)
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.scope_pattern import MAX_LEVEL_SUM
from memorykernel.core.validity import find_change
from memorykernel.core.vocabulary import Effect, Result

NAME: Final = "ordering.v3"
REASON_ACTIVE: Final = "passed active filters (in effect, not expired, not retracted, not superseded)"
_MAX_NAMED: Final = 10


def resolve_policy_v3(question: PolicyQuestion, evidence: PolicyEvidence) -> ContextPackage:
    """Answer a policy question by ordering.v3.

    Pure. The order of the evidence does not matter, nor does what cannot match. The same question, times and
    head give the same package, byte for byte, of at most `package_bounds.MAX_PACKAGE_BYTES`.

    Args:
        question: The question, as `admission` lets it in.
        evidence: Read with patterns: every constraint that can match, the memberships of the question's
            values and the supersessions of both. The version index is not looked at.
    """
    view = view_policy(question, evidence)
    selected = fit_items(_select(view.active), MAX_SELECTED, MAX_SELECTED_BYTES)
    excluded = fit_items(_exclude(view.inactive[:MAX_EXCLUDED]), MAX_EXCLUDED, MAX_EXCLUDED_BYTES)
    by_reason = count_by_reason(each.standing.exclusion for each in view.inactive)
    snapshot_id = snapshot_v2(evidence.head)
    scope = (question.actor, question.action, question.resource)
    query = echo_question(question)
    shown = [each.candidate for each in (*view.active, *view.inactive)]
    return ContextPackage(
        context_package_id=package_id_v3(NAME, question, scope, snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME,
            snapshot_id=snapshot_id,
            tie_breakers=POLICY_TIE_BREAKERS,
            inputs=digest_inputs((*shown, *view.memberships.records()), view.claims),
        ),
        answer=_answer(question, view),
        selected_items=selected,
        excluded_items=excluded,
        exclusions=Exclusions(
            total=len(view.inactive),
            by_reason=by_reason,
            next_cursor=point_behind(
                len(excluded), [each.key for each in view.inactive], lambda: _bind(question)
            ),
        ),
        ordering_trace=_trace(view, by_reason, len(selected), len(excluded)),
    )


def decide_policy_v3(question: PolicyQuestion, evidence: PolicyEvidence) -> Result:
    """The result alone, as `resolve_policy_v3` gives it; for who asks many times."""
    view = view_policy(question, evidence)
    return decide(find_sides(view)) if view.active else Result.INCONCLUSIVE


def list_exclusions_v3(
    question: PolicyQuestion, evidence: PolicyEvidence, cursor: str | None, limit: int
) -> ExclusionPage:
    """One page of all the rules that match and do not count, nearest first.

    Args:
        question: The question of the answer.
        evidence: The evidence of the answer: of its snapshot.
        cursor: From the answer's `exclusions` or the page before; None for the first page.
        limit: How many items at most, 1 to `exclusion_page.MAX_PAGE`.

    Raises:
        MistypedField: The cursor is none of this question.
        InvalidRequest: The limit is out of its range.
    """
    inactive = view_policy(question, evidence).inactive
    start, stop, next_cursor = cut_page([each.key for each in inactive], cursor, limit, _bind(question))
    items = _exclude(inactive[start:stop])
    return ExclusionPage(
        total=len(inactive),
        by_reason=count_by_reason(each.standing.exclusion for each in inactive),
        items=tuple(msgspec.structs.replace(item, rank=item.rank + start) for item in items),
        next_cursor=next_cursor,
    )


def explain_match(rule: JudgedRule) -> str:
    """The reason that says how closely a scope fits."""
    level, prefix_length = rule.specificity
    return f"scope specificity level={level}/{MAX_LEVEL_SUM} prefix_length={prefix_length}"


def _bind(question: PolicyQuestion) -> str:
    return bind_cursor(NAME, question.actor, question.action, question.resource, question.as_of_us)


def _select(active: Sequence[JudgedRule]) -> tuple[Item, ...]:
    return rank_items((each.candidate, _include(each)) for each in active[:MAX_SELECTED])


def _include(rule: JudgedRule) -> Why:
    groups = (f"{place.field} is a member of '{excerpt(place.group)}'" for place in rule.places)
    return Why(
        included=True,
        reasons=(explain_match(rule), *groups, REASON_ACTIVE, *rule.standing.reasons),
        rule_scores=score_candidate(rule.candidate, rule.specificity.level / MAX_LEVEL_SUM),
    )


def _exclude(inactive: Sequence[JudgedRule]) -> tuple[Item, ...]:
    return rank_items((each.candidate, exclude(*each.standing.reasons)) for each in inactive)


def _answer(question: PolicyQuestion, view: PolicyView) -> Answer:
    change = find_change(time_rules(view), question.as_of_us)
    holds_until = None if change is None else format_instant(change)
    return msgspec.structs.replace(_answer_now(view), holds_until=holds_until)


def _answer_now(view: PolicyView) -> Answer:
    if not view.active:
        return Answer(result=Result.INCONCLUSIVE, why=WHY_NOTHING)
    sides = find_sides(view)
    if decide(sides) is Result.INCONCLUSIVE:
        named = "; ".join(f"{effect} {_name(decided)}" for effect, decided in sides.items())
        return Answer(result=Result.INCONCLUSIVE, why=f"{WHY_CONFLICT}: {named}")
    return answer_effect(next(effect for effect in Effect if sides[effect]))


def _name(decided: Sequence[Candidate]) -> str:
    version_ids = sorted(each.memory_version_id for each in decided)
    named = ", ".join(map(excerpt, version_ids[:_MAX_NAMED]))
    more = len(version_ids) - _MAX_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _trace(view: PolicyView, by_reason: dict[str, int], selected: int, excluded: int) -> tuple[str, ...]:
    return (
        "filter: record_type=constraint",
        "filter: scope_match(actor, action, resource) by exact value, prefix, group or *",
        describe_counts(by_reason),
        f"limit: selected_items shows the {selected} highest of {len(view.active)}",
        f"limit: excluded_items shows the {excluded} nearest of {len(view.inactive)}",
        "sort: precedence tuple with deterministic tie-breakers",
        "decide: top specificity, authority, truth status and confidence; both effects are inconclusive",
    )
