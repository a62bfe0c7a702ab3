"""Reads the files that the team edits: tickets (JSON lines) and the policy catalogue (TOML)."""

from importlib import resources
from pathlib import Path

import msgspec

from assistsupport.core.catalogue import PolicyCatalogue, parse_catalogue
from assistsupport.core.ticket import Ticket, check_ticket
from assistsupport.errors import CatalogueRefused, TicketRefused

MAX_TICKETS = 10_000
MAX_FILE_BYTES = 32 * 1_048_576


def load_tickets(path: Path) -> tuple[Ticket, ...]:
    """Return the tickets of a file, one JSON object a line; blank lines are fine.

    Raises:
        TicketRefused: The file cannot be read, or a line is no ticket; the message names the line.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise TicketRefused(f"cannot read {path}: {exc.strerror}; pass a file of JSON lines") from exc
    if len(data) > MAX_FILE_BYTES:
        raise TicketRefused(f"{path} is too large: expected at most {MAX_FILE_BYTES} bytes; split it")
    lines = [(number, line) for number, line in enumerate(data.splitlines(), start=1) if line.strip()]
    if len(lines) > MAX_TICKETS:
        raise TicketRefused(
            f"{path} holds too many tickets: expected at most {MAX_TICKETS}, got {len(lines)}; split it"
        )
    return tuple(parse_ticket(line, f"{path}:{number}") for number, line in lines)


def parse_ticket(data: bytes, origin: str) -> Ticket:
    """Return one ticket from JSON.

    Raises:
        TicketRefused: It is no ticket.
    """
    try:
        return check_ticket(msgspec.json.decode(data, type=Ticket))
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise TicketRefused(
            f"{origin}: no ticket: {str(exc).lower()}; expected an object with 'text'"
        ) from exc
    except TicketRefused as exc:
        raise TicketRefused(f"{origin}: {exc}") from exc


def load_catalogue(path: Path | None) -> PolicyCatalogue:
    """Return the team's catalogue, or the one that ships with this package.

    Raises:
        CatalogueRefused: It cannot be read, or is malformed.
    """
    if path is None:
        shipped = resources.files("assistsupport").joinpath("data", "policy-catalogue.toml")
        return parse_catalogue(shipped.read_text(encoding="utf-8"), "policy-catalogue.toml")
    try:
        return parse_catalogue(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as exc:
        raise CatalogueRefused(f"cannot read {path}: {exc}; expected a UTF-8 TOML file") from exc
