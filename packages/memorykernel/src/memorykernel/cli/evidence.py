"""`mk replay`, `mk verify`, `mk proof`: computing answers again, checking everything, and proving one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from memorykernel.cli.output import narrate, print_record, print_result
from memorykernel.cli.progress import show_progress
from memorykernel.cli.target import Database, choose_database, open_existing
from memorykernel.errors import InvalidRequest
from memorykernel.wiring import open_proving, open_replaying, verify_store, write_whole

AnswerId = Annotated[str, typer.Argument(help="The context_package_id of a kept answer.", show_default=False)]


def replay(ctx: typer.Context, context_package_id: AnswerId, db: Database = None) -> None:
    """Compute a kept answer again; exit 0 when its bytes come out, 1 when others do."""
    outcome = open_replaying(open_existing(ctx, db, None)).replay(context_package_id)
    print_record(outcome)
    if not outcome.identical:
        narrate("the answer is not what its rules give on its state; find the damage with 'mk verify'")
        raise typer.Exit(1)


def verify(
    ctx: typer.Context,
    answers: Annotated[bool, typer.Option(help="Replay every kept answer too.")] = True,
    jobs: Annotated[int | None, typer.Option(min=1, max=256, help="Processes; all cores if absent.")] = None,
    db: Database = None,
) -> None:
    """Check every chain, row, index and answer; names what is damaged, exit 1 then."""
    location = choose_database(ctx, db)
    with show_progress("verifying") as progress:
        report = verify_store(location, answers=answers, jobs=jobs or os.cpu_count() or 1, progress=progress)
    print_record(report)
    for warning in report.warnings:
        narrate(f"warning: {warning}")
    if not report.ok:
        narrate(f"damaged: {len(report.damage)} finding(s); restore a copy")
        raise typer.Exit(1)


def proof(
    ctx: typer.Context,
    subject: Annotated[
        str, typer.Argument(help="The context_package_id to prove; or 'check'.", show_default=False)
    ],
    file: Annotated[Path | None, typer.Argument(help="After 'check': the proof.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("-o", help="Where to write; stdout if absent.")] = None,
    db: Database = None,
) -> None:
    """Write the proof of an answer, or check one without a database: mk proof check FILE."""
    if subject == "check":
        _check(file)
    else:
        _write(open_proving(open_existing(ctx, db, None)).write(subject), output)


def _check(file: Path | None) -> None:
    # Imported here: it is a program of its own.
    from memorykernel.cli.proof_check import Refused, check_proof

    if file is None:
        raise InvalidRequest("no proof is named; expected 'mk proof check FILE'")
    if not file.is_file():
        raise InvalidRequest(f"there is no proof at '{file}'; correct the path")
    try:
        shown = check_proof(file.read_bytes())
    except Refused as refused:
        print_result(msgspec.json.encode({"holds": False, "because": str(refused)}))
        raise typer.Exit(1) from refused
    print_result(msgspec.json.encode({"holds": True} | shown))


def _write(document: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(document + b"\n")
        sys.stdout.buffer.flush()
        return
    write_whole(document + b"\n", output)
    narrate(f"{output}: {len(document):,} bytes; check it with 'mk proof check {output}'")
