"""What keeps running or watches what runs: gateway, releases and a party's probe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from securesystemslib.signer import Signer

from cutover.core.entry import Entry
from cutover.core.key import Party
from cutover.errors import Refused
from cutover.ports import Process
from cutover.service import probe, release
from cutover.service.baseline import lead_to_baseline
from cutover.service.station import RunningRelease
from cutover.web.gateway.keeper import GatewayStation
from cutover.wiring.identity import load_identity
from cutover.wiring.workspace import Workspace


def gateway_station(workspace: Workspace, signer: Signer, narrate: Callable[[str], None]) -> GatewayStation:
    """Return what the gateway works with, with the baseline's routes opened where they are not yet.

    Raises:
        Refused: When the program is not open, or the baseline has no route and does not run.
    """
    if lead_to_baseline(
        workspace.program, workspace.log, signer, lambda tag: find_release(workspace.folder, tag)
    ):
        narrate(f"traffic is led to {workspace.program.baseline.release_tag}")
    return GatewayStation(
        folder=workspace.folder,
        program=workspace.program,
        log=workspace.log,
        log_file=workspace.log.path,
        consumer_origin=workspace.consumer_origin,
        consumer=workspace.consumer(),
        clock=workspace.clock,
        signer=signer,
    )


def run_release(
    workspace: Workspace, release_tag: str, via: str | None
) -> AbstractContextManager[tuple[RunningRelease, Process]]:
    """Return the context in which a release runs from an export of its tag."""
    return release.run_release(
        workspace.folder,
        workspace.program,
        origin=workspace.producer_origin,
        launcher=workspace.launcher,
        python=sys.executable,
        release_tag=release_tag,
        via=via,
    )


def probe_as_party(
    workspace: Workspace, keys: Path, who: str, *, timeout_s: float, narrate: Callable[[str], None]
) -> Entry:
    """Watch a drill from a party's side and sign what was seen."""
    identity = load_identity(keys, who)
    look = (
        probe.look_as_producer(workspace.http, workspace.gateway_facts().url, workspace.program)
        if identity.party is Party.PRODUCER
        else probe.look_as_consumer(workspace.consumer())
    )
    return probe.probe(
        identity.party,
        look,
        log=workspace.log,
        clock=workspace.clock,
        signer=identity.signer,
        timeout_s=timeout_s,
        narrate=narrate,
    )


def find_release(folder: Path, release_tag: str) -> RunningRelease:
    """Return what the supervisor of a release wrote down.

    Raises:
        Refused: When no such process was started here.
    """
    path = folder / "run" / "releases" / f"{release_tag}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunningRelease)
    except (OSError, msgspec.MsgspecError):
        raise Refused(
            f"{release_tag} is not running here; start 'cutover release run --tag {release_tag}'"
        ) from None
