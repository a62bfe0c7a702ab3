"""What a consumer is governed by: pin, mirrored manifest and compatibility matrix of ONE commit.

The three change together or not at all (wire contract, section 3). A `GovernanceCommit` is made by
`build_governance_commit` only when they agree, so whoever holds one need not check again.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec
from contracts.core.envelope import POLICIES
from contracts.core.manifest import ProducerManifest, parse_manifest
from contracts.core.matrix import CompatibilityMatrix, VersionPair, parse_matrix
from contracts.core.pin import Pin, parse_pin
from contracts.errors import MalformedDocument

from assistsupport.errors import GovernanceInconsistent, GovernanceUnreadable

PIN_PATH: Final = "config/memorykernel-integration-pin.json"
MANIFEST_PATH: Final = "config/memorykernel-producer-manifest.json"
MATRIX_PATH: Final = "docs/MEMORYKERNEL_COMPATIBILITY_MATRIX.md"


class GovernanceCommit(msgspec.Struct, frozen=True, kw_only=True):
    """Pin, mirrored manifest and matrix of one commit, agreeing with each other.

    Args:
        commit: The commit's id, 40 or 64 hex digits.
        pin: The consumer's pin.
        manifest: The producer's manifest as mirrored.
        matrix: The compatibility matrix.
    """

    commit: str
    pin: Pin
    manifest: ProducerManifest
    matrix: CompatibilityMatrix


def build_governance_commit(
    commit: str, *, pin: bytes, manifest: bytes, matrix: bytes, allow_remote: bool = False
) -> GovernanceCommit:
    """Read the three files of one commit and make sure that they say the same.

    Pure.

    Args:
        commit: The commit that all three were read from.
        pin: Bytes of the pin.
        manifest: Bytes of the mirrored manifest; its SHA-256 is compared with the pin's.
        matrix: Bytes of the matrix.
        allow_remote: Accept a pin whose base URL is not loopback.

    Returns:
        The governance of that commit.

    Raises:
        GovernanceUnreadable: A file is malformed; the message names file, field and reason.
        GovernanceInconsistent: The files contradict each other; the first contradiction is named.
    """
    path = PIN_PATH
    try:
        read_pin = parse_pin(pin, allow_remote=allow_remote)
        path = MANIFEST_PATH
        read_manifest = parse_manifest(manifest)
        path = MATRIX_PATH
        read_matrix = parse_matrix(matrix)
    except MalformedDocument as exc:
        raise GovernanceUnreadable(f"{path} in commit {commit} is malformed: {exc}") from exc
    digest = hashlib.sha256(manifest).hexdigest()
    governance = GovernanceCommit(commit=commit, pin=read_pin, manifest=read_manifest, matrix=read_matrix)
    contradiction = next(_find_contradictions(governance, digest), None)
    if contradiction is not None:
        raise GovernanceInconsistent(f"commit {commit} contradicts itself: {contradiction}")
    return governance


def _find_contradictions(governance: GovernanceCommit, manifest_digest: str) -> Iterator[str]:
    pin, manifest = governance.pin, governance.manifest
    if manifest_digest != (expected := pin.expected_producer_manifest_sha256):
        yield f"mirrored manifest: expected sha256 {expected}, got {manifest_digest}; mirror it again"
    said = {
        "release_tag": manifest.release_tag,
        "commit_sha": manifest.commit_sha,
        "expected_service_contract_version": manifest.expected_service_contract_version,
        "expected_api_contract_version": manifest.expected_api_contract_version,
        "expected_integration_baseline": manifest.integration_baseline,
    }
    yield from _compare("manifest", pin, said)
    yield from _compare("matrix", pin, dict(governance.matrix.baseline_pin))
    if not any(_approves(pair, pin) for pair in governance.matrix.pairs):
        yield f"matrix: expected an Approved pair with {pin.release_tag} as pinned, got none; add the row"
    yield from _find_unspoken(pin)


def _compare(document: str, pin: Pin, said: dict[str, str]) -> Iterator[str]:
    for name, got in said.items():
        expected = getattr(pin, name)
        if got != expected:
            yield f"{document} {name}: expected {expected} as pinned, got {got}; change the three together"


def _approves(pair: VersionPair, pin: Pin) -> bool:
    pinned = (
        pin.release_tag,
        pin.commit_sha,
        pin.expected_service_contract_version,
        pin.expected_api_contract_version,
        pin.expected_integration_baseline,
    )
    said = (pair.producer_tag, pair.producer_commit, pair.service, pair.api, pair.integration)
    return pair.status == "Approved" and said == pinned


def _find_unspoken(pin: Pin) -> Iterator[str]:
    """A contract that this consumer has no policy for cannot be judged, so it cannot be pinned."""
    policy = POLICIES.get(pin.expected_service_contract_version)
    if policy is None:
        known = ", ".join(sorted(POLICIES))
        yield f"pin: expected one of the contracts {known}, got {pin.expected_service_contract_version}"
    elif policy.api_contract_version != pin.expected_api_contract_version:
        yield f"pin: expected {policy.api_contract_version}, got {pin.expected_api_contract_version}"
