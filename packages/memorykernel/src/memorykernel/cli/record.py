"""`mk memory add membership`, `check`, `show` and `lineage`: what service.v4 knows about records."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from contracts.core.service import SERVICE_V4

from memorykernel.cli.memory import add_app, app
from memorykernel.cli.options import takes_records
from memorykernel.cli.output import narrate, print_record
from memorykernel.cli.target import Database, open_existing
from memorykernel.cli.writing import (
    Binding,
    Confidence,
    Expiry,
    Key,
    Said,
    Scope,
    Text,
    Time,
    Truth,
    VersionIds,
    write_record,
)
from memorykernel.core.request import AddConstraintV4, AddMembership
from memorykernel.core.vocabulary import Effect, Field, TruthStatus
from memorykernel.wiring import build_suite

if TYPE_CHECKING:
    from memorykernel.service.suite import Suite


def open_suite(ctx: typer.Context, db: str | None) -> Suite:
    """The use cases of service.v4 on a database that exists."""
    return build_suite(open_existing(ctx, db, None, SERVICE_V4))


@add_app.command("membership")
@takes_records
def add_membership(
    ctx: typer.Context,
    *,
    field: Annotated[Field, typer.Option(show_default=False)],
    group: Text,
    member: Text,
    said: Said,
    key: Key = None,
    db: Database = None,
) -> None:
    """Remember that a value of a scope's field is a member of a group."""
    request = AddMembership(field=field, group=group, member=member, **said.list_fields())
    write_record(open_existing(ctx, db, None, SERVICE_V4), request, key=key)


@app.command("check")
@takes_records
def check(
    ctx: typer.Context,
    *,
    scope: Scope,
    effect: Annotated[Effect, typer.Option(show_default=False)],
    authority: Binding,
    truth_status: Truth = TruthStatus.ASSERTED,
    confidence: Confidence = None,
    effective_at: Time = None,
    expires_at: Expiry = None,
    supersedes: VersionIds = None,
    db: Database = None,
) -> None:
    """Say what a constraint would make undecidable, writing nothing; exit 1 when there is something."""
    request = AddConstraintV4(
        **asdict(scope),
        effect=effect,
        writer="mk memory check",
        justification="checked, not written",
        source_uri="mk:check",
        authority=authority,
        truth_status=truth_status,
        version=1,
        evidence=(),
        confidence=confidence,
        effective_at=effective_at,
        expires_at=expires_at,
        supersedes=tuple(supersedes or ()),
        contradicts=(),
    )
    found = open_suite(ctx, db).guarding.check_constraint(request)
    print_record(found)
    if found.conflicts or found.truncated:
        narrate(f"{len(found.conflicts)} conflict(s){', there may be more' if found.truncated else ''}")
        raise typer.Exit(1)


@app.command("show")
def show(
    ctx: typer.Context,
    memory_version_id: Annotated[str, typer.Argument(show_default=False)],
    db: Database = None,
) -> None:
    """Print a record with its place in the hash chain and who speaks about it."""
    print_record(open_suite(ctx, db).lineage.show_record(memory_version_id))


@app.command("lineage")
def lineage(
    ctx: typer.Context,
    memory_id: Annotated[str, typer.Argument(show_default=False)],
    db: Database = None,
) -> None:
    """Print the versions of a memory, from the first on."""
    print_record(open_suite(ctx, db).lineage.show_memory(memory_id))
