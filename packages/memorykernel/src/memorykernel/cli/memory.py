"""`mk memory`: writing records and links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from contracts.core.service import SERVICE_V4

from memorykernel.cli.options import takes_records
from memorykernel.cli.output import print_record, print_written
from memorykernel.cli.target import Database, ReleaseFolder, open_existing
from memorykernel.cli.writing import Key, Said, Scope, Text, write_record
from memorykernel.core.request import AddConstraint, AddConstraintV4, AddLink, AddSummary, AddSummaryV4
from memorykernel.core.vocabulary import Effect, Relation, SummaryType
from memorykernel.wiring import build_suite

app = typer.Typer(help="Write records and links.", no_args_is_help=True)
add_app = typer.Typer(help="Add a record; what is acknowledged is durable.", no_args_is_help=True)
app.add_typer(add_app, name="add")


@add_app.command("constraint")
@takes_records
def add_constraint(
    ctx: typer.Context,
    *,
    scope: Scope,
    effect: Annotated[Effect, typer.Option(show_default=False)],
    said: Said,
    note: Annotated[str | None, typer.Option()] = None,
    key: Key = None,
    db: Database = None,
    release: ReleaseFolder = None,
) -> None:
    """Remember that an effect applies to a scope; '*' matches everything."""
    request = AddConstraintV4(**asdict(scope), **said.list_fields(), effect=effect, note=note)
    is_grown = scope.has_patterns or said.expires_at is not None or key is not None
    kernel = open_existing(ctx, db, release, SERVICE_V4 if is_grown else None)
    write_record(kernel, request, key=key, older=AddConstraint)


def _summary_command(record_type: SummaryType) -> Callable[..., None]:
    @takes_records
    def add_summary(
        ctx: typer.Context,
        *,
        summary: Text,
        said: Said,
        key: Key = None,
        db: Database = None,
        release: ReleaseFolder = None,
    ) -> None:
        request = AddSummaryV4(record_type=record_type, summary=summary, **said.list_fields())
        is_grown = said.expires_at is not None or key is not None
        kernel = open_existing(ctx, db, release, SERVICE_V4 if is_grown else None)
        write_record(kernel, request, key=key, older=AddSummary)

    return add_summary


for _record_type in SummaryType:
    _article = "an" if _record_type[0] in "aeiou" else "a"
    _options: dict[str, Any] = {"help": f"Remember {_article} {_record_type}."}
    add_app.command(_record_type.value, **_options)(_summary_command(_record_type))


@app.command("link")
def link(
    ctx: typer.Context,
    from_id: Annotated[str, typer.Option("--from", help="The version that speaks.", show_default=False)],
    to_id: Annotated[str, typer.Option("--to", help="The version spoken about.", show_default=False)],
    relation: Annotated[Relation, typer.Option(show_default=False)],
    writer: Text,
    justification: Text,
    db: Database = None,
    release: ReleaseFolder = None,
) -> None:
    """State that one version supersedes or contradicts another."""
    request = AddLink(
        from_id=from_id, to_id=to_id, relation=relation, writer=writer, justification=justification
    )
    kernel = open_existing(ctx, db, release)
    if kernel.release.service_contract == SERVICE_V4:
        print_written(build_suite(kernel).guarding.add_link(request))
    else:
        print_record(kernel.remembering.add_link(request))
