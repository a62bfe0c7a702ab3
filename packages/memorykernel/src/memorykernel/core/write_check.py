"""What a write would do to the rules that are there: the evidence as it would be, and the check of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from memorykernel.core.admission import NewRecord
from memorykernel.core.conflict import MAX_CONFLICTS, MAX_STEPS, Conflicts, find_conflicts
from memorykernel.core.cursor import page_key
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.record import ConstraintContent
from memorykernel.core.scope_pattern import measure_scope

_DECIDING: Final = 5
"""How much of a sort key decides: all before the times."""


def check_write(
    new: Candidate,
    supersedes: Collection[str],
    evidence: PolicyEvidence,
    *,
    max_conflicts: int = MAX_CONFLICTS,
    max_steps: int = MAX_STEPS,
) -> Conflicts:
    """Find the conflicts that a new record would create.

    Args:
        new: A constraint or a membership.
        supersedes: The versions that it says it supersedes.
        evidence: As `conflict.find_conflicts` wants it before the write; with the superseded records among
            the candidates, when they are constraints or memberships.
        max_conflicts: How many to report.
        max_steps: How long to search.
    """
    content = new.content
    if isinstance(content, ConstraintContent) and not supersedes:
        # Most writes end here: nobody of the other effect has this precedence anywhere.
        key = page_key(new, measure_scope(content.scope))[:_DECIDING]
        if not any(_opposes(each, content, key) for each in evidence.candidates):
            return Conflicts(conflicts=(), truncated=False)
    after = add_record(evidence, new, supersedes)
    return find_conflicts(evidence, after, max_conflicts=max_conflicts, max_steps=max_steps)


def _opposes(candidate: Candidate, content: ConstraintContent, key: tuple[float, ...]) -> bool:
    other = candidate.content
    return (
        isinstance(other, ConstraintContent)
        and other.effect is not content.effect
        and page_key(candidate, measure_scope(other.scope))[:_DECIDING] == key
    )


def add_record(evidence: PolicyEvidence, new: Candidate, supersedes: Collection[str] = ()) -> PolicyEvidence:
    """The evidence as it would be with one more record; several writes are several calls."""
    claims = (claim(new, target) for target in supersedes)
    return msgspec.structs.replace(
        evidence,
        candidates=(*evidence.candidates, new),
        supersessions=(*evidence.supersessions, *claims),
    )


def claim(maker: Candidate, target_version_id: str) -> Supersession:
    """What a record says about a version that it supersedes."""
    return Supersession(
        superseded_id=target_version_id,
        superseder_id=maker.memory_version_id,
        authority=maker.authority,
        truth_status=maker.truth_status,
        effective_at_us=maker.effective_at_us,
    )


def describe_candidate(new: NewRecord) -> Candidate:
    """An admitted record as rulesets see it."""
    record = new.record
    return Candidate(
        memory_version_id=record.memory_version_id,
        memory_id=record.memory_id,
        record_type=record.payload.record_type,
        version=record.version,
        truth_status=record.truth_status,
        authority=record.authority,
        confidence=record.confidence,
        created_at_us=new.created_at_us,
        effective_at_us=new.effective_at_us,
        expires_at_us=new.expires_at_us,
        content=record.payload.payload,
    )
