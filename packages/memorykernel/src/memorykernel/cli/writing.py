"""What the commands that write have in common: their options, and the way a record takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import msgspec
import typer
from contracts.core.service import SERVICE_V4

from memorykernel.cli.output import print_record, print_written
from memorykernel.core.request import AddConstraint, AddConstraintV4, AddMembership, AddSummary, AddSummaryV4
from memorykernel.core.vocabulary import Authority, Match, TruthStatus
from memorykernel.service.idempotency import check_key
from memorykernel.wiring import Kernel, build_suite

Text = Annotated[str, typer.Option(show_default=False)]
Binding = Annotated[Authority, typer.Option(help="How much the source binds.", show_default=False)]
Truth = Annotated[TruthStatus, typer.Option(help="How the writer came to hold this true.")]
Confidence = Annotated[float | None, typer.Option(help="0 to 1; required for inferred and speculative.")]
Time = Annotated[str | None, typer.Option(help="RFC 3339 in UTC.")]
VersionIds = Annotated[list[str] | None, typer.Option(help="A memory_version_id; repeatable.")]
Matching = Annotated[Match, typer.Option(help="How the field of a question is compared with it.")]
Expiry = Annotated[str | None, typer.Option(help="When it ceases to have effect; RFC 3339 in UTC.")]
Key = Annotated[str | None, typer.Option(help="A name for this write: repeated under it, it is made once.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The questions that a rule is about."""

    actor: Text
    action: Text
    resource: Text
    actor_match: Matching = Match.EXACT
    action_match: Matching = Match.EXACT
    resource_match: Matching = Match.EXACT

    @property
    def has_patterns(self) -> bool:
        """Whether it is about more than single values."""
        return any(
            each is not Match.EXACT for each in (self.actor_match, self.action_match, self.resource_match)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Who says so, from what source, and which records it speaks about."""

    writer: Text
    justification: Text
    source_uri: Annotated[str, typer.Option(help="Where this comes from.", show_default=False)]
    authority: Binding
    truth_status: Truth = TruthStatus.ASSERTED
    version: Annotated[int, typer.Option("--version", help="The version of this memory, from 1.")] = 1
    memory_id: Annotated[
        str | None, typer.Option(help="The memory that this is a version of; new if absent.")
    ] = None
    source_hash: Annotated[str | None, typer.Option(help="sha256:<64 hex digits> of the source.")] = None
    evidence: Annotated[list[str] | None, typer.Option(help="What supports this; repeatable.")] = None
    confidence: Confidence = None
    created_at: Time = None
    effective_at: Time = None
    expires_at: Expiry = None
    supersedes: VersionIds = None
    contradicts: VersionIds = None

    def list_fields(self) -> dict[str, Any]:
        """The fields of a request, under its names."""
        lists = {name: tuple(getattr(self, name) or ()) for name in ("evidence", "supersedes", "contradicts")}
        return {**asdict(self), **lists}


def write_record(
    kernel: Kernel,
    request: AddConstraintV4 | AddSummaryV4 | AddMembership,
    *,
    key: str | None,
    older: type[AddConstraint | AddSummary] | None = None,
) -> None:
    """Write a record the way its release does, and print it.

    Args:
        kernel: Of the release.
        request: What to write.
        key: The request key, as it was typed.
        older: The request as older contracts have it; None for what they do not know.
    """
    if older is None or kernel.release.service_contract == SERVICE_V4:
        print_written(build_suite(kernel).guarding.add_record(request, key=key and check_key(key)))
    else:
        published = msgspec.convert(msgspec.to_builtins(request), older)
        print_record(kernel.remembering.add_record(published))
