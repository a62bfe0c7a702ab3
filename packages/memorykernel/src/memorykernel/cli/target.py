"""What every command works on: a database and a release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from memorykernel.core.release import DEFAULT_CONTRACT
from memorykernel.errors import DatabaseMissing, InvalidRequest
from memorykernel.wiring import Kernel, choose_release, is_dsn, open_kernel, parse_location

Database = Annotated[
    str | None,
    typer.Option("--db", help="The database: a file, or postgresql://...", show_default=False),
]
ReleaseFolder = Annotated[
    Path | None,
    typer.Option(
        "--release", help="A release folder: contract, rulesets and schema are its.", show_default=False
    ),
]
ServiceContract = Annotated[
    str | None,
    typer.Option(
        "--service-contract",
        help="service.v2, service.v3 or service.v4, without --release; the older ones know no prefixes,"
        f" groups or expiry.  [default: {DEFAULT_CONTRACT}]",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The database that was named before the command, if it was."""

    db: str | None


def choose_database(ctx: typer.Context, db: str | None) -> Path | str:
    """The database, a file or a DSN: the command's own, else the one named before it.

    Raises:
        InvalidRequest: None is named, a folder is, or what is no DSN and looks like one.
    """
    named = db or (ctx.obj.db if isinstance(ctx.obj, Target) else None)
    if named is None:
        raise InvalidRequest("no database is named; add --db FILE")
    location = parse_location(named)
    if isinstance(location, Path) and location.is_dir():
        raise InvalidRequest(f"'{location}' is a folder; name a file")
    return location


def choose_new_database(ctx: typer.Context, db: str | None) -> Path | str:
    """The database of a command that creates a missing file.

    Raises:
        InvalidRequest: None is named, a folder is, or the file's folder does not exist.
    """
    path = choose_database(ctx, db)
    if isinstance(path, Path) and not path.parent.is_dir():
        raise InvalidRequest(f"there is no folder '{path.parent}'; create it")
    return path


def name_database(location: Path | str) -> str:
    """A database's name for people: the file, or what it is; a DSN can hold a password."""
    return "PostgreSQL" if is_dsn(location) else str(location)


def is_missing(location: Path | str) -> bool:
    """Say whether a database is a file that does not exist; a server's is there or an error."""
    return isinstance(location, Path) and not location.exists()


def open_existing(
    ctx: typer.Context, db: str | None, release: Path | None, service_contract: str | None = None
) -> Kernel:
    """A kernel on a database that exists; a mistyped path must not make an empty one.

    Args:
        ctx, db: Where the database is named.
        release: The release's folder.
        service_contract: What the command needs the release to speak; None for whatever it speaks.

    Raises:
        DatabaseMissing: There is no such file.
        ReleaseInvalid: The release speaks another contract.
    """
    path = choose_database(ctx, db)
    if isinstance(path, Path) and not path.is_file():
        raise DatabaseMissing(
            f"there is no database at '{path}';"
            f" correct the path, or create it with 'mk db migrate --db {path}'"
        )
    return open_kernel(path, choose_release(release, service_contract))
