"""The command that shows everything: a whole cutover on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutover.cli.option import Json
from cutover.cli.output import show_json


def demo(
    keep: Annotated[Path | None, typer.Option("--keep", help="New folder that stays.")] = None,
    scenario: Annotated[str | None, typer.Option("--scenario", help="What goes wrong.")] = None,
    prepared: Annotated[
        Path | None, typer.Option("--prepared", help="Start from a folder that --prepare-only left.")
    ] = None,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="End after verify; scenarios can start from there.")
    ] = False,
    example: Annotated[
        str, typer.Option("--example", help="A program below examples/: service-v3 or service-v4.")
    ] = "service-v3",
    json: Json = False,
) -> None:
    """Watch a whole cutover with real processes, git and traffic; exit 1 when refused or rolled back."""
    from cutover.demo import run
    from cutover.demo.example import find_example
    from cutover.demo.scenario import SCENARIOS

    if scenario is not None and scenario not in SCENARIOS:
        raise typer.BadParameter(f"expected one of {', '.join(SCENARIOS)}", param_hint="--scenario")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise typer.BadParameter(f"{keep} is not empty; name a new folder", param_hint="--keep")
    if prepare_only:
        show_json({"prepared": str(run.prepare_folder(keep, example=find_example(example)))})
        return
    result = run.run_demo(keep=keep, scenario=scenario, prepared=prepared, example=find_example(example))
    if json:
        show_json(result)
    raise typer.Exit(result.exit_code)
