"""Collect for `envelope`: every probe against both live releases, and one real fault to be noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from contracts.core.envelope import POLICIES, EnvelopePolicy, check_reply
from contracts.core.manifest import ProducerManifest, parse_manifest
from contracts.core.openapi import parse_openapi
from contracts.errors import ContractsError

from cutover.core.evidence import Envelope, LiveFault, ProbeReply, ReleaseProbes
from cutover.core.gate.handoff import load_payload
from cutover.core.probe_set import PROBES, Probe, select_probes
from cutover.core.program import ReleaseTarget
from cutover.errors import EvidenceUnreadable, ReleaseUnreachable, RepositoryError
from cutover.ports import Http, Reply, Repository
from cutover.service.collect.contract_change import read_document
from cutover.service.collect.scratch import CONTRACT_HEADER, Injector, Scratch
from cutover.service.seed import resolve_references
from cutover.service.station import Station

LIVE_FAULT = "extra-field"
MAX_REPLY_BYTES = 4 << 20


def collect_envelope(station: Station) -> Envelope:
    """Probe both releases on scratch databases.

    Raises:
        RepositoryError: When a tag, a document or a manifest is not where it must be.
        CommandFailed: When a release does not start.
        ReleaseUnreachable: When it does not serve its OpenAPI document.
    """
    program = station.program
    manifests = (_read_baseline_manifest(station), read_target_manifest(station))
    with Scratch(station, "envelope") as scratch:
        baseline = scratch.start_seeded(program.baseline)
        target = scratch.start_seeded(program.target)
        return Envelope(
            baseline=probe_release(station, program.baseline, baseline.url, manifests[0]),
            target=probe_release(station, program.target, target.url, manifests[1]),
            live_fault=_meet_fault(station, scratch.start_injector(target.url)),
        )


def probe_release(
    station: Station, release: ReleaseTarget, url: str, manifest: ProducerManifest
) -> ReleaseProbes:
    """Send every probe to a release at `url` and put its three enums beside what came back.

    Raises:
        RepositoryError: When the tag or its OpenAPI document is not on origin.
        ReleaseUnreachable: When nothing answers at `url`.
    """
    document = read_document(station, release.release_tag)
    served = station.http.request("GET", f"{url}/v1/openapi", headers=_headers(release, None))
    routes = _list_routes(document)
    replies = tuple(map(_Prober(station.http, release, url).send, select_probes(routes)))
    reached = {reply.code for reply in replies}
    return ReleaseProbes(
        release_tag=release.release_tag,
        service_contract_version=release.service_contract_version,
        served_openapi_sha256=hashlib.sha256(served.body).hexdigest(),
        tag_openapi_sha256=hashlib.sha256(document).hexdigest(),
        replies=replies,
        routes=routes,
        manifest_codes=manifest.error_code_enum,
        openapi_codes=_list_codes(document),
        handoff_codes=load_payload(station.read_case()).error_code_enum,
        codes_not_reached=tuple(sorted(set(manifest.error_code_enum) - reached)),
    )


class _Prober:
    """Sends probes to one release in order and keeps the ids that it gives.

    Args:
        url: Of the release, or of what stands before it.
    """

    def __init__(self, http: Http, release: ReleaseTarget, url: str) -> None:
        self._http = http
        self._release = release
        self._url = url
        self._ids: dict[str, str] = {}

    def send(self, probe: Probe) -> ProbeReply:
        """Send one probe and judge what comes back."""
        try:
            reply = self._request(probe)
        except ReleaseUnreachable as exc:
            return _describe_failure(probe, f"no-reply:{exc.kind}")
        except KeyError as exc:
            return _describe_failure(probe, f"not-sent:{exc.args[0]}")
        return ProbeReply(
            probe=probe.name,
            route=probe.route,
            status=reply.status,
            code=_read_code(reply),
            breaches=_judge(POLICIES[self._release.service_contract_version], probe, reply),
        )

    def _request(self, probe: Probe) -> Reply:
        path = resolve_references(probe.path.encode(), self._ids).decode()
        reply = self._http.request(
            probe.method,
            self._url + path,
            headers=_headers(self._release, probe.content_type),
            body=None if probe.body is None else resolve_references(probe.body, self._ids),
        )
        if probe.keeps is not None and (found := _read_id(reply)) is not None:
            self._ids[probe.keeps] = found
        return reply


def _describe_failure(probe: Probe, breach: str) -> ProbeReply:
    return ProbeReply(probe=probe.name, route=probe.route, status=0, code=None, breaches=(breach,))


def _judge(policy: EnvelopePolicy, probe: Probe, reply: Reply) -> tuple[str, ...]:
    refused = (f"refused:{reply.status}",) if probe.is_valid and reply.status != 200 else ()
    if not probe.envelope:
        return refused
    breaches = check_reply(
        policy,
        status=reply.status,
        content_type=reply.headers.get("content-type"),
        body=reply.body,
        max_bytes=MAX_REPLY_BYTES,
    )
    return (*refused, *(f"{breach.code}:{breach.field}" for breach in breaches))


def _meet_fault(station: Station, injector: Injector) -> LiveFault:
    """Let the target's replies be falsified on the way; a collector that sees nothing is worth nothing.

    The same request must pass unharmed before, so that it is the fault that is noticed and nothing else.
    """
    probe = next(p for p in PROBES if p.name == "ask/ok")
    prober = _Prober(station.http, station.program.target, injector.url)
    clean = prober.send(probe)
    injector.inject(LIVE_FAULT)
    seen = prober.send(probe)
    return LiveFault(
        fault=LIVE_FAULT,
        noticed=not clean.breaches and seen.status == clean.status and bool(seen.breaches),
        detail=f"without it: {_describe(clean)}; with it: {_describe(seen)}",
    )


def _describe(reply: ProbeReply) -> str:
    return f"{reply.status} {', '.join(reply.breaches) or 'as it should be'}"


def _headers(release: ReleaseTarget, content_type: str | None) -> Mapping[str, str]:
    headers = {CONTRACT_HEADER: release.service_contract_version}
    return headers if content_type is None else {**headers, "Content-Type": content_type}


class _Kept(msgspec.Struct):
    memory_version_id: str | None = None
    context_package_id: str | None = None


class _KeptBody(msgspec.Struct):
    data: _Kept


def _read_id(reply: Reply) -> str | None:
    try:
        data = msgspec.json.decode(reply.body, type=_KeptBody).data
    except msgspec.MsgspecError:
        return None
    return data.memory_version_id or data.context_package_id


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


def read_target_manifest(station: Station) -> ProducerManifest:
    """Return the manifest that was handed over.

    Raises:
        RepositoryError: When it is not on origin.
        EvidenceUnreadable: When it does not parse.
    """
    handed = station.handed_off()
    return _read_manifest(
        station.producer_origin, handed.manifest_commit, station.program.producer.manifest_path
    )


def _read_baseline_manifest(station: Station) -> ProducerManifest:
    """As the consumer mirrors it: the manifest of a release is not in its own tag's tree."""
    origin, side, baseline = station.consumer_origin, station.program.consumer, station.program.baseline
    commit = origin.resolve(side.live_ref)
    if commit is None:
        raise RepositoryError(f"{side.live_ref} is not on the consumer's origin; push it")
    manifest = _read_manifest(origin, commit, side.manifest_path)
    if manifest.release_tag != baseline.release_tag:
        raise RepositoryError(
            f"{side.live_ref} mirrors the manifest of {manifest.release_tag}, "
            f"expected {baseline.release_tag}; collect before the switch"
        )
    return manifest


def _read_manifest(origin: Repository, commit: str, path: str) -> ProducerManifest:
    blob = origin.read_blob(commit, path)
    if blob is None:
        raise RepositoryError(f"{path} is not in commit {commit[:12]}; push it and hand off again")
    try:
        return parse_manifest(blob)
    except ContractsError as exc:
        raise EvidenceUnreadable(f"{path} of {commit[:12]} does not parse: {exc}; fix it") from exc
