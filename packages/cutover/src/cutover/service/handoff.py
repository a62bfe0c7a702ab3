"""The producer hands a release over.

The payload is read from the head of the producer's branch on `origin`, never from a work tree, and
refused when it could not lead anywhere: malformed, about another release, or about a tag that is not
there. What it claims is judged later, by the gates, against what they see themselves.
Source: wire-contracts, section 3; cutover-program, "Order".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from contracts.core.handoff import Handoff, parse_handoff
from contracts.core.manifest import parse_manifest
from contracts.errors import MalformedDocument

from cutover.core.entry import Completed, Entry, HandedOff
from cutover.core.program import Program
from cutover.errors import Refused
from cutover.ports import Repository, Tag
from cutover.service.station import Station


def hand_off(station: Station) -> Entry:
    """Read, check and keep the payload; append that it was handed over.

    Args:
        station: With the producer's party key.

    Raises:
        Refused: With everything that is wrong with the payload, or when the program is complete.
    """
    program, origin = station.program, station.producer_origin
    if station.read_case().newest(Completed) is not None:
        raise Refused("the program is complete; another hand-off needs a program of its own")
    head = origin.resolve(program.producer.branch)
    if head is None:
        raise Refused(f"{program.producer.branch} is not on the producer's origin; push it first")
    data = _read(origin, head, program.producer.handoff_path)
    payload = _parse(data, program.producer.handoff_path)
    tag = origin.read_tag(program.target.release_tag)
    problems = (*_compare(payload, program), *_look(payload, program, origin, head, tag))
    if problems or tag is None:
        raise Refused(f"the hand-off cannot be accepted: {'; '.join(problems)}")
    body = HandedOff(
        handoff_digest=station.evidence.store(data),
        release_tag=payload.release_tag,
        commit_sha=payload.commit_sha,
        tag_object=tag.tag_object,
        manifest_commit=head,
    )
    return station.log.append(body, station.signer)


def _read(origin: Repository, commit: str, path: str) -> bytes:
    data = origin.read_blob(commit, path)
    if data is None:
        raise Refused(f"{path} is not in commit {commit[:12]} of the producer's origin; commit and push it")
    return data


def _parse(data: bytes, path: str) -> Handoff:
    try:
        return parse_handoff(data)
    except MalformedDocument as exc:
        raise Refused(f"{path} does not read as a hand-off: {exc}; correct it, commit and push") from exc


def _compare(payload: Handoff, program: Program) -> Iterator[str]:
    """What the payload says beside what the program is about."""
    target = program.target
    stated = {
        "release_tag": (payload.release_tag, target.release_tag),
        "service contract": (payload.expected_service_contract_version, target.service_contract_version),
        "api contract": (payload.expected_api_contract_version, target.api_contract_version),
        "integration baseline": (payload.integration_baseline, target.integration_baseline),
        "active baseline": (payload.active_runtime_baseline.release_tag, program.baseline.release_tag),
        "manifest path": (payload.manifest_path, program.producer.manifest_path),
    }
    for what, (got, expected) in stated.items():
        if got != expected:
            yield f"{what}: expected {expected}, got {got}"
    for path in payload.absolute_paths:
        yield f"{path} is a path of one machine only; expected one inside the repository"


def _look(
    payload: Handoff, program: Program, origin: Repository, head: str, tag: Tag | None
) -> Iterator[str]:
    """What the payload says beside what is on origin."""
    if tag is None:
        yield f"tag {program.target.release_tag} is not on origin; push it"
    elif not tag.annotated:
        yield f"tag {tag.name} is not annotated; tag the release with 'git tag -a'"
    if origin.resolve(payload.commit_sha) is None:
        yield f"commit {payload.commit_sha[:12]} is not on origin; push it"
    data = origin.read_blob(head, program.producer.manifest_path)
    if data is None:
        yield f"{program.producer.manifest_path} is not in commit {head[:12]}; commit and push it"
        return
    expected, found = payload.expected_producer_manifest_sha256, hashlib.sha256(data).hexdigest()
    if expected != found:
        yield f"manifest digest: expected {expected or 'none stated'}, got {found}"
    try:
        parse_manifest(data)
    except MalformedDocument as exc:
        yield f"the manifest does not read: {exc}"
