"""`ordering.v1`: the published rules for policy questions, kept exact.

It is the oracle that `ordering.v2` is judged against, and what a baseline release answers by. Its
known faults (wire contracts, section 2, "What ordering.v1 gets wrong") are kept on purpose: as_of
does not filter, whoever names a record supersedes it, a wildcard can make a specific rule
inconclusive.

Decisions where the published text is silent:
- "retracted first" says which reason a record gets that is both retracted and superseded; the
  excluded items are one list, by memory_id and memory_version_id.
- Equal confidence is compared after a missing one was read as 0.5.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final

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
from memorykernel.core.identity import package_id_v1, snapshot_policy_v1
from memorykernel.core.precedence import (
    SCOPE_FIELDS,
    identity_key,
    measure_specificity,
    measure_standing,
    precedence_key,
)
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent
from memorykernel.core.vocabulary import Effect, Result, TruthStatus

NAME: Final = "ordering.v1"
REASON_ACTIVE: Final = "passed active filters (not retracted, not superseded)"
REASON_RETRACTED: Final = "truth_status is retracted"
REASON_SUPERSEDED: Final = "record is superseded by a newer linked record"
WHY_ALLOW: Final = "Highest-precedence active constraint allows the action"
WHY_DENY: Final = "Highest-precedence active constraint denies the action"
WHY_CONFLICT: Final = "Top-precedence constraints conflict (allow and deny)"
WHY_NOTHING: Final = "No active matching constraints were found"
TRACE: Final = (
    "filter: record_type=constraint",
    "filter: scope_match(actor, action, resource)",
    "exclude: retracted and superseded",
    "sort: precedence tuple with deterministic tie-breakers",
)

Ranked = list[tuple[int, Candidate]]


def resolve_policy_v1(question: PolicyQuestion, evidence: PolicyEvidence) -> ContextPackage:
    """Answer a policy question by ordering.v1.

    Pure. The order of the evidence does not matter, and records that cannot match change nothing
    but the snapshot id.

    Args:
        question: The question.
        evidence: With `version_index` filled in.

    Returns:
        The context package; two answers in the same second on the same records share their id.
    """
    active, inactive = _select(question, evidence)
    snapshot_id = snapshot_policy_v1(question, evidence.version_index)
    query = describe_question(question)
    return ContextPackage(
        context_package_id=package_id_v1(question.as_of_us, snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME, snapshot_id=snapshot_id, tie_breakers=POLICY_TIE_BREAKERS
        ),
        answer=_answer([candidate for _, candidate in active]),
        selected_items=rank_items((candidate, _include(candidate, fit)) for fit, candidate in active),
        excluded_items=rank_items(inactive),
        ordering_trace=TRACE,
    )


def find_exclusion_v1(candidate: Candidate, superseded: frozenset[str]) -> str | None:
    """Say why a record is inactive under the v1 rulesets, or None when it is active."""
    if candidate.truth_status is TruthStatus.RETRACTED:
        return REASON_RETRACTED
    if candidate.memory_version_id in superseded:
        return REASON_SUPERSEDED
    return None


def explain_specificity(specificity: int) -> str:
    """The reason that names how many scope fields fit exactly."""
    return f"scope specificity score={specificity} for actor/action/resource"


def _select(question: PolicyQuestion, evidence: PolicyEvidence) -> tuple[Ranked, list[tuple[Candidate, Why]]]:
    scope = (question.actor, question.action, question.resource)
    superseded = frozenset(claim.superseded_id for claim in evidence.supersessions)
    active: Ranked = []
    inactive: list[tuple[Candidate, Why]] = []
    for candidate in evidence.candidates:
        specificity = measure_specificity(candidate, scope)
        if specificity is None:
            continue
        reason = find_exclusion_v1(candidate, superseded)
        if reason is None:
            active.append((specificity, candidate))
        else:
            inactive.append((candidate, exclude(reason)))
    active.sort(key=lambda entry: precedence_key(entry[1], entry[0]))
    inactive.sort(key=lambda entry: identity_key(entry[0]))
    return active, inactive


def _include(candidate: Candidate, specificity: int) -> Why:
    return Why(
        included=True,
        reasons=(explain_specificity(specificity), REASON_ACTIVE),
        rule_scores=score_candidate(candidate, specificity / SCOPE_FIELDS),
    )


def _answer(ordered: list[Candidate]) -> Answer:
    if not ordered:
        return Answer(result=Result.INCONCLUSIVE, why=WHY_NOTHING)
    standing = measure_standing(ordered[0])
    top = takewhile(lambda candidate: measure_standing(candidate) == standing, ordered)
    effects = {
        candidate.content.effect for candidate in top if isinstance(candidate.content, ConstraintContent)
    }
    if len(effects) > 1:
        return Answer(result=Result.INCONCLUSIVE, why=WHY_CONFLICT)
    return answer_effect(effects.pop())


def answer_effect(effect: Effect) -> Answer:
    """The answer of an undisputed effect."""
    if effect is Effect.ALLOW:
        return Answer(result=Result.ALLOW, why=WHY_ALLOW)
    return Answer(result=Result.DENY, why=WHY_DENY)
