"""What only a client has: silence, tokens, other contracts, busy servers, and reading its own writes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from memorykernel.client import Client
from memorykernel.errors import QueryFailed, ReplyInvalid, ServerUnreachable, Unauthenticated
from memorykernel.surface import Provenance

SAID: Provenance = {"writer": "w", "justification": "j", "source_uri": "u:1", "authority": "note"}
LINK = {
    "from_memory_version_id": "01J00000000000000000000001",
    "to_memory_version_id": "01J00000000000000000000002",
    "relation": "supersedes",
    "writer": "w",
    "justification": "j",
}


@dataclass
class Script:
    """A server that answers what it is told, and remembers what it was asked."""

    url: str = ""
    replies: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    heard: list[dict[str, str]] = field(default_factory=list)


def envelope(data: Any) -> Any:
    return {"service_contract_version": "service.v4", "api_contract_version": "api.v1", "data": data}


def refusal(code: str, message: str) -> Any:
    return {"service_contract_version": "service.v4", "error": {"code": code, "message": message}}


@contextmanager
def scripted() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            script.heard.append({name.lower(): value for name, value in self.headers.items()})
            status, headers, document = script.replies.pop(0)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815  # the name that the base class looks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()


def link(client: Client, **more: Any) -> None:
    ends = LINK["from_memory_version_id"], "supersedes", LINK["to_memory_version_id"]
    client.link(*ends, writer="w", justification="j", **more)


def test_what_it_reads_includes_what_it_wrote() -> None:
    with scripted() as server, Client(server.url, token="mk_secret") as client:
        token = f"txn_{'a' * 64}"
        server.replies = [
            (200, {"Memory-Token": token}, envelope(LINK)),
            (404, {}, refusal("context_package_not_found", "none")),
        ]
        link(client)
        with pytest.raises(Exception, match="none"):
            client.find("cpkg_1")
        assert client.memory_token == token
        write, read = server.heard
        assert "memory-token" not in write
        assert read["memory-token"] == token
        assert read["service-contract-version"] == "service.v4"
        assert read["authorization"] == "Bearer mk_secret"


def test_a_write_is_repeated_under_the_same_key() -> None:
    busy = (503, {"Retry-After": "0"}, refusal("write_failed", "busy"))
    with scripted() as server, Client(server.url) as client:
        server.replies = [busy, busy, (200, {"Memory-Token": "txn_b"}, envelope(LINK))]
        link(client)
        keys = {heard["idempotency-key"] for heard in server.heard}
        assert len(server.heard) == 3
        assert len(keys) == 1
        server.replies = [(200, {}, envelope(LINK))]
        link(client, request_key="mine")
        assert server.heard[-1]["idempotency-key"] == "mine"


def test_what_is_refused_is_not_repeated_and_the_last_refusal_is_raised() -> None:
    with scripted() as server, Client(server.url, attempts=2) as client:
        server.replies = [(503, {"Retry-After": "0"}, refusal("query_failed", "busy"))] * 2
        with pytest.raises(QueryFailed, match="busy") as busy:
            client.ask(actor="a", action="b", resource="c")
        assert busy.value.retry_after_s == 0
        server.replies = [(503, {}, refusal("query_failed", "broken"))]
        with pytest.raises(QueryFailed, match="broken"):
            client.ask(actor="a", action="b", resource="c")
        assert len(server.heard) == 3


def test_silence_says_what_is_not_known() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url, attempts=1) as client:
            with pytest.raises(ServerUnreachable, match="see that it runs"):
                client.find("cpkg_1")
            with pytest.raises(ServerUnreachable, match="not known") as silent:
                link(client, request_key="mine")
            assert silent.value.details == {"request_key": "mine"}


@pytest.mark.parametrize("body", [b"<html>", b"[]", {"service_contract_version": "service.v4"}])
def test_what_is_no_envelope_is_no_answer(body: Any) -> None:
    with scripted() as server, Client(server.url) as client:
        server.replies = [(200, {}, body)]
        with pytest.raises(ReplyInvalid):
            client.find("cpkg_1")


def test_data_of_another_shape_is_no_answer() -> None:
    with scripted() as server, Client(server.url) as client:
        server.replies = [(200, {}, envelope({"surprise": 1}))]
        with pytest.raises(ReplyInvalid, match="update this client"):
            client.find("cpkg_1")


def test_an_older_server_is_told_apart(tmp_path: Path, kit: Any) -> None:
    with (
        kit.serve(tmp_path / "memory.db", "--service-contract", "service.v3") as server,
        Client(server.url) as client,
        pytest.raises(ReplyInvalid, match=r"speaks service\.v3"),
    ):
        client.ask(actor="a", action="b", resource="c")


def test_a_token_is_asked_for_and_sent(tmp_path: Path, kit: Any, run_mk: Any) -> None:
    access = tmp_path / "access.toml"
    added = json.loads(run_mk("tokens", "add", "--access", access, "--scope", "read").stdout)
    arguments = ("--service-contract", "service.v4", "--access", str(access))
    with kit.serve(tmp_path / "memory.db", *arguments) as server:
        with Client(server.url) as stranger, pytest.raises(Unauthenticated):
            stranger.ask(actor="a", action="b", resource="c")
        with Client(server.url, token=added["token"]) as client:
            client.ask(actor="a", action="b", resource="c")
