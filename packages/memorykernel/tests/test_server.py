"""`mk serve` as a process: start, stop, two releases on one file, and being killed."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from contracts.core.envelope import POLICIES, check_reply
from contracts.documents import load_openapi
from memorykernel import Kernel
from memorykernel.errors import MemoryKernelError
from memorykernel.web.server import describe_exposure, open_socket

MIB = 1024 * 1024


def talk(url: str, request: bytes) -> bytes:
    """Send raw bytes and read until the other end closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as raw:
        raw.sendall(request)
        return b"".join(iter(lambda: raw.recv(65536), b""))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Iterator[Any]:
    """A server that nobody stops and that remembers nothing."""
    path = tmp_path_factory.mktemp("server") / "memory.db"
    with kit.serve(path, "--service-contract", "service.v3") as running:
        yield running


def test_serve_creates_a_missing_file_says_so_and_ends_with_0(tmp_path: Path, kit: Any) -> None:
    path = tmp_path / "memory.db"
    with kit.serve(path) as server:
        assert server.call("GET", "/v1/ready").data["checks"]["current_schema_version"] == 4
        assert server.call("GET", "/v1/openapi").body == load_openapi("service.v4")
        assert server.stop(signal.SIGINT) == 0
        assert server.process.stdout.read() == b""
        assert b"does not exist: creating it at schema 4" in server.read_log()


def test_serve_ends_a_creation_that_was_broken_off(tmp_path: Path, kit: Any) -> None:
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path)) as connection:  # what is there when the first start is killed
        connection.execute("PRAGMA journal_mode = WAL")
    assert path.stat().st_size > 0
    with kit.serve(path) as server:
        assert server.call("GET", "/v1/ready").data["checks"]["current_schema_version"] == 4
        assert server.stop(signal.SIGINT) == 0
        assert b"the database is empty: creating schema 4" in server.read_log()


def test_who_names_an_older_contract_is_answered_by_the_default_server_as_by_one_of_that_contract(
    tmp_path: Path, kit: Any
) -> None:
    path, asked = tmp_path / "memory.db", kit.ask(as_of="2026-02-08T13:00:00Z")
    with kit.serve(path) as server, kit.serve(path, "--service-contract", "service.v3") as older:
        server.call("POST", "/v1/memory/add/constraint", kit.constraint())
        named = {"content-type": "application/json", "service-contract-version": "service.v3"}
        through_default = server.call("POST", "/v1/query/ask", asked, headers=named)
        assert through_default.body == older.call("POST", "/v1/query/ask", asked).body
        unnamed = server.call("POST", "/v1/query/ask", asked)
        assert unnamed.data["determinism"]["ruleset_version"] == "ordering.v3"


def test_a_file_answers_the_same_through_server_command_and_library(
    tmp_path: Path, kit: Any, run_mk: Any
) -> None:
    path, asked = tmp_path / "memory.db", kit.ask(as_of="2026-02-08T13:00:00Z")
    with kit.serve(path) as server:
        server.call("POST", "/v1/memory/add/constraint", kit.constraint())
        served = server.call("POST", "/v1/query/ask", asked).data
    with Kernel.open(path) as kernel:
        embedded = kernel.ask(**asked)
    options = [word for key, value in asked.items() for word in (f"--{key.replace('_', '-')}", value)]
    printed = json.loads(run_mk("query", "ask", "--db", path, *options).stdout)
    assert printed == {"contract_version": "cli.v1", **served}
    assert embedded.context_package_id == served["context_package_id"]


def test_a_release_folder_gives_contract_rules_schema_and_document(
    tmp_path: Path, kit: Any, release_folders: dict[str, Path]
) -> None:
    with kit.serve(tmp_path / "memory.db", "--release", str(release_folders["v0.3.2"])) as server:
        reply = server.call("POST", "/v1/query/ask", kit.ask())
        assert reply.json()["service_contract_version"] == "service.v2"
        assert reply.data["determinism"]["ruleset_version"] == "ordering.v1"
        assert server.call("GET", "/v1/openapi").body == b"openapi: 3.1.0 # of the release\n"
        assert server.call("GET", "/v1/ready").data["checks"]["current_schema_version"] == 2


def test_an_old_database_is_never_migrated_silently(
    tmp_path: Path, kit: Any, release_folders: dict[str, Path]
) -> None:
    path = tmp_path / "memory.db"
    with kit.serve(path, "--release", str(release_folders["v0.3.2"])):
        pass
    with kit.serve(path, "--release", str(release_folders["v0.4.0"])) as server:
        assert server.call("GET", "/v1/health").status == 200
        assert server.call("GET", "/v1/ready").status == 503
        assert server.call("POST", "/v1/query/ask", kit.ask()).status == 503
        assert server.call("POST", "/v1/db/migrate", {"dry_run": False}).data["would_apply_versions"] == [3]
        assert server.call("POST", "/v1/query/ask", kit.ask()).status == 200


def test_service_contract_without_a_release(tmp_path: Path, kit: Any) -> None:
    with kit.serve(tmp_path / "memory.db", "--service-contract", "service.v2", "--strict") as server:
        reply = server.call("POST", "/v1/query/ask", kit.ask(surprise=1))
        assert (reply.status, reply.json()["legacy_error"]) == (422, reply.json()["error"]["message"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--bind", "nonsense"), "is no address"),
        (("--bind", "127.0.0.1:70000"), "is no address"),
        (("--service-contract", "service.v9"), "expected one of service.v2, service.v3"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, kit: Any, arguments: tuple[str, ...], says: str
) -> None:
    command = [*kit.mk, "serve", "--db", str(tmp_path / "memory.db"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_needs_no_warning(host: str) -> None:
    assert describe_exposure(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "fe80::1%eth0"])  # noqa: S104  # none is bound
def test_a_server_for_other_machines_warns(host: str) -> None:
    assert f"{host} is reachable from other machines" in str(describe_exposure(host))


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(MemoryKernelError, match="choose another --bind"):
            open_socket(f"127.0.0.1:{taken.getsockname()[1]}")


def test_head_has_headers_and_no_body(server: Any) -> None:
    for path, status in (("/v1/health", 200), ("/v1/query/ask", 405), ("/nowhere", 404)):
        reply = server.call("HEAD", path)
        assert (reply.status, reply.body) == (status, b"")
        assert int(reply.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /v1/health HTTP/1.1", 200),
        (b"GET /v1/health HTTP/1.0", 200),
        (b"GET http://elsewhere/v1/health HTTP/1.1", 200),
        (b"OPTIONS * HTTP/1.1", 404),
        (b"GET /%ff%00 HTTP/1.1", 404),
        (b"GET /v1/context/%F0%9F HTTP/1.1", 404),
        (b"PROPFIND /v1/health HTTP/1.1", 405),
        (b"GET /v1/health?x=%00#y HTTP/1.1", 200),
    ],
)
def test_odd_requests_that_can_be_parsed_get_an_envelope(
    server: Any, request_line: bytes, status: int
) -> None:
    raw = talk(server.url, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == str(status).encode()
    policy, json_type = POLICIES["service.v3"], "application/json"
    assert check_reply(policy, status=status, content_type=json_type, body=body, max_bytes=MIB) == ()


def test_an_upgrade_is_answered_as_http(server: Any) -> None:
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
    raw = talk(server.url, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n")
    assert raw.startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_body_is_refused_before_it_is_kept(server: Any, chunked: bool) -> None:
    head = (
        b"POST /v1/query/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    body = b" " * (3 * MIB)
    if chunked:
        request = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        request = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    reply = talk(server.url, request)
    assert reply.startswith(b"HTTP/1.1 413")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_json"


@pytest.fixture
def stoppable(tmp_path: Path, kit: Any) -> Iterator[Any]:
    """A server of one test."""
    with kit.serve(tmp_path / "memory.db", "--service-contract", "service.v3") as running:
        yield running


def is_refused(host: str, port: str) -> bool:
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return True
    return False


def test_a_request_in_flight_finishes_after_the_signal(stoppable: Any, kit: Any) -> None:
    """Half of a body is sent, the signal comes, the other half still gets its answer."""
    host, port = stoppable.url.removeprefix("http://").split(":")
    body = json.dumps(kit.ask()).encode()
    with socket.create_connection((host, int(port)), timeout=30) as raw:
        headers = b"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n" % len(
            body
        )
        raw.sendall(b"POST /v1/query/ask HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
        # The server asks for the body: the request is in flight now.
        assert raw.recv(65536).startswith(b"HTTP/1.1 100")
        raw.sendall(body[:10])
        stoppable.process.send_signal(signal.SIGTERM)
        over = time.monotonic() + 30
        while not is_refused(host, port):
            assert time.monotonic() < over
        raw.sendall(body[10:])
        assert raw.recv(65536).startswith(b"HTTP/1.1 200")
    assert stoppable.process.wait(timeout=30) == 0


def load(server: Any, kit: Any, rounds: int, outcomes: list[Any], tag: str) -> None:
    """Write and ask in turn over a connection of its own."""
    import http.client

    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        for number in range(rounds):
            for path, body in (
                ("/v1/memory/add/constraint", kit.constraint(f"{tag}-{number}")),
                ("/v1/query/ask", kit.ask(actor=f"{tag}-{number}")),
            ):
                connection.request(
                    "POST", path, json.dumps(body).encode(), {"content-type": "application/json"}
                )
                response = connection.getresponse()
                outcomes.append((response.status, json.loads(response.read())))
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def test_both_releases_write_and_ask_on_one_file_at_once(
    tmp_path: Path, kit: Any, release_folders: dict[str, Path], world: Any
) -> None:
    old = kit.serve(world.path, "--release", str(release_folders["v0.3.2"]))
    with old as baseline, kit.serve(world.path, "--release", str(release_folders["v0.4.0"])) as target:
        assert target.call("POST", "/v1/db/migrate", {"dry_run": False}).status == 200
        assert baseline.call("GET", "/v1/ready").data["checks"]["pending_migrations"] == 0
        outcomes: list[Any] = []
        threads = [
            threading.Thread(target=load, args=(server, kit, 40, outcomes, f"{server.url}-{n}"))
            for server in (baseline, target)
            for n in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [status for status, _ in outcomes] == [200] * 320
        answers = [each["data"] for _, each in outcomes if "answer" in each["data"]]
        assert {each["answer"]["result"] for each in answers} == {"deny"}
        assert {each["determinism"]["ruleset_version"] for each in answers} == {"ordering.v1", "ordering.v2"}
    report = world.open().check_integrity()
    assert (report.ok, report.records, report.answers) == (True, 160, 160)


@pytest.mark.parametrize("acknowledged", [1, 25])
def test_a_killed_server_keeps_what_it_acknowledged_and_a_valid_chain(
    kit: Any, world: Any, acknowledged: int
) -> None:
    outcomes: list[Any] = []
    with kit.serve(world.path) as server:
        threads = [
            threading.Thread(target=load, args=(server, kit, 10_000, outcomes, str(n))) for n in range(2)
        ]
        for thread in threads:
            thread.start()
        while len(outcomes) < acknowledged * 2 and any(thread.is_alive() for thread in threads):
            threads[0].join(timeout=0.01)
        server.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
    kernel = world.open()
    assert kernel.check_integrity().damage == ()
    written = {each["data"]["memory_version_id"] for _, each in outcomes if "payload" in each["data"]}
    answered = {
        each["data"]["context_package_id"] for _, each in outcomes if "context_package_id" in each["data"]
    }
    assert written
    connection = sqlite3.connect(world.path)
    kept = {row[0] for row in connection.execute("SELECT memory_version_id FROM records")}
    answers = {row[0] for row in connection.execute("SELECT context_package_id FROM answers")}
    connection.close()
    assert written <= kept
    assert answered <= answers
