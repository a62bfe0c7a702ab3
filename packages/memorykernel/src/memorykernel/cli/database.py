"""`mk db`: the schema, and whether everything is as it was written."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from contracts.core.service import SERVICE_V4

from memorykernel.cli.output import narrate, print_record
from memorykernel.cli.progress import show_progress
from memorykernel.cli.target import Database, ReleaseFolder, choose_new_database, is_missing, open_existing
from memorykernel.errors import SchemaUnavailable
from memorykernel.wiring import choose_release, open_kernel

app = typer.Typer(help="The database's schema and integrity.", no_args_is_help=True)


class _SchemaVersion(msgspec.Struct, frozen=True, kw_only=True):
    """As published: what HTTP says, and whether that is all."""

    current_version: int
    target_version: int
    pending_versions: tuple[int, ...]
    up_to_date: bool
    inferred_from_legacy: bool


@app.command()
def migrate(
    ctx: typer.Context,
    db: Database = None,
    release: ReleaseFolder = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be applied.")] = False,
) -> None:
    """Bring the database to the release's schema; creates a missing file."""
    path = choose_new_database(ctx, db)
    if is_missing(path):
        narrate(f"{path} does not exist" + ("" if dry_run else ": creating it"))
    print_record(open_kernel(path, choose_release(release)).schema_care.migrate(dry_run=dry_run))


@app.command("schema-version")
def schema_version(ctx: typer.Context, db: Database = None, release: ReleaseFolder = None) -> None:
    """Say which schema the database has and which the release needs."""
    status = open_existing(ctx, db, release).schema_care.load_status()
    print_record(
        _SchemaVersion(
            current_version=status.current_version,
            target_version=status.target_version,
            pending_versions=status.pending_versions,
            up_to_date=not status.pending_versions,
            inferred_from_legacy=status.inferred_from_legacy,
        )
    )


@app.command("embed")
def embed(
    ctx: typer.Context,
    db: Database = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make all of them anew.")] = False,
) -> None:
    """Make the vectors that recalls by meaning need; goes on where it was stopped."""
    semantic = open_existing(ctx, db, None, SERVICE_V4).open_semantic()
    with show_progress("embedding") as progress:
        print_record(semantic.embed(progress, rebuild=rebuild))


@app.command("integrity-check")
def integrity_check(ctx: typer.Context, db: Database = None) -> None:
    """Check pages, hash chains and term index; names what is damaged, exit 1 then."""
    kernel = open_existing(ctx, db, None)
    if kernel.schema_care.load_status().current_version == 0:
        raise SchemaUnavailable("the database is empty; create its schema with 'mk db migrate'")
    report = kernel.check_integrity()
    print_record(report)
    if not report.ok:
        narrate(f"damaged: {len(report.damage)} finding(s); restore the file from a copy")
        raise typer.Exit(1)
