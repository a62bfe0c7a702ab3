"""`mk console`: pages to ask, to see why, and to see what a change would do."""

from __future__ import annotations

import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memorykernel.cli.output import narrate
from memorykernel.cli.serving import require_guarded
from memorykernel.cli.target import Database, choose_database, name_database
from memorykernel.core.release import default_release
from memorykernel.errors import DatabaseMissing, InvalidRequest
from memorykernel.wiring import ConsoleOptions, build_console, open_kernel

if TYPE_CHECKING:
    from memorykernel.web.server import Service

DEFAULT_BIND = "127.0.0.1:4012"


def console(
    ctx: typer.Context,
    db: Database = None,
    bind: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = DEFAULT_BIND,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show an example memory, which is gone afterwards.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    allow_open: Annotated[
        bool,
        typer.Option("--allow-open", help="Listen beyond loopback, where nobody is asked who they are."),
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host name to answer to; may be repeated.", show_default=False)
    ] = None,
    timeout_ms: Annotated[int, typer.Option(min=10, max=3_600_000, help="Limit of a page.")] = 10_000,
) -> None:
    """Show the pages until SIGINT or SIGTERM; they write nothing but the answers to what is asked."""
    # Imported here: other commands start without the HTTP stack.
    from memorykernel.web.server import describe_url, open_socket, print_ready, run_server

    hosts = tuple(allow_host or ())
    listener = open_socket(bind)
    require_guarded(listener.getsockname()[0], guarded=False, allow_open=allow_open)

    def announce() -> None:
        print_ready(listener)
        url = f"{describe_url(listener)}/console"
        narrate(f"the console is at {url}")
        if open_browser and not webbrowser.open(url):
            narrate("warning: no browser could be opened")

    with _choose_service(ctx, db, demo=demo, timeout_ms=timeout_ms, hosts=hosts) as service:
        run_server(service, listener, announce=announce)


@contextmanager
def _choose_service(
    ctx: typer.Context, db: str | None, *, demo: bool, timeout_ms: int, hosts: tuple[str, ...]
) -> Iterator[Service]:
    if not demo:
        location = choose_database(ctx, db)
        yield _build(
            location, ConsoleOptions(name=name_database(location), timeout_ms=timeout_ms, hosts=hosts)
        )
        return
    if db is not None:
        raise InvalidRequest("--demo has a database of its own; leave --db out")
    # Imported here: only the demo needs it.
    from memorykernel.cli.demo_memory import EXAMPLES, write_demo

    with tempfile.TemporaryDirectory(prefix="memorykernel-demo-") as folder:
        path = Path(folder) / "demo.db"
        write_demo(path)
        options = ConsoleOptions(name="demo.db", timeout_ms=timeout_ms, hosts=hosts, examples=EXAMPLES)
        yield _build(path, options)


def _build(location: Path | str, options: ConsoleOptions) -> Service:
    if isinstance(location, Path) and not location.is_file():
        raise DatabaseMissing(
            f"there is no database at '{location}'; correct the path, create it with"
            f" 'mk db migrate --db {location}', or see an example with 'mk console --demo'"
        )
    return build_console(open_kernel(location, default_release()), options)
