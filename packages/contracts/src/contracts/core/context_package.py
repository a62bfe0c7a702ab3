"""The answer of MemoryKernel, as every party reads it; key order is that of the wire.

Source: wire contract, section 1.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

AnswerResult: TypeAlias = Literal["allow", "deny", "inconclusive"]
RecordType: TypeAlias = Literal["constraint", "decision", "preference", "event", "outcome"]
TruthStatus: TypeAlias = Literal["asserted", "observed", "inferred", "speculative", "retracted"]
Authority: TypeAlias = Literal["authoritative", "derived", "note"]
Confidence: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


class Query(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The question as it was understood; a recall has `*` for actor, action and resource."""

    text: str
    actor: str
    action: str
    resource: str
    as_of: str


class Determinism(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes the answer repeatable: ruleset, snapshot and the order of tie-breakers."""

    ruleset_version: str
    snapshot_id: str
    tie_breakers: tuple[str, ...]


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result and one sentence why."""

    result: AnswerResult
    why: str


class RuleScores(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an item was ordered by."""

    scope_match: float
    authority_rank: int
    truth_status_rank: int
    confidence: float


class ItemReason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an item is in or out; an excluded one may have no scores."""

    included: bool
    reasons: tuple[str, ...]
    rule_scores: RuleScores | None


class Item(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record version that was considered, ranked from 1."""

    rank: Annotated[int, Meta(ge=1)]
    memory_version_id: str
    memory_id: str
    record_type: RecordType
    version: Annotated[int, Meta(ge=1)]
    truth_status: TruthStatus
    confidence: Confidence | None
    authority: Authority
    why: ItemReason


class ContextPackage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored answer to one question, with everything that led to it."""

    context_package_id: str
    generated_at: str
    query: Query
    determinism: Determinism
    answer: Answer
    selected_items: tuple[Item, ...]
    excluded_items: tuple[Item, ...]
    ordering_trace: tuple[str, ...]
