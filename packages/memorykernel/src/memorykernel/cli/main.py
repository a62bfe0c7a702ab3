"""The command tree and the one exception boundary.

Exit codes: 0 done (any answer to a question is one), 1 no (a conflict, nothing found, damage), 2 the
call is wrong, 3 it could not be done or decided.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from memorykernel.adapters.storage_fault import explain as explain_fault
from memorykernel.cli import (
    console,
    database,
    evidence,
    explain,
    importing,
    memory,
    moving,
    query,
    serving,
    tokens,
)
from memorykernel.cli.target import Target
from memorykernel.errors import (
    ContextLookupFailed,
    ContextPackageNotFound,
    DatabaseMissing,
    InvalidRequest,
    MalformedRequest,
    MemoryKernelError,
    MigrationFailed,
    QueryFailed,
    SchemaUnavailable,
    WriteConflict,
    WriteFailed,
)
from memorykernel.wiring import read_version

_JSON_HELP: Final = "Print JSON on standard output, as it does anyway; all else goes to standard error."

app = typer.Typer(
    name="mk",
    help="A typed, append-only memory that answers policy questions deterministically and with reasons.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve")(serving.serve)
app.command("console")(console.console)
app.command("replay")(evidence.replay)
app.command("verify")(evidence.verify)
app.command("proof")(evidence.proof)
app.command("export")(moving.export)
app.command("backup")(moving.backup)
app.command("restore")(moving.restore)
app.add_typer(importing.app, name="import")
app.add_typer(database.app, name="db")
app.add_typer(memory.app, name="memory")
app.add_typer(query.app, name="query")
app.add_typer(query.context_app, name="context")
app.add_typer(tokens.app, name="tokens")
app.add_typer(explain.app, name="explain")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(read_version())
        raise typer.Exit


@app.callback()
def remember_target(
    ctx: typer.Context,
    db: Annotated[
        str | None,
        typer.Option(help="The database: a file, or postgresql://...; each command takes --db too."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep the database named before the command for the command."""
    ctx.obj = Target(db=db)


def main() -> None:
    """Run `mk`; what goes wrong is one line on stderr."""
    try:
        command = typer.main.get_command(app)
        _offer_json(command)
        command()
    except MemoryKernelError as error:
        _fail(error.message, _choose_exit_code(error))
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; there is nobody left to tell.
        _drop_output()
        sys.exit(3)
    except OSError as error:
        _drop_output()
        what = f"'{error.filename}'" if error.filename else "the output"
        _fail(f"{what} cannot be read or written: {explain_fault(error)}", 3)
    except Exception as error:  # noqa: BLE001  # the one boundary: users get a line, not a trace
        _fail(f"unexpected {type(error).__name__}: {error}; please report it", 3)


def _offer_json(command: object) -> None:
    """Let every command take `--json`: a script need not know that JSON is printed anyway."""
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            _offer_json(each)
    elif isinstance(command, TyperCommand) and not any("--json" in each.opts for each in command.params):
        option = TyperOption(param_decls=["--json"], is_flag=True, expose_value=False, help=_JSON_HELP)
        command.params.append(option)


def _drop_output() -> None:
    """Forget what could not be written: Python would try again at its end, and exit with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, exit_code: int) -> None:
    first_line = " ".join(message.split())
    sys.stderr.write(f"error: {first_line}\n")
    sys.exit(exit_code)


def _choose_exit_code(error: MemoryKernelError) -> int:
    match error:
        case WriteConflict() | ContextPackageNotFound():
            return 1
        case MalformedRequest() | InvalidRequest() | DatabaseMissing():
            return 2
        case SchemaUnavailable() | MigrationFailed() | WriteFailed() | QueryFailed() | ContextLookupFailed():
            return 3
        case _:
            return 2
