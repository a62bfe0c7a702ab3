"""A server that is killed, or whose disk is full: what was acknowledged is there, and no more is claimed."""

from __future__ import annotations

import http.client
import json
import resource
import signal
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from memorykernel import open_kernel
from memorykernel.adapters.sqlite_integrity import check_integrity

HEADERS = {"content-type": "application/json"}


class Load:
    """Clients that ask and write until the server goes away, and what was acknowledged to them."""

    def __init__(self, url: str, kit: Any, clients: int) -> None:
        self._host, self._port = url.removeprefix("http://").split(":")
        self._kit = kit
        self.answers: list[str] = []
        self.records: list[str] = []
        self.enough = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)

    def _run(self, client: int) -> None:
        connection = http.client.HTTPConnection(self._host, int(self._port), timeout=10)
        with closing(connection), suppress(OSError, http.client.HTTPException, ValueError):
            for number in range(10_000):
                self._send(connection, client, number)

    def _send(self, connection: http.client.HTTPConnection, client: int, number: int) -> None:
        if number % 8 == 0:
            path, body = "/v1/memory/add/constraint", self._kit.constraint(actor=f"{client}-{number}")
        else:
            path, body = "/v1/query/ask", self._kit.ask(text=f"question {client}-{number}")
        connection.request("POST", path, json.dumps(body), HEADERS)
        with connection.getresponse() as response:  # the connection closes no reply that breaks off
            data = json.loads(response.read())["data"]
        if number % 8 == 0:
            self.records.append(data["memory_version_id"])
        else:
            self.answers.append(data["context_package_id"])
        if len(self.answers) >= 100:
            self.enough.set()


@pytest.mark.parametrize(("store_kind", "round_"), [("sqlite", 0), ("sqlite", 1), ("postgresql", 2)])
def test_nothing_acknowledged_is_lost_by_kill_9(world: Any, kit: Any, round_: int) -> None:
    with kit.serve(world.location) as server:
        load = Load(server.url, kit, clients=6)
        assert load.enough.wait(30)
        server.stop(signal.SIGKILL)
        load.join()

    run = world.stranger.run
    answers = {row[0] for row in run("SELECT context_package_id FROM answers")}
    records = {row[0] for row in run("SELECT memory_version_id FROM records")}
    assert set(load.answers) <= answers
    assert set(load.records) <= records
    assert len(load.records) > 0
    assert world.open(migrate=False).check_integrity().ok


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux: prlimit limits a running process")
def test_a_full_disk_refuses_in_an_envelope_keeps_nothing_and_heals(tmp_path: Path, kit: Any) -> None:
    db = tmp_path / "memory.db"
    with kit.serve(db) as server:
        first = server.call("POST", "/v1/query/ask", kit.ask())
        limit = Path(f"{db}-wal").stat().st_size
        before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        refused = [server.call("POST", "/v1/query/ask", kit.ask(text=f"full {n}")) for n in range(5)]
        refused_write = server.call("POST", "/v1/memory/add/constraint", kit.constraint())
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
        healed = server.call("POST", "/v1/query/ask", kit.ask(text="there is room again"))

    assert first.status == healed.status == 200
    assert [(reply.status, reply.json()["error"]["code"]) for reply in refused] == [(500, "query_failed")] * 5
    assert (refused_write.status, refused_write.json()["error"]["code"]) == (500, "write_failed")
    kernel = open_kernel(db, kit.release())
    report = check_integrity(kernel.file)  # type: ignore[arg-type]  # a file
    kernel.file.close()
    assert (report.ok, report.answers, report.records) == (True, 2, 0)


def test_normal_durability_is_offered_too(tmp_path: Path, kit: Any) -> None:
    with kit.serve(tmp_path / "memory.db", "--durability", "normal") as server:
        asked = server.call("POST", "/v1/query/ask", kit.ask()).data

        found = server.call("GET", f"/v1/context/{asked['context_package_id']}").data

    assert found == asked
