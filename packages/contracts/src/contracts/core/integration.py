"""Readers of integration/v1: the four documents that pass between MemoryKernel and what is built on it.

The schemas in `data/schemas/integration/v1` say the same to other languages; a test holds the two together.

Source: wire contract, section 3.
"""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from contracts.core.context_package import Confidence, ContextPackage
from contracts.core.text_format import Ulid, UtcTime, is_real_time
from contracts.core.typed_reader import read_record
from contracts.errors import MalformedDocument

MAX_INTEGRATION_BYTES: Final = 2 * 1024 * 1024
_NOT_BLANK: Final = Meta(pattern=r"\S", description="text that is not blank")


class ContextPackageEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A context package on its way into an agent's context, with its slot and where it came from."""

    package_slot: Annotated[int, Meta(ge=0)]
    source: Annotated[str, _NOT_BLANK]
    package_hash: Annotated[str, Meta(pattern=r"\Asha256:\S+\Z", description="a hash like sha256:<digest>")]
    context_package: ContextPackage


class ProposedMemoryWrite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record that somebody proposes to write, with the reason; the payload is the proposer's own."""

    proposal_index: Annotated[int, Meta(ge=0)]
    payload: dict[str, Any]
    justification: Annotated[str, _NOT_BLANK]


class TrustGateAttachment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether one record version may be used, and why."""

    memory_id: Ulid
    version: Annotated[int, Meta(ge=1)]
    memory_version_id: Ulid
    include: bool
    trust_status: Annotated[str, _NOT_BLANK]
    confidence_effective: Confidence
    capped: bool
    reason_codes: tuple[Annotated[str, _NOT_BLANK], ...]
    ruleset_version: Annotated[int, Meta(ge=1)] | None = None
    evaluated_at: UtcTime
    source: Annotated[str, _NOT_BLANK]


class IntegrationError(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error between integrations: a code and a message, nothing else."""

    code: Annotated[str, _NOT_BLANK]
    message: str


def parse_context_package_envelope(data: bytes) -> ContextPackageEnvelope:
    """Read a context-package-envelope strictly.

    Args:
        data: The document's bytes.

    Returns:
        The envelope.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    return read_record(data, ContextPackageEnvelope, max_bytes=MAX_INTEGRATION_BYTES)


def parse_proposed_memory_write(data: bytes) -> ProposedMemoryWrite:
    """Read a proposed-memory-write strictly.

    Args:
        data: The document's bytes.

    Returns:
        The proposal.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    return read_record(data, ProposedMemoryWrite, max_bytes=MAX_INTEGRATION_BYTES)


def parse_trust_gate_attachment(data: bytes) -> TrustGateAttachment:
    """Read a trust-gate-attachment strictly.

    Args:
        data: The document's bytes.

    Returns:
        The attachment.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    attachment = read_record(data, TrustGateAttachment, max_bytes=MAX_INTEGRATION_BYTES)
    if not is_real_time(attachment.evaluated_at):
        raise MalformedDocument("evaluated_at", f"no such instant as {attachment.evaluated_at}")
    return attachment


def parse_error_envelope(data: bytes) -> IntegrationError:
    """Read an integration/v1 error-envelope strictly.

    Args:
        data: The document's bytes.

    Returns:
        The error.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    return read_record(data, IntegrationError, max_bytes=MAX_INTEGRATION_BYTES)
