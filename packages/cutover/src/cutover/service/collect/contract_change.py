"""Collect for `contract-change`: the OpenAPI documents of both tags, compared."""

from __future__ import annotations

import hashlib

from contracts.core.openapi import parse_openapi
from contracts.errors import ContractsError

from cutover.core.difference import find_differences
from cutover.core.evidence import ContractChange
from cutover.core.gate.handoff import load_payload
from cutover.errors import EvidenceUnreadable, RepositoryError
from cutover.service.station import Station


def collect_contract_change(station: Station) -> ContractChange:
    """Compare the documents as they stand in the two tags' trees.

    Beside each stands what the hand-off binds it to: the target's digest, and the document of the
    commit that it names as the active baseline, which must be what the baseline's tag leads to.

    Raises:
        RepositoryError: When a tag, that commit or a document is not on origin.
        EvidenceUnreadable: When a document does not parse.
    """
    program = station.program
    baseline = read_document(station, program.baseline.release_tag)
    target = read_document(station, program.target.release_tag)
    try:
        findings = find_differences(parse_openapi(baseline), parse_openapi(target))
    except ContractsError as exc:
        raise EvidenceUnreadable(f"an OpenAPI document does not parse: {exc}") from exc
    digests = [hashlib.sha256(document).hexdigest() for document in (baseline, target)]
    handed, path = load_payload(station.read_case()), program.producer.openapi_path
    active = _read_blob(station, handed.active_runtime_baseline.commit_sha)
    return ContractChange(
        baseline_version=program.baseline.service_contract_version,
        target_version=program.target.service_contract_version,
        baseline_openapi_sha256=digests[0],
        target_openapi_sha256=digests[1],
        baseline_tag_openapi_sha256=hashlib.sha256(active).hexdigest(),
        target_tag_openapi_sha256=(handed.release_digests or {}).get(path, "not handed off"),
        findings=tuple(findings),
    )


def read_document(station: Station, release_tag: str) -> bytes:
    """Return the OpenAPI document in a tag's tree.

    Raises:
        RepositoryError: When the tag or the document is not on origin.
    """
    tag = station.producer_origin.read_tag(release_tag)
    if tag is None:
        raise RepositoryError(f"{release_tag} is not on the producer's origin; push the tag")
    return _read_blob(station, tag.commit)


def _read_blob(station: Station, commit: str) -> bytes:
    path = station.program.producer.openapi_path
    blob = station.producer_origin.read_blob(commit, path)
    if blob is None:
        raise RepositoryError(f"{path} is not in {commit[:12]} on the producer's origin; push it")
    return blob
