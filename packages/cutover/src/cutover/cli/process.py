"""Commands that stay: gateway, fault injector and the supervisor of a release."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cutover.cli.option import HERE, OWN_KEYS, Folder, Keys, WhoName
from cutover.cli.output import narrate, show_json
from cutover.cli.step import open_workspace

Bind = Annotated[str | None, typer.Option("--bind", help="HOST:PORT for traffic; by default traffic.bind.")]


def gateway(bind: Bind = None, folder: Folder = HERE, keys: Keys = OWN_KEYS) -> None:
    """Carry the traffic between consumer and releases, by the signed routes of the log (executor)."""
    from cutover.web.gateway.server import serve_gateway
    from cutover.wiring.identity import load_identity
    from cutover.wiring.runtime import gateway_station

    workspace = open_workspace(folder)
    station = gateway_station(workspace, load_identity(keys, WhoName.EXECUTOR).signer, narrate)
    serve_gateway(station, bind=bind or workspace.program.traffic.bind)


def inject(
    upstream: Annotated[str, typer.Option("--upstream", help="http://HOST:PORT of what stands behind it.")],
    bind: Annotated[str, typer.Option("--bind", help="HOST:PORT for traffic.")] = "127.0.0.1:0",
    control: Annotated[str, typer.Option("--control", help="HOST:PORT for faults.")] = "127.0.0.1:0",
) -> None:
    """Stand between two processes and inject named faults, for gates, drills and tests."""
    from cutover.web.injector.server import serve_injector

    serve_injector(upstream, bind=bind, control=control)


def release_run(
    tag: Annotated[str, typer.Option("--tag", help="Baseline's or target's release tag.")],
    via: Annotated[
        str | None, typer.Option("--via", help="What routes use instead, such as a fault injector's URL.")
    ] = None,
    folder: Folder = HERE,
) -> None:
    """Run a release from an export of its tag until SIGTERM; exit 1 when its process ends by itself."""
    from cutover.cli.signals import Termination
    from cutover.wiring.runtime import run_release

    with Termination() as termination, run_release(open_workspace(folder), tag, via) as (running, process):
        show_json({"event": "ready", "url": running.url, "pid": running.pid})
        narrate(f"{tag} runs as process {running.pid} from tree {running.tree_id[:12]}")
        while process.is_alive() and not termination.wait(0.2):
            pass
        if not process.is_alive():
            narrate(f"error: {tag} ended by itself; read run/logs/{tag}.log")
            sys.exit(1)
