"""What goes over the wire: request bodies read strictly, replies as records."""

from typing import Any, Literal

import msgspec
from contracts.core.pin import Pin
from contracts.core.strict_json import parse_json
from contracts.errors import MalformedDocument
from starlette.requests import Request
from starlette.responses import Response

from assistsupport.core.desk import DeskCounts, DraftReply
from assistsupport.core.draft import Draft, Source
from assistsupport.core.extraction import Extraction
from assistsupport.core.integration import BreakerStatus, GovernanceStatus, IntegrationStatus, ReloadOutcome
from assistsupport.core.policy_question import PolicyOutcome
from assistsupport.core.ticket import Ticket
from assistsupport.errors import AssistSupportError

MAX_BODY_BYTES = 262_144


class BadRequest(AssistSupportError):
    """A request that cannot be read; `status` is its HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class DraftBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /api/v1/drafts; keys that it does not name are ignored."""

    text: str
    ticket_id: str | None = None
    subject: str | None = None
    enrichment: bool = True

    def ticket(self) -> Ticket:
        """Return the ticket to draft for."""
        return Ticket(text=self.text, subject=self.subject or "", ticket_id=self.ticket_id)


class IntegrationView(msgspec.Struct, frozen=True, kw_only=True):
    """The integration's state beside a draft."""

    state: str
    reason: str | None
    detail: str | None
    checked_at: str | None


class DraftView(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of POST /api/v1/drafts."""

    draft_id: str
    draft: Draft
    policy: PolicyOutcome
    extraction: Extraction
    integration: IntegrationView
    elapsed_ms: float


class KnowledgeView(msgspec.Struct, frozen=True, kw_only=True):
    """The knowledge base in a status."""

    documents: int
    snapshot: str


class LiveView(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of GET /health/live."""

    status: Literal["ok"]


class ReadyView(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of GET /health/ready."""

    status: Literal["ready"]
    knowledge: KnowledgeView


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: a stable code, and one line for people."""

    code: str
    message: str


class ErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """The one form that every error of the API has."""

    error: ErrorBody


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of GET /api/v1/status."""

    version: str
    governance: GovernanceStatus | None
    pin: Pin | None
    integration: IntegrationView
    breaker: BreakerStatus
    counts: DeskCounts
    knowledge: KnowledgeView
    drift: tuple[str, ...]
    in_flight: int
    last_reload: ReloadOutcome | None


class SearchView(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of GET /api/v1/search."""

    snapshot: str
    results: tuple[Source, ...]


class TicketsView(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of GET /api/v1/tickets."""

    tickets: tuple[Ticket, ...]


class ReloadView(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of POST /api/v1/governance/reload."""

    outcome: Literal["swapped", "unchanged", "refused"]
    commit: str | None
    reason: str | None
    elapsed_ms: float


def view_integration(status: IntegrationStatus) -> IntegrationView:
    """Return the part of a status that stands beside drafts. Pure."""
    return IntegrationView(
        state=str(status.state),
        reason=str(status.reason) if status.reason else None,
        detail=status.detail,
        checked_at=status.checked_at.isoformat() if status.checked_at else None,
    )


def view_draft(reply: DraftReply, status: IntegrationStatus) -> DraftView:
    """Return a draft with what stands beside it. Pure."""
    return DraftView(
        draft_id=reply.draft_id,
        draft=reply.draft,
        policy=reply.policy,
        extraction=reply.extraction,
        integration=view_integration(status),
        elapsed_ms=reply.elapsed_ms,
    )


def encode_reply(value: Any, status: int = 200) -> Response:
    """Return a record as a JSON reply."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def encode_error(code: str, message: str, status: int) -> Response:
    """Return the one form that every error of the API has."""
    return encode_reply(ErrorView(error=ErrorBody(code=code, message=message)), status)


async def parse_draft_body(request: Request) -> DraftBody:
    """Read the body of POST /api/v1/drafts.

    Raises:
        BadRequest: It is no JSON, has a wrong type, or is missing its text.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequest(
            "request.media-type",
            415,
            f"body is no JSON: expected content-type application/json, got '{media_type}'",
        )
    try:
        value = parse_json(await read_body(request), max_bytes=MAX_BODY_BYTES)
        return msgspec.convert(value, DraftBody)
    except MalformedDocument as exc:
        raise BadRequest("request.malformed", 400, f"body is malformed: {exc}") from exc
    except msgspec.ValidationError as exc:
        raise BadRequest("request.invalid", 422, f"body is no draft request: {str(exc).lower()}") from exc


async def read_body(request: Request) -> bytes:
    """Return the request's body, never more than the limit.

    Raises:
        BadRequest: It is longer.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadRequest(
                "request.too-large",
                413,
                f"body is too large: expected at most {MAX_BODY_BYTES} bytes; shorten it",
            )
    return bytes(body)


def parse_whole_number(request: Request, name: str, default: int, limit: int) -> int:
    """Read a query parameter that is a whole number, 0 .. limit.

    Raises:
        BadRequest: It is something else.
    """
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > limit:
        raise BadRequest(
            "request.invalid", 422, f"{name} is no number in range: expected 0 to {limit}, got '{text[:20]}'"
        )
    return int(text)
