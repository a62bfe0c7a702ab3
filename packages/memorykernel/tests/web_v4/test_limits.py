"""Real servers under bad conditions: locked, slow, flooded, full, told to stop, killed."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from contracts.core.envelope import POLICIES, check_envelope

V4 = ("--service-contract", "service.v4")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process's writer, as SQLite sees it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def count_records(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        found: int = connection.execute("SELECT count(*) FROM records").fetchone()[0]
        return found
    finally:
        connection.close()


@pytest.mark.parametrize("contract", ["service.v2", "service.v3", "service.v4"])
def test_a_write_that_timed_out_has_not_happened_and_never_will(
    tmp_path: Path, kit: Any, contract: str
) -> None:
    path = tmp_path / "m.db"
    with kit.serve(path, "--timeout-ms", "150", "--service-contract", contract) as server:
        with locked(path):
            reply = server.call("POST", "/v1/memory/add/constraint", kit.constraint())
            asked = server.call("POST", "/v1/query/ask", kit.ask())
        assert (reply.status, reply.json()["error"]["code"]) == (500, "write_failed")
        assert reply.json()["error"]["details"] == {"timeout_ms": 150}
        assert "nothing was kept" in reply.json()["error"]["message"]
        assert (asked.status, asked.json()["error"]["code"]) == (500, "query_failed")
        assert asked.json()["error"]["details"] == {"timeout_ms": 150}
        for each in (reply, asked):
            assert check_envelope(POLICIES[contract], status=each.status, body=each.json()) == ()
        assert server.call("POST", "/v1/memory/add/constraint", kit.constraint("second")).status == 200
    assert count_records(path) == 1


@pytest.mark.parametrize(
    ("contract", "status"), [("service.v4", 503), ("service.v3", 500), ("service.v2", 500)]
)
def test_beyond_the_queue_a_request_is_refused_with_a_valid_envelope(
    tmp_path: Path, kit: Any, edge: Any, contract: str, status: int
) -> None:
    path = tmp_path / "m.db"
    arguments = ("--max-queue", "1", "--timeout-ms", "8000", "--service-contract", contract)
    with kit.serve(path, *arguments) as server, ExitStack() as stack:
        lock = ExitStack()
        lock.enter_context(locked(path))
        # Two are taken: one that waits for the lock, and one that waits for that one.
        held = []
        for number in range(2):
            held.append(stack.enter_context(edge.connect(server)))
            held[-1].sendall(edge.post("/v1/memory/add/constraint", kit.constraint(str(number))))
        overloaded: list[Any] = []

        def is_refused() -> bool:
            overloaded.append(server.call("GET", "/v1/context/cpkg_x"))
            return bool(overloaded[-1].json()["error"].get("details", {}).get("reason") == "overload")

        assert edge.until(is_refused, within_s=5)
        reply = overloaded[-1]
        assert (reply.status, reply.json()["error"]["code"]) == (status, "context_lookup_failed")
        assert reply.headers["retry-after"] == "1"
        assert check_envelope(POLICIES[contract], status=status, body=reply.json()) == ()
        assert server.call("GET", "/v1/health").status == 200
        lock.close()
        # The one that lost its place to a question above says so; it was not written.
        statuses = [edge.read(raw)[0] for raw in held]
        assert set(statuses) <= {200, status}
        metrics = server.call("GET", "/metrics").body.decode()
        assert edge.metric(metrics, 'memorykernel_refusals_total{reason="overload"}') >= 1
    assert count_records(path) == statuses.count(200)


def test_slow_clients_are_cut_and_others_are_served(tmp_path: Path, kit: Any, edge: Any) -> None:
    with kit.serve(tmp_path / "m.db", "--timeout-ms", "300", *V4) as server, ExitStack() as stack:
        silent, dripping, slow_body = (stack.enter_context(edge.connect(server)) for _ in range(3))
        dripping.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: ")
        body = edge.post("/v1/query/ask", kit.ask())
        slow_body.sendall(body[:-5])
        assert server.call("GET", "/v1/health").status == 200
        status, headers, envelope = edge.read(slow_body)
        assert (status, envelope["error"]["code"], headers["connection"]) == (400, "invalid_json", "close")
        assert envelope["error"]["details"] == {"timeout_ms": 300}
        assert slow_body.recv(1) == b""
        for raw in (silent, dripping):
            with pytest.raises(ConnectionResetError):
                raise_if_closed(raw)
        assert (
            edge.metric(
                server.call("GET", "/metrics").body.decode(), 'memorykernel_refusals_total{reason="slow"}'
            )
            == 2
        )


def raise_if_closed(raw: socket.socket) -> None:
    """An aborted connection ends in a reset, or in nothing at all."""
    if raw.recv(1) == b"":
        raise ConnectionResetError


def test_a_drip_does_not_keep_a_connection(tmp_path: Path, kit: Any, edge: Any) -> None:
    """Each byte comes in time; the whole head does not."""
    with kit.serve(tmp_path / "m.db", "--timeout-ms", "200", *V4) as server, edge.connect(server) as raw:

        def is_cut() -> bool:
            try:
                raw.sendall(b"X")
            except OSError:
                return True
            return False

        assert edge.until(is_cut, within_s=5)


def test_a_head_without_end_is_cut(tmp_path: Path, kit: Any, edge: Any) -> None:
    with kit.serve(tmp_path / "m.db", *V4) as server, edge.connect(server) as raw:
        with pytest.raises(OSError):  # noqa: PT011  # reset or broken pipe, as the kernel likes
            raw.sendall(b"X" * (1 << 27))
        assert server.call("GET", "/v1/health").status == 200


def test_connections_beyond_the_cap_are_told_so(tmp_path: Path, kit: Any, edge: Any) -> None:
    with kit.serve(tmp_path / "m.db", "--max-connections", "2", *V4) as server, ExitStack() as stack:
        first, second, third = (stack.enter_context(edge.connect(server)) for _ in range(3))
        for raw in (first, second):
            raw.sendall(edge.head("GET", "/v1/health"))
            assert edge.read(raw)[0] == 200
        third.sendall(edge.head("GET", "/v1/health"))
        status, headers, envelope = edge.read(third)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert check_envelope(POLICIES["service.v4"], status=status, body=envelope) == ()
        first.close()
        assert edge.until(
            lambda: server.call("GET", "/v1/health").status == 200 if reconnect(server) else False
        )


def reconnect(server: Any) -> bool:
    server.connection.close()
    return True


def test_readiness_knows_a_disk_that_takes_nothing_and_a_file_that_is_gone(tmp_path: Path, kit: Any) -> None:
    path = tmp_path / "m.db"
    with kit.serve(path, *V4) as server:
        assert server.call("GET", "/v1/ready").status == 200
        # As a full disk does: no file can grow any more. Python ignores SIGXFSZ.
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, hard))
        full = server.call("GET", "/v1/ready")
        assert (full.status, full.json()["error"]["code"]) == (503, "schema_unavailable")
        assert "disk" in full.json()["error"]["message"]
        written = server.call("POST", "/v1/memory/add/constraint", kit.constraint())
        assert (written.status, written.json()["error"]["code"]) == (500, "write_failed")
        assert server.call("GET", "/v1/health").status == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert server.call("GET", "/v1/ready").status == 200
        path.rename(tmp_path / "elsewhere.db")
        gone = server.call("GET", "/v1/ready")
        assert (gone.status, gone.json()["error"]["code"]) == (503, "schema_unavailable")
        assert [each.name for each in tmp_path.glob(".*probe*")] == []


def test_a_signal_makes_readiness_say_no_before_connections_are_refused(
    tmp_path: Path, kit: Any, edge: Any
) -> None:
    with kit.serve(tmp_path / "m.db", "--drain-delay-ms", "400", *V4) as server:
        server.process.send_signal(signal.SIGTERM)
        assert edge.until(lambda: server.call("GET", "/v1/ready").status == 503)
        draining = server.call("GET", "/v1/ready")
        assert draining.json()["error"]["details"] == {"reason": "draining"}
        assert server.call("POST", "/v1/query/ask", kit.ask()).status == 200
        assert server.process.wait(timeout=20) == 0
        with pytest.raises(OSError):  # noqa: PT011  # refused, as the kernel says it
            socket.create_connection(edge.address(server), timeout=5)


def test_in_flight_finishes_and_the_grace_time_bounds_it(tmp_path: Path, kit: Any, edge: Any) -> None:
    path = tmp_path / "m.db"
    with kit.serve(path, "--grace-ms", "10000", *V4) as server, edge.connect(server) as raw:
        with locked(path):
            raw.sendall(edge.post("/v1/memory/add/constraint", kit.constraint()))
            # The head of the reply to Expect tells that the request is in flight.
            with edge.connect(server) as second:
                second.sendall(edge.head("POST", "/v1/query/ask", 5, Expect="100-continue"))
                assert second.recv(100).startswith(b"HTTP/1.1 100")
                server.process.send_signal(signal.SIGTERM)
        assert edge.read(raw)[0] == 200
        assert server.process.wait(timeout=20) == 0
    assert count_records(path) == 1
    with kit.serve(path, "--grace-ms", "200", *V4) as server, edge.connect(server) as raw, locked(path):
        raw.sendall(edge.post("/v1/memory/add/constraint", kit.constraint("late")))
        assert edge.until(lambda: edge.metric(metrics_of(server), "memorykernel_queue_depth") >= 0)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=8) == 0
    assert count_records(path) == 1


def metrics_of(server: Any) -> str:
    text: str = server.call("GET", "/metrics").body.decode()
    return text


# --- workers ----------------------------------------------------------------------------------------------


def worker_pids(server: Any) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(each) for each in children.read_text().split()]


def fresh_call(server: Any, edge: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A call on a connection of its own, so that any worker may take it."""
    with edge.connect(server) as raw:
        raw.sendall(edge.post(path, body) if body is not None else edge.head(method, path))
        status, _, envelope = edge.read(raw)
        return status, envelope


def test_workers_share_a_socket_and_their_metrics_are_summed(tmp_path: Path, kit: Any, edge: Any) -> None:
    path = tmp_path / "m.db"
    with kit.serve(path, "--workers", "3", *V4) as server:
        assert len(worker_pids(server)) == 3
        outcomes: list[int] = []

        def ask() -> None:
            outcomes.extend(
                fresh_call(server, edge, "POST", "/v1/query/ask", kit.ask())[0] for _ in range(10)
            )

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == [200] * 40
        asked = 'memorykernel_requests_total{contract="service.v4",route="/v1/query/ask",status="200"}'

        def read_metrics() -> str:
            text: str = server.call("GET", "/metrics").body.decode()
            return text

        # A request is counted after its reply is sent.
        assert edge.until(lambda: edge.metric(read_metrics(), asked) == 40)
        metrics = read_metrics()
        assert edge.metric(metrics, "memorykernel_worker_starts_total") == 3
        assert edge.metric(metrics, 'memorykernel_answers_total{query="ask",result="inconclusive"}') == 40
        pids = worker_pids(server)
        assert server.stop() == 0
        assert server.process.stdout.read() == b""
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_killed_worker_is_replaced_and_nothing_acknowledged_is_lost(
    tmp_path: Path, kit: Any, edge: Any
) -> None:
    path = tmp_path / "m.db"
    with kit.serve(path, "--workers", "2", *V4) as server:
        acknowledged: list[str] = []
        stopped = threading.Event()

        def write(writer: int) -> None:
            number = 0
            while not stopped.is_set():
                number += 1
                body = kit.constraint(f"{writer}-{number}")
                try:
                    status, envelope = fresh_call(server, edge, "POST", "/v1/memory/add/constraint", body)
                except (OSError, ValueError):
                    continue
                if status == 200:
                    acknowledged.append(envelope["data"]["memory_version_id"])

        threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for victim in worker_pids(server):
            before = len(acknowledged)
            assert edge.until(lambda before=before: len(acknowledged) > before + 5)
            os.kill(victim, signal.SIGKILL)
            assert edge.until(
                lambda victim=victim: len(worker_pids(server)) == 2 and victim not in worker_pids(server)
            )
        stopped.set()
        for thread in threads:
            thread.join()
        metrics = fresh_metrics(server, edge)
        # A worker that is started again counts on in its slot.
        assert edge.until(
            lambda: edge.metric(fresh_metrics(server, edge), "memorykernel_worker_starts_total") == 4
        )
        assert "memorykernel_build_info" in metrics
    connection = sqlite3.connect(path)
    kept = {row[0] for row in connection.execute("SELECT memory_version_id FROM records")}
    connection.close()
    assert set(acknowledged) <= kept


def fresh_metrics(server: Any, edge: Any) -> str:
    reconnect(server)
    text: str = server.call("GET", "/metrics").body.decode()
    return text


def test_workers_end_when_their_parent_is_killed(tmp_path: Path, kit: Any, edge: Any) -> None:
    with kit.serve(tmp_path / "m.db", "--workers", "2", *V4) as server:
        pids = worker_pids(server)
        server.stop(signal.SIGKILL)
        assert edge.until(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_workers_that_cannot_start_are_given_up_on(tmp_path: Path, run: Callable[..., Any]) -> None:
    outcome = run()
    assert "processes ended 5 times before all were ready" in outcome


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    from memorykernel.errors import MemoryKernelError
    from memorykernel.web.supervisor import Supervisor

    def supervise() -> str:
        deaths: list[str] = []
        supervisor = Supervisor(
            count=2,
            run_worker=lambda seat: os._exit(9),
            announce=lambda: deaths.append("announced"),
            on_death=lambda number, how: deaths.append(how),
            grace_s=1,
        )
        with pytest.raises(MemoryKernelError) as caught:
            supervisor.run()
        assert set(deaths) == {"exit code 9"}
        return caught.value.message

    return supervise
