"""Collect for `trio`: pin, matrix and mirrored manifest of one commit, read from the consumer's origin."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from contracts.core.manifest import ProducerManifest, parse_manifest
from contracts.core.matrix import CompatibilityMatrix, VersionPair, parse_matrix
from contracts.core.pin import Pin, parse_pin
from contracts.errors import ContractsError

from cutover.core.entry import Prepared, Repin
from cutover.core.evidence import Trio
from cutover.core.gate.handoff import load_payload
from cutover.errors import EvidenceUnreadable, Refused, RepositoryError
from cutover.ports import Repository
from cutover.service.station import Station

Files = tuple[bytes, bytes, bytes]


def collect_trio(station: Station, commit: str | None = None) -> Trio:
    """Read the trio of the execution's forward commit (or of `commit`, which must carry the same files).

    Raises:
        Refused: When nothing is prepared.
        RepositoryError: When one of the three is not in the commit.
        EvidenceUnreadable: When one of them does not parse.
    """
    found = station.read_case().newest(Prepared)
    if found is None:
        raise Refused("nothing is prepared; expected the consumer to run 'cutover prepare' first")
    repin = found[1].execution
    commit = commit or repin.forward_commit
    try:
        return _read(station, repin, commit)
    except ContractsError as exc:
        raise EvidenceUnreadable(f"the trio of {commit[:12]} does not parse: {exc}; prepare again") from exc


def _read(station: Station, repin: Repin, commit: str) -> Trio:
    origin, handed, side = station.consumer_origin, station.handed_off(), station.program.consumer
    pin_bytes, matrix_bytes, mirror = read_files(station, commit)
    pin, matrix, payload = parse_pin(pin_bytes), parse_matrix(matrix_bytes), load_payload(station.read_case())
    manifest_path = station.program.producer.manifest_path
    return Trio(
        commit=commit,
        parent_commit=origin.parent(commit) or "",
        pin=_facts_of_pin(pin),
        matrix_baseline=_facts_of_baseline(matrix),
        matrix_row=_find_row(matrix, handed.release_tag),
        mirrored_manifest=_facts_of_manifest(parse_manifest(mirror)),
        handoff={
            "release_tag": payload.release_tag,
            "commit_sha": payload.commit_sha,
            "service_contract_version": payload.expected_service_contract_version,
            "api_contract_version": payload.expected_api_contract_version,
            "integration_baseline": payload.integration_baseline,
        },
        mirrored_manifest_sha256=_sha256(mirror),
        producer_manifest_sha256=_sha256(
            _require(station.producer_origin, handed.manifest_commit, manifest_path)
        ),
        pin_manifest_sha256=pin.expected_producer_manifest_sha256,
        inverse_restores_baseline=read_files(station, repin.inverse_commit)
        == read_files(station, repin.base_commit),
        changed_paths=origin.changed_paths(origin.parent(commit) or commit, commit),
        allowed_paths=(side.manifest_path, side.pin_path, side.matrix_path),
    )


def read_files(station: Station, commit: str) -> Files:
    """Return the bytes of pin, matrix and mirrored manifest of one commit."""
    origin, side = station.consumer_origin, station.program.consumer
    return (
        _require(origin, commit, side.pin_path),
        _require(origin, commit, side.matrix_path),
        _require(origin, commit, side.manifest_path),
    )


def _require(origin: Repository, commit: str, path: str) -> bytes:
    blob = origin.read_blob(commit, path)
    if blob is None:
        raise RepositoryError(f"{path} is not in commit {commit[:12]}; prepare again")
    return blob


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _facts_of_pin(pin: Pin) -> Mapping[str, str]:
    return {
        "release_tag": pin.release_tag,
        "commit_sha": pin.commit_sha,
        "service_contract_version": pin.expected_service_contract_version,
        "api_contract_version": pin.expected_api_contract_version,
        "integration_baseline": pin.expected_integration_baseline,
    }


def _facts_of_manifest(manifest: ProducerManifest) -> Mapping[str, str]:
    return {
        "release_tag": manifest.release_tag,
        "commit_sha": manifest.commit_sha,
        "service_contract_version": manifest.expected_service_contract_version,
        "api_contract_version": manifest.expected_api_contract_version,
        "integration_baseline": manifest.integration_baseline,
    }


def _facts_of_baseline(matrix: CompatibilityMatrix) -> Mapping[str, str]:
    pinned = matrix.baseline_pin
    return {
        "release_tag": pinned["release_tag"],
        "commit_sha": pinned["commit_sha"],
        "service_contract_version": pinned["expected_service_contract_version"],
        "api_contract_version": pinned["expected_api_contract_version"],
        "integration_baseline": pinned["expected_integration_baseline"],
    }


def _find_row(matrix: CompatibilityMatrix, release_tag: str) -> Mapping[str, str] | None:
    rows = [pair for pair in matrix.pairs if pair.producer_tag == release_tag]
    return _facts_of_row(rows[-1]) if rows else None


def _facts_of_row(pair: VersionPair) -> Mapping[str, str]:
    return {
        "release_tag": pair.producer_tag,
        "commit_sha": pair.producer_commit,
        "service_contract_version": pair.service,
        "api_contract_version": pair.api,
        "integration_baseline": pair.integration,
        "consumer_commit": pair.consumer_commit,
        "status": pair.status,
    }
