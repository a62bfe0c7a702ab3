"""Commands that look: evidence for gates, rehearsal, drill, and the decision that joins it all."""

from __future__ import annotations

from typing import Annotated

import typer

from cutover.cli.option import HERE, OWN_KEYS, AsParty, AsWho, Folder, Json, Keys, WhichScope, WhoName
from cutover.cli.output import narrate, show_json, show_line, show_table
from cutover.cli.step import open_executor, open_station, open_workspace, show_entry

Timeout = Annotated[float, typer.Option("--timeout", help="Seconds to wait for a drill to end.")]

_EXIT_CODES = {"GO": 0, "NO-GO": 1, "HOLD": 3}


def verify(
    as_: AsWho,
    gate: Annotated[list[str] | None, typer.Option("--gate", help="Only this gate; may be repeated.")] = None,
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """Collect the evidence that you have to show, on scratch instances."""
    from cutover.service import verify as verification

    done = verification.verify(open_station(folder, keys, as_), as_, gates=tuple(gate or ()))
    show_json({"collected": done}) if json else show_line(f"collected: {', '.join(done)}")


def rehearse(folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False) -> None:
    """Ask both live releases the same questions (executor, after a rehearsal GO)."""
    from cutover.service import rehearse as rehearsal

    evidence = rehearsal.rehearse(open_station(folder, keys, WhoName.EXECUTOR))
    changed = [pair for pair in evidence.pairs if pair.baseline != pair.target]
    if json:
        show_json(evidence)
    else:
        show_line(f"{len(evidence.pairs)} questions asked, {len(changed)} answers change")


def drill(folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False) -> None:
    """To the target and back under live traffic; after `complete`, refreshed from there (executor)."""
    from cutover.core.outcome import Outcome
    from cutover.service.refresh import drill_or_refresh

    evidence, verdict = drill_or_refresh(open_executor(folder, keys))
    show_json(evidence) if json else show_line(f"drill {verdict.outcome}: {verdict.reason}")
    raise typer.Exit(0 if verdict.outcome is Outcome.PASSED else 1)


def probe(
    as_: AsParty,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for a drill to end.")
    ] = 300.0,
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """Watch a drill with your own eyes and sign what you saw."""
    from cutover.wiring.runtime import probe_as_party

    entry = probe_as_party(open_workspace(folder), keys, as_, timeout_s=timeout_s, narrate=narrate)
    show_entry(entry, as_json=json)


def decide(scope: WhichScope, folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False) -> None:
    """Compute a decision: GO 0, NO-GO 1, HOLD 3 (executor)."""
    from msgspec import to_builtins

    from cutover.core.entry import Scope
    from cutover.service import decide as deciding

    _, decision = deciding.decide(open_station(folder, keys, WhoName.EXECUTOR), Scope(scope))
    if json:
        show_json({**to_builtins(decision), "digest": decision.digest})
    else:
        rows = ((r.gate, r.outcome, r.reason, f"{r.twins_killed}/{r.twins_tried}") for r in decision.gates)
        show_table(("gate", "outcome", "reason", "twins"), rows)
        show_line(f"{scope.value}: {decision.outcome}  {decision.digest}")
    raise typer.Exit(_EXIT_CODES[decision.outcome])
