"""`mk query` and `mk context`: asking, and finding answers again."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import typer
from contracts.core.service import SERVICE_V4

from memorykernel.cli.output import print_result
from memorykernel.cli.target import Database, ReleaseFolder, ServiceContract, open_existing
from memorykernel.core.request import Ask, AskV4, Recall, RecallV4
from memorykernel.core.vocabulary import PublishedType, RecallMode, RecordType, Result
from memorykernel.errors import InvalidRequest

app = typer.Typer(help="Ask questions; every answer is kept.", no_args_is_help=True)
context_app = typer.Typer(help="Answers that were given.", no_args_is_help=True)

Text = Annotated[str, typer.Option(show_default=False)]
AsOf = Annotated[str | None, typer.Option(help="RFC 3339 in UTC; now if absent.")]
AsKnownAt = Annotated[
    str | None, typer.Option(help="Answer from what was known at a time, or at a snapshot (txn_...).")
]
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
    as_known_at: AsKnownAt = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 0 for allow, 1 for deny, 3 for inconclusive.")
    ] = False,
    db: Database = None,
    release: ReleaseFolder = None,
    service_contract: ServiceContract = None,
) -> None:
    """Ask whether an actor may do an action to a resource."""
    kernel = open_existing(
        ctx, db, release, _choose_contract(service_contract, needs_v4=as_known_at is not None)
    )
    request = Ask(text=text, actor=actor, action=action, resource=resource, as_of=as_of)
    if kernel.release.service_contract == SERVICE_V4:
        request = AskV4(**msgspec.structs.asdict(request), as_known_at=as_known_at)
    package = kernel.asking.ask(request)
    print_result(package)
    if exit_code:
        raise typer.Exit(EXIT_CODES[msgspec.json.decode(package, type=_Answered).answer.result])


@app.command("recall")
def recall(
    ctx: typer.Context,
    text: Text,
    record_type: Annotated[
        list[RecordType] | None, typer.Option(help="Repeatable; all but constraints if absent.")
    ] = None,
    as_of: AsOf = None,
    as_known_at: AsKnownAt = None,
    cursor: Annotated[str | None, typer.Option(help="The next_cursor of the page before.")] = None,
    mode: Annotated[
        RecallMode, typer.Option(help="By shared words, or by meaning (with the extra 'semantic').")
    ] = RecallMode.LEXICAL,
    db: Database = None,
    release: ReleaseFolder = None,
    service_contract: ServiceContract = None,
) -> None:
    """Find what is remembered about a text."""
    types = tuple(record_type or ())
    grown = as_known_at is not None or cursor is not None or RecordType.MEMBERSHIP in types
    grown = grown or mode is RecallMode.SEMANTIC
    kernel = open_existing(ctx, db, release, _choose_contract(service_contract, needs_v4=grown))
    request: Recall | RecallV4
    if kernel.release.service_contract == SERVICE_V4:
        request = RecallV4(
            text=text, record_types=types, as_of=as_of, as_known_at=as_known_at, cursor=cursor, mode=mode
        )
    else:
        request = Recall(text=text, record_types=tuple(map(PublishedType, types)), as_of=as_of)
    print_result(kernel.asking.recall(request))


@context_app.command("show")
def show(
    ctx: typer.Context,
    context_package_id: Annotated[str, typer.Argument(show_default=False)],
    db: Database = None,
    release: ReleaseFolder = None,
) -> None:
    """Print a kept answer as it was given."""
    print_result(open_existing(ctx, db, release).asking.find(context_package_id))


def _choose_contract(named: str | None, *, needs_v4: bool) -> str | None:
    """The contract to ask in: what the options need, else the named one.

    Raises:
        InvalidRequest: An older one is named, which has no such options.
    """
    if not needs_v4:
        return named
    if named not in (None, SERVICE_V4):
        raise InvalidRequest(
            f"{named} knows no --as-known-at, no --cursor, no --mode and no memberships;"
            f" leave them out, or ask with --service-contract {SERVICE_V4}"
        )
    return SERVICE_V4
