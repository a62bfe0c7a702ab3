"""`assistsupport`: cited replies to support tickets, the policy answer beside them."""

import logging
import sys
from typing import Annotated

import structlog
import typer

from assistsupport.cli import drafting, knowledge, serving
from assistsupport.cli.output import EXIT_UNDECIDED, StderrLogger, narrate
from assistsupport.wiring import read_version

app = typer.Typer(
    help="Cited replies to support tickets, with the policy answer beside them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(knowledge.app, name="kb")
app.command("draft")(drafting.draft)
app.command("serve")(serving.serve)
app.command("status")(serving.status)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(read_version())
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more to stderr.")] = False,
) -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=lambda *_: StderrLogger(),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )


def main() -> None:
    """Run the program; the one place where a defect of ours becomes a line instead of a traceback."""
    try:
        app()
    except Exception as exc:  # noqa: BLE001 - whatever it is, a user gets one line
        narrate(f"error: a defect of assistsupport: {type(exc).__name__}: {exc}; please report it")
        sys.exit(EXIT_UNDECIDED)
