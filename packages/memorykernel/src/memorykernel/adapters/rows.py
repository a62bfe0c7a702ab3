"""Records, links and answers as rows: the columns, and the values in them, for every store.

What a digest of the hash chains covers is defined here, so that stores of different make agree on it. The
columns that came with schema 4 stand last and count in a digest only when one of them is filled.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Any, Final

import msgspec

from memorykernel.core.admission import NewRecord
from memorykernel.core.chain import Value, digest_columns
from memorykernel.core.evidence import Candidate, Supersession
from memorykernel.core.instant import format_instant
from memorykernel.core.overlap import Overlap, Standing
from memorykernel.core.posting import Posting, find_standing, rank_record
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import (
    ConstraintContent,
    Content,
    Link,
    MembershipContent,
    MemoryRecord,
    Payload,
    Provenance,
    Scope,
    SummaryContent,
)
from memorykernel.core.stored_question import (
    StoredAnswer,
    StoredQuestion,
    decode_question,
    encode_question,
)
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.terms import describe_content
from memorykernel.core.vocabulary import (
    NEUTRAL_CONFIDENCE,
    Authority,
    Effect,
    Field,
    Match,
    RecordType,
    TruthStatus,
)

RECORD_COLUMNS: Final = (
    "memory_version_id",
    "memory_id",
    "version",
    "record_type",
    "created_at_us",
    "effective_at_us",
    "truth_status",
    "authority",
    "confidence",
    "writer",
    "justification",
    "source_uri",
    "source_hash",
    "evidence",
    "actor",
    "action",
    "resource",
    "effect",
    "note",
    "summary",
)
"""What a record's digest covers, in this order: everything but its row number."""

PLACE_COLUMNS: Final = RECORD_COLUMNS[: 1 + RECORD_COLUMNS.index("confidence")]
"""What `place_row` reads; the row of `encode_record` begins with it."""

RECORD_COLUMNS_4: Final = ("expires_at_us", "matching", "field", "group_name", "member")
"""What schema 4 added to records.

`matching` is NULL when all three fields of a scope match exactly, else their three matches, comma-separated.
"""

LINK_COLUMNS: Final = ("from_version_id", "to_version_id", "relation", "writer", "justification")
"""What a link's digest covers, in this order."""

ANSWER_COLUMNS: Final = ("context_package_id", "package")
"""What an answer's digest covers, in this order."""

ANSWER_COLUMNS_4: Final = ("ruleset", "head", "question", "actor", "action", "resource")
"""What schema 4 added to answers; the last three are NULL for a recall."""

CANDIDATE_COLUMNS: Final = (
    "memory_version_id",
    "memory_id",
    "record_type",
    "version",
    "truth_status",
    "authority",
    "confidence",
    "created_at_us",
    "effective_at_us",
    "actor",
    "action",
    "resource",
    "effect",
    "note",
    "summary",
)
"""What `decode_candidate` reads of a record, followed by `RECORD_COLUMNS_4` where the schema has them."""

Row = tuple[Any, ...]

# A lookup costs a third of calling the enum, four times a row.
_RECORD_TYPE: Final = {each.value: each for each in RecordType}
_TRUTH_STATUS: Final = {each.value: each for each in TruthStatus}
_AUTHORITY: Final = {each.value: each for each in Authority}
_EFFECT: Final = {each.value: each for each in Effect}


def encode_record(new: NewRecord) -> tuple[Value, ...]:
    """The values of `RECORD_COLUMNS` and `RECORD_COLUMNS_4`."""
    record = new.record
    provenance = record.provenance
    return (
        record.memory_version_id,
        record.memory_id,
        record.version,
        record.payload.record_type.value,
        new.created_at_us,
        new.effective_at_us,
        record.truth_status.value,
        record.authority.value,
        # SQLite keeps a whole number in a REAL column as an integer, and with it loses the sign of -0.0.
        None if record.confidence is None else record.confidence + 0.0,
        record.writer,
        record.justification,
        provenance.source_uri,
        provenance.source_hash,
        msgspec.json.encode(provenance.evidence).decode(),
        *_encode_content(record.payload.payload),
        new.expires_at_us,
        *_encode_content_4(record.payload.payload),
    )


def digest_record(values: tuple[Value, ...]) -> bytes:
    """The digest of a record's row."""
    return digest_columns(values, len(RECORD_COLUMNS))


def encode_link(link: Link) -> tuple[Value, ...]:
    """The values of `LINK_COLUMNS`."""
    return (
        link.from_memory_version_id,
        link.to_memory_version_id,
        link.relation.value,
        link.writer,
        link.justification,
    )


def encode_answer(context_package_id: str, package: bytes, asked: StoredQuestion) -> tuple[Value, ...]:
    """The values of `ANSWER_COLUMNS` and `ANSWER_COLUMNS_4`."""
    question = asked.question
    scope = (
        (question.actor, question.action, question.resource)
        if isinstance(question, PolicyQuestion)
        else (None, None, None)
    )
    return (
        context_package_id,
        package,
        asked.ruleset,
        bytes.fromhex(asked.head),
        encode_question(question),
        *scope,
    )


def digest_answer(values: tuple[Value, ...]) -> bytes:
    """The digest of an answer's row."""
    return digest_columns(values, len(ANSWER_COLUMNS))


def decode_answer(row: Row) -> StoredAnswer:
    """Read answer_seq, context_package_id, package, and ruleset, head, question where the schema has them."""
    asked = None
    if len(row) > 3 and row[3] is not None:
        question = decode_question(row[5])
        asked = StoredQuestion(ruleset=row[3], head=bytes(row[4]).hex(), question=question)
    return StoredAnswer(answer_seq=row[0], context_package_id=row[1], package=bytes(row[2]), asked=asked)


def decode_candidate(row: Row) -> Candidate:
    """Read the values of `CANDIDATE_COLUMNS`, and of `RECORD_COLUMNS_4` where they follow."""
    grown = row[15:20] or (None,) * 5
    return Candidate(
        memory_version_id=row[0],
        memory_id=row[1],
        record_type=_RECORD_TYPE[row[2]],
        version=row[3],
        truth_status=_TRUTH_STATUS[row[4]],
        authority=_AUTHORITY[row[5]],
        confidence=row[6],
        created_at_us=row[7],
        effective_at_us=row[8],
        expires_at_us=grown[0],
        content=_decode_content(row[9:15], grown[1:]),
    )


def decode_stored_record(
    row: Row,
    *,
    supersedes: tuple[str, ...],
    contradicts: tuple[str, ...],
    superseded_by: tuple[str, ...],
    contradicted_by: tuple[str, ...],
) -> StoredRecord:
    """Read entry_seq, head and recorded_at_us of an entry, and the values of all columns of its record."""
    columns = dict(zip((*RECORD_COLUMNS, *RECORD_COLUMNS_4), row[3:], strict=True))
    content = _decode_content(
        tuple(columns[each] for each in RECORD_COLUMNS[14:]),
        tuple(columns[each] for each in RECORD_COLUMNS_4[1:]),
    )
    expires_at_us = columns["expires_at_us"]
    record = MemoryRecord(
        memory_version_id=columns["memory_version_id"],
        memory_id=columns["memory_id"],
        version=columns["version"],
        created_at=format_instant(columns["created_at_us"]),
        effective_at=format_instant(columns["effective_at_us"]),
        expires_at=None if expires_at_us is None else format_instant(expires_at_us),
        truth_status=_TRUTH_STATUS[columns["truth_status"]],
        authority=_AUTHORITY[columns["authority"]],
        confidence=columns["confidence"],
        writer=columns["writer"],
        justification=columns["justification"],
        provenance=Provenance(
            source_uri=columns["source_uri"],
            source_hash=columns["source_hash"],
            evidence=msgspec.json.decode(columns["evidence"], type=tuple[str, ...]),
        ),
        supersedes=supersedes,
        contradicts=contradicts,
        payload=Payload(record_type=_RECORD_TYPE[columns["record_type"]], payload=_name_matches(content)),
    )
    return StoredRecord(
        record=record,
        entry_seq=row[0],
        head=bytes(row[1]).hex(),
        recorded_at_us=row[2],
        superseded_by=superseded_by,
        contradicted_by=contradicted_by,
    )


def _name_matches(content: Content) -> Content:
    """Say how each field of a scope matches, also of one that an older contract wrote."""
    if not isinstance(content, ConstraintContent):
        return content
    of_actor, of_action, of_resource = (match for _, _, match in content.scope.patterns())
    scope = msgspec.structs.replace(
        content.scope, actor_match=of_actor, action_match=of_action, resource_match=of_resource
    )
    return msgspec.structs.replace(content, scope=scope)


def decode_claim(superseded_id: str, row: Row) -> Supersession:
    """Read the claim of a maker: its version id, authority, truth status and effective_at_us."""
    return Supersession(
        superseded_id=superseded_id,
        superseder_id=row[0],
        authority=_AUTHORITY[row[1]],
        truth_status=_TRUTH_STATUS[row[2]],
        effective_at_us=row[3],
    )


def decode_overlap(rows: list[Row], limit: int) -> Overlap:
    """Read rows of a claim on a record and the record, as `decode_claim` and `decode_candidate` read them.

    Args:
        rows: One per record and claimant, a record's together, of `limit` + 1 records at most.
        limit: How many records to keep.
    """
    distinct = {row[4]: row[4:] for row in rows}
    kept = dict(islice(distinct.items(), limit))
    return Overlap(
        candidates=tuple(map(decode_candidate, kept.values())),
        supersessions=tuple(
            decode_claim(row[4], row[:4]) for row in rows if row[0] is not None and row[4] in kept
        ),
        is_cut=len(distinct) > limit,
    )


def encode_standing(standing: Standing) -> dict[str, str | float]:
    """The parameters by which a statement finds rules of a standing."""
    return {
        "effect": standing.effect.value,
        "authority": standing.authority.value,
        "truth_status": standing.truth_status.value,
        "confidence": standing.confidence,
        "neutral": NEUTRAL_CONFIDENCE,
    }


def decode_scope(actor: str, action: str, resource: str, matching: str | None) -> Scope:
    """Make a scope of its columns."""
    if matching is None:
        return Scope(actor=actor, action=action, resource=resource)
    of_actor, of_action, of_resource = map(Match, matching.split(","))
    return Scope(
        actor=actor,
        action=action,
        resource=resource,
        actor_match=of_actor,
        action_match=of_action,
        resource_match=of_resource,
    )


def _encode_content(content: Content) -> tuple[Value, ...]:
    if isinstance(content, ConstraintContent):
        scope = content.scope
        return scope.actor, scope.action, scope.resource, content.effect.value, content.note, None
    return None, None, None, None, None, describe_content(content)


def _encode_content_4(content: Content) -> tuple[Value, ...]:
    if isinstance(content, MembershipContent):
        return None, content.field.value, content.group, content.member
    return (_encode_matching(content) if isinstance(content, ConstraintContent) else None), None, None, None


def _encode_matching(content: ConstraintContent) -> str | None:
    matches = [match for _, _, match in content.scope.patterns()]
    return None if all(each is Match.EXACT for each in matches) else ",".join(matches)


def _decode_content(columns: Row, grown: Row) -> Content:
    actor, action, resource, effect, note, summary = columns
    matching, field, group, member = grown
    if field is not None:
        return MembershipContent(field=Field(field), group=group, member=member)
    if summary is not None:
        return SummaryContent(summary=summary)
    scope = decode_scope(actor, action, resource, matching)
    return ConstraintContent(scope=scope, effect=_EFFECT[effect], note=note)


def place_row(row: Row) -> Posting:
    """Place a record in the lists of its words; `row` begins with the values of `PLACE_COLUMNS`."""
    slot, standing = _find_standing(row[3], row[7], row[6], row[8])
    return Posting(slot, rank_record(row[0], row[5], standing))


@lru_cache(maxsize=1024)
def _find_standing(
    record_type: str, authority: str, truth_status: str, confidence: float | None
) -> tuple[int, bytes]:
    """Nearly all records of a store stand in one of a few ways."""
    return find_standing(
        _RECORD_TYPE[record_type], _AUTHORITY[authority], _TRUTH_STATUS[truth_status], confidence
    )
