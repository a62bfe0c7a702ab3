"""The closed sets of words that records and answers are made of, and their ranks.

Source: wire contracts, sections 1 and 2. The member order of `RecordType` is the canonical order
in which ordering.v2 lists types; `membership` and `Match` exist since service.v4.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RecordType(StrEnum):
    """What kind of memory a record is."""

    CONSTRAINT = "constraint"
    DECISION = "decision"
    PREFERENCE = "preference"
    EVENT = "event"
    OUTCOME = "outcome"
    MEMBERSHIP = "membership"


class SummaryType(StrEnum):
    """The four record types whose payload is a summary."""

    DECISION = "decision"
    PREFERENCE = "preference"
    EVENT = "event"
    OUTCOME = "outcome"


class PublishedType(StrEnum):
    """The record types that service.v2 and service.v3 know."""

    CONSTRAINT = "constraint"
    DECISION = "decision"
    PREFERENCE = "preference"
    EVENT = "event"
    OUTCOME = "outcome"


class Field(StrEnum):
    """The three fields of a scope."""

    ACTOR = "actor"
    ACTION = "action"
    RESOURCE = "resource"


class RecallMode(StrEnum):
    """How a recall finds records: by the words that they share with the question, or by meaning."""

    LEXICAL = "lexical"
    SEMANTIC = "semantic"


class Match(StrEnum):
    """How a field of a constraint's scope is compared with that of a question.

    A field that is matched exactly and says `*` matches everything.
    """

    EXACT = "exact"
    PREFIX = "prefix"
    GROUP = "group"


class Effect(StrEnum):
    """What a constraint says about the action."""

    ALLOW = "allow"
    DENY = "deny"


class Result(StrEnum):
    """What an answer says about the question."""

    ALLOW = "allow"
    DENY = "deny"
    INCONCLUSIVE = "inconclusive"


class TruthStatus(StrEnum):
    """How the writer came to hold the record true."""

    ASSERTED = "asserted"
    OBSERVED = "observed"
    INFERRED = "inferred"
    SPECULATIVE = "speculative"
    RETRACTED = "retracted"


class Authority(StrEnum):
    """How much the record's source binds."""

    AUTHORITATIVE = "authoritative"
    DERIVED = "derived"
    NOTE = "note"


class Relation(StrEnum):
    """How one record version speaks about another."""

    SUPERSEDES = "supersedes"
    CONTRADICTS = "contradicts"


class ConflictPolicy(StrEnum):
    """What becomes of a write that makes questions undecidable."""

    REFUSE = "refuse"
    WARN = "warn"
    IGNORE = "ignore"


AUTHORITY_RANK: Final = {Authority.AUTHORITATIVE: 3, Authority.DERIVED: 2, Authority.NOTE: 1}
TRUTH_STATUS_RANK: Final = {
    TruthStatus.OBSERVED: 5,
    TruthStatus.ASSERTED: 4,
    TruthStatus.INFERRED: 3,
    TruthStatus.SPECULATIVE: 2,
    TruthStatus.RETRACTED: 1,
}
NEUTRAL_CONFIDENCE: Final = 0.5
"""What a missing confidence orders as (wire contracts, section 2)."""

WILDCARD: Final = "*"
"""A scope field that matches every value."""

DEFAULT_RECALL_TYPES: Final = (
    RecordType.DECISION,
    RecordType.PREFERENCE,
    RecordType.EVENT,
    RecordType.OUTCOME,
)
"""What a recall searches when it names no record type."""
