"""`assistsupport draft`: one reply, without a server."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from assistsupport.cli.knowledge import DATA, DEFAULT_DATA, JSON, require_knowledge
from assistsupport.cli.output import EXIT_UNDECIDED, narrate, print_json, refusing
from assistsupport.core.desk import DraftReply
from assistsupport.core.disposition import Disposition
from assistsupport.core.policy_question import PolicyOutcome, PolicyStatus
from assistsupport.core.ticket import MAX_TEXT_CHARS, Ticket
from assistsupport.errors import TicketRefused
from assistsupport.wiring import LaneSettings, open_desk

GOVERNANCE = Annotated[
    str | None,
    typer.Option(help="REPO@REF: where the pin of the producer is read; without it nobody is asked."),
]
PRODUCER_URL = Annotated[str | None, typer.Option(help="Overrides the pin's base URL; loopback.")]
ALLOW_REMOTE = Annotated[bool, typer.Option("--allow-remote-producer", help="Accept a producer elsewhere.")]
CATALOGUE = Annotated[Path | None, typer.Option(help="The team's policy catalogue; ours by default.")]
MAX_TICKET_BYTES = 4 * MAX_TEXT_CHARS  # no character of UTF-8 takes more than four
PREFLIGHT_S = 3.0


def draft(
    ticket: Annotated[str, typer.Argument(help="A file with the ticket's text, or '-' for stdin.")] = "-",
    data: DATA = DEFAULT_DATA,
    subject: Annotated[str, typer.Option(help="The ticket's subject.")] = "",
    governance: GOVERNANCE = None,
    producer_url: PRODUCER_URL = None,
    allow_remote_producer: ALLOW_REMOTE = False,
    catalogue: CATALOGUE = None,
    json: JSON = False,
) -> None:
    """Draft a reply. Exit 0 for an answer, 3 when it had to ask back or to abstain."""
    settings = LaneSettings(
        governance=governance, producer_url=producer_url, allow_remote=allow_remote_producer
    )
    with refusing():
        asked = Ticket(text=_read_ticket(ticket), subject=subject)
        with open_desk(require_knowledge(data), settings, catalogue) as parts:
            reply = parts.desk.draft(asked)
            # the draft is made; only a person at a terminal waits, for what stands beside it
            policy = parts.desk.recall(reply.draft_id).outcome.result(PREFLIGHT_S + 30)
    if json:
        print_json(
            {
                "draft_id": reply.draft_id,
                "draft": reply.draft,
                "policy": policy,
                "extraction": reply.extraction,
            }
        )
    else:
        _print_draft(reply, policy)
    if reply.draft.disposition is not Disposition.ANSWER:
        raise typer.Exit(EXIT_UNDECIDED)


def _read_ticket(name: str) -> str:
    if name == "-":
        return _decode_ticket("stdin", sys.stdin.buffer.read(MAX_TICKET_BYTES + 1))
    try:
        with Path(name).open("rb") as handle:
            return _decode_ticket(f"'{name}'", handle.read(MAX_TICKET_BYTES + 1))
    except OSError as exc:
        raise TicketRefused(
            f"cannot read '{name}'; expected a UTF-8 file with the ticket's text, or '-'"
        ) from exc


def _decode_ticket(name: str, data: bytes) -> str:
    if len(data) > MAX_TICKET_BYTES:
        raise TicketRefused(
            f"{name} is too long: expected at most {MAX_TEXT_CHARS} characters, got more than "
            f"{MAX_TICKET_BYTES} bytes; pass the message alone"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise TicketRefused(
            f"{name} is not text: expected the ticket in UTF-8, got byte 0x{data[exc.start]:02x} "
            f"at offset {exc.start}; save it as UTF-8 text"
        ) from exc
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _print_draft(reply: DraftReply, policy: PolicyOutcome) -> None:
    typer.echo(reply.draft.text)
    narrate(f"\n-- {reply.draft.disposition}, sha256 {reply.draft.sha256[:12]}")
    for source in reply.draft.sources:
        narrate(f"   source {source.article_id}: {source.front_matter.title}")
    narrate(f"-- policy: {describe_policy(policy)}")


def describe_policy(policy: PolicyOutcome) -> str:
    """Return a policy outcome on one line."""
    if policy.question is None or policy.status is PolicyStatus.NOT_ASKED:
        return "not asked, the ticket names no action on a resource of the catalogue"
    asked = f"may {policy.question.actor} {policy.question.action} {policy.question.resource}?"
    if policy.answer is not None:
        return f"{asked} {policy.answer.result}: {policy.answer.why}"
    return f"{asked} {policy.status}" + (f" ({policy.reason}: {policy.detail})" if policy.reason else "")
