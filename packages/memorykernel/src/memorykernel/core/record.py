"""A memory record: one immutable version of one memory, in the key order of the wire.

Source: wire contracts, section 1. Field order is key order; msgspec encodes structs as declared. A field
that is UNSET is left out: so are those that only service.v4 has, in records written through older contracts.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from memorykernel.core.vocabulary import Authority, Effect, Field, Match, RecordType, Relation, TruthStatus


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Whom, what and where a constraint is about; each a value or `*`, a prefix, or a group's name.

    UNSET matches read as exact.
    """

    actor: str
    action: str
    resource: str
    actor_match: Match | UnsetType = UNSET
    action_match: Match | UnsetType = UNSET
    resource_match: Match | UnsetType = UNSET

    def patterns(self) -> tuple[tuple[Field, str, Match], ...]:
        """The three fields with how they match, in the order actor, action, resource."""
        return (
            (Field.ACTOR, self.actor, self.actor_match or Match.EXACT),
            (Field.ACTION, self.action, self.action_match or Match.EXACT),
            (Field.RESOURCE, self.resource, self.resource_match or Match.EXACT),
        )


class ConstraintContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a constraint says."""

    scope: Scope
    effect: Effect
    note: str | None


class SummaryContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision, preference, event or outcome says."""

    summary: str


class MembershipContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a membership says: questions whose `field` is `member` match constraints on `group` there."""

    field: Field
    group: str
    member: str


Content = ConstraintContent | SummaryContent | MembershipContent


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The content under its record type; nested twice on the wire, as published."""

    record_type: RecordType
    payload: Content


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where the record comes from."""

    source_uri: str
    source_hash: str | None
    evidence: tuple[str, ...]


class MemoryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one memory as the wire shows it; times are RFC 3339 UTC text.

    `supersedes` and `contradicts` are the links that the record was written with.
    """

    memory_version_id: str
    memory_id: str
    version: int
    created_at: str
    effective_at: str
    expires_at: str | UnsetType | None = UNSET
    truth_status: TruthStatus
    authority: Authority
    confidence: float | None
    writer: str
    justification: str
    provenance: Provenance
    supersedes: tuple[str, ...]
    contradicts: tuple[str, ...]
    payload: Payload


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of one record version about another, in the key order of the wire."""

    from_memory_version_id: str
    to_memory_version_id: str
    relation: Relation
    writer: str
    justification: str
