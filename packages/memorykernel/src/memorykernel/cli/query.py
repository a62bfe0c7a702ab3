"""`mk query` and `mk context`: asking, and finding answers again."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import typer

from memorykernel.cli.output import print_result
from memorykernel.cli.target import Database, ReleaseFolder, open_existing
from memorykernel.core.request import Ask, Recall
from memorykernel.core.vocabulary import PublishedType, Result

app = typer.Typer(help="Ask questions; every answer is kept.", no_args_is_help=True)
context_app = typer.Typer(help="Answers that were given.", no_args_is_help=True)

Text = Annotated[str, typer.Option(show_default=False)]
AsOf = Annotated[str | None, typer.Option(help="RFC 3339 in UTC; now if absent.")]
EXIT_CODES: Final = {Result.ALLOW: 0, Result.DENY: 1, Result.INCONCLUSIVE: 3}


class _Answer(msgspec.Struct):
    result: Result


class _Answered(msgspec.Struct):
    answer: _Answer


@app.command("ask")
def ask(
    ctx: typer.Context,
    text: Text,
    actor: Text,
    action: Text,
    resource: Text,
    as_of: AsOf = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 0 for allow, 1 for deny, 3 for inconclusive.")
    ] = False,
    db: Database = None,
    release: ReleaseFolder = None,
) -> None:
    """Ask whether an actor may do an action to a resource."""
    request = Ask(text=text, actor=actor, action=action, resource=resource, as_of=as_of)
    package = open_existing(ctx, db, release).asking.ask(request)
    print_result(package)
    if exit_code:
        raise typer.Exit(EXIT_CODES[msgspec.json.decode(package, type=_Answered).answer.result])


@app.command("recall")
def recall(
    ctx: typer.Context,
    text: Text,
    record_type: Annotated[
        list[PublishedType] | None, typer.Option(help="Repeatable; all but constraints if absent.")
    ] = None,
    as_of: AsOf = None,
    db: Database = None,
    release: ReleaseFolder = None,
) -> None:
    """Find what is remembered about a text."""
    request = Recall(text=text, record_types=tuple(record_type or ()), as_of=as_of)
    print_result(open_existing(ctx, db, release).asking.recall(request))


@context_app.command("show")
def show(
    ctx: typer.Context,
    context_package_id: Annotated[str, typer.Argument(show_default=False)],
    db: Database = None,
    release: ReleaseFolder = None,
) -> None:
    """Print a kept answer as it was given."""
    print_result(open_existing(ctx, db, release).asking.find(context_package_id))
