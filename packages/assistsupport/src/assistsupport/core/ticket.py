"""A support ticket, as AssistSupport reads it."""

import msgspec

from assistsupport.errors import TicketRefused

MAX_SUBJECT_CHARS = 500
MAX_TEXT_CHARS = 20_000


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks of the support team. Keys that we do not know are ignored.

    Args:
        text: The message; not blank, at most 20,000 characters.
        subject: Its subject line, may be empty; at most 500 characters.
        ticket_id: The ticket system's id, if any.
        sender: Who sent it, shown in the inbox only; `from` in JSON.
    """

    text: str
    subject: str = ""
    ticket_id: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)

    @property
    def body(self) -> str:
        """Subject and text as one, for reading; offsets of evidence count in it."""
        return f"{self.subject}\n\n{self.text}" if self.subject else self.text


def check_ticket(ticket: Ticket) -> Ticket:
    """Return the ticket when it can be drafted for. Pure.

    Raises:
        TicketRefused: The text is blank, or text or subject is too long.
    """
    if not ticket.text.strip():
        raise TicketRefused(
            "ticket has no text: expected at least one word, got white space; paste the message"
        )
    for name, value, limit in (
        ("text", ticket.text, MAX_TEXT_CHARS),
        ("subject", ticket.subject, MAX_SUBJECT_CHARS),
    ):
        if len(value) > limit:
            raise TicketRefused(
                f"ticket {name} is too long: expected at most {limit} characters, got {len(value)}"
            )
    return ticket
