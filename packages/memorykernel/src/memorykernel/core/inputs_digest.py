"""The digest of what an answer was computed from.

SHA-256 over one JSON array of two arrays, without white space: the records, by memory_version_id, and the
claims, by superseded and superseding version. A record is the array

    [memory_version_id, memory_id, record_type, version, truth_status, authority, confidence,
     created_at_us, effective_at_us, expires_at_us, content]

where content is [actor key, action key, resource key, effect, note] of a constraint (keys as in
`scope_pattern.encode_pattern`), [field, group, member] of a membership and [summary] of the others. A claim
is

    [superseded_id, superseder_id, authority, truth_status, effective_at_us]

Only what can matter to the question is digested, so a store that reads more gives the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from operator import attrgetter
from typing import Final

import msgspec

from memorykernel.core.activity_v2 import Claims
from memorykernel.core.context_package import Inputs
from memorykernel.core.evidence import Candidate
from memorykernel.core.record import ConstraintContent, Content, MembershipContent
from memorykernel.core.scope_pattern import encode_scope

_BY_ID: Final = attrgetter("memory_version_id")


def digest_inputs(candidates: Iterable[Candidate], claims: Claims) -> Inputs:
    """Digest records with the claims about them, in whatever order they come.

    Args:
        candidates: The records that can matter, each once.
        claims: From `activity_v2.group_claims`; those about other records are left out.
    """
    records = sorted(candidates, key=_BY_ID)
    rows = [_row(each) for each in records]
    about = [
        (claim.superseded_id, claim.superseder_id, claim.authority, claim.truth_status, claim.effective_at_us)
        for each in records
        for claim in claims.get(each.memory_version_id, ())
    ]
    encoded = msgspec.json.encode((rows, sorted(about)))
    return Inputs(records=len(rows), sha256=hashlib.sha256(encoded).hexdigest())


def _row(candidate: Candidate) -> tuple[object, ...]:
    return (
        candidate.memory_version_id,
        candidate.memory_id,
        candidate.record_type,
        candidate.version,
        candidate.truth_status,
        candidate.authority,
        candidate.confidence,
        candidate.created_at_us,
        candidate.effective_at_us,
        candidate.expires_at_us,
        _content(candidate.content),
    )


def _content(content: Content) -> tuple[str | None, ...]:
    if isinstance(content, ConstraintContent):
        return (*encode_scope(content.scope), content.effect, content.note)
    if isinstance(content, MembershipContent):
        return (content.field, content.group, content.member)
    return (content.summary,)
