"""Collect for `runtime-target`: the tag on the producer's origin, now, beside what was handed off."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cutover.core.entry import HandedOff
from cutover.core.evidence import RuntimeTarget
from cutover.core.gate.handoff import load_payload
from cutover.errors import RepositoryError
from cutover.ports import Tag
from cutover.service.station import Station


def collect_runtime_target(station: Station) -> RuntimeTarget:
    """Resolve the tag and digest the handed-off files again.

    Raises:
        RepositoryError: When the tag is not on origin at all.
    """
    handed, origin = station.handed_off(), station.producer_origin
    tag = origin.read_tag(handed.release_tag)
    if tag is None:
        raise RepositoryError(f"{handed.release_tag} is not on the producer's origin; push the tag")
    return RuntimeTarget(
        release_tag=handed.release_tag,
        annotated=tag.annotated,
        tag_object=tag.tag_object,
        handed_off_tag_object=handed.tag_object,
        resolved_commit=tag.commit,
        commit_sha=handed.commit_sha,
        commit_is_ancestor=origin.is_ancestor(handed.commit_sha, tag.commit),
        changed_paths=origin.changed_paths(handed.commit_sha, tag.commit),
        metadata_paths=station.program.producer.metadata_paths,
        digests=_read_digests(station, handed, tag),
        expected_digests=_expect_digests(station),
    )


def _expect_digests(station: Station) -> Mapping[str, str]:
    payload, manifest = load_payload(station.read_case()), station.program.producer.manifest_path
    expected = dict(payload.release_digests or {})
    if payload.expected_producer_manifest_sha256 is not None:
        expected[manifest] = payload.expected_producer_manifest_sha256
    return expected


def _read_digests(station: Station, handed: HandedOff, tag: Tag) -> Mapping[str, str]:
    """The manifest as it stands at the commit handed over; everything else in the tag's own tree."""
    manifest = station.program.producer.manifest_path
    found = {}
    for path in _expect_digests(station):
        commit = handed.manifest_commit if path == manifest else tag.commit
        blob = station.producer_origin.read_blob(commit, path)
        found[path] = "absent" if blob is None else hashlib.sha256(blob).hexdigest()
    return found
