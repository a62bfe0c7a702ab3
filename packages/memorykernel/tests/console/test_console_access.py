"""Signing in to the console: who comes in, how far, until when, and what another site can do about it."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from memorykernel import Kernel
from memorykernel.adapters.access_file import change_access
from memorykernel.adapters.session_folder import LASTS_US, MAX_PER_TOKEN, SessionFolder
from memorykernel.core.access import AccessList, TokenScope
from memorykernel.surface import Provenance
from memorykernel.web.console.door import choose_way

FORM = "application/x-www-form-urlencoded"
SAID: Provenance = {
    "writer": "policy-team",
    "justification": "approved",
    "source_uri": "file:///policies.md",
    "authority": "authoritative",
}
TOKEN = "0123456789abcdef"  # a token's id, which is no secret
NOW_US = 1_770_000_000_000_000


@dataclass
class Guarded:
    """A console that asks for tokens, and one connection for each call, so that any worker may answer."""

    url: str
    access: Path
    tokens: dict[str, str] = field(default_factory=dict)

    def call(
        self, method: str, path: str, fields: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        body = None if fields is None else urlencode(fields)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"content-type": FORM, **sent})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        page = response.read().decode()
        connection.close()
        return response.status, found, page

    def sign_in(self, who: str) -> str:
        """The cookie of a new session."""
        status, headers, page = self.call("POST", "/console/login", {"token": self.tokens[who]})
        assert status == 303, page
        return headers["set-cookie"].partition(";")[0]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("console")
    access = folder / "access.toml"
    (folder / "data").mkdir()
    arguments = ("--access", str(access), "--tenants", str(folder / "data"), "--workers", "2", "--console")
    tokens = {}
    for who, tenant, scope in (
        ("red", "red", "read"),
        ("blue", "blue", "read,write"),
        ("writer", "red", "write"),
        ("root", "red", "admin"),
    ):
        tokens[who] = add_token(kit, access, tenant, scope)
    with Kernel.open(folder / "data" / "red.db", create=True) as kernel:
        kernel.add_event("the red memory's backup failed", **SAID)
    with kit.serve(None, *arguments) as server:
        yield Guarded(server.url, access, tokens)


def add_token(kit: Any, access: Path, tenant: str, scope: str) -> str:
    """A token of `mk tokens add`."""
    command = [*kit.mk, "tokens", "add", "--access", access, "--tenant", tenant, "--scope", scope]
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=30, check=True)
    return str(json.loads(done.stdout)["token"])


def until(happens: Callable[[], bool]) -> bool:
    """Ask again and again, but not for ever."""
    deadline_s = time.monotonic() + 15
    while not (happened := happens()) and time.monotonic() < deadline_s:
        pass
    return happened


def test_nobody_sees_a_page_without_a_session(guarded: Guarded) -> None:
    for path in ("/console", "/console/check", "/console/answer/cpkg_x", "/console/nowhere"):
        status, headers, page = guarded.call("GET", path)
        assert (status, page) == (303, ""), path
        assert headers["location"].startswith("/console/login")
    for path in ("/console/ask", "/console/recall", "/console/check"):
        status, _, page = guarded.call("POST", path, {"actor": "a", "action": "b", "resource": "c"})
        assert status == 401
        assert "nothing was done; sign in again" in page
    for cookie in ("", "x", f"{TOKEN}.{'A' * 43}", f"../../{TOKEN}", guarded.tokens["red"]):
        sent = f"memorykernel_console={cookie}"
        assert guarded.call("GET", "/console", Cookie=sent)[0] == 303
    assert guarded.call("GET", "/console/static/console.css")[0] == 200


def test_a_bearer_token_is_no_session_and_a_session_no_bearer_token(guarded: Guarded) -> None:
    assert guarded.call("GET", "/console", Authorization=f"Bearer {guarded.tokens['red']}")[0] == 303
    cookie = guarded.sign_in("red")
    assert guarded.call("GET", "/v1/context/cpkg_x", Cookie=cookie)[0] == 401
    key = cookie.partition("=")[2]
    assert guarded.call("GET", "/v1/context/cpkg_x", Authorization=f"Bearer {key}")[0] == 401


def test_tenants_see_their_own_memory_only_whichever_worker_answers(guarded: Guarded) -> None:
    red, blue = guarded.sign_in("red"), guarded.sign_in("blue")
    status, headers, _ = guarded.call("POST", "/console/recall", {"text": "backup"}, Cookie=red)
    assert status == 303
    answer = headers["location"].partition("?")[0]
    for _ in range(4):
        status, _, page = guarded.call("GET", answer, Cookie=red)
        assert (status, "red memory&#39;s backup failed" in page) == (200, True)
        status, _, page = guarded.call("GET", answer, Cookie=blue)
        assert (status, "backup failed" in page) == (404, False)
        assert "tenant blue, may read, write" in page
        assert "red" not in page.replace("answered", "").replace("remembered", "").replace("required", "")
    assert "Nothing is remembered yet" in guarded.call("GET", "/console", Cookie=blue)[2]


@pytest.mark.parametrize("who", ["writer", "root"])
def test_a_token_that_may_not_read_does_not_come_in(guarded: Guarded, who: str) -> None:
    status, headers, page = guarded.call("POST", "/console/login", {"token": guarded.tokens[who]})
    assert (status, "set-cookie" in headers) == (403, False)
    assert "does not have the scope &#39;read&#39;" in page


@pytest.mark.parametrize("token", ["", "wrong", "mk_0123456789abcdef_" + "A" * 43, "x" * 100_000, "é"])
def test_a_token_that_is_not_known_does_not_come_in(guarded: Guarded, token: str) -> None:
    status, headers, page = guarded.call("POST", "/console/login", {"token": token})
    assert (status, "set-cookie" in headers) == (401, False)
    assert "the token is not known" in page
    assert "x" * 1000 not in page


def test_whoever_signs_out_is_out_with_every_worker(guarded: Guarded) -> None:
    cookie, other = guarded.sign_in("red"), guarded.sign_in("red")
    assert guarded.call("GET", "/console", Cookie=cookie)[0] == 200
    status, headers, _ = guarded.call("POST", "/console/logout", {}, Cookie=cookie)
    assert (status, headers["location"]) == (303, "/console/login")
    assert "Max-Age=0" in headers["set-cookie"]
    assert [guarded.call("GET", "/console", Cookie=cookie)[0] for _ in range(4)] == [303] * 4
    assert guarded.call("GET", "/console", Cookie=other)[0] == 200


def test_a_new_session_ends_the_one_that_the_browser_had(guarded: Guarded) -> None:
    planted = guarded.sign_in("red")
    status, headers, _ = guarded.call(
        "POST", "/console/login", {"token": guarded.tokens["blue"]}, Cookie=planted
    )
    assert status == 303
    assert headers["set-cookie"].partition(";")[0] != planted
    assert guarded.call("GET", "/console", Cookie=planted)[0] == 303


def test_a_revoked_token_ends_its_sessions(guarded: Guarded, kit: Any, run_mk: Any) -> None:
    guarded.tokens["leaver"] = add_token(kit, guarded.access, "red", "read")

    cookies: list[str] = []

    def can_sign_in() -> bool:
        status, headers, _ = guarded.call("POST", "/console/login", {"token": guarded.tokens["leaver"]})
        cookies.extend(headers["set-cookie"].partition(";")[0] for _ in range(status == 303))
        return bool(cookies)

    def can_read() -> bool:
        return guarded.call("GET", "/console", Cookie=cookies[0])[0] == 200

    assert until(can_sign_in)  # every worker reads the list of tokens for itself
    assert until(can_read)
    run_mk("tokens", "revoke", "--access", guarded.access, guarded.tokens["leaver"].split("_")[1])
    assert until(lambda: not can_read())


def test_a_session_is_no_more_than_its_token_is_now(tmp_path: Path, kit: Any) -> None:
    access = tmp_path / "access.toml"
    tokens = {who: add_token(kit, access, "default", "read") for who in ("moved", "lowered")}
    with kit.serve(tmp_path / "m.db", "--access", str(access), "--console") as server:
        here = Guarded(server.url, access, tokens)
        cookies = {who: here.sign_in(who) for who in tokens}

        def edit(before: AccessList) -> AccessList:
            moved, lowered = before.tokens
            other = msgspec.structs.replace(moved, tenant="acme")
            return AccessList((other, msgspec.structs.replace(lowered, scopes=(TokenScope.WRITE,))))

        def is_refused(who: str) -> bool:
            return bool(here.call("GET", "/console", Cookie=cookies[who])[0] == 403)

        change_access(access, edit)
        for who, finding in (("moved", "another tenant"), ("lowered", "the scope &#39;read&#39;")):
            assert until(partial(is_refused, who))
            assert finding in here.call("GET", "/console", Cookie=cookies[who])[2]


def test_another_site_can_neither_sign_in_nor_out_nor_ask(guarded: Guarded) -> None:
    cookie = guarded.sign_in("red")
    sent = {"token": guarded.tokens["red"], "actor": "a", "action": "b", "resource": "c", "text": "d"}
    for path in ("/console/login", "/console/logout", "/console/ask", "/console/recall"):
        for name, value in (
            ("Origin", "https://evil.example"),
            ("Origin", "http://["),
            ("Sec_Fetch_Site", "cross-site"),
        ):
            status, headers, page = guarded.call("POST", path, sent, Cookie=cookie, **{name: value})
            assert (status, "set-cookie" in headers) == (403, False), path
            assert "another site" in page
    assert guarded.call("GET", "/console", Cookie=cookie)[0] == 200


def test_behind_https_the_cookie_is_for_https_only(guarded: Guarded) -> None:
    host = guarded.url.removeprefix("http://")
    for origin, is_secure in ((f"https://{host}", True), (f"http://{host}", False)):
        _, headers, _ = guarded.call(
            "POST", "/console/login", {"token": guarded.tokens["red"]}, Origin=origin
        )
        assert ("secure" in headers["set-cookie"].lower()) is is_secure
        assert "httponly; path=/console; samesite=strict" in headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("wanted", "way"),
    [
        (None, "/console"),
        ("/console/answer/cpkg_1?as_of=now", "/console/answer/cpkg_1?as_of=now"),
        ("/console?actor=a", "/console?actor=a"),
        ("/console/logouts", "/console/logouts"),
        ("https://evil.example", "/console"),
        ("//evil.example/console", "/console"),
        ("/console@evil.example", "/console"),
        ("/consoles", "/console"),
        ("/console/logout", "/console"),
        ("/console/login?next=/console/login", "/console"),
        ("/console/../v1/ready", "/console"),
        ("/console/%2E./v1/ready", "/console"),
        ("/console/x\r\nset-cookie: a=b", "/console"),
    ],
)
def test_signing_in_leads_to_pages_of_the_console_only(wanted: str | None, way: str) -> None:
    assert choose_way(wanted) == way


def test_one_database_lets_the_default_tenant_in_only(tmp_path: Path, kit: Any) -> None:
    access = tmp_path / "access.toml"
    tokens = {who: add_token(kit, access, who, "read") for who in ("default", "acme")}
    with kit.serve(tmp_path / "m.db", "--access", str(access), "--console") as server:
        here = Guarded(server.url, access, tokens)
        status, _, page = here.call("POST", "/console/login", {"token": tokens["acme"]})
        assert (status, "another tenant" in page) == (403, True)
        cookie = here.sign_in("default")
        page = here.call("GET", "/console", Cookie=cookie)[2]
        assert "m.db" in page
        assert str(tmp_path) not in page
        server.stop()
        said = server.read_log().decode()
    for secret in (*tokens.values(), cookie.partition("=")[2]):
        assert secret not in said
    assert "signed in to the console" in said


def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    sessions = SessionFolder(tmp_path)
    key = sessions.begin(TOKEN, NOW_US)
    assert sessions.find(key, NOW_US + LASTS_US - 1) == TOKEN
    assert sessions.find(key, NOW_US + LASTS_US) is None
    assert key.partition(".")[2] not in "".join(each.name + each.read_text() for each in tmp_path.iterdir())
    assert [each.stat().st_mode & 0o077 for each in tmp_path.iterdir()] == [0]


def test_a_token_has_so_many_sessions_and_takes_none_of_another(tmp_path: Path) -> None:
    sessions, other = SessionFolder(tmp_path), "f" * 16
    kept = sessions.begin(other, NOW_US)
    keys = [sessions.begin(TOKEN, NOW_US + number) for number in range(MAX_PER_TOKEN + 2)]
    alive = [sessions.find(key, NOW_US + 100) is not None for key in keys]
    assert alive == [False, False] + [True] * MAX_PER_TOKEN
    assert sessions.find(kept, NOW_US + 100) == other
    sessions.end(keys[-1])
    sessions.end("nonsense")
    assert sessions.find(keys[-1], NOW_US + 100) is None
    assert sessions.find(f"{TOKEN}.{'A' * 43}", NOW_US) is None
