"""The precedence that both generations of rulesets share: how records are sorted.

Order (wire contracts, section 2): lead (specificity or matched terms), authority, truth status,
confidence, effective_at, created_at, all descending; memory_id, memory_version_id ascending.
"""

from __future__ import annotations

from typing import Final

from memorykernel.core.evidence import Candidate
from memorykernel.core.record import ConstraintContent
from memorykernel.core.vocabulary import AUTHORITY_RANK, TRUTH_STATUS_RANK, WILDCARD

SCOPE_FIELDS: Final = 3

SortKey = tuple[int, int, int, float, int, int, str, str]


def measure_specificity(candidate: Candidate, scope: tuple[str, str, str]) -> int | None:
    """Say how closely a constraint's scope fits a question.

    Args:
        candidate: A record of any type.
        scope: The question's actor, action and resource, compared byte for byte.

    Returns:
        The number of fields that are equal (0 to 3) when all others are `*`; None when one field
        is neither, or the record is no constraint. A question's own `*` equals a constraint's `*`.
    """
    content = candidate.content
    if not isinstance(content, ConstraintContent):
        return None
    own = content.scope
    specificity = 0
    for mine, asked in zip((own.actor, own.action, own.resource), scope, strict=True):
        if mine == asked:
            specificity += 1
        elif mine != WILDCARD:
            return None
    return specificity


def precedence_key(candidate: Candidate, lead: int) -> SortKey:
    """The sort key of a record, smallest first.

    Args:
        candidate: The record.
        lead: What decides first: specificity, or the number of matched terms.
    """
    return (
        -lead,
        -AUTHORITY_RANK[candidate.authority],
        -TRUTH_STATUS_RANK[candidate.truth_status],
        -candidate.effective_confidence,
        -candidate.effective_at_us,
        -candidate.created_at_us,
        candidate.memory_id,
        candidate.memory_version_id,
    )


def identity_key(candidate: Candidate) -> tuple[str, str]:
    """The sort key of ordering.v1's excluded items."""
    return candidate.memory_id, candidate.memory_version_id


def measure_standing(candidate: Candidate) -> tuple[int, int, float]:
    """What ordering.v1 compares to see whether two records are of equal precedence."""
    return (
        AUTHORITY_RANK[candidate.authority],
        TRUTH_STATUS_RANK[candidate.truth_status],
        candidate.effective_confidence,
    )
