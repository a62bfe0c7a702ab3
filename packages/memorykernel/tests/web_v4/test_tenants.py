"""A server that asks for tokens: nobody sees another's records, and everybody is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.postgres_tenants import locate_database
from memorykernel.cli.serving import require_guarded
from memorykernel.errors import AccessInvalid, InvalidRequest
from psycopg.conninfo import conninfo_to_dict

from packages.memorykernel.tests.postgres_cluster import Server


@dataclass
class Guarded:
    """A server with two tenants, and their tokens."""

    server: Any
    access: Path
    tokens: dict[str, str]

    def call(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"content-type": "application/json", **headers}
        if who is not None:
            sent["authorization"] = f"Bearer {self.tokens[who]}"
        return self.server.call(method, path, body, headers=sent)


@pytest.fixture(scope="module", params=["folder", "server"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kit: Any, edge: Any
) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("tenants")
    access, place = folder / "access.toml", str(folder / "data")
    Path(place).mkdir()
    if request.param == "server":
        server: Server = request.getfixturevalue("postgres")
        place = server.dsn(database="postgres")
    wanted = {"acme": "read,write", "globex": "read,write", "reader": "read", "root": "read,admin"}
    tokens = {
        name: edge.add_token(access, tenant="globex" if name == "globex" else "acme", scope=scope)
        for name, scope in wanted.items()
    }
    arguments = ("--access", access, "--tenants", place, "--service-contract", "service.v4")
    with kit.serve(None, *map(str, arguments)) as server:
        yield Guarded(server, access, tokens)


def test_the_token_of_another_tenants_write_is_that_of_no_write(guarded: Guarded, kit: Any) -> None:
    written = guarded.call("acme", "POST", "/v1/memory/add/constraint", kit.constraint("tokened"))
    token = {"memory-token": written.headers["memory-token"]}
    assert guarded.call("acme", "POST", "/v1/query/ask", kit.ask(), **token).status == 200
    refused = guarded.call("globex", "POST", "/v1/query/ask", kit.ask(), **token)
    assert (refused.status, refused.json()["error"]["code"]) == (400, "validation_error")


def test_what_one_tenant_wrote_no_request_of_another_can_see(guarded: Guarded, kit: Any) -> None:
    secret = kit.constraint("user", "deny", note="acme-only-note", writer="acme-writer")
    written = guarded.call("acme", "POST", "/v1/memory/add/constraint", secret).data
    noted = guarded.call("acme", "POST", "/v1/memory/add/summary", kit.summary("acme USB plans")).data
    answer = guarded.call("acme", "POST", "/v1/query/ask", kit.ask(as_of="2030-01-01T00:00:00Z")).data
    assert answer["answer"]["result"] == "deny"

    ids = [written["memory_version_id"], written["memory_id"], noted["memory_version_id"]]
    link = {"from": ids[2], "to": ids[0], "relation": "contradicts", "writer": "w", "justification": "j"}
    package_id = answer["context_package_id"]
    replies = [
        guarded.call("globex", "POST", "/v1/query/ask", kit.ask(as_of="2030-01-01T00:00:00Z")),
        guarded.call("globex", "POST", "/v1/query/recall", {"text": "acme USB plans", "record_types": []}),
        guarded.call("globex", "GET", f"/v1/context/{package_id}"),
        guarded.call("globex", "POST", "/v1/memory/link", link),
        guarded.call("globex", "POST", "/v1/memory/add/summary", kit.summary("x", supersedes=[ids[0]])),
        guarded.call("globex", "POST", "/v1/memory/add/constraint", kit.constraint(memory_id=ids[1])),
        guarded.call("globex", "GET", "/v1/ready"),
        guarded.call("globex", "POST", "/v1/db/schema-version"),
    ]
    # The same memory_id and version is free for another tenant: nothing tells that it is taken elsewhere.
    assert [reply.status for reply in replies] == [200, 200, 404, 409, 409, 200, 200, 200]
    assert replies[0].data["answer"]["result"] == "inconclusive"
    assert replies[0].data["determinism"]["snapshot_id"] != answer["determinism"]["snapshot_id"]
    assert replies[1].data["selected_items"] == []
    for reply in (replies[0], replies[1], replies[6], replies[7]):
        for hidden in (*ids, "acme", answer["determinism"]["snapshot_id"]):
            assert hidden not in reply.body.decode().replace("acme USB plans", "")
    metrics = guarded.call("root", "GET", "/metrics").body.decode()
    for hidden in ("acme", "globex", "usb", *ids, *guarded.tokens.values()):
        assert hidden not in metrics


def test_a_tenant_of_a_server_has_a_database_of_its_own(
    tmp_path: Path, kit: Any, edge: Any, postgres: Server
) -> None:
    access = tmp_path / "access.toml"
    tokens = {name: edge.add_token(access, tenant=name, scope="read,write") for name in ("red", "x" * 60)}
    postgres.execute("CREATE ROLE humble LOGIN")
    place = f"postgresql://memory@127.0.0.1:{postgres.port}/postgres"
    for login, tenant, status in (("memory", "x" * 60, 500), ("humble", "red", 503), ("memory", "red", 200)):
        arguments = ("--access", str(access), "--tenants", place.replace("memory", login))
        with kit.serve(None, *arguments) as server:
            headers = {"authorization": f"Bearer {tokens[tenant]}"}
            reply = server.call("GET", "/v1/ready", headers=headers)
            again = server.call("GET", "/v1/ready", headers=headers)
            assert (reply.status, again.status) == (status, status), reply.body
            assert status != 503 or b"createdb -E UTF8 -T template0 postgres_red" in reply.body
    assert postgres.execute("SELECT 1 FROM pg_database WHERE datname = 'postgres_red'") == [(1,)]


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("postgresql://h/mk", "mk_red"),
        ("postgresql://h/mk?dbname=shared", "shared_red"),
        ("postgresql://h?dbname=mk&sslmode=disable", "mk_red"),
        ("postgresql:///mk?host=/run/postgresql", "mk_red"),
        ("postgresql://u:p%2F#?w@h/my%20mk", "my mk_red"),
    ],
)
def test_whichever_way_a_server_is_named_a_tenant_has_a_database_of_its_own(server: str, name: str) -> None:
    there = conninfo_to_dict(server)
    assert conninfo_to_dict(locate_database(server, "red")) == {**there, "dbname": name}


@pytest.mark.parametrize("server", ["postgresql://h/mk?user=a@b", "postgresql://h/mk?password=secret&x=y"])
def test_a_server_whose_name_cannot_be_read_is_refused_without_it(server: str) -> None:
    with pytest.raises(AccessInvalid, match="the DSN of --tenants cannot be read") as refused:
        locate_database(server, "red")
    assert "secret" not in str(refused.value)


def test_nobody_gets_in_without_a_token(guarded: Guarded) -> None:
    for method, path in (
        ("POST", "/v1/query/ask"),
        ("POST", "/v1/memory/add/constraint"),
        ("GET", "/v1/context/cpkg_x"),
        ("POST", "/v1/db/schema-version"),
        ("POST", "/v1/db/migrate"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
        ("GET", "//v1/health"),
    ):
        reply = guarded.call(None, method, path, None)
        assert (reply.status, reply.json()["error"]["code"]) == (401, "validation_error"), path
        assert reply.headers["www-authenticate"] == "Bearer"


def test_an_older_contract_refuses_within_its_own_statuses(guarded: Guarded, kit: Any) -> None:
    named = {"service-contract-version": "service.v2"}
    reply = guarded.call(None, "POST", "/v1/query/ask", kit.ask(), **named)
    assert (reply.status, reply.json()["legacy_error"]) == (400, reply.json()["error"]["message"])
    assert reply.headers["www-authenticate"] == "Bearer"


def test_liveness_readiness_and_the_document_are_for_everybody(guarded: Guarded) -> None:
    assert guarded.call(None, "GET", "/v1/health").data == {"status": "ok"}
    assert guarded.call(None, "GET", "/v1/ready").data["checks"]["pending_migrations"] == 0
    assert guarded.call(None, "GET", "/v1/openapi").body.startswith(b"openapi:")
    wrong = guarded.call(None, "GET", "/v1/health", authorization="Bearer wrong")
    assert wrong.status == 401


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("reader", "POST", "/v1/memory/add/summary", 403),
        ("reader", "POST", "/v1/db/migrate", 403),
        ("reader", "GET", "/metrics", 403),
        ("acme", "GET", "/metrics", 403),
        ("root", "POST", "/v1/memory/link", 403),
        ("root", "GET", "/metrics", 200),
        ("root", "POST", "/v1/db/migrate", 200),
        ("reader", "POST", "/v1/query/ask", 200),
    ],
)
def test_a_scope_allows_what_it_says(
    guarded: Guarded, kit: Any, who: str, method: str, path: str, status: int
) -> None:
    body = {"/v1/db/migrate": {"dry_run": True}, "/v1/query/ask": kit.ask()}.get(path)
    assert guarded.call(who, method, path, body).status == status


def test_a_revoked_token_is_refused_by_the_running_server(guarded: Guarded, run_mk: Any, edge: Any) -> None:
    token = edge.add_token(guarded.access, tenant="acme", scope="read")
    headers = {"authorization": f"Bearer {token}"}
    assert edge.until(lambda: guarded.call(None, "GET", "/v1/ready", **headers).status == 200)
    assert run_mk("tokens", "revoke", "--access", guarded.access, token.split("_")[1]).returncode == 0
    assert edge.until(lambda: guarded.call(None, "GET", "/v1/ready", **headers).status == 401)


def test_one_database_takes_the_default_tenants_tokens_only(tmp_path: Path, kit: Any, edge: Any) -> None:
    access = tmp_path / "access.toml"
    mine = edge.add_token(access, tenant="default", scope="read")
    other = edge.add_token(access, tenant="acme", scope="read")
    with kit.serve(tmp_path / "m.db", "--access", str(access), "--service-contract", "service.v4") as server:
        for token, status in ((mine, 200), (other, 403)):
            reply = server.call("GET", "/v1/ready", headers={"authorization": f"Bearer {token}"})
            assert reply.status == status


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--db", "m.db", "--bind", "0.0.0.0:0"), "--access FILE, or say --allow-open"),
        (("--tenants", "."), "add --access FILE"),
        (("--access", "none.toml", "--tenants", "."), "cannot be opened"),
        (("--access", "open.toml", "--tenants", "."), "chmod 600"),
        (("--access", "good.toml", "--tenants", "nowhere"), "there is no folder"),
        (("--access", "good.toml", "--tenants", "postgresql:/x"), "with two slashes"),
        (("--access", "good.toml", "--tenants", ".", "--db", "m.db"), "exclude each other"),
    ],
)
def test_a_server_that_would_be_open_by_accident_does_not_start(
    tmp_path: Path, run_mk: Any, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, mode in (("open.toml", 0o644), ("good.toml", 0o600)):
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)
    refused = run_mk("serve", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in refused.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["good.toml", "open.toml"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])  # noqa: S104  # none is bound
def test_listening_for_other_machines_is_a_decision_that_is_warned_of(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidRequest, match="say --allow-open"):
        require_guarded(host, guarded=False, allow_open=False)
    require_guarded(host, guarded=False, allow_open=True)
    assert "asks nobody who they are" in capsys.readouterr().err
    require_guarded(host, guarded=True, allow_open=False)
    assert "put TLS in front" in capsys.readouterr().err
    require_guarded("127.0.0.1", guarded=False, allow_open=False)
    assert capsys.readouterr().err == ""


def test_a_configured_host_name_is_answered_to(tmp_path: Path, kit: Any) -> None:
    with kit.serve(tmp_path / "m.db", "--allow-host", "kernel.example") as server:
        assert server.call("GET", "/v1/health", headers={"host": "kernel.example:443"}).status == 200
        assert server.call("GET", "/v1/health", headers={"host": "other.example"}).status == 400


def test_the_log_tells_requests_apart_and_no_secrets(tmp_path: Path, kit: Any, edge: Any) -> None:
    access = tmp_path / "access.toml"
    token = edge.add_token(access, tenant="default", scope="read,write")
    arguments = ("--access", str(access), "--log-requests", "--service-contract", "service.v4")
    with kit.serve(tmp_path / "m.db", *arguments) as server:
        sent = {
            "content-type": "application/json",
            "authorization": f"Bearer {token}",
            "x-request-id": "call-7",
        }
        hidden = "hidden-question-text"
        assert server.call("POST", "/v1/query/ask", kit.ask(text=hidden), headers=sent).status == 200
        assert server.call("POST", "/v1/query/ask", kit.ask(as_of=hidden), headers=sent).status == 422
        assert server.call("GET", f"/v1/context/{hidden}", headers=sent).status == 404
        assert server.call("GET", f"/{hidden}", headers={"authorization": f"Bearer {token}x"}).status == 401
        access.chmod(0o644)
        assert edge.until(lambda: server.call("GET", "/v1/ready", headers=sent).status == 401)
        server.stop()
        log = server.read_log().decode()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    faults = [line["cause"] for line in lines if "access file" in line["event"]]
    assert len(faults) == 1
    assert "chmod 600" in faults[0]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in requests[:4]] == [
        ("/v1/query/ask", 200),
        ("/v1/query/ask", 422),
        ("/v1/context/{context_package_id}", 404),
        ("none", 401),
    ]
    assert [line["request_id"] for line in requests[:3]] == ["call-7"] * 3
    assert {line.get("tenant") for line in requests} == {"default", None}
    assert hidden not in log
    assert token.rpartition("_")[2] not in log
