"""Reading what the published implementation writes: records and answers as its wire has them, line by line.

The shapes of both are told by the wire contracts; a record passes the same admission as a request, and keeps
its ids and times. Which ruleset and state an answer was given on is in the answer itself; its question is not
stored beside it, so it can be shown again but not replayed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.bundle import Head
from memorykernel.core.record import Provenance
from memorykernel.core.request import AddConstraint, AddRecord, AddSummary
from memorykernel.core.ulid import parse_ulid
from memorykernel.core.vocabulary import Authority, Effect, PublishedType, SummaryType, TruthStatus
from memorykernel.errors import BundleInvalid, MemoryKernelError

RECORDS_PATH: Final = "memory_records.ndjson"
PACKAGES_PATH: Final = "context_packages.ndjson"

SCHEMA_VERSIONS: Final = (1, 2)
"""The published schemas."""


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a published snapshot."""

    path: str
    sha256: Head
    records: Annotated[int, Meta(ge=0)]


class PublishedManifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json` of a published snapshot; other keys are ignored."""

    schema_version: int
    exported_at: str
    files: tuple[PublishedFile, ...]


class PublishedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A published context package: its id and its bytes."""

    context_package_id: str
    package: bytes


class _Scope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    actor: str
    action: str
    resource: str


class _Constraint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scope: _Scope
    effect: Effect
    note: str | None = None


class _Summary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    summary: str


class _Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    record_type: PublishedType
    payload: msgspec.Raw


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    memory_version_id: str
    memory_id: str
    version: int
    created_at: str
    effective_at: str | None
    truth_status: TruthStatus
    authority: Authority
    confidence: float | None
    writer: str
    justification: str
    provenance: Provenance
    supersedes: tuple[str, ...]
    contradicts: tuple[str, ...]
    payload: _Payload


class _Package(msgspec.Struct, frozen=True, kw_only=True):
    context_package_id: str
    query: dict[str, Any]
    determinism: dict[str, Any]
    answer: dict[str, Any]


_RECORD_DECODER: Final = msgspec.json.Decoder(_Record)
_PACKAGE_DECODER: Final = msgspec.json.Decoder(_Package)


def parse_published_manifest(data: bytes) -> PublishedManifest:
    """Read the manifest of a published snapshot.

    Raises:
        BundleInvalid: It is none, or of a schema that nobody published.
    """
    try:
        manifest = msgspec.json.decode(data, type=PublishedManifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BundleInvalid(f"the snapshot's manifest cannot be read: {exc}; export it again") from exc
    if manifest.schema_version not in SCHEMA_VERSIONS:
        raise BundleInvalid(
            f"the snapshot has schema {manifest.schema_version}: expected one of 1, 2, which were published"
        )
    return manifest


def parse_published_record(data: bytes, where: str) -> NewRecord:
    """Read a record.

    Args:
        data: One JSON object with the keys of a memory record on the wire, every one of them.
        where: File and line, for the message.

    Raises:
        BundleInvalid: It is none, or a request with the same content would be refused.
    """
    try:
        record = _RECORD_DECODER.decode(data)
        fresh = Fresh(
            memory_version_id=parse_ulid(record.memory_version_id, field="memory_version_id"),
            memory_id=record.memory_id,
            now_us=0,
        )
        return admit_record(_make_request(record), fresh)
    except (msgspec.DecodeError, UnicodeDecodeError, MemoryKernelError) as exc:
        raise BundleInvalid(f"{where}: {exc}") from exc


def parse_published_answer(data: bytes, where: str) -> PublishedAnswer:
    """Read a context package; its bytes are kept as they are.

    Raises:
        BundleInvalid: It is none.
    """
    try:
        package = _PACKAGE_DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BundleInvalid(f"{where}: {exc}") from exc
    return PublishedAnswer(context_package_id=package.context_package_id, package=data)


def _make_request(record: _Record) -> AddRecord:
    common: dict[str, Any] = {
        "memory_id": record.memory_id,
        "version": record.version,
        "writer": record.writer,
        "justification": record.justification,
        "source_uri": record.provenance.source_uri,
        "source_hash": record.provenance.source_hash,
        "evidence": record.provenance.evidence,
        "confidence": record.confidence,
        "truth_status": record.truth_status,
        "authority": record.authority,
        "created_at": record.created_at,
        "effective_at": record.effective_at,
        "supersedes": record.supersedes,
        "contradicts": record.contradicts,
    }
    record_type, content = record.payload.record_type, record.payload.payload
    if record_type is PublishedType.CONSTRAINT:
        constraint = msgspec.json.decode(content, type=_Constraint)
        scope = constraint.scope
        return AddConstraint(
            actor=scope.actor,
            action=scope.action,
            resource=scope.resource,
            effect=constraint.effect,
            note=constraint.note,
            **common,
        )
    summary = msgspec.json.decode(content, type=_Summary)
    return AddSummary(record_type=SummaryType(record_type), summary=summary.summary, **common)
