"""The page at `/`: pick or paste a ticket, read and change the draft, see what stands behind it.

Rendered on the server; htmx swaps the parts. Every form also works without JavaScript: then the whole
page comes back.
"""

from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from assistsupport.core.article import Citation, is_resolved
from assistsupport.core.desk import DraftReply
from assistsupport.core.ticket import Ticket
from assistsupport.errors import TicketRefused
from assistsupport.service.desk import Remembered
from assistsupport.web.excerpt import cut_pieces, shorten
from assistsupport.web.site import Site, site_of
from assistsupport.web.wire import BadRequest, read_body
from assistsupport.web.wording import describe_outcome, describe_state

_TEMPLATES = Environment(
    loader=PackageLoader("assistsupport.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals |= {"describe_outcome": describe_outcome, "describe_state": describe_state}


async def home(request: Request) -> Response:
    """GET /: the inbox, and nothing picked yet."""
    return _render_page(request, None, None)


async def create_draft(request: Request) -> Response:
    """POST /desk/drafts: a ticket of the inbox by its number, or a pasted one."""
    site = site_of(request)
    form = {
        key: values[-1]
        for key, values in parse_qs((await read_body(request)).decode("utf-8", "replace")).items()
    }
    number, ticket = _pick_ticket(site, form)
    try:
        reply = await site.draft_thread(lambda: site.desk.draft(ticket))
    except TicketRefused as exc:
        return _render_page(request, None, None, problem=str(exc))
    desk = await site.draft_thread(lambda: _view_desk(site, reply))
    if request.headers.get("hx-request") == "true":
        return _render("desk.html", desk=desk)
    return _render_page(request, desk, number)


async def show_policy(request: Request) -> Response:
    """GET /desk/drafts/{draft_id}/policy: the policy block as it is now."""
    remembered = site_of(request).desk.recall(request.path_params["draft_id"])
    return _render("policy.html", desk=_view_policy(remembered.reply, remembered))


async def show_article(request: Request) -> Response:
    """GET /desk/drafts/{draft_id}/sources/{number}: a source as a whole, the quotations marked."""
    site = site_of(request)
    remembered = site.desk.recall(request.path_params["draft_id"])
    article = await site.draft_thread(
        lambda: _view_article(site, remembered.reply, request.path_params["number"])
    )
    return _render("article.html", article=article)


async def show_integration(request: Request) -> Response:
    """GET /desk/integration: the integration's state."""
    return _render("integration.html", status=site_of(request).lane.status())


def _pick_ticket(site: Site, form: dict[str, str]) -> tuple[int | None, Ticket]:
    if "ticket" not in form:
        return None, Ticket(text=form.get("text", ""), subject=form.get("subject", ""))
    number = form["ticket"]
    if not number.isascii() or not number.isdigit() or len(number) > 6 or int(number) >= len(site.tickets):
        raise BadRequest("ticket.unknown", 404, "no such ticket in the inbox; reload the page")
    return int(number), site.tickets[int(number)]


def _view_desk(site: Site, reply: DraftReply) -> dict[str, Any]:
    numbers = {source.article_id: number for number, source in enumerate(reply.draft.sources, start=1)}
    return {
        **_view_policy(reply, None),
        "pieces": [_view_piece(reply, sentence, numbers) for sentence in _with_gaps(reply)],
        "sources": [_view_article(site, reply, number) for number in numbers.values()],
    }


def _view_policy(reply: DraftReply, remembered: Remembered | None) -> dict[str, Any]:
    return {"reply": reply, "policy": remembered.policy() if remembered else reply.policy}


def _with_gaps(reply: DraftReply) -> list[tuple[int, int, Citation | None]]:
    """Return the draft's text as (start, end, citation), what stands between the sentences included."""
    parts: list[tuple[int, int, Citation | None]] = []
    position = 0
    for sentence in reply.draft.sentences:
        if position < sentence.start:
            parts.append((position, sentence.start, None))
        parts.append((sentence.start, sentence.end, sentence.citation))
        position = sentence.end
    return parts


def _view_piece(
    reply: DraftReply, part: tuple[int, int, Citation | None], numbers: dict[str, int]
) -> dict[str, Any]:
    start, end, citation = part
    return {"text": reply.draft.text[start:end], "number": numbers[citation.article_id] if citation else None}


def _view_article(site: Site, reply: DraftReply, number: int) -> dict[str, Any]:
    if not 1 <= number <= len(reply.draft.sources):
        raise BadRequest("source.unknown", 404, "the draft has no such source; draft again")
    source = reply.draft.sources[number - 1]
    cited = [
        s.citation for s in reply.draft.sentences if s.citation and s.citation.article_id == source.article_id
    ]
    article = site.knowledge.load_article(source.article_id)
    text = article.text.encode() if article is not None else b""
    is_current = all(is_resolved(citation, text) for citation in cited)
    spans = [(citation.start, citation.end) for citation in cited] if is_current else []
    pieces = cut_pieces(text, spans)
    return {
        "number": number,
        "source": source,
        "draft_id": reply.draft_id,
        "is_current": is_current,
        "reader": article.reader if article is not None else None,
        "pieces": pieces,
        "excerpt": shorten(pieces),
    }


def _render_page(
    request: Request, desk: dict[str, Any] | None, number: int | None, problem: str | None = None
) -> Response:
    site = site_of(request)
    return _render(
        "page.html",
        status_code=422 if problem else 200,
        desk=desk,
        picked=number,
        problem=problem,
        tickets=site.tickets,
        lane_status=site.lane.status(),
        version=site.version,
    )


def _render(template: str, status_code: int = 200, **values: Any) -> Response:
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values), status_code=status_code)


ROUTES = [
    Route("/", home),
    Route("/desk/drafts", create_draft, methods=["POST"]),
    Route("/desk/drafts/{draft_id}/policy", show_policy),
    Route("/desk/drafts/{draft_id}/sources/{number:int}", show_article),
    Route("/desk/integration", show_integration),
]
