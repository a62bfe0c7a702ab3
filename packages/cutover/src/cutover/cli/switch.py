"""Commands that move something: the switch, the way back, the point of no return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cutover.cli.option import HERE, OWN_KEYS, AsAnyone, DryRun, Folder, Json, Keys
from cutover.cli.output import narrate, show_json, show_line
from cutover.cli.step import open_executor, open_station, open_workspace, show_entry

if TYPE_CHECKING:
    from cutover.core.case import Case
    from cutover.core.entry import Restored
    from cutover.service.execute import Execution

Reason = Annotated[str, typer.Option("--reason", help="What was seen, one line.")]


def stop(
    as_: AsAnyone, reason: Reason, folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False
) -> None:
    """Stop the move in progress; one key is enough."""
    from cutover.service import stop as stopping

    gateway = open_workspace(folder).gateway()
    entry, noticed = stopping.stop(open_station(folder, keys, as_), gateway, reason=reason)
    show_entry(entry, as_json=json)
    narrate("the gateway takes everything back" if noticed else "run 'cutover execute' as executor now")


def execute(
    folder: Folder = HERE, keys: Keys = OWN_KEYS, dry_run: DryRun = False, json: Json = False
) -> None:
    """Move to the target and watch it; after a crash, finish or return and say which (executor)."""
    from cutover.service import execute as switching
    from cutover.wiring.inspection import require_incomplete

    workspace = open_workspace(folder)
    require_incomplete(workspace)
    if dry_run:
        _show_authorization(workspace.read_case(), as_json=json)
        return
    execution = switching.execute(open_executor(folder, keys))
    show_json(execution) if json else show_line(_describe(execution))
    raise typer.Exit(0 if execution.ended == "stable" else 1)


def rollback(
    as_: AsAnyone,
    reason: Reason,
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take an execution back before it is complete, and wait until it is back."""
    from cutover.service import stop as stopping

    station = open_station(folder, keys, as_)
    if dry_run:
        state = stopping.check_roll_back(station)
        show_line(f"attempt {state.attempt} would move {state.live_ref} to {state.repin.inverse_commit}")
        return
    restored = stopping.roll_back(station, open_workspace(folder).gateway(), reason=reason)
    show_json(restored) if json else show_line(_describe_times(restored))


def complete(
    folder: Folder = HERE, keys: Keys = OWN_KEYS, dry_run: DryRun = False, json: Json = False
) -> None:
    """Make the target the baseline: the point of no return (executor)."""
    from cutover.service import complete as completion

    executor = open_executor(folder, keys)
    if dry_run:
        baseline = completion.check_complete(executor)
        show_json(baseline) if json else show_line(f"{baseline.release_tag} would become the baseline")
        return
    show_entry(completion.complete(executor), as_json=json)


def _show_authorization(case: Case, *, as_json: bool) -> None:
    from cutover.core.decision import check_authorization
    from cutover.core.entry import Scope
    from cutover.core.outcome import Outcome

    verdict = check_authorization(case, Scope.EXECUTION)
    show_json(verdict) if as_json else show_line(f"{verdict.outcome}: {verdict.reason}")
    raise typer.Exit({Outcome.PASSED: 0, Outcome.FAILED: 1}.get(verdict.outcome, 3))


def _describe(execution: Execution) -> str:
    if execution.stopped is None or execution.restored is None:
        return f"attempt {execution.attempt} is {execution.ended}; 'cutover complete' makes it final"
    why = f"{execution.stopped.condition}: {execution.stopped.reason}"
    return f"attempt {execution.attempt} {execution.ended}, {why}; {_describe_times(execution.restored)}"


def _describe_times(restored: Restored) -> str:
    first = restored.t_first_baseline_reply
    if first is None:
        return "back on the baseline, whose first answer was not seen"
    milliseconds = (first - restored.t_observed).total_seconds() * 1000
    return f"back on the baseline, first answer {milliseconds:.1f} ms after the stop was observed"
