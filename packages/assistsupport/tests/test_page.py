"""The page without JavaScript: every state in words, the ticket as text, the sources marked."""

from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState
from assistsupport.core.policy_question import (
    AnswerResult,
    PolicyQuestion,
    PolicyStatus,
    outcome_fallback,
    outcome_not_asked,
    outcome_pending,
)
from assistsupport.web.excerpt import cut_pieces, shorten
from assistsupport.web.wording import WORDS_BY_REASON, describe_outcome, describe_state

from packages.assistsupport.tests.desk_world import (
    ARTICLES,
    NoProgress,
    Reply,
    RunningSite,
    ScriptedLane,
    make_desk,
    make_knowledge,
    make_outcome,
    run_site,
    write_articles,
)
from packages.assistsupport.tests.document_world import PDF_TEXT, make_pdf

QUESTION = PolicyQuestion(text="May I?", actor="employee", action="use", resource="vpn")
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def lane() -> ScriptedLane:
    return ScriptedLane()


@pytest.fixture(scope="module")
def running(folder: Path, lane: ScriptedLane) -> Iterator[RunningSite]:
    knowledge = make_knowledge(folder / "data")
    knowledge.add([write_articles(folder / "kb")], None, NoProgress())
    with run_site(make_desk(knowledge, lane), knowledge, lane) as site:
        yield site


@pytest.fixture
def site(running: RunningSite, lane: ScriptedLane) -> RunningSite:
    lane.is_prompt = True
    return running


def submit(site: RunningSite, **form: str) -> Reply:
    return site.request("POST", "/desk/drafts", urlencode(form).encode(), FORM)


def test_the_inbox_lists_the_tickets(site: RunningSite) -> None:
    page = site.get("/").body.decode()
    assert page.count('class="ticket"') == 4
    assert "Pick a ticket" in page


def test_a_ticket_of_the_inbox_is_drafted_for(site: RunningSite) -> None:
    page = submit(site, ticket="0").body.decode()
    assert "Not allowed" in page
    assert 'aria-current="true"' in page
    assert '<span class="cited" data-source="1">The VPN client refuses' in page
    assert "<mark>The VPN client refuses" in page


def test_a_fragment_comes_back_for_htmx(site: RunningSite) -> None:
    reply = site.request("POST", "/desk/drafts", b"ticket=1", {**FORM, "HX-Request": "true"})
    assert b"<html" not in reply.body
    assert b'id="editor"' in reply.body


def test_a_pasted_ticket_is_text_and_nothing_else(site: RunningSite) -> None:
    page = submit(site, subject="<b>x</b>", text="<script>alert(1)</script> vpn certificate").body.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>x</b>" not in page


def test_a_ticket_without_text_is_refused_on_the_page(site: RunningSite) -> None:
    reply = submit(site, text=" ")
    assert reply.status == 422
    assert "ticket has no text" in reply.body.decode()


@pytest.mark.parametrize("number", ["99", "-1", "x", "9" * 20])
def test_an_unknown_ticket_is_refused(site: RunningSite, number: str) -> None:
    assert submit(site, ticket=number).json["error"]["code"] == "ticket.unknown"


def test_the_policy_block_follows_the_late_answer(site: RunningSite, lane: ScriptedLane) -> None:
    lane.is_prompt = False
    page = submit(site, ticket="0").body.decode()
    assert "Asking…" in page
    draft_id = page.split('data-draft="')[1].split('"')[0]
    lane.arrive()
    block = site.get(f"/desk/drafts/{draft_id}/policy").body.decode()
    assert 'data-status="applied"' in block
    for fact in ("service.v3", "v0.4.0", "ordering.v2", "txn_0123456789abcdef", "01HR4B1YM001KTBH221TTHC8J5"):
        assert fact in block


def test_an_article_is_shown_whole_with_its_quotations(site: RunningSite, folder: Path) -> None:
    draft_id = submit(site, ticket="0").body.decode().split('data-draft="')[1].split('"')[0]
    article = unescape(site.get(f"/desk/drafts/{draft_id}/sources/1").body.decode())
    text = article.split('tabindex="0">')[1].split("</div>")[0]
    assert text.replace("<mark>", "").replace("</mark>", "") == ARTICLES["network/vpn-certificate.md"]
    assert site.get(f"/desk/drafts/{draft_id}/sources/9").status == 404
    knowledge = make_knowledge(folder / "data")
    changed = folder / "kb" / "network" / "vpn-certificate.md"
    changed.write_text(ARTICLES["network/vpn-certificate.md"] + "\nChanged.\n")
    knowledge.add([folder / "kb"], None, NoProgress())
    assert "has changed since the draft" in site.get(f"/desk/drafts/{draft_id}/sources/1").body.decode()


def test_an_article_that_is_no_text_file_is_shown_as_it_was_read(tmp_path: Path, lane: ScriptedLane) -> None:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "toner.pdf").write_bytes(make_pdf())
    knowledge = make_knowledge(tmp_path / "data")
    knowledge.add([tmp_path / "kb"], None, NoProgress())
    with run_site(make_desk(knowledge, lane), knowledge, lane) as site:
        page = submit(site, text="printer toner is empty, yellow light").body.decode()
        draft_id = page.split('data-draft="')[1].split('"')[0]
        article = unescape(site.get(f"/desk/drafts/{draft_id}/sources/1").body.decode())
    assert "text of the PDF file, read by pypdfium2" in article
    text = article.split('tabindex="0">')[1].split("</div>")[0]
    assert text.replace("<mark>", "").replace("</mark>", "") == PDF_TEXT
    assert "<mark>" in text


def test_the_integration_is_shown(site: RunningSite, lane: ScriptedLane) -> None:
    lane.state = IntegrationState.OFFLINE
    assert "offline" in site.get("/desk/integration").body.decode()
    lane.state = IntegrationState.READY
    assert "ready" in site.get("/desk/integration").body.decode()


def test_every_outcome_and_state_has_words() -> None:
    outcomes = [outcome_not_asked(), outcome_pending(QUESTION)]
    outcomes += [make_outcome(QUESTION, result) for result in AnswerResult]
    outcomes += [outcome_fallback(QUESTION, reason, "detail") for reason in FallbackReason]
    words = [describe_outcome(outcome) for outcome in outcomes]
    assert all(each.headline and each.why and each.advice for each in words)
    assert set(WORDS_BY_REASON) == set(FallbackReason)
    assert {outcome.status for outcome in outcomes} == set(PolicyStatus)
    assert len({describe_state(state)[0] for state in IntegrationState}) == len(IntegrationState)


def test_pieces_together_are_the_file() -> None:
    file = "Öne. Two.\n\nThree. Four.\n\nFive.".encode()
    pieces = cut_pieces(file, [(0, 5), (12, 18)])
    assert "".join(piece.text for piece in pieces) == file.decode()
    assert [piece.text for piece in pieces if piece.is_quoted] == ["Öne.", "Three."]
    assert "Five" not in "".join(piece.text for piece in shorten(pieces))
