"""`mk memory add membership`, `check`, `show` and `lineage`: what service.v4 knows about records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from contracts.core.service import SERVICE_V4

from memorykernel.cli.memory import (
    Binding,
    Confidence,
    Evidence,
    Expiry,
    Key,
    Matching,
    MemoryId,
    SourceHash,
    SourceUri,
    Text,
    Time,
    Truth,
    Version,
    VersionIds,
    add_app,
    app,
)
from memorykernel.cli.output import narrate, print_record, print_written
from memorykernel.cli.target import Database, open_existing
from memorykernel.core.request import AddConstraintV4, AddMembership
from memorykernel.core.vocabulary import Effect, Field, Match, TruthStatus
from memorykernel.service.idempotency import check_key
from memorykernel.wiring import build_suite

if TYPE_CHECKING:
    from memorykernel.service.suite import Suite


def open_suite(ctx: typer.Context, db: str | None) -> Suite:
    """The use cases of service.v4 on a database that exists."""
    return build_suite(open_existing(ctx, db, None, SERVICE_V4))


@add_app.command("membership")
def add_membership(
    ctx: typer.Context,
    field: Annotated[Field, typer.Option(show_default=False)],
    group: Text,
    member: Text,
    writer: Text,
    justification: Text,
    source_uri: SourceUri,
    authority: Binding,
    truth_status: Truth = TruthStatus.ASSERTED,
    version: Version = 1,
    memory_id: MemoryId = None,
    source_hash: SourceHash = None,
    evidence: Evidence = None,
    confidence: Confidence = None,
    created_at: Time = None,
    effective_at: Time = None,
    expires_at: Expiry = None,
    supersedes: VersionIds = None,
    contradicts: VersionIds = None,
    key: Key = None,
    db: Database = None,
) -> None:
    """Remember that a value of a scope's field is a member of a group."""
    request = AddMembership(
        field=field,
        group=group,
        member=member,
        writer=writer,
        justification=justification,
        source_uri=source_uri,
        authority=authority,
        truth_status=truth_status,
        version=version,
        memory_id=memory_id,
        source_hash=source_hash,
        evidence=tuple(evidence or ()),
        confidence=confidence,
        created_at=created_at,
        effective_at=effective_at,
        expires_at=expires_at,
        supersedes=tuple(supersedes or ()),
        contradicts=tuple(contradicts or ()),
    )
    print_written(open_suite(ctx, db).guarding.add_record(request, key=key and check_key(key)))


@app.command("check")
def check(
    ctx: typer.Context,
    actor: Text,
    action: Text,
    resource: Text,
    effect: Annotated[Effect, typer.Option(show_default=False)],
    authority: Binding,
    truth_status: Truth = TruthStatus.ASSERTED,
    confidence: Confidence = None,
    effective_at: Time = None,
    expires_at: Expiry = None,
    supersedes: VersionIds = None,
    actor_match: Matching = Match.EXACT,
    action_match: Matching = Match.EXACT,
    resource_match: Matching = Match.EXACT,
    db: Database = None,
) -> None:
    """Say what a constraint would make undecidable, writing nothing; exit 1 when there is something."""
    request = AddConstraintV4(
        actor=actor,
        action=action,
        resource=resource,
        actor_match=actor_match,
        action_match=action_match,
        resource_match=resource_match,
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
