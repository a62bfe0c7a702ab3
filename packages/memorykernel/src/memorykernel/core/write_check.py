"""What a write would do to the rules that are there: the evidence as it would be, and the check of it."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from memorykernel.core.admission import NewRecord
from memorykernel.core.conflict import MAX_CONFLICTS, MAX_STEPS, Conflicts, find_conflicts
from memorykernel.core.cursor import page_key
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.instant import parse_instant
from memorykernel.core.record import ConstraintContent, MemoryRecord
from memorykernel.core.scope_pattern import measure_scope
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.validity import Precedence


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
    after = add_record(evidence, new, supersedes)
    return find_conflicts(evidence, after, max_conflicts=max_conflicts, max_steps=max_steps)


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


def rank_rule(rule: Candidate) -> Precedence:
    """The precedence of a constraint; the smallest decides."""
    assert isinstance(rule.content, ConstraintContent)  # noqa: S101  # nothing else has one
    return page_key(rule, measure_scope(rule.content.scope))[:5]


def describe_candidate(new: NewRecord) -> Candidate:
    """An admitted record as rulesets see it."""
    return _describe(new.record, new.created_at_us, new.effective_at_us, new.expires_at_us)


def describe_stored(stored: StoredRecord) -> Candidate:
    """A record that was read back as rulesets see it."""
    record = stored.record
    return _describe(
        record,
        parse_instant(record.created_at, field="created_at"),
        parse_instant(record.effective_at, field="effective_at"),
        parse_instant(record.expires_at, field="expires_at") if record.expires_at else None,
    )


def _describe(
    record: MemoryRecord, created_at_us: int, effective_at_us: int, expires_at_us: int | None
) -> Candidate:
    return Candidate(
        memory_version_id=record.memory_version_id,
        memory_id=record.memory_id,
        record_type=record.payload.record_type,
        version=record.version,
        truth_status=record.truth_status,
        authority=record.authority,
        confidence=record.confidence,
        created_at_us=created_at_us,
        effective_at_us=effective_at_us,
        expires_at_us=expires_at_us,
        content=record.payload.payload,
    )
