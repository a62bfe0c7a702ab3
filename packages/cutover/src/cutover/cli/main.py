"""The command line: one app, one place where errors become words and exit codes.

Exit codes are contract: 0 yes, 1 no, 2 usage, 3 could not decide.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated

import typer

from cutover.cli import demo, evidence, party, process, program, switch
from cutover.cli.output import show_line
from cutover.errors import CutoverError, EvidenceUnreadable, InvalidProgram, ReleaseUnreachable
from cutover.wiring.missing import ProgramMissing

INTERRUPTED = 130
"""What typer ends the process with, silently, after Ctrl-C; nothing else here ends with it."""
UNDECIDED = (EvidenceUnreadable, ReleaseUnreachable)


def _show_version(asked: bool) -> None:
    if asked:
        show_line(metadata.version("cutover-program"))
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _cutover(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Moves a consumer from one producer release to the next: two keys to go, one to stop."""


release_app = typer.Typer(help="Release processes.", no_args_is_help=True)
release_app.command("run")(process.release_run)


@release_app.callback()
def _release() -> None:
    """Keeps `run` a subcommand while it is the only one."""


_COMMANDS: tuple[Callable[..., None], ...] = (
    demo.demo,
    program.check,
    party.bind,
    party.acknowledge,
    party.unbind,
    party.handoff,
    party.prepare,
    evidence.verify,
    evidence.rehearse,
    evidence.probe,
    evidence.drill,
    party.checkpoint,
    evidence.decide,
    party.approve,
    party.waive,
    switch.execute,
    switch.stop,
    switch.rollback,
    switch.complete,
    program.status,
    program.record,
    process.gateway,
    process.inject,
)
app.command("keys")(party.keys)
app.command("open")(party.open_program)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(release_app, name="release")
app.add_typer(program.log_app, name="log")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code.

    Args:
        arguments: Without the program's name; those of the process by default.
    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="cutover")
    except InvalidProgram as exc:
        for problem in exc.problems:
            _complain(problem)
        sys.exit(2 if isinstance(exc, ProgramMissing) else 1)
    except CutoverError as exc:
        _complain(str(exc))
        sys.exit(3 if isinstance(exc, UNDECIDED) else 1)
    except OSError as exc:  # an address is taken, a disk is full: nothing that this program said or did
        _complain(f"the system refused: {exc}; free what it names and repeat")
        sys.exit(3)
    except SystemExit as exc:
        if exc.code == INTERRUPTED:
            _complain("interrupted; run 'cutover status' to see where things stand")
        raise


def _complain(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
