"""`mk memory`: writing records and links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import typer
from contracts.core.service import SERVICE_V4

from memorykernel.cli.output import print_record, print_written
from memorykernel.cli.target import Database, ReleaseFolder, open_existing
from memorykernel.core.request import AddConstraint, AddConstraintV4, AddLink, AddSummary, AddSummaryV4
from memorykernel.core.vocabulary import Authority, Effect, Match, Relation, SummaryType, TruthStatus
from memorykernel.service.idempotency import check_key
from memorykernel.wiring import build_suite

app = typer.Typer(help="Write records and links.", no_args_is_help=True)
add_app = typer.Typer(help="Add a record; what is acknowledged is durable.", no_args_is_help=True)
app.add_typer(add_app, name="add")

Text = Annotated[str, typer.Option(show_default=False)]
Version = Annotated[int, typer.Option("--version", help="The version of this memory, from 1.")]
MemoryId = Annotated[str | None, typer.Option(help="The memory that this is a version of; new if absent.")]
SourceUri = Annotated[str, typer.Option(help="Where this comes from.", show_default=False)]
SourceHash = Annotated[str | None, typer.Option(help="sha256:<64 hex digits> of the source.")]
Evidence = Annotated[list[str] | None, typer.Option(help="What supports this; repeatable.")]
Confidence = Annotated[float | None, typer.Option(help="0 to 1; required for inferred and speculative.")]
Truth = Annotated[TruthStatus, typer.Option(help="How the writer came to hold this true.")]
Binding = Annotated[Authority, typer.Option(help="How much the source binds.", show_default=False)]
Time = Annotated[str | None, typer.Option(help="RFC 3339 in UTC.")]
VersionIds = Annotated[list[str] | None, typer.Option(help="A memory_version_id; repeatable.")]
Matching = Annotated[Match, typer.Option(help="How the field of a question is compared with it.")]
Expiry = Annotated[str | None, typer.Option(help="When it ceases to have effect; RFC 3339 in UTC.")]
Key = Annotated[str | None, typer.Option(help="A name for this write: repeated under it, it is made once.")]


@add_app.command("constraint")
def add_constraint(
    ctx: typer.Context,
    actor: Text,
    action: Text,
    resource: Text,
    effect: Annotated[Effect, typer.Option(show_default=False)],
    writer: Text,
    justification: Text,
    source_uri: SourceUri,
    authority: Binding,
    note: Annotated[str | None, typer.Option()] = None,
    truth_status: Truth = TruthStatus.ASSERTED,
    version: Version = 1,
    memory_id: MemoryId = None,
    source_hash: SourceHash = None,
    evidence: Evidence = None,
    confidence: Confidence = None,
    created_at: Time = None,
    effective_at: Time = None,
    supersedes: VersionIds = None,
    contradicts: VersionIds = None,
    actor_match: Matching = Match.EXACT,
    action_match: Matching = Match.EXACT,
    resource_match: Matching = Match.EXACT,
    expires_at: Expiry = None,
    key: Key = None,
    db: Database = None,
    release: ReleaseFolder = None,
) -> None:
    """Remember that an effect applies to a scope; '*' matches everything."""
    matched = any(each is not Match.EXACT for each in (actor_match, action_match, resource_match))
    is_grown = matched or expires_at is not None or key is not None
    kernel = open_existing(ctx, db, release, SERVICE_V4 if is_grown else None)
    request = AddConstraint(
        actor=actor,
        action=action,
        resource=resource,
        effect=effect,
        note=note,
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
        supersedes=tuple(supersedes or ()),
        contradicts=tuple(contradicts or ()),
    )
    if kernel.release.service_contract == SERVICE_V4:
        grown = AddConstraintV4(
            **msgspec.structs.asdict(request),
            actor_match=actor_match,
            action_match=action_match,
            resource_match=resource_match,
            expires_at=expires_at,
        )
        print_written(build_suite(kernel).guarding.add_record(grown, key=key and check_key(key)))
    else:
        print_record(kernel.remembering.add_record(request))


def _summary_command(record_type: SummaryType) -> Callable[..., None]:
    def add_summary(
        ctx: typer.Context,
        summary: Text,
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
        supersedes: VersionIds = None,
        contradicts: VersionIds = None,
        db: Database = None,
        release: ReleaseFolder = None,
    ) -> None:
        request = AddSummary(
            record_type=record_type,
            summary=summary,
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
            supersedes=tuple(supersedes or ()),
            contradicts=tuple(contradicts or ()),
        )
        kernel = open_existing(ctx, db, release)
        if kernel.release.service_contract == SERVICE_V4:
            print_written(
                build_suite(kernel).guarding.add_record(AddSummaryV4(**msgspec.structs.asdict(request)))
            )
        else:
            print_record(kernel.remembering.add_record(request))

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
