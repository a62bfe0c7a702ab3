"""What an export holds: the manifest, and the lines of its members.

A bundle is a sequence of NDJSON members in chunks, then their manifest, then perhaps its signature. A line
of `memory` or `answers` is one entry of a hash chain with everything that its digest covers, so that a
store that holds nothing comes out of an import with the same heads, and every answer replays. Times are
whole microseconds since 1970 UTC and the fields have the store's names, so that nothing is lost on the way.

Lines of a member may stand in any order: `seq` says which comes when.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from memorykernel.errors import BundleInvalid

FORMAT: Final = "memorykernel.bundle.v1"

SCHEMA_VERSION: Final = 4
"""The schema whose columns the lines have."""

MANIFEST_PATH: Final = "manifest.json"
SIGNATURE_PATH: Final = "manifest.json.sig"

MAX_CHUNK_BYTES: Final = 64 * 2**20
"""How large a member may be; it is read into memory whole. Ours are a sixteenth of this."""

_MAX_INTEGER: Final = 2**63 - 1
_YEAR_1_US: Final = -62_135_596_800_000_000
_YEAR_9999_US: Final = 253_402_300_799_999_999


class Member(StrEnum):
    """The members of a bundle; each value is the folder that its chunks are in."""

    MEMORY = "memory"
    ANSWERS = "answers"
    REQUESTS = "requests"


Ulid = Annotated[str, Meta(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Instant = Annotated[int, Meta(ge=_YEAR_1_US, le=_YEAR_9999_US)]
Sequence = Annotated[int, Meta(ge=1, le=_MAX_INTEGER)]
Head = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
SourceHash = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]


class RecordLine(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="record",
):
    """A record with its entry in the memory's chain; after `recorded_at_us` the columns in their order.

    `recorded_at_us` is None for an entry that was written before schema 4.
    """

    seq: Sequence
    subject: Sequence
    recorded_at_us: Instant | None
    memory_version_id: Ulid
    memory_id: Ulid
    version: Sequence
    record_type: Literal["constraint", "decision", "preference", "event", "outcome", "membership"]
    created_at_us: Instant
    effective_at_us: Instant
    truth_status: Literal["asserted", "observed", "inferred", "speculative", "retracted"]
    authority: Literal["authoritative", "derived", "note"]
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    writer: str
    justification: str
    source_uri: str
    source_hash: SourceHash | None = None
    evidence: msgspec.Raw
    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    effect: Literal["allow", "deny"] | None = None
    note: str | None = None
    summary: str | None = None
    expires_at_us: Instant | None = None
    matching: str | None = None
    field: Literal["actor", "action", "resource"] | None = None
    group_name: str | None = None
    member: str | None = None


class LinkLine(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="link"
):
    """A link with its entry in the memory's chain; after `recorded_at_us` the columns in their order."""

    seq: Sequence
    subject: Sequence
    recorded_at_us: Instant | None
    from_version_id: Ulid
    to_version_id: Ulid
    relation: Literal["supersedes", "contradicts"]
    writer: str
    justification: str


class AnswerLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored answer with its entry in the answers' chain.

    `package` and `question` are embedded as they are stored, byte for byte; the question, its ruleset and the
    head it was answered on are None for answers that were stored before schema 4.
    """

    seq: Sequence
    subject: Sequence
    context_package_id: str
    package: msgspec.Raw
    ruleset: str | None
    head: Head | None
    question: str | None
    actor: str | None
    action: str | None
    resource: str | None


class RequestLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A write request that was carried out under a key; the reply in base64."""

    seq: Sequence
    key: Annotated[str, Meta(min_length=1, max_length=200)]
    sha256: Head
    recorded_at_us: Instant
    reply: bytes


MemoryLine = RecordLine | LinkLine
Line = MemoryLine | AnswerLine | RequestLine


class BundleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One chunk: its path, the digest of its bytes, and how many lines it has."""

    path: str
    sha256: Head
    records: Annotated[int, Meta(ge=0)]


class StoreState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a store holds, and the heads of its chains, 64 lower-case hex digits each."""

    records: Annotated[int, Meta(ge=0)]
    links: Annotated[int, Meta(ge=0)]
    answers: Annotated[int, Meta(ge=0)]
    requests: Annotated[int, Meta(ge=0)]
    memory_head: Head
    answer_head: Head

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written."""
        return not (self.records or self.links or self.answers or self.requests)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle says of itself; a signature is over its bytes, and it binds every other byte."""

    format: str
    schema_version: int
    exported_at: str | None
    state: StoreState
    files: tuple[BundleFile, ...]


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as indented JSON; the same manifest always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        BundleInvalid: It is none, or of a format that this program does not know.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BundleInvalid(f"the manifest cannot be read: {exc}; export again") from exc
    if (manifest.format, manifest.schema_version) != (FORMAT, SCHEMA_VERSION):
        raise BundleInvalid(
            f"the bundle is of format '{manifest.format}' with schema {manifest.schema_version}: expected"
            f" '{FORMAT}' with schema {SCHEMA_VERSION}; import it with the program that wrote it"
        )
    return manifest


def name_chunk(member: Member, number: int) -> str:
    """The path of a chunk; numbers count from 1."""
    return f"{member}/{number:06d}.ndjson"


def find_member(path: str) -> Member:
    """The member that a chunk belongs to.

    Raises:
        BundleInvalid: The path is not one of a chunk.
    """
    folder, _, name = path.partition("/")
    if folder not in list(Member) or not name.endswith(".ndjson") or not name[:-7].isdecimal():
        raise BundleInvalid(f"a bundle has no member '{path[:80]}'; expected chunks of {', '.join(Member)}")
    return Member(folder)
