"""What a request must hold to be let in, and the record that comes of it.

First what cannot be read (ids and times: `invalid_json`), then what must not be accepted (blank
text, numbers out of range: `validation_error`). Nothing here looks at the store.

A record without `created_at` was created now, one without `effective_at` is in effect since it was created:
records always have both, so that no ruleset has to order a missing time.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from memorykernel.core.instant import format_instant, parse_instant
from memorykernel.core.package_bounds import MAX_QUESTION_BYTES
from memorykernel.core.question import PolicyQuestion, RecallQuestion
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
from memorykernel.core.request import (
    AddConstraint,
    AddConstraintV4,
    AddLink,
    AddMembership,
    AddRecord,
    AddSummaryV4,
    Ask,
    AskV4,
    Recall,
    RecallV4,
)
from memorykernel.core.scope_pattern import check_patterns
from memorykernel.core.ulid import parse_ulid
from memorykernel.core.vocabulary import RecordType, TruthStatus
from memorykernel.errors import InvalidRequest, MistypedField, WriteConflict

MAX_VERSION: Final = 2**63 - 1
"""The largest integer that the store can hold."""

_SOURCE_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_SNAPSHOT: Final = re.compile(r"txn_[0-9a-f]{64}")
_NEEDS_CONFIDENCE: Final = (TruthStatus.INFERRED, TruthStatus.SPECULATIVE)


class NewRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An admitted record: as the wire will show it, with its times as microseconds for the store."""

    record: MemoryRecord
    created_at_us: int
    effective_at_us: int
    expires_at_us: int | None = None


class Fresh(msgspec.Struct, frozen=True, kw_only=True):
    """What the edge supplies for a new record: two unused ids and the time."""

    memory_version_id: str
    memory_id: str
    now_us: int


def admit_record(request: AddRecord, fresh: Fresh) -> NewRecord:
    """Turn a request into a record.

    Args:
        request: What the caller wants remembered.
        fresh: The server's ids and time; the memory id and the creation time are the caller's if it
            names them, the version id never is.

    Raises:
        MistypedField: An id or time cannot be read.
        InvalidRequest: A required text is blank or a number is out of its range.
    """
    named = request.memory_id
    memory_id = fresh.memory_id if named is None else parse_ulid(named, field="memory_id")
    created_at_us = _instant(request.created_at, "created_at")
    effective_at_us = _instant(request.effective_at, "effective_at")
    supersedes = _version_ids(request.supersedes, "supersedes")
    contradicts = _version_ids(request.contradicts, "contradicts")
    payload = _payload(request)
    _check_common(request)
    created_at_us = fresh.now_us if created_at_us is None else created_at_us
    effective_at_us = created_at_us if effective_at_us is None else effective_at_us
    expires_at, expires_at_us = _expiry(request, effective_at_us)
    record = MemoryRecord(
        memory_version_id=fresh.memory_version_id,
        memory_id=memory_id,
        version=request.version,
        created_at=format_instant(created_at_us),
        effective_at=format_instant(effective_at_us),
        expires_at=expires_at,
        truth_status=request.truth_status,
        authority=request.authority,
        confidence=request.confidence,
        writer=request.writer,
        justification=request.justification,
        provenance=Provenance(
            source_uri=request.source_uri,
            source_hash=request.source_hash,
            evidence=request.evidence,
        ),
        supersedes=supersedes,
        contradicts=contradicts,
        payload=payload,
    )
    return NewRecord(
        record=record,
        created_at_us=created_at_us,
        effective_at_us=effective_at_us,
        expires_at_us=expires_at_us,
    )


def admit_link(request: AddLink) -> Link:
    """Turn a request into a link.

    Raises:
        MistypedField: An id cannot be read.
        InvalidRequest: Writer or justification is blank.
        WriteConflict: Both ends are the same version.
    """
    from_id = parse_ulid(request.from_id, field="from")
    to_id = parse_ulid(request.to_id, field="to")
    _check_filled(writer=request.writer, justification=request.justification)
    if from_id == to_id:
        # No schema can say that two fields differ; and a cycle of one is a conflict like longer ones.
        raise WriteConflict(
            "a version cannot be linked to itself; name another version in 'to'", {"field": "to"}
        )
    return Link(
        from_memory_version_id=from_id,
        to_memory_version_id=to_id,
        relation=request.relation,
        writer=request.writer,
        justification=request.justification,
    )


def admit_ask(request: Ask, now_us: int) -> PolicyQuestion:
    """Turn a request into a policy question; without `as_of` it is about `now_us`.

    Raises:
        MistypedField: `as_of` cannot be read.
        InvalidRequest: The text or a scope field is blank.
    """
    as_of_us = _instant(request.as_of, "as_of")
    _check_filled(text=request.text, actor=request.actor, action=request.action, resource=request.resource)
    if isinstance(request, AskV4):
        _refuse_null(actor=request.actor, action=request.action, resource=request.resource)
        _check_size(request.text, request.actor, request.action, request.resource)
    return PolicyQuestion(
        text=request.text,
        actor=request.actor,
        action=request.action,
        resource=request.resource,
        as_of_us=now_us if as_of_us is None else as_of_us,
        as_known_at=_known(request.as_known_at) if isinstance(request, AskV4) else UNSET,
    )


def admit_recall(request: Recall | RecallV4, now_us: int) -> RecallQuestion:
    """Turn a request into a recall; without `as_of` it is about `now_us`.

    Raises:
        MistypedField: `as_of` cannot be read.
        InvalidRequest: The text is blank.
    """
    as_of_us = _instant(request.as_of, "as_of")
    _check_filled(text=request.text)
    if isinstance(request, RecallV4):
        _check_size(request.text)
    return RecallQuestion(
        text=request.text,
        record_types=tuple(map(RecordType, request.record_types)),
        as_of_us=now_us if as_of_us is None else as_of_us,
        as_known_at=_known(request.as_known_at) if isinstance(request, RecallV4) else UNSET,
        cursor=request.cursor if isinstance(request, RecallV4) else None,
    )


def _known(as_known_at: str | None) -> str | None:
    """Check that it is a snapshot's name or a time; which state it means is the store's to say."""
    if as_known_at is not None and not _SNAPSHOT.fullmatch(as_known_at):
        try:
            parse_instant(as_known_at, field="as_known_at")
        except MistypedField as exc:
            raise MistypedField(
                "as_known_at",
                "is no time in UTC and no snapshot: expected 2026-02-08T13:19:53Z or txn_<64 digits>",
            ) from exc
    return as_known_at


def _instant(text: str | None, field: str) -> int | None:
    return None if text is None else parse_instant(text, field=field)


def _version_ids(texts: tuple[str, ...], field: str) -> tuple[str, ...]:
    """Read ids, keeping the first of equal ones: a link exists once."""
    return tuple(dict.fromkeys(parse_ulid(text, field=f"{field}[{i}]") for i, text in enumerate(texts)))


def _expiry(request: AddRecord, effective_at_us: int) -> tuple[str | UnsetType | None, int | None]:
    """The end of a record's validity, as text and as microseconds; older contracts have none."""
    if not isinstance(request, AddConstraintV4 | AddSummaryV4 | AddMembership):
        return UNSET, None
    if request.expires_at is None:
        return None, None
    expires_at_us = parse_instant(request.expires_at, field="expires_at")
    if expires_at_us <= effective_at_us:
        raise _refuse("expires_at", "is not after effective_at; send a later time or null")
    return format_instant(expires_at_us), expires_at_us


def _payload(request: AddRecord) -> Payload:
    if isinstance(request, AddConstraint | AddConstraintV4):
        scope = _scope(request)
        content: Content = ConstraintContent(scope=scope, effect=request.effect, note=request.note)
        return Payload(record_type=RecordType.CONSTRAINT, payload=content)
    if isinstance(request, AddMembership):
        _check_filled(group=request.group, member=request.member)
        _refuse_null(group=request.group, member=request.member)
        content = MembershipContent(field=request.field, group=request.group, member=request.member)
        return Payload(record_type=RecordType.MEMBERSHIP, payload=content)
    _check_filled(summary=request.summary)
    content = SummaryContent(summary=request.summary)
    return Payload(record_type=RecordType(request.record_type), payload=content)


def _scope(request: AddConstraint | AddConstraintV4) -> Scope:
    _check_filled(actor=request.actor, action=request.action, resource=request.resource)
    if isinstance(request, AddConstraint):
        return Scope(actor=request.actor, action=request.action, resource=request.resource)
    _refuse_null(actor=request.actor, action=request.action, resource=request.resource)
    scope = Scope(
        actor=request.actor,
        action=request.action,
        resource=request.resource,
        actor_match=request.actor_match,
        action_match=request.action_match,
        resource_match=request.resource_match,
    )
    check_patterns(scope)
    return scope


def _check_common(request: AddRecord) -> None:
    _check_filled(writer=request.writer, justification=request.justification, source_uri=request.source_uri)
    if not 1 <= request.version <= MAX_VERSION:
        raise _refuse("version", f"expected 1 to {MAX_VERSION}, got {request.version}; count versions from 1")
    if request.source_hash is not None and not _SOURCE_HASH.fullmatch(request.source_hash):
        raise _refuse(
            "source_hash", "expected 'sha256:' and 64 lower-case hex digits; send null if there is no hash"
        )
    if request.confidence is not None and not 0 <= request.confidence <= 1:
        raise _refuse("confidence", f"expected 0 to 1, got {request.confidence}")
    if request.confidence is None and request.truth_status in _NEEDS_CONFIDENCE:
        raise _refuse("confidence", f"is required for truth_status {request.truth_status}; send 0 to 1")


def _refuse_null(**names: str) -> None:
    """Names are looked up as keys; SQLite's JSON functions end a text at U+0000 and would miss a rule."""
    for field, name in names.items():
        if "\0" in name:
            raise _refuse(field, "holds U+0000; send a name without it")


def _check_filled(**texts: str) -> None:
    for field, text in texts.items():
        if not text.strip():
            raise _refuse(field, "is blank; send text")


def _check_size(*texts: str) -> None:
    """Keep the echo of a question small; older contracts echo whatever they get."""
    if (size := len(msgspec.json.encode(texts))) > MAX_QUESTION_BYTES:
        raise _refuse(
            "text", f"is too long: expected a question of at most {MAX_QUESTION_BYTES} bytes, got {size}"
        )


def _refuse(field: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"field '{field}' {reason}", {"field": field})
