"""`mk explain`: what would flip an answer, whom a record reached, what other rules would answer."""

from __future__ import annotations

from typing import Annotated

import typer

from memorykernel.cli.output import print_record
from memorykernel.cli.record import open_suite
from memorykernel.cli.target import Database
from memorykernel.core.explain_request import Basis, Compare, FindBlastRadius

app = typer.Typer(help="Explain answers by what would change them.", no_args_is_help=True)

Cursor = Annotated[str | None, typer.Option(help="The next_cursor of the page before.")]
Limit = Annotated[int | None, typer.Option(help="How many stored answers to look at, 1 to 500.")]
Ruleset = Annotated[str, typer.Option(help="ordering.v1, ordering.v2 or ordering.v3.")]
KnownAt = Annotated[
    str | None, typer.Option(help="The state: a time or a snapshot; all that is there if absent.")
]


@app.command("counterfactual")
def counterfactual(
    ctx: typer.Context,
    context_package_id: Annotated[str, typer.Argument(show_default=False)],
    db: Database = None,
) -> None:
    """Find the smallest changes that would flip a kept answer."""
    print_record(open_suite(ctx, db).explaining.find_flips(context_package_id))


@app.command("blast-radius")
def blast_radius(
    ctx: typer.Context,
    memory_version_id: Annotated[str, typer.Argument(show_default=False)],
    cursor: Cursor = None,
    limit: Limit = None,
    db: Database = None,
) -> None:
    """Find the kept answers that used a record, and those that flip without it."""
    request = FindBlastRadius(memory_version_id=memory_version_id, cursor=cursor, limit=limit)
    print_record(open_suite(ctx, db).explaining.find_blast_radius(request))


@app.command("compare")
def compare(
    ctx: typer.Context,
    from_ruleset: Ruleset = "ordering.v2",
    to_ruleset: Ruleset = "ordering.v3",
    from_known_at: KnownAt = None,
    to_known_at: KnownAt = None,
    cursor: Cursor = None,
    limit: Limit = None,
    db: Database = None,
) -> None:
    """Answer the kept policy questions by two rulesets, or on two states, and say what flips and why."""
    request = Compare(
        from_=Basis(ruleset=from_ruleset, as_known_at=from_known_at),
        to=Basis(ruleset=to_ruleset, as_known_at=to_known_at),
        cursor=cursor,
        limit=limit,
    )
    print_record(open_suite(ctx, db).comparing.compare(request))
