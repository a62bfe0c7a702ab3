"""What a ruleset is shown: the records that may count, read in one consistent state of the store.

A ruleset is a pure function of a question and its evidence. Every other record of the store is
unable to change the answer, which is what lets the store read only these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from memorykernel.core.record import Content, SummaryContent
from memorykernel.core.vocabulary import NEUTRAL_CONFIDENCE, Authority, RecordType, TruthStatus

UNREAD: Final = SummaryContent(summary="")
"""Stands for a content that was not read, because the rules that asked do not look at it."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a record version that rulesets look at; times in microseconds since 1970 UTC."""

    memory_version_id: str
    memory_id: str
    record_type: RecordType
    version: int
    truth_status: TruthStatus
    authority: Authority
    confidence: float | None
    created_at_us: int
    effective_at_us: int
    expires_at_us: int | None = None
    content: Content

    @property
    def effective_confidence(self) -> float:
        """The confidence that orders the record: its own, or the neutral one."""
        return NEUTRAL_CONFIDENCE if self.confidence is None else self.confidence


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A state of the memory: everything up to one entry of its hash chain.

    Attributes:
        head: The chain's head there, 64 lower-case hex digits.
        entry_seq: The entry's number, from 0 (an empty memory).
        recorded_at_us: When the entry was recorded; None for entries older than schema 4.
        newest_record_seq, newest_link_seq: The last rows that belong to it; 0 when there is none.
    """

    head: str
    entry_seq: int
    recorded_at_us: int | None
    newest_record_seq: int
    newest_link_seq: int


class Supersession(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that one version replaces another, with what is needed to judge the claimant."""

    superseded_id: str
    superseder_id: str
    authority: Authority
    truth_status: TruthStatus
    effective_at_us: int


class PolicyEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is read for a policy question.

    Attributes:
        head: The hash chain's head, 64 lower-case hex digits: the state that was read.
        candidates: At least the constraints whose scope matches, and for rulesets that know groups the
            memberships of the question's actor, action and resource; order means nothing.
        supersessions: Every supersedes link that targets a candidate, whoever made it.
        version_index: `memory_id:memory_version_id` of every record, sorted, joined without
            separators; only for rulesets that ask for it, else empty.
    """

    head: str
    candidates: tuple[Candidate, ...]
    supersessions: tuple[Supersession, ...]
    version_index: bytes = b""


class WordCount(NamedTuple):
    """How many records have a word, as far as was counted; see `recall_search`."""

    word: str
    held: int


class RecallEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is read for a recall.

    Attributes:
        head: As in `PolicyEvidence`.
        candidates: Records of the types asked for: all of them, or all that share a term, or what
            `recall_search` names; these come without their content, as `UNREAD`.
        supersessions: Every supersedes link that targets a candidate.
        matched: memory_version_id -> number of distinct question terms that the record has; only
            for rulesets that search by the term index, else empty. For recall-semantic.v1 the similarity, in
            hundredths.
        version_index: As in `PolicyEvidence`.
        words: How many records have each word of the question that was looked up; only for rulesets that
            search, else empty.
        vectors_sha256: The digest of the candidates' vectors; only for recall-semantic.v1, else empty.
    """

    head: str
    candidates: tuple[Candidate, ...]
    supersessions: tuple[Supersession, ...]
    matched: Mapping[str, int] = {}
    version_index: bytes = b""
    words: tuple[WordCount, ...] = ()
    vectors_sha256: str = ""
