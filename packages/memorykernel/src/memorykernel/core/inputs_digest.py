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

A recall by recall-ordering.v3 is digested as three arrays: its records, whose contents only matter by how
many words they share, and which have that number in the place of the content; the claims; and the words that
were looked up, each with how many records have it, as far as was counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from memorykernel.core.activity_v2 import Claims
from memorykernel.core.context_package import Inputs
from memorykernel.core.evidence import Candidate, WordCount
from memorykernel.core.record import ConstraintContent, Content, MembershipContent
from memorykernel.core.scope_pattern import encode_scope


def digest_inputs(candidates: Iterable[Candidate], claims: Claims) -> Inputs:
    """Digest records with the claims about them, in whatever order they come.

    Args:
        candidates: The records that can matter, each once.
        claims: From `activity_v2.group_claims`; those about other records are left out.
    """
    records = sorted(candidates, key=lambda each: each.memory_version_id)
    rows = [(*_row(each), _content(each.content)) for each in records]
    return _digest(len(rows), (rows, _list_claims(records, claims)))


def digest_recalled(
    candidates: Iterable[Candidate],
    claims: Claims,
    *,
    matched: Mapping[str, int],
    words: Iterable[WordCount],
    complete: bool,
) -> Inputs:
    """Digest what a recall looked at; see the module.

    Args:
        candidates, claims: As in `digest_inputs`.
        matched: memory_version_id -> how many of the words a record has.
        words: What was looked up, in any order.
        complete: As in `Inputs`.
    """
    records = sorted(candidates, key=lambda each: each.memory_version_id)
    rows = [(*_row(each), matched[each.memory_version_id]) for each in records]
    inputs = _digest(len(rows), (rows, _list_claims(records, claims), sorted(words)))
    return msgspec.structs.replace(inputs, complete=complete)


def _digest(records: int, document: object) -> Inputs:
    encoded = msgspec.json.encode(document)
    return Inputs(records=records, sha256=hashlib.sha256(encoded).hexdigest())


def _list_claims(records: Iterable[Candidate], claims: Claims) -> list[tuple[object, ...]]:
    return sorted(
        (claim.superseded_id, claim.superseder_id, claim.authority, claim.truth_status, claim.effective_at_us)
        for each in records
        for claim in claims.get(each.memory_version_id, ())
    )


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
    )


def _content(content: Content) -> tuple[str | None, ...]:
    if isinstance(content, ConstraintContent):
        return (*encode_scope(content.scope), content.effect, content.note)
    if isinstance(content, MembershipContent):
        return (content.field, content.group, content.member)
    return (content.summary,)
