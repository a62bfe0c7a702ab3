"""The JSON API: every reply as documented, every refusal in one form, no reply waits for the producer."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from assistsupport.core.integration import IntegrationState
from assistsupport.web.openapi import describe_api
from assistsupport.web.wire import MAX_BODY_BYTES
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from packages.assistsupport.tests.desk_world import (
    TICKETS,
    TOKEN,
    NoProgress,
    Reply,
    RunningSite,
    ScriptedLane,
    make_desk,
    make_knowledge,
    run_site,
    write_articles,
)

ASK = {"subject": TICKETS[0].subject, "text": TICKETS[0].text}


@pytest.fixture(scope="module")
def lane() -> ScriptedLane:
    return ScriptedLane()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, lane: ScriptedLane) -> Iterator[RunningSite]:
    folder: Path = tmp_path_factory.mktemp("api")
    knowledge = make_knowledge(folder / "data")
    knowledge.add([write_articles(folder / "kb")], None, NoProgress())
    with run_site(make_desk(knowledge, lane), knowledge, lane) as site:
        yield site


@pytest.fixture
def site(running: RunningSite, lane: ScriptedLane) -> RunningSite:
    lane.is_prompt, lane.reload_outcome, lane.state = True, "swapped", IntegrationState.READY
    return running


def check(reply: Reply, method: str, path: str) -> Any:
    """Return a reply's JSON after holding it against the document."""
    document = json.loads(json.dumps(describe_api("0")))
    response = document["paths"][path][method]["responses"][str(reply.status)]
    schema = response["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(reply.json)
    assert reply.headers["content-type"] == "application/json"
    return reply.json


def test_the_document_is_valid_and_served(site: RunningSite) -> None:
    document = site.get("/openapi.json").json
    validate(document)
    assert set(document["paths"]) > {"/api/v1/drafts", "/api/v1/status"}


def test_a_draft_is_as_documented(site: RunningSite) -> None:
    draft = check(site.post("/api/v1/drafts", ASK), "post", "/api/v1/drafts")
    assert draft["draft"]["disposition"] == "answer"
    assert draft["policy"]["status"] == "applied"
    assert draft["policy"]["answer"]["result"] == "deny"
    assert draft["integration"]["state"] == "ready"
    assert draft["elapsed_ms"] < 5_000


def test_null_and_unknown_keys_are_fine(site: RunningSite) -> None:
    body = {**ASK, "ticket_id": None, "subject": None, "surprise": 1}
    assert site.post("/api/v1/drafts", body).status == 200


def test_a_late_answer_is_fetched_with_patience(site: RunningSite, lane: ScriptedLane) -> None:
    lane.is_prompt = False
    draft = check(site.post("/api/v1/drafts", ASK), "post", "/api/v1/drafts")
    path = f"/api/v1/drafts/{draft['draft_id']}/policy"
    assert draft["policy"]["status"] == "pending"
    assert check(site.get(path), "get", "/api/v1/drafts/{draft_id}/policy")["status"] == "pending"
    assert site.get(f"{path}?wait_ms=20").json["status"] == "pending"
    lane.arrive()
    late = check(site.get(f"{path}?wait_ms=5000"), "get", "/api/v1/drafts/{draft_id}/policy")
    assert late["status"] == "applied"


def test_a_late_answer_is_pushed(site: RunningSite, lane: ScriptedLane) -> None:
    lane.is_prompt = False
    draft = site.post("/api/v1/drafts", ASK).json
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=10)
    connection.request("GET", f"/api/v1/drafts/{draft['draft_id']}/events")
    response = connection.getresponse()
    assert response.headers["content-type"].startswith("text/event-stream")
    lane.arrive()
    event, data = response.read().decode().strip().split("\n")
    connection.close()
    assert event == "event: policy"
    assert json.loads(data.removeprefix("data: "))["status"] == "applied"


def test_status_counts_every_draft(site: RunningSite) -> None:
    before = check(site.get("/api/v1/status"), "get", "/api/v1/status")["counts"]
    site.post("/api/v1/drafts", {**ASK, "enrichment": False})
    site.post("/api/v1/drafts", {"text": "The canteen is closed."})
    after = check(site.get("/api/v1/status"), "get", "/api/v1/status")["counts"]
    assert after["drafts"] == before["drafts"] + 2
    assert after["not_asked"] == before["not_asked"] + 1
    assert after["fallback"].get("feature-disabled", 0) == before["fallback"].get("feature-disabled", 0) + 1


def test_search_tickets_and_health(site: RunningSite) -> None:
    found = check(site.get("/api/v1/search?q=printer&limit=1"), "get", "/api/v1/search")
    assert [source["article_id"] for source in found["results"]] == ["kb/printing/followme.md"]
    assert len(check(site.get("/api/v1/tickets"), "get", "/api/v1/tickets")["tickets"]) == len(TICKETS)
    assert check(site.get("/health/live"), "get", "/health/live") == {"status": "ok"}
    assert check(site.get("/health/ready"), "get", "/health/ready")["knowledge"]["documents"] == 4


@pytest.mark.parametrize(("outcome", "status"), [("swapped", 200), ("unchanged", 200), ("refused", 409)])
def test_reload_needs_the_token(site: RunningSite, lane: ScriptedLane, outcome: str, status: int) -> None:
    path = "/api/v1/governance/reload"
    lane.reload_outcome = outcome
    reply = site.request("POST", path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert reply.status == status
    assert check(reply, "post", path)["outcome"] == outcome


@pytest.mark.parametrize(
    "header", [None, "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN]
)
def test_reload_without_the_token_is_refused(site: RunningSite, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    reply = site.request("POST", "/api/v1/governance/reload", headers=headers)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in reply.body.decode()


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "request.malformed"),
        (b'{"text": "a", "text": "b"}', "application/json", 400, "request.malformed"),
        (b'{"text": NaN}', "application/json", 400, "request.malformed"),
        (b"\xff", "application/json", 400, "request.malformed"),
        (b"[" * 500, "application/json", 400, "request.malformed"),
        (b"{}", "application/json", 422, "request.invalid"),
        (b'{"text": 1}', "application/json", 422, "request.invalid"),
        (b'{"text": "a", "enrichment": "yes"}', "application/json", 422, "request.invalid"),
        (b'{"text": " "}', "application/json", 422, "ticket.refused"),
        (b'{"text": "a"}', "text/plain", 415, "request.media-type"),
        (b'"' + b"x" * MAX_BODY_BYTES + b'"', "application/json", 413, "request.too-large"),
    ],
)
def test_bad_bodies_are_refused_in_one_form(
    site: RunningSite, body: bytes, content_type: str, status: int, code: str
) -> None:
    reply = site.request("POST", "/api/v1/drafts", body, {"content-type": content_type})
    assert (reply.status, check(reply, "post", "/api/v1/drafts")["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "request.not-found"),
        ("GET", "/static/none.js", 404, "request.not-found"),
        ("GET", "/static/../wiring.py", 404, "request.not-found"),
        ("GET", "/api/v1/drafts", 405, "request.method"),
        ("DELETE", "/api/v1/status", 405, "request.method"),
        ("GET", "/api/v1/drafts/none/policy", 404, "draft.unknown"),
        ("GET", "/api/v1/drafts/none/events", 404, "draft.unknown"),
        ("GET", "/api/v1/search?limit=51", 422, "request.invalid"),
        ("GET", "/api/v1/search?limit=-1", 422, "request.invalid"),
        ("GET", "/desk/drafts/none/policy", 404, "draft.unknown"),
    ],
)
def test_refusals_have_one_form(site: RunningSite, method: str, path: str, status: int, code: str) -> None:
    reply = site.request(method, path)
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    assert reply.json["error"]["message"] == reply.json["error"]["message"].strip()
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_wait_ms_is_bounded(site: RunningSite) -> None:
    draft = site.post("/api/v1/drafts", ASK).json
    reply = site.get(f"/api/v1/drafts/{draft['draft_id']}/policy?wait_ms=5001")
    assert reply.status == 422


def test_another_host_is_refused(site: RunningSite) -> None:
    reply = site.request("GET", "/api/v1/status", headers={"Host": "evil.example"})
    assert (reply.status, reply.json["error"]["code"]) == (421, "request.host")
    port = site.url.rsplit(":", 1)[1]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert site.request("GET", "/api/v1/status", headers={"Host": host}).status == 200


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_site_cannot_post(site: RunningSite, headers: dict[str, str]) -> None:
    assert site.post("/api/v1/drafts", ASK, headers).json["error"]["code"] == "request.origin"
    assert (
        site.post("/api/v1/drafts", ASK, {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}).status == 200
    )


def test_every_reply_carries_the_security_headers(site: RunningSite) -> None:
    for path in ("/", "/api/v1/status", "/static/desk.js", "/nothing"):
        policy = site.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert "<script>" not in site.get("/").body.decode()
