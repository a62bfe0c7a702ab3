"""The consumer writes the repin: forward and inverse commits on side refs, none of them live.

Two pairs on one line, base -> drill forward -> drill inverse -> execution forward -> execution inverse:
each forward commit carries pin, matrix and mirrored manifest of the target, each inverse the three of
the base byte for byte. Same hand-off and base, same commits. Only `execute`, after GO, moves the live ref.
Source: wire-contracts, section 3 ("The three change together or not at all"); cutover-program, "Order".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from contracts.core.matrix import CompatibilityMatrix, VersionPair, parse_matrix, render_matrix
from contracts.core.pin import Pin, encode_pin, parse_pin
from contracts.errors import MalformedDocument
from msgspec.structs import asdict, replace

from cutover.core.entry import Completed, Entry, HandedOff, Prepared, Repin
from cutover.core.program import Program, ReleaseTarget
from cutover.core.switch import calculate_operation
from cutover.errors import Refused
from cutover.service.station import Station

_APPROVED: Final = "Approved"


class _Trio(NamedTuple):
    pin: bytes
    matrix: bytes
    manifest: bytes


def prepare(station: Station) -> Entry:
    """Write the pairs of commits and append where they are.

    Args:
        station: With the consumer's party key.

    Raises:
        Refused: Before a hand-off, during a move, after completion; when the live ref is not on a
            consistent pin of the baseline, or somebody moves it meanwhile.
    """
    program, origin = station.program, station.consumer_origin
    entry, handed = _require_ready(station)
    live_ref = program.consumer.live_ref
    base = origin.resolve(live_ref)
    if base is None:
        raise Refused(f"{live_ref} is not on the consumer's origin; push it first")
    current = _read_trio(station, base)
    manifest = _read_manifest(station, handed)
    drill = _write_pair(station, entry, base, current, manifest, name="drill-")
    execution = _write_pair(station, entry, drill.inverse_commit, current, manifest, name="")
    if origin.resolve(live_ref) != base:
        raise Refused(f"{live_ref} moved while the repin was being prepared; run 'cutover prepare' again")
    refresh = _write_refresh(station, entry, execution, current, manifest)
    body = Prepared(live_ref=live_ref, drill=drill, execution=execution, refresh=refresh)
    return station.log.append(body, station.signer)


def side_ref(program: Program, name: str) -> str:
    """Return the full side ref of a prepared commit. Pure."""
    return f"refs/cutover/{program.name}/{name}"


def _require_ready(station: Station) -> tuple[Entry, HandedOff]:
    case = station.read_case()
    if case.newest(Completed) is not None:
        raise Refused("the program is complete; there is nothing left to prepare")
    state = calculate_operation(case.entries)
    if state is not None:
        raise Refused(f"a {state.operation} is in progress; finish it or take it back first")
    found = case.newest(HandedOff)
    if found is None:
        raise Refused("nothing was handed off yet; expected the producer to run 'cutover handoff' first")
    return found


def _read_trio(station: Station, commit: str) -> _Trio:
    """Read pin, matrix and mirrored manifest of the live commit and see that they agree on the baseline."""
    side, found = station.program.consumer, []
    for path in (side.pin_path, side.matrix_path, side.manifest_path):
        data = station.consumer_origin.read_blob(commit, path)
        if data is None:
            raise Refused(f"{path} is not in the live commit {commit[:12]}; restore it before a repin")
        found.append(data)
    trio = _Trio(*found)
    _verify_consistent(trio, station.program.baseline)
    return trio


def _verify_consistent(trio: _Trio, baseline: ReleaseTarget) -> None:
    try:
        pin, matrix = parse_pin(trio.pin), parse_matrix(trio.matrix)
    except MalformedDocument as exc:
        raise Refused(f"the live pin or matrix does not read: {exc}; restore it before a repin") from exc
    if pin.release_tag != baseline.release_tag:
        raise Refused(
            f"the live pin names {pin.release_tag}, expected the baseline {baseline.release_tag}; "
            "is this the right program?"
        )
    differing = [name for name, value in matrix.baseline_pin.items() if str(getattr(pin, name)) != value]
    if differing:
        raise Refused(f"live pin and matrix differ in {', '.join(differing)}; make them agree before a repin")
    if hashlib.sha256(trio.manifest).hexdigest() != pin.expected_producer_manifest_sha256:
        raise Refused(
            "the live mirrored manifest is not the one that the pin names; restore it before a repin"
        )


def _read_manifest(station: Station, handed: HandedOff) -> bytes:
    path = station.program.producer.manifest_path
    data = station.producer_origin.read_blob(handed.manifest_commit, path)
    if data is None:
        raise Refused(
            f"{path} is gone from commit {handed.manifest_commit[:12]} of the producer's origin; "
            "expected what was handed off, ask the producer to hand off again"
        )
    return data


def _write_pair(
    station: Station, entry: Entry, base: str, current: _Trio, manifest: bytes, *, name: str
) -> Repin:
    assert isinstance(entry.body, HandedOff)  # noqa: S101  # `_require_ready` found it by this type
    program, handed = station.program, entry.body
    target = _repin(program, handed, current, manifest, consumer_commit=base)
    there = f"Pin MemoryKernel {handed.release_tag} ({program.target.service_contract_version})"
    back = (
        f"Return to MemoryKernel {program.baseline.release_tag} ({program.baseline.service_contract_version})"
    )
    forward = _commit(station, entry, base, target, f"{there}\n\nPrepared by cutover {program.name}.")
    inverse = _commit(station, entry, forward, current, f"{back}\n\nPrepared by cutover {program.name}.")
    return Repin(
        base_commit=base,
        forward_ref=_point(station, f"{name}forward", forward),
        forward_commit=forward,
        inverse_ref=_point(station, f"{name}inverse", inverse),
        inverse_commit=inverse,
    )


def _write_refresh(
    station: Station, entry: Entry, execution: Repin, current: _Trio, manifest: bytes
) -> Repin:
    """Write the pair of the drill after completion: over the execution's inverse and to the target again."""
    assert isinstance(entry.body, HandedOff)  # noqa: S101  # `_require_ready` found it by this type
    away = execution.inverse_commit
    target = _repin(station.program, entry.body, current, manifest, consumer_commit=away)
    subject = f"Pin MemoryKernel {entry.body.release_tag} again, after the refreshed drill"
    home = _commit(station, entry, away, target, f"{subject}\n\nPrepared by cutover {station.program.name}.")
    return Repin(
        base_commit=execution.forward_commit,
        forward_ref=execution.inverse_ref,
        forward_commit=away,
        inverse_ref=_point(station, "refreshed", home),
        inverse_commit=home,
    )


def _commit(station: Station, entry: Entry, parent: str, trio: _Trio, message: str) -> str:
    """Write a commit whose time is the hand-off's: preparing again gives the same commits."""
    author = f"{station.program.consumer.name} by cutover <cutover@localhost>"
    files = _files(station.program, trio)
    return station.consumer_origin.commit_files(parent, files, message, author, entry.time)


def _files(program: Program, trio: _Trio) -> Mapping[str, bytes]:
    side = program.consumer
    return {side.pin_path: trio.pin, side.matrix_path: trio.matrix, side.manifest_path: trio.manifest}


def _point(station: Station, name: str, commit: str) -> str:
    ref, origin = side_ref(station.program, name), station.consumer_origin
    old = origin.resolve(ref)
    if old != commit and not origin.compare_and_swap(ref, commit, old):
        raise Refused(f"{ref} moved while the repin was being prepared; run 'cutover prepare' again")
    return ref


def _repin(
    program: Program, handed: HandedOff, current: _Trio, manifest: bytes, *, consumer_commit: str
) -> _Trio:
    """Derive pin and matrix of the target from those of the baseline. Pure."""
    pin = replace(
        parse_pin(current.pin),
        release_tag=handed.release_tag,
        commit_sha=handed.commit_sha,
        expected_service_contract_version=program.target.service_contract_version,
        expected_api_contract_version=program.target.api_contract_version,
        expected_integration_baseline="integration/v1",
        expected_producer_manifest_sha256=hashlib.sha256(manifest).hexdigest(),
    )
    matrix = _approve(parse_matrix(current.matrix), pin, program.consumer.version, consumer_commit)
    return _Trio(pin=encode_pin(pin), matrix=render_matrix(matrix), manifest=manifest)


def _approve(matrix: CompatibilityMatrix, pin: Pin, version: str, commit: str) -> CompatibilityMatrix:
    """Put the pin's facts on top and one approved row at the end; keep every other row."""
    facts = asdict(pin)
    row = VersionPair(
        consumer_version=version,
        consumer_commit=commit,
        producer_tag=pin.release_tag,
        producer_commit=pin.commit_sha,
        service=pin.expected_service_contract_version,
        api=pin.expected_api_contract_version,
        integration=pin.expected_integration_baseline,
        status=_APPROVED,
    )
    kept = tuple(pair for pair in matrix.pairs if replace(pair, status=_APPROVED) != row)
    return CompatibilityMatrix(
        baseline_pin={name: str(facts[name]) for name in matrix.baseline_pin}, pairs=(*kept, row)
    )
