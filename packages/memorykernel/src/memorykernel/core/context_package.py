"""A context package: an answer with everything that explains it, in the key order of the wire.

Source: wire contracts, section 1 (key order) and section 2 (tie-breakers). Field order is key order. What
only service.v4 has is UNSET in the packages of older rulesets, and left out of their bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from memorykernel.core.evidence import Candidate
from memorykernel.core.instant import format_instant
from memorykernel.core.question import PolicyQuestion, RecallQuestion
from memorykernel.core.vocabulary import (
    AUTHORITY_RANK,
    TRUTH_STATUS_RANK,
    WILDCARD,
    Authority,
    RecordType,
    Result,
    TruthStatus,
)

_COMMON_TIE_BREAKERS: Final = (
    "authority_rank desc",
    "truth_status_rank desc",
    "confidence desc",
    "effective_at desc",
    "created_at desc",
    "memory_id asc",
    "memory_version_id asc",
)
POLICY_TIE_BREAKERS: Final = ("scope_specificity desc", *_COMMON_TIE_BREAKERS)
RECALL_TIE_BREAKERS: Final = ("lexical_match_count desc", *_COMMON_TIE_BREAKERS)
BOUNDED_RECALL_TIE_BREAKERS: Final = (
    "lexical_match_count desc",
    "authority_rank desc",
    "truth_status_rank desc",
    "confidence desc",
    "effective_at desc",
    "memory_version_id sha256 asc",
)
SEMANTIC_TIE_BREAKERS: Final = ("similarity_hundredths desc", *_COMMON_TIE_BREAKERS)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """The question as it was answered; a recall has `*` for actor, action and resource."""

    text: str
    actor: str
    action: str
    resource: str
    as_of: str
    as_known_at: str | UnsetType | None = UNSET
    record_types: tuple[RecordType, ...] | UnsetType = UNSET


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What the ruleset was shown: how many record versions, and one digest of them and their claims.

    `complete` is of a recall: whether these are all that share a word and stand behind the page before.
    """

    records: int
    sha256: str
    complete: bool | UnsetType = UNSET


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """By which vectors a recall was answered: the model, the question's vector, a digest of the records'."""

    model: str
    weights_sha256: str
    question_vector: bytes
    vectors_sha256: str


class Determinism(msgspec.Struct, frozen=True, kw_only=True):
    """By which rules, on which state of the store, and on which of its records."""

    ruleset_version: str
    snapshot_id: str
    tie_breakers: tuple[str, ...]
    inputs: Inputs | UnsetType = UNSET
    meaning: Meaning | UnsetType = UNSET


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The result and one sentence of reason.

    `holds_until` is the first instant after as_of at which the same records give another result, None when no
    such instant is known.
    """

    result: Result
    why: str
    holds_until: str | UnsetType | None = UNSET


class RuleScores(msgspec.Struct, frozen=True, kw_only=True):
    """What the record was ordered by; `scope_match` and `confidence` in [0, 1]."""

    scope_match: float
    authority_rank: int
    truth_status_rank: int
    confidence: float


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why an item was included or not."""

    included: bool
    reasons: tuple[str, ...]
    rule_scores: RuleScores | None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A record version in an answer; `rank` counts from 1."""

    rank: int
    memory_version_id: str
    memory_id: str
    record_type: RecordType
    version: int
    truth_status: TruthStatus
    confidence: float | None
    authority: Authority
    why: Why


class Exclusions(msgspec.Struct, frozen=True, kw_only=True):
    """All records that could have counted and do not, of which `excluded_items` shows the nearest.

    Attributes:
        total: How many there are.
        by_reason: How many per reason, every reason of the ruleset named.
        at_least: Of a recall: whether there may be more than were looked at.
        next_cursor: Where the next page of them begins; None when all are shown.
    """

    total: int
    by_reason: dict[str, int]
    at_least: bool | UnsetType = UNSET
    next_cursor: str | None


class ContextPackage(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    context_package_id: str
    generated_at: str
    query: Query
    determinism: Determinism
    answer: Answer
    selected_items: tuple[Item, ...]
    excluded_items: tuple[Item, ...]
    exclusions: Exclusions | UnsetType = UNSET
    next_cursor: str | UnsetType | None = UNSET
    ordering_trace: tuple[str, ...]


def encode_package(package: ContextPackage) -> bytes:
    """Encode as compact JSON; the same package always gives the same bytes."""
    return msgspec.json.encode(package)


def publish_package(package: bytes) -> bytes:
    """An encoded package as service.v2 and service.v3 know it: without the keys of service.v4. Pure."""
    full = msgspec.json.decode(package, type=ContextPackage)
    return encode_package(
        replace(
            full,
            query=replace(full.query, as_known_at=UNSET, record_types=UNSET),
            determinism=replace(full.determinism, inputs=UNSET, meaning=UNSET),
            answer=replace(full.answer, holds_until=UNSET),
            exclusions=UNSET,
            next_cursor=UNSET,
        )
    )


def describe_question(question: PolicyQuestion | RecallQuestion) -> Query:
    """The question as the package shows it."""
    as_of = format_instant(question.as_of_us)
    if isinstance(question, RecallQuestion):
        return Query(text=question.text, actor=WILDCARD, action=WILDCARD, resource=WILDCARD, as_of=as_of)
    return Query(
        text=question.text,
        actor=question.actor,
        action=question.action,
        resource=question.resource,
        as_of=as_of,
    )


def score_candidate(candidate: Candidate, scope_match: float) -> RuleScores:
    """The scores of a selected record; `scope_match` in [0, 1]."""
    return RuleScores(
        scope_match=scope_match,
        authority_rank=AUTHORITY_RANK[candidate.authority],
        truth_status_rank=TRUTH_STATUS_RANK[candidate.truth_status],
        confidence=candidate.effective_confidence,
    )


def rank_items(entries: Iterable[tuple[Candidate, Why]]) -> tuple[Item, ...]:
    """Number the entries from 1 in the order given."""
    return tuple(_item(rank, candidate, why) for rank, (candidate, why) in enumerate(entries, start=1))


def exclude(*reasons: str) -> Why:
    """Why an item is not included."""
    return Why(included=False, reasons=reasons, rule_scores=None)


def _item(rank: int, candidate: Candidate, why: Why) -> Item:
    return Item(
        rank=rank,
        memory_version_id=candidate.memory_version_id,
        memory_id=candidate.memory_id,
        record_type=candidate.record_type,
        version=candidate.version,
        truth_status=candidate.truth_status,
        confidence=candidate.confidence,
        authority=candidate.authority,
        why=why,
    )
