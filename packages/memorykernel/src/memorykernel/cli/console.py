"""`mk console`: pages to ask, to see why, and to see what a change would do."""

from __future__ import annotations

import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from memorykernel.cli.options import takes_records
from memorykernel.cli.output import narrate
from memorykernel.cli.serving import Guard, choose_tenants, keep_sessions, require_guarded
from memorykernel.cli.target import Database, choose_database, name_database
from memorykernel.errors import DatabaseMissing, InvalidRequest
from memorykernel.wiring import ConsoleOptions, build_console

DEFAULT_BIND = "127.0.0.1:4012"


@takes_records
def console(
    ctx: typer.Context,
    *,
    db: Database = None,
    bind: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = DEFAULT_BIND,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show an example memory, which is gone afterwards.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    guard: Guard,
    timeout_ms: Annotated[int, typer.Option(min=10, max=3_600_000, help="Limit of a page.")] = 10_000,
) -> None:
    """Show the pages until SIGINT or SIGTERM; they write nothing but the answers to what is asked."""
    # Imported here: other commands start without the HTTP stack.
    from memorykernel.web.server import describe_url, open_socket, print_ready, run_server

    tenants = choose_tenants(guard)
    listener = open_socket(bind)
    require_guarded(listener.getsockname()[0], guarded=tenants is not None, allow_open=guard.allow_open)

    def announce() -> None:
        print_ready(listener)
        url = f"{describe_url(listener)}/console"
        narrate(f"the console is at {url}")
        if open_browser and not webbrowser.open(url):
            narrate("warning: no browser could be opened")

    hosts = tuple(guard.allow_host or ())
    with (
        keep_sessions(tenants) as console_guard,
        _choose_database(ctx, db, guard.tenants, demo=demo) as (location, options),
    ):
        options = replace(options, timeout_ms=timeout_ms, hosts=hosts)
        run_server(build_console(location, options, guard=console_guard), listener, announce=announce)


@contextmanager
def _choose_database(
    ctx: typer.Context, db: str | None, tenants: str | None, *, demo: bool
) -> Iterator[tuple[Path | str, ConsoleOptions]]:
    """The database to show, which a demo makes; with a folder of tenants it is theirs that count."""
    if (db is not None) + demo + (tenants is not None) > 1:
        raise InvalidRequest("--db, --demo and --tenants exclude each other; name one")
    if tenants is not None:
        yield tenants, ConsoleOptions(name="tenants")
    elif demo:
        with _make_demo() as shown:
            yield shown
    else:
        location = choose_database(ctx, db)
        _require_database(location)
        yield location, ConsoleOptions(name=name_database(location))


@contextmanager
def _make_demo() -> Iterator[tuple[Path, ConsoleOptions]]:
    # Imported here: only the demo needs it.
    from memorykernel.cli.demo_memory import EXAMPLES, write_demo

    with tempfile.TemporaryDirectory(prefix="memorykernel-demo-") as folder:
        path = Path(folder) / "demo.db"
        write_demo(path)
        yield path, ConsoleOptions(name="demo.db", examples=EXAMPLES)


def _require_database(location: Path | str) -> None:
    if isinstance(location, Path) and not location.is_file():
        raise DatabaseMissing(
            f"there is no database at '{location}'; correct the path, create it with"
            f" 'mk db migrate --db {location}', or see an example with 'mk console --demo'"
        )
