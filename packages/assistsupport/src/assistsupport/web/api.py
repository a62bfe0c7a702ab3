"""The JSON API, `/api/v1`, and health; documented by `openapi`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from assistsupport.core.draft import view_source
from assistsupport.core.policy_question import PolicyOutcome, PolicyStatus
from assistsupport.web.guard import check_control_token
from assistsupport.web.openapi import describe_api
from assistsupport.web.site import Site, site_of
from assistsupport.web.wire import (
    KnowledgeView,
    LiveView,
    ReadyView,
    ReloadView,
    SearchView,
    StatusView,
    TicketsView,
    encode_reply,
    parse_draft_body,
    parse_whole_number,
    view_draft,
    view_integration,
)

MAX_WAIT_MS = 5_000
MAX_RESULTS = 50
MAX_QUERY_CHARS = 2_000
EVENTS_LIMIT_S = 35.0  # a question has an outcome after at most 30 seconds
HEARTBEAT_S = 10.0


async def live(request: Request) -> Response:
    """GET /health/live: the process answers."""
    return encode_reply(LiveView(status="ok"))


async def ready(request: Request) -> Response:
    """GET /health/ready: drafts can be made; the producer's state does not matter for that."""
    site = site_of(request)
    documents, snapshot = await site.draft_thread(site.knowledge.describe)
    return encode_reply(
        ReadyView(status="ready", knowledge=KnowledgeView(documents=documents, snapshot=snapshot))
    )


async def create_draft(request: Request) -> Response:
    """POST /api/v1/drafts: a ticket in, a draft out; never waits for the producer."""
    site = site_of(request)
    body = await parse_draft_body(request)
    reply = await site.draft_thread(lambda: site.desk.draft(body.ticket(), enrichment=body.enrichment))
    return encode_reply(view_draft(reply, site.lane.status()))


async def get_policy(request: Request) -> Response:
    """GET /api/v1/drafts/{draft_id}/policy?wait_ms=: the outcome as it is, or as it is a moment later."""
    remembered = site_of(request).desk.recall(request.path_params["draft_id"])
    wait_ms = parse_whole_number(request, "wait_ms", 0, MAX_WAIT_MS)
    await wait_for_outcome(remembered.outcome, wait_ms / 1000)
    return encode_reply(remembered.policy())


async def stream_events(request: Request) -> Response:
    """GET /api/v1/drafts/{draft_id}/events: one `policy` event when the outcome is there, then the end."""
    site = site_of(request)
    remembered = site.desk.recall(request.path_params["draft_id"])
    return StreamingResponse(
        _events(remembered.outcome, remembered.policy, site), media_type="text/event-stream"
    )


async def get_status(request: Request) -> Response:
    """GET /api/v1/status."""
    site = site_of(request)
    status = site.lane.status()
    documents, snapshot = await site.draft_thread(site.knowledge.describe)
    return encode_reply(
        StatusView(
            version=site.version,
            governance=status.governance,
            pin=status.pin,
            integration=view_integration(status),
            breaker=status.breaker,
            counts=site.desk.counts(),
            knowledge=KnowledgeView(documents=documents, snapshot=snapshot),
            drift=status.drift,
            in_flight=status.in_flight,
            last_reload=status.last_reload,
        )
    )


async def reload_governance(request: Request) -> Response:
    """POST /api/v1/governance/reload: read the ref anew; 409 when the new pin is refused."""
    site = site_of(request)
    check_control_token(request, site.control_token)
    done = await asyncio.get_running_loop().run_in_executor(site.control_thread, site.lane.reload)
    view = ReloadView(
        outcome=done.outcome, commit=done.commit, reason=done.reason, elapsed_ms=done.elapsed_ms
    )
    return encode_reply(view, 409 if done.outcome == "refused" else 200)


async def list_tickets(request: Request) -> Response:
    """GET /api/v1/tickets: the inbox."""
    return encode_reply(TicketsView(tickets=site_of(request).tickets))


async def search(request: Request) -> Response:
    """GET /api/v1/search?q=&limit=: articles, best first."""
    site = site_of(request)
    limit = parse_whole_number(request, "limit", 10, MAX_RESULTS)
    query = request.query_params.get("q", "")[:MAX_QUERY_CHARS]
    found = await site.draft_thread(lambda: site.knowledge.find(query))
    return encode_reply(
        SearchView(snapshot=found.snapshot, results=tuple(view_source(each) for each in found.ranked[:limit]))
    )


async def get_openapi(request: Request) -> Response:
    """GET /openapi.json: this API's document."""
    return encode_reply(describe_api(site_of(request).version))


async def wait_for_outcome(outcome: Future[PolicyOutcome], wait_s: float) -> None:
    """Return when the outcome is there, or after `wait_s`; the outcome itself goes on either way."""
    if not outcome.done() and wait_s > 0:
        await asyncio.wait([asyncio.wrap_future(outcome)], timeout=wait_s)


async def _events(
    outcome: Future[PolicyOutcome], policy: Callable[[], PolicyOutcome], site: Site
) -> AsyncIterator[bytes]:
    arrived = asyncio.wrap_future(outcome)
    stopping = asyncio.ensure_future(site.stopping.wait())
    waited: list[asyncio.Future[Any]] = [arrived, stopping]
    try:
        for _ in range(int(EVENTS_LIMIT_S / HEARTBEAT_S) + 1):
            await asyncio.wait(waited, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            if outcome.done() or stopping.done():
                break
            yield b": still waiting\n\n"
    finally:
        stopping.cancel()
    if policy().status is not PolicyStatus.PENDING:
        yield b"event: policy\ndata: " + msgspec.json.encode(policy()) + b"\n\n"


ROUTES = [
    Route("/health/live", live),
    Route("/health/ready", ready),
    Route("/openapi.json", get_openapi),
    Route("/api/v1/drafts", create_draft, methods=["POST"]),
    Route("/api/v1/drafts/{draft_id}/policy", get_policy),
    Route("/api/v1/drafts/{draft_id}/events", stream_events),
    Route("/api/v1/status", get_status),
    Route("/api/v1/governance/reload", reload_governance, methods=["POST"]),
    Route("/api/v1/tickets", list_tickets),
    Route("/api/v1/search", search),
]
