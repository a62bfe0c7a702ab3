"""What every command works on: a database file and a release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from memorykernel.errors import DatabaseMissing, InvalidRequest
from memorykernel.wiring import Kernel, choose_release, open_kernel

Database = Annotated[Path | None, typer.Option("--db", help="The database file.", show_default=False)]
ReleaseFolder = Annotated[
    Path | None,
    typer.Option(
        "--release", help="A release folder: contract, rulesets and schema are its.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The database that was named before the command, if it was."""

    db: Path | None


def choose_database(ctx: typer.Context, db: Path | None) -> Path:
    """The database file: the command's own, else the one named before it.

    Raises:
        InvalidRequest: None is named, or a folder is.
    """
    named = db or (ctx.obj.db if isinstance(ctx.obj, Target) else None)
    if named is None:
        raise InvalidRequest("no database is named; add --db FILE")
    if named.is_dir():
        raise InvalidRequest(f"'{named}' is a folder; name a file")
    return named


def choose_new_database(ctx: typer.Context, db: Path | None) -> Path:
    """The database file of a command that creates a missing one.

    Raises:
        InvalidRequest: None is named, a folder is, or the file's folder does not exist.
    """
    path = choose_database(ctx, db)
    if not path.parent.is_dir():
        raise InvalidRequest(f"there is no folder '{path.parent}'; create it")
    return path


def open_existing(ctx: typer.Context, db: Path | None, release: Path | None) -> Kernel:
    """A kernel on a database that exists; a mistyped path must not make an empty one.

    Raises:
        DatabaseMissing: There is no such file.
    """
    path = choose_database(ctx, db)
    if not path.is_file():
        raise DatabaseMissing(
            f"there is no database at '{path}';"
            f" correct the path, or create it with 'mk db migrate --db {path}'"
        )
    return open_kernel(path, choose_release(release))
