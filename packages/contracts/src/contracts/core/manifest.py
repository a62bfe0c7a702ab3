"""The producer contract manifest: what a release of MemoryKernel promises.

The format is closed, because its version string says which keys exist. Error codes are checked for
their form, not against today's set: a later release may announce more, and saying that the sets
differ is the work of a gate, which needs the document read.

Source: wire contract, section 3.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.core.text_format import ApiContract, CommitSha, ErrorCodeName, ReleaseTag, ServiceContract
from contracts.core.typed_reader import encode_record, read_record
from contracts.errors import MalformedDocument


class StabilityWindow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a contract stays as it is."""

    minimum_sprint_days: Annotated[int, Meta(ge=0, le=3650)]


class AdditiveErrorCodeNoticePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long before an error code is added it is announced."""

    standard_business_days: Annotated[int, Meta(ge=0, le=3650)]
    emergency_notice_hours: Annotated[int, Meta(ge=0, le=87600)]
    emergency_requires_same_day_docs_spec_tests: bool


class ServiceV3TransitionGuard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold before `legacy_error` may go."""

    legacy_error_must_remain_in_service_v2: bool
    legacy_error_removal_requires_service_v3: bool
    consumer_green_repin_required_before_legacy_error_removal: bool


class ProducerManifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A producer contract manifest; field names and order are those of the file."""

    manifest_contract_version: Literal["producer-contract-manifest.v1"]
    release_tag: ReleaseTag
    commit_sha: CommitSha
    expected_service_contract_version: ServiceContract
    expected_api_contract_version: ApiContract
    integration_baseline: Literal["integration/v1"]
    error_code_enum: Annotated[tuple[ErrorCodeName, ...], Meta(min_length=1, max_length=256)]
    stability_window: StabilityWindow
    additive_error_code_notice_policy: AdditiveErrorCodeNoticePolicy
    service_v3_transition_guard: ServiceV3TransitionGuard


def parse_manifest(data: bytes) -> ProducerManifest:
    """Read a manifest strictly.

    Args:
        data: The file's bytes.

    Returns:
        The manifest.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    manifest = read_record(data, ProducerManifest)
    verify_distinct("error_code_enum", manifest.error_code_enum)
    return manifest


def encode_manifest(manifest: ProducerManifest) -> bytes:
    """Write a manifest; `parse_manifest(encode_manifest(m)) == m`, and equal manifests give equal bytes.

    Args:
        manifest: The manifest.

    Returns:
        Two-space JSON with a final line break.

    Raises:
        MalformedDocument: When the reader would refuse the result.
    """
    data = encode_record(manifest)
    parse_manifest(data)
    return data


def verify_distinct(field: str, values: tuple[str, ...]) -> None:
    """Refuse a list in which a value stands twice: as a set it would look shorter than it is written.

    Args:
        field: Path of the list.
        values: Its values.

    Raises:
        MalformedDocument: Naming the second occurrence.
    """
    for index, value in enumerate(values):
        if value in values[:index]:
            raise MalformedDocument(
                f"{field}[{index}]", f"expected every value once, got {value!r} again; remove it"
            )
