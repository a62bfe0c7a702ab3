"""The console without a browser: what it refuses, what it escapes, and what it does with little or much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from memorykernel import Kernel
from memorykernel.core.activity_v3 import FOREVER, Span
from memorykernel.surface import Provenance
from memorykernel.web.console.axis import list_ticks, place

SAID: Provenance = {
    "writer": "policy-team",
    "justification": "approved",
    "source_uri": "file:///policies.md",
    "authority": "authoritative",
}
FORM = {"content-type": "application/x-www-form-urlencoded"}
DAY_US = 86_400_000_000


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "memory.db"
    with Kernel.open(path, create=True):
        return path


@pytest.fixture
def server(db: Path, kit: Any) -> Iterator[Any]:
    with kit.serve(db, "--console") as running:
        yield running


def post(server: Any, path: str, fields: dict[str, str], **headers: str) -> Any:
    body = urlencode(fields).encode()
    server.connection.request("POST", path, body=body, headers={**FORM, **headers})
    response = server.connection.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    return response.status, found, response.read().decode()


def get(server: Any, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    reply = server.call("GET", path, headers=headers)
    return reply.status, reply.headers, reply.body.decode()


def ask(server: Any, actor: str, action: str, resource: str) -> str:
    status, headers, body = post(
        server, "/console/ask", {"actor": actor, "action": action, "resource": resource}
    )
    assert status == 303, body
    return str(headers["location"]).partition("?")[0]


def test_an_empty_memory_says_what_to_do_first(server: Any) -> None:
    status, _, page = get(server, "/console")
    assert status == 200
    assert "Nothing is remembered yet" in page
    assert "mk memory add constraint" in page
    _, _, answered = get(server, ask(server, "ana", "use", "usb"))
    assert "No rule matches this question" in answered


def test_text_of_users_is_text(server: Any, db: Path) -> None:
    evil = '<img src=x onerror="alert(1)">'
    with Kernel.open(db) as kernel:
        kernel.add_constraint(actor="*", action="use", resource=evil, effect="deny", note=evil, **SAID)
    _, headers, page = get(server, ask(server, "ana", "use", evil))
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "script-src" not in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")


def test_a_form_of_another_site_is_refused(server: Any) -> None:
    fields = {"actor": "ana", "action": "use", "resource": "usb"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        status, _, page = post(server, "/console/ask", fields, **headers)
        assert status == 403
        assert "another site" in page
    host = server.url.removeprefix("http://")
    assert post(server, "/console/ask", fields, Origin=f"http://{host}")[0] == 303


def test_another_host_name_is_refused(server: Any) -> None:
    status, _, page = get(server, "/console", Host="rebound.example")
    assert status == 400
    assert "host name" in page


def test_two_hosts_are_refused(server: Any) -> None:
    server.connection.putrequest("GET", "/console", skip_host=True)
    for host in ("localhost", "elsewhere"):
        server.connection.putheader("Host", host)
    server.connection.endheaders()
    response = server.connection.getresponse()
    assert response.status == 400
    assert "2 Host headers" in response.read().decode()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/nowhere", 404),
        ("/console/answer/cpkg_nowhere", 404),
        ("/console/record/nonsense", 422),
        ("/console/record/01J00000000000000000000000", 404),
        ("/console/memory/01J00000000000000000000000", 404),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(server: Any, path: str, status: int) -> None:
    found, headers, page = get(server, path)
    assert found == status
    assert headers["content-type"].startswith("text/html")
    assert 'role="alert"' in page
    assert "content-security-policy" in headers


def test_the_service_beside_it_is_untouched(server: Any) -> None:
    assert server.call("GET", "/v1/health").data == {"status": "ok"}
    assert server.call("GET", "/consoles").status == 404
    assert server.call("GET", "/consoles").headers["content-type"] == "application/json"


def test_more_rules_than_an_eye_follows_are_counted(server: Any, db: Path) -> None:
    with Kernel.open(db, conflicts="ignore") as kernel:
        for number in range(30):
            kernel.add_constraint(
                actor="*", action="use", resource="usb", effect="deny", note=f"rule {number}", **SAID
            )
    _, _, page = get(server, ask(server, "ana", "use", "usb"))
    assert page.count('class="row ') == 24
    assert "6 more rules match and are not shown" in page


def test_an_answer_of_older_rules_is_shown_without_a_picture(server: Any) -> None:
    body = {"text": "May I?", "actor": "ana", "action": "use", "resource": "usb", "as_of": None}
    headers = {"content-type": "application/json", "service-contract-version": "service.v3"}
    package = server.call("POST", "/v1/query/ask", body, headers=headers).data
    status, _, page = get(server, f"/console/answer/{package['context_package_id']}")
    assert status == 200
    assert "Inconclusive" in page
    assert '<svg class="timeline"' not in page


def test_a_proof_is_downloaded_and_holds(server: Any, tmp_path: Path, run_mk: Any) -> None:
    path = ask(server, "ana", "use", "usb")
    status, headers, proof = get(server, f"{path}/proof")
    assert status == 200
    assert headers["content-disposition"].startswith("attachment")
    file = tmp_path / "proof.json"
    file.write_text(proof)
    assert run_mk("proof", "check", file).returncode == 0


def test_a_mistyped_path_is_no_new_database(tmp_path: Path, run_mk: Any) -> None:
    refused = run_mk("console", "--db", tmp_path / "nowhere.db", "--bind", "127.0.0.1:0")
    assert refused.returncode == 2
    assert "mk console --demo" in refused.stderr
    both = run_mk("console", "--demo", "--db", tmp_path / "nowhere.db", "--bind", "127.0.0.1:0")
    assert both.returncode == 2


@pytest.mark.parametrize("days", [1, 6, 20, 90, 400, 5_000, 100_000, 3_000_000])
def test_an_axis_has_few_marks_in_order(days: int) -> None:
    start = 1_770_556_793_500_000 if days < 1_000_000 else -62_000_000_000_000_000
    window = Span(start, start + days * DAY_US)
    ticks = list_ticks(window)
    assert len(ticks) <= 8
    assert [tick.x for tick in ticks] == sorted((tick.x for tick in ticks), key=lambda x: float(x[:-1]))
    assert all(re.fullmatch(r"\d+\.\d{3}%", tick.x) for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_an_instant_outside_the_window_lies_at_its_edge() -> None:
    window = Span(0, 100)
    assert [place(at, window) for at in (-5, 0, 50, 100, FOREVER)] == [0, 0, 50, 100, 100]
