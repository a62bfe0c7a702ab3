"""Commands that only read: check, status, record and the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cutover.cli.option import HERE, Folder, Json
from cutover.cli.output import narrate, show_json, show_line, show_table
from cutover.cli.step import open_workspace

if TYPE_CHECKING:
    from cutover.service.status import Status

Verify = Annotated[bool, typer.Option("--verify", help="Compare the files instead of writing them.")]
Against = Annotated[Path | None, typer.Option("--against", help="A head kept from 'log head --json'.")]

log_app = typer.Typer(help="The decision log.", no_args_is_help=True)


def check(
    folder: Folder = HERE,
    keys: Annotated[Path | None, typer.Option("--keys", help="Also look at the keys of this folder.")] = None,
    json: Json = False,
) -> None:
    """Say everything that a program needs and that is missing; changes nothing."""
    from cutover.wiring.inspection import check_workspace

    findings = check_workspace(open_workspace(folder), keys)
    if json:
        show_json(findings)
    else:
        show_table(
            ("", "what", "found"), (("ok" if f.ok else "missing", f.subject, f.detail) for f in findings)
        )
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def status(folder: Folder = HERE, json: Json = False) -> None:
    """Phase, gates, roles and routes; ends with the one next command and who must run it."""
    from cutover.service.status import calculate_status

    current = calculate_status(open_workspace(folder).read_case())
    show_json(current) if json else _show_status(current)


def record(
    folder: Folder = HERE,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the files instead of writing them.")
    ] = False,
    json: Json = False,
) -> None:
    """Write record.md, .json and .html from the log alone; --verify exits 1 when a file differs."""
    from cutover.wiring.inspection import verify_record, write_record

    workspace = open_workspace(folder)
    if not verify:
        written = write_record(workspace)
        show_json({"written": written}) if json else show_line(f"written: {', '.join(written)}")
        return
    differing = verify_record(workspace)
    show_json({"differing": differing}) if json else show_line(
        f"differs from the log: {', '.join(differing)}" if differing else "the record is what the log says"
    )
    raise typer.Exit(1 if differing else 0)


@log_app.command("verify")
def log_verify(
    against: Against = None,
    folder: Folder = HERE,
    json: Json = False,
) -> None:
    """Verify every entry; exit 1 and name the first that does not, 3 when there is none."""
    from cutover.wiring.inspection import read_head, verify_log_file

    found = verify_log_file(open_workspace(folder), None if against is None else read_head(against))
    show_json(found) if json else show_line(f"{found.size} entries verify; head {found.root}")
    found.check_whole()
    if against is None:
        narrate("without --against a kept head, a log that was cut at its end looks just as well")


@log_app.command("head")
def log_head(folder: Folder = HERE, json: Json = False) -> None:
    """Print the log's size and root, to be kept elsewhere."""
    from cutover.wiring.inspection import read_log_head

    head = read_log_head(open_workspace(folder))
    show_json(head) if json else show_line(f"{head.size} {head.root}")


def _show_status(current: Status) -> None:
    show_line(f"{current.program}: {current.phase}, {current.entries} entries, head {current.head[:16]}")
    for decision in current.decisions:
        names = " and ".join(decision.approved_by) or "nobody"
        said = f"{decision.outcome}, approved by {names}; " if decision.outcome else ""
        show_line(f"{decision.scope}: {said}{decision.standing}")
    gates = ((gate.gate, gate.outcome, gate.reason) for gate in current.gates)
    show_table(("gate", "outcome", "reason"), gates)
    if current.gates_decided_at is not None:
        show_line(
            f"the gates are shown as they were decided at {current.gates_decided_at:%Y-%m-%d %H:%M:%S}Z"
        )
    roles = (
        (role.role, "no" if role.problem else "yes", role.problem or role.holders[0])
        for role in current.roles
    )
    show_table(("role", "resolved", "holder"), roles)
    show_table(("contract", "leads to"), current.routes.items())
    if current.next.command:
        show_line(f"next: {current.next.by} runs 'cutover {current.next.command}' ({current.next.why})")
    else:
        show_line(f"next: nothing, {current.next.why}")
