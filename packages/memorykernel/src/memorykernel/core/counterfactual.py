"""The smallest change that would give another answer, under ordering.v3.

A change is one constraint more, or one to three records less. Of removals only those of the smallest size are
listed. They are found without trying every set: to change an answer, a set must hold a record that decides it
now (a rule at the top, a membership, a record that supersedes); without that record the rest of the set must
hold one that decides then, and so on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from memorykernel.core.activity_v3 import has_power
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.evidence_change import remove_records
from memorykernel.core.ordering_v3 import decide_policy_v3
from memorykernel.core.policy_view_v3 import find_sides, view_policy
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, Scope
from memorykernel.core.vocabulary import (
    AUTHORITY_RANK,
    TRUTH_STATUS_RANK,
    Authority,
    Effect,
    RecordType,
    Result,
    TruthStatus,
)

MAX_REMOVED: Final = 3
"""How many records a change takes away at most."""

MAX_REMOVALS: Final = 20
"""How many removals are listed at most."""

MAX_STEPS: Final = 100_000
"""How long the search goes on: answers computed, times the records of each."""

_AUTHORITIES: Final = sorted(Authority, key=AUTHORITY_RANK.__getitem__)
_TRUTHS: Final = sorted(set(TruthStatus) - {TruthStatus.RETRACTED}, key=TRUTH_STATUS_RANK.__getitem__)
_VERSION_ID: Final = "0" * 26


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """A constraint on exactly the question's scope, of the lowest standing that is enough."""

    scope: Scope
    effect: Effect
    authority: Authority
    truth_status: TruthStatus
    confidence: float


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A change, and the result after it: records that are removed, or a constraint that is added."""

    change: Literal["remove", "add"]
    memory_version_ids: tuple[str, ...] | UnsetType = UNSET
    addition: Addition | UnsetType = UNSET
    result_after: Result

    @property
    def size(self) -> int:
        """How many records the change is about."""
        return len(self.memory_version_ids or ("added",))


class Counterfactual(msgspec.Struct, frozen=True, kw_only=True):
    """The changes that give another result, smallest first and removals before additions.

    `smallest` is the first of `flips`, None when there is none; `truncated` says that there may be more,
    or smaller sets of two and three.
    """

    result: Result
    flips: tuple[Flip, ...]
    smallest: Flip | None
    truncated: bool


def find_counterfactual(
    question: PolicyQuestion, evidence: PolicyEvidence, *, max_steps: int = MAX_STEPS
) -> Counterfactual:
    """Find the smallest changes that flip an answer.

    Pure and deterministic; the order of the evidence does not matter.

    Args:
        question: The question.
        evidence: As for `ordering_v3.resolve_policy_v3`.
        max_steps: How long to search.
    """
    evidence = _keep_relevant(question, evidence)
    result = decide_policy_v3(question, evidence)
    removals, truncated = _find_removals(question, evidence, result, max_steps)
    additions = [
        flip for effect in Effect if (flip := _find_addition(question, evidence, result, effect)) is not None
    ]
    flips = tuple(sorted((*removals, *additions), key=lambda each: each.size))
    return Counterfactual(
        result=result, flips=flips, smallest=flips[0] if flips else None, truncated=truncated
    )


def _keep_relevant(question: PolicyQuestion, evidence: PolicyEvidence) -> PolicyEvidence:
    view = view_policy(question, evidence)
    matching = [each.candidate for each in (*view.active, *view.inactive)]
    records = sorted((*matching, *view.memberships.records()), key=lambda each: each.memory_version_id)
    kept = {each.memory_version_id for each in records}
    claims = tuple(each for each in evidence.supersessions if each.superseded_id in kept)
    return msgspec.structs.replace(evidence, candidates=tuple(records), supersessions=claims)


def _find_removals(
    question: PolicyQuestion, evidence: PolicyEvidence, result: Result, max_steps: int
) -> tuple[list[Flip], bool]:
    sets = [frozenset[str]()]
    steps = 0
    for _ in range(MAX_REMOVED):
        flips: list[Flip] = []
        larger = _grow(question, evidence, sets)
        sets = []
        for removed in larger:
            steps += 1 + len(evidence.candidates)
            if steps > max_steps:
                return flips, True
            after = decide_policy_v3(question, remove_records(evidence, removed))
            if after is result:
                sets.append(removed)
                continue
            if len(flips) == MAX_REMOVALS:
                return flips, True
            flips.append(Flip(change="remove", memory_version_ids=tuple(sorted(removed)), result_after=after))
        if flips:
            return flips, False
    return [], False


def _grow(
    question: PolicyQuestion, evidence: PolicyEvidence, sets: Sequence[frozenset[str]]
) -> Iterator[frozenset[str]]:
    """Every set with one more record that decides without the set, each once."""
    seen: set[frozenset[str]] = set()
    for removed in sets:
        for version_id in _list_deciding(question, remove_records(evidence, removed)):
            larger = removed | {version_id}
            if larger not in seen:
                seen.add(larger)
                yield larger


def _list_deciding(question: PolicyQuestion, evidence: PolicyEvidence) -> list[str]:
    """The records without which the answer could be another one."""
    view = view_policy(question, evidence)
    sides = find_sides(view) if view.active else {}
    found = {each.memory_version_id for side in sides.values() for each in side}
    records = {each.memory_version_id: each for each in evidence.candidates}
    found |= {
        claim.superseder_id
        for claims in view.claims.values()
        for claim in claims
        if claim.effective_at_us <= question.as_of_us and has_power(claim, records[claim.superseded_id])
    }
    return sorted(found | {each.memory_version_id for each in view.memberships.records()})


def _find_addition(
    question: PolicyQuestion, evidence: PolicyEvidence, result: Result, effect: Effect
) -> Flip | None:
    confidences = sorted({0.0, 0.5, 1.0, *(each.effective_confidence for each in evidence.candidates)})
    standings = [
        Addition(
            scope=Scope(actor=question.actor, action=question.action, resource=question.resource),
            effect=effect,
            authority=authority,
            truth_status=truth,
            confidence=confidence,
        )
        for authority, truth, confidence in product(_AUTHORITIES, _TRUTHS, confidences)
    ]

    def decide(addition: Addition) -> Result:
        candidates = (*evidence.candidates, _make_candidate(addition, question.as_of_us))
        return decide_policy_v3(question, msgspec.structs.replace(evidence, candidates=candidates))

    # What is enough stays enough when its standing rises, so the lowest can be found by halving.
    lowest = bisect_left(standings, True, key=lambda each: decide(each) is not result)
    if lowest == len(standings):
        return None
    return Flip(change="add", addition=standings[lowest], result_after=decide(standings[lowest]))


def _make_candidate(addition: Addition, as_of_us: int) -> Candidate:
    return Candidate(
        memory_version_id=_VERSION_ID,
        memory_id=_VERSION_ID,
        record_type=RecordType.CONSTRAINT,
        version=1,
        truth_status=addition.truth_status,
        authority=addition.authority,
        confidence=addition.confidence,
        created_at_us=as_of_us,
        effective_at_us=as_of_us,
        content=ConstraintContent(scope=addition.scope, effect=addition.effect, note=None),
    )
