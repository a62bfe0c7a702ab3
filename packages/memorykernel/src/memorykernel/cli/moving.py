"""`mk export`, `mk import`, `mk backup`, `mk restore`: a store's data, out and in, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from memorykernel.cli.output import narrate, print_record
from memorykernel.cli.target import Database, choose_database, choose_new_database
from memorykernel.core.instant import format_instant, parse_instant
from memorykernel.errors import InvalidRequest
from memorykernel.wiring import (
    back_up_file,
    import_file,
    load_export_keys,
    open_moving,
    restore_file,
    write_export,
)

STANDARD_OUTPUT: Final = "-"

Recipients = Annotated[
    list[str] | None,
    typer.Option("--encrypt-to", help="An age recipient, age1...; repeatable.", show_default=False),
]
Output = Annotated[str, typer.Option("--output", "-o", help="A new file, or - for standard output.")]


class _Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What `mk export` tells; how large it is, is not known of standard output."""

    file: str
    size_bytes: int | None
    signed: bool
    encrypted: bool


def export(
    ctx: typer.Context,
    db: Database = None,
    output: Output = STANDARD_OUTPUT,
    sign_key: Annotated[
        Path | None, typer.Option(help="An Ed25519 private key in PEM.", show_default=False)
    ] = None,
    encrypt_to: Recipients = None,
    exported_at: Annotated[
        str | None, typer.Option(help="RFC 3339 UTC; the newest entry's time if absent.", show_default=False)
    ] = None,
) -> None:
    """Write everything that a database holds into one file; others go on writing meanwhile."""
    moving = open_moving(choose_database(ctx, db))
    if exported_at is not None:
        exported_at = format_instant(parse_instant(exported_at, field="exported-at"))
    key, recipients = load_export_keys(sign_key, encrypt_to or [])
    if output == STANDARD_OUTPUT and sys.stdout.isatty():
        raise InvalidRequest("an export is not for a terminal; add -o FILE or a pipe")
    target = None if output == STANDARD_OUTPUT else Path(output)
    size = write_export(moving, target, exported_at=exported_at, sign_key=key, recipients=recipients)
    done = _Exported(file=output, size_bytes=size, signed=sign_key is not None, encrypted=bool(recipients))
    if target is not None:
        print_record(done)
    else:
        narrate(msgspec.json.encode(done).decode())


def import_data(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="An export, or a snapshot or SQLite file of the published program.")
    ],
    db: Database = None,
    verify_key: Annotated[
        Path | None,
        typer.Option(help="An Ed25519 public key in PEM; its signature is required.", show_default=False),
    ] = None,
    identity: Annotated[
        Path | None, typer.Option(help="An age identity file, to decrypt with.", show_default=False)
    ] = None,
) -> None:
    """Take over an export, all of it or nothing; an empty or missing database gets the same heads."""
    moving = open_moving(choose_new_database(ctx, db))
    report = import_file(moving, file, verify_key=verify_key, identity=identity)
    print_record(report)
    if getattr(report, "answers_left_out", 0):
        narrate("answers were left out: they were given on states that this database never had")


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file.")],
    db: Database = None,
) -> None:
    """Copy a database while it is used."""
    print_record(back_up_file(choose_database(ctx, db), file, _narrate_progress))


def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="What 'mk backup' wrote.")],
    db: Database = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a database, which is kept beside.")
    ] = False,
) -> None:
    """Check a backup from end to end, then put it in place."""
    path = choose_new_database(ctx, db)
    print_record(restore_file(file, path, replace=replace, progress=_narrate_progress))


def _narrate_progress(left: int, total: int) -> None:
    if total and sys.stderr.isatty():
        narrate(f"{100 * (total - left) // total:3d} % of {total} pages copied")
