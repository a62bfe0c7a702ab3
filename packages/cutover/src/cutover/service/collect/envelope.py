"""Collect for `envelope`: every probe against both live releases, and one real fault to be noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from contracts.core.envelope import POLICIES, EnvelopePolicy, check_reply
from contracts.core.error_code import ERROR_CODES
from contracts.core.manifest import parse_manifest
from contracts.core.openapi import parse_openapi

from cutover.core.evidence import Envelope, LiveFault, ProbeReply, ReleaseProbes
from cutover.core.gate.handoff import load_payload
from cutover.core.probe_set import PROBES, Probe
from cutover.core.program import ReleaseTarget
from cutover.errors import EvidenceUnreadable, ReleaseUnreachable, RepositoryError
from cutover.ports import Reply
from cutover.service.collect.contract_change import read_document
from cutover.service.collect.scratch import CONTRACT_HEADER, Scratch
from cutover.service.station import Station

LIVE_FAULT = "extra-field"
MAX_REPLY_BYTES = 4 << 20


def collect_envelope(station: Station) -> Envelope:
    """Probe both releases on scratch databases."""
    program = station.program
    with Scratch(station, "envelope") as scratch:
        baseline = scratch.start_seeded(program.baseline)
        target = scratch.start_seeded(program.target)
        injector = scratch.start_injector(target.url)
        return Envelope(
            baseline=_probe_release(station, program.baseline, baseline.url),
            target=_probe_release(station, program.target, target.url),
            live_fault=_meet_fault(station, injector.url, lambda: injector.inject(LIVE_FAULT)),
        )


def _probe_release(station: Station, release: ReleaseTarget, url: str) -> ReleaseProbes:
    document = read_document(station, release.release_tag)
    replies = tuple(_send(station, release, url, probe) for probe in PROBES)
    served = station.http.request("GET", f"{url}/v1/openapi", headers=_headers(release, None))
    reached = {reply.code for reply in replies if reply.code is not None}
    return ReleaseProbes(
        release_tag=release.release_tag,
        service_contract_version=release.service_contract_version,
        served_openapi_sha256=hashlib.sha256(served.body).hexdigest(),
        tag_openapi_sha256=hashlib.sha256(document).hexdigest(),
        replies=replies,
        routes=_list_routes(document),
        manifest_codes=_read_manifest_codes(station),
        openapi_codes=_list_codes(document),
        handoff_codes=load_payload(station.read_case()).error_code_enum,
        codes_not_reached=tuple(sorted(ERROR_CODES - reached)),
    )


def _send(station: Station, release: ReleaseTarget, url: str, probe: Probe) -> ProbeReply:
    try:
        reply = station.http.request(
            probe.method, url + probe.path, headers=_headers(release, probe.content_type), body=probe.body
        )
    except ReleaseUnreachable as exc:
        return ProbeReply(
            probe=probe.name, route=probe.route, status=0, code=None, breaches=(f"no-reply:{exc.kind}",)
        )
    return ProbeReply(
        probe=probe.name,
        route=probe.route,
        status=reply.status,
        code=_read_code(reply),
        breaches=_judge(POLICIES[release.service_contract_version], probe, reply),
    )


def _judge(policy: EnvelopePolicy, probe: Probe, reply: Reply) -> tuple[str, ...]:
    if not probe.envelope:
        return () if reply.status == 200 else (f"status:{reply.status}",)
    breaches = check_reply(
        policy,
        status=reply.status,
        content_type=reply.headers.get("content-type"),
        body=reply.body,
        max_bytes=MAX_REPLY_BYTES,
    )
    return tuple(f"{breach.code}:{breach.field}" for breach in breaches)


def _meet_fault(station: Station, url: str, switch_on: Any) -> LiveFault:
    """Let the target's replies be falsified on the way; a collector that sees nothing is worth nothing."""
    switch_on()
    probe = next(p for p in PROBES if p.name == "ask/ok")
    seen = _send(station, station.program.target, url, probe)
    return LiveFault(
        fault=LIVE_FAULT, noticed=bool(seen.breaches), detail=", ".join(seen.breaches) or "nothing"
    )


def _headers(release: ReleaseTarget, content_type: str | None) -> Mapping[str, str]:
    headers = {CONTRACT_HEADER: release.service_contract_version}
    return headers if content_type is None else {**headers, "Content-Type": content_type}


class _Error(msgspec.Struct):
    code: str


class _ErrorBody(msgspec.Struct):
    error: _Error


def _read_code(reply: Reply) -> str | None:
    try:
        return msgspec.json.decode(reply.body, type=_ErrorBody).error.code
    except msgspec.MsgspecError:
        return None


_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def _list_routes(document: bytes) -> tuple[str, ...]:
    paths: Any = parse_openapi(document).get("paths")
    return tuple(
        f"{method.upper()} {path}" for path, item in paths.items() for method in item if method in _METHODS
    )


def _list_codes(document: bytes) -> tuple[str, ...]:
    """Find the one enum of error codes wherever the document keeps it."""
    found = sorted({code for enum in _find_enums(parse_openapi(document)) for code in enum})
    if not found:
        raise EvidenceUnreadable(
            "the OpenAPI document has no enum of error codes; expected error.code to have one"
        )
    return tuple(found)


def _find_enums(node: Any) -> list[list[str]]:
    if isinstance(node, dict):
        code = node.get("properties", {}).get("code") if isinstance(node.get("properties"), dict) else None
        here = [code["enum"]] if isinstance(code, dict) and isinstance(code.get("enum"), list) else []
        named = node.get("ErrorCode")
        here += [named["enum"]] if isinstance(named, dict) and isinstance(named.get("enum"), list) else []
        return here + [enum for child in node.values() for enum in _find_enums(child)]
    if isinstance(node, list):
        return [enum for child in node for enum in _find_enums(child)]
    return []


def _read_manifest_codes(station: Station) -> tuple[str, ...]:
    handed, path = station.handed_off(), station.program.producer.manifest_path
    blob = station.producer_origin.read_blob(handed.manifest_commit, path)
    if blob is None:
        raise RepositoryError(f"{path} is not in commit {handed.manifest_commit[:12]}; hand off again")
    return parse_manifest(blob).error_code_enum
