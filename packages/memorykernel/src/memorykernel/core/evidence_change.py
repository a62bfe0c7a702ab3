"""Evidence with some records taken out or put in: what every "what if" is asked about.

A record takes with it what it says about others and what others say about it.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from memorykernel.core.evidence import PolicyEvidence, Supersession


def remove_records(evidence: PolicyEvidence, version_ids: Collection[str]) -> PolicyEvidence:
    """The evidence as if the versions had never been written.

    Args:
        evidence: What a question was answered from.
        version_ids: Candidates, or records that are only known for superseding one.
    """
    return msgspec.structs.replace(
        evidence,
        candidates=tuple(each for each in evidence.candidates if each.memory_version_id not in version_ids),
        supersessions=tuple(each for each in evidence.supersessions if not _touches(each, version_ids)),
    )


def exchange_records(
    evidence: PolicyEvidence, other: PolicyEvidence, version_ids: Collection[str]
) -> PolicyEvidence:
    """The evidence with the versions as they are in `other`: put in, taken out, or with its links."""
    rest = remove_records(evidence, version_ids)
    put_in = (each for each in other.candidates if each.memory_version_id in version_ids)
    candidates = (*rest.candidates, *put_in)
    there = {each.memory_version_id for each in candidates}
    claims = (
        each for each in other.supersessions if _touches(each, version_ids) and each.superseded_id in there
    )
    return msgspec.structs.replace(rest, candidates=candidates, supersessions=(*rest.supersessions, *claims))


def list_versions(evidence: PolicyEvidence) -> frozenset[str]:
    """Every version that the evidence holds or that supersedes one of them."""
    return frozenset(each.memory_version_id for each in evidence.candidates) | {
        each.superseder_id for each in evidence.supersessions
    }


def list_differences(one: PolicyEvidence, other: PolicyEvidence) -> frozenset[str]:
    """The versions that are in one evidence only, or supersede other records there."""
    mine, yours = list_versions(one), list_versions(other)
    held = [{each.memory_version_id for each in evidence.candidates} for evidence in (one, other)]
    common = held[0] & held[1]
    claims = [
        {each for each in evidence.supersessions if each.superseded_id in common} for evidence in (one, other)
    ]
    return (mine ^ yours) | (held[0] ^ held[1]) | {each.superseder_id for each in claims[0] ^ claims[1]}


def _touches(claim: Supersession, version_ids: Collection[str]) -> bool:
    return claim.superseder_id in version_ids or claim.superseded_id in version_ids
