"""`mk import policies`: bringing rules to what a file says, shown first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memorykernel.cli.output import narrate, print_record
from memorykernel.cli.target import Database, ReleaseFolder, open_existing
from memorykernel.core.scope_pattern import encode_pattern
from memorykernel.wiring import import_policies

if TYPE_CHECKING:
    from memorykernel.service.policies import PolicyConflict, PolicyReport


def import_policies_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="YAML, or CSV when its name ends with .csv.")],
    db: Database = None,
    release: ReleaseFolder = None,
    set_name: Annotated[
        str | None, typer.Option("--set", help="The set's name; else that of the file.", show_default=False)
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write it; else it is only shown.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="End the rules of the set that the file no longer has.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="No table.")] = False,
) -> None:
    """Bring a set of rules and memberships to what a file says, in one transaction."""
    kernel = open_existing(ctx, db, release)
    preview = import_policies(kernel, file, name=set_name, apply=False, prune=prune)
    if not json:
        _show(preview)
    report = preview
    if apply:
        report = import_policies(kernel, file, name=set_name, apply=True, prune=prune)
    elif not json:
        narrate("nothing was written; add --apply to write it")
    print_record(report)


def _show(report: PolicyReport) -> None:
    # Imported here: drawing tables takes longer to load than most commands to run.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stderr)
    table = Table(title=Text(f"policy set {report.set}"), title_justify="left")
    for column in ("line", "action", "key"):
        table.add_column(column)
    for change in report.changes:
        line = "" if change.line is None else str(change.line)
        table.add_row(line, change.action.value, Text(change.key))
    console.print(table)
    counts = ", ".join(f"{action} {count}" for action, count in report.counts.items())
    console.print(Text(counts), soft_wrap=True)
    for each in report.conflicts:
        console.print(Text(f"conflict: {_describe(each)}"), soft_wrap=True)
    if report.truncated:
        console.print(Text("there may be more conflicts"))


def _describe(found: PolicyConflict) -> str:
    conflict, witness = found.conflict, found.conflict.witness
    scope = " ".join(encode_pattern(value, match) for _, value, match in conflict.overlap.patterns())
    line = "" if found.line is None else f"line {found.line} "
    return (
        f"{line}'{found.key}' against {conflict.memory_version_id} ({conflict.effect}) on {scope},"
        f" for example: may {witness.actor} {witness.action} {witness.resource}, at {witness.as_of}?"
    )
