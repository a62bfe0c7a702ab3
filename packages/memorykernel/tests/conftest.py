"""What the tests share: fixed time and ids, records by the handful, and ways to call the service."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, settings
from memorykernel import Release, open_kernel
from memorykernel.core.request import AddConstraint, AddSummary, read_request
from memorykernel.wiring import Kernel
from starlette.types import ASGIApp, Message

from packages.memorykernel.tests.postgres_cluster import Server, running_cluster
from packages.memorykernel.tests.strangers import PostgresStranger, SqliteStranger, Stranger

settings.register_profile(
    "memorykernel",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("memorykernel")

NOW_US = 1_770_556_793_500_000
"""2026-02-08T13:19:53.5Z."""


@dataclass
class FixedClock:
    """A clock that moves when it is told to."""

    us: int = NOW_US

    def now_us(self) -> int:
        return self.us


@dataclass
class CountingIds:
    """ULIDs that count up from zero."""

    minted: int = 0

    def mint_ulid(self, now_us: int) -> str:
        self.minted += 1
        return f"01J{self.minted:023d}"


COMMON: dict[str, Any] = {
    "version": 1,
    "writer": "policy-team",
    "justification": "approved",
    "source_uri": "file:///policies.md",
    "evidence": [],
    "truth_status": "asserted",
    "authority": "authoritative",
    "supersedes": [],
    "contradicts": [],
}


def constraint_body(actor: str = "user", effect: str = "deny", **changes: Any) -> dict[str, Any]:
    """A request body for /v1/memory/add/constraint."""
    scope = {"actor": actor, "action": "use", "resource": "usb_drive", "effect": effect}
    return {**COMMON, **scope, **changes}


def summary_body(summary: str = "USB drives were banned", **changes: Any) -> dict[str, Any]:
    """A request body for /v1/memory/add/summary."""
    return {**COMMON, "record_type": "decision", "summary": summary, **changes}


def ask_body(**changes: Any) -> dict[str, Any]:
    """A request body for /v1/query/ask."""
    question = {"text": "May I use a USB drive?", "actor": "user", "action": "use", "resource": "usb_drive"}
    return {**question, **changes}


def add(kernel: Kernel, body: dict[str, Any]) -> str:
    """Write a record; its memory_version_id."""
    request: AddConstraint | AddSummary
    if "effect" in body:
        request = read_request(body, AddConstraint, strict=True)
    else:
        request = read_request(body, AddSummary, strict=True)
    return kernel.remembering.add_record(request).memory_version_id


@dataclass
class Reply:
    """What came back over HTTP or ASGI."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        assert self.status == 200, self.body
        return self.json()["data"]


@dataclass
class AsgiCaller:
    """Calls an ASGI application without a network."""

    app: ASGIApp

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: Sequence[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        chunks = list(raw) if raw is not None else [b"" if body is None else json.dumps(body).encode()]
        sent = {"content-type": "application/json"} if headers is None else headers
        return asyncio.run(self._call(method, path, chunks, sent))

    async def _call(self, method: str, path: str, chunks: list[bytes], headers: dict[str, str]) -> Reply:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Message] = []

        async def receive() -> Message:
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(
            status=sent[0]["status"], headers=found, body=b"".join(each["body"] for each in sent[1:])
        )


@dataclass
class ServerProcess:
    """A running `mk serve` and one connection to it."""

    process: subprocess.Popen[bytes]
    url: str
    connection: http.client.HTTPConnection
    log: IO[bytes]
    """What it writes to stderr: a file, because a pipe that nobody reads fills up and stops the server."""

    def read_log(self) -> bytes:
        """What it wrote to stderr so far."""
        self.log.seek(0)
        return self.log.read()

    def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Reply:
        sent = {"content-type": "application/json"} if headers is None else headers
        encoded = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, body=encoded, headers=sent)
        response = self.connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(status=response.status, headers=found, body=response.read())

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.connection.close()
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait(timeout=30)


@contextmanager
def running_server(db: Path | None, *arguments: str) -> Iterator[ServerProcess]:
    """Start `mk serve` on a free port, wait until it says that it is ready, and stop it at the end."""
    target = [] if db is None else ["--db", str(db)]
    command = [*MK, "serve", *target, "--bind", "127.0.0.1:0", *arguments]
    with (
        tempfile.TemporaryFile("a+b") as log,
        subprocess.Popen(command, env=MK_ENV, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            log.seek(0)
            pytest.fail(log.read().decode())
        ready = json.loads(line)
        assert ready["event"] == "ready"
        assert ready["pid"] == process.pid
        host, port = ready["url"].removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        server = ServerProcess(process, ready["url"], connection, log)
        try:
            yield server
        finally:
            server.stop()


MK = [sys.executable, "-c", "from memorykernel.cli import main; main()"]

MK_ENV = {
    **os.environ,
    # Many short processes: compiling the same modules again in each would be most of the time.
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "memorykernel-test-bytecode"),
}

V1_RELEASE = """\
release_tag = "v0.3.2"
service_contract = "service.v2"
ruleset = "ordering.v1"
recall_ruleset = "recall-ordering.v1"
schema_version = 2
openapi = "openapi.yaml"
manifest = "contracts/integration/v1/producer-contract-manifest.json"
"""
V2_RELEASE = (
    V1_RELEASE.replace("v0.3.2", "v0.4.0")
    .replace("service.v2", "service.v3")
    .replace("ordering.v1", "ordering.v2")
    .replace("schema_version = 2", "schema_version = 3")
)


def write_release(folder: Path, text: str) -> Path:
    """Write a release folder."""
    manifest = folder / "contracts/integration/v1/producer-contract-manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    (folder / "openapi.yaml").write_bytes(b"openapi: 3.1.0 # of the release\n")
    (folder / "release.toml").write_text(text)
    return folder


def release(ruleset: str = "v2", schema_version: int = 4) -> Release:
    """A release of one generation of rulesets."""
    return Release(
        service_contract="service.v3" if ruleset == "v2" else "service.v2",
        ruleset=f"ordering.{ruleset}",
        recall_ruleset=f"recall-ordering.{ruleset}",
        schema_version=schema_version,
    )


@dataclass
class World:
    """Kernels on one database, with a clock and ids of their own."""

    stranger: Stranger
    clock: FixedClock = field(default_factory=FixedClock)
    ids: CountingIds = field(default_factory=CountingIds)
    opened: list[Kernel] = field(default_factory=list)

    @property
    def location(self) -> Path | str:
        """The file, or the DSN."""
        return self.stranger.location

    @property
    def path(self) -> Path:
        """The file of a store that has one."""
        assert isinstance(self.location, Path)
        return self.location

    def open(self, ruleset: str = "v2", *, schema_version: int = 4, migrate: bool = True) -> Kernel:
        kernel = open_kernel(self.location, release(ruleset, schema_version), clock=self.clock, ids=self.ids)
        self.opened.append(kernel)
        if migrate:
            kernel.schema_care.migrate(dry_run=False)
        return kernel


class Kit:
    """The helpers above, for tests, which cannot import this file."""

    constraint = staticmethod(constraint_body)
    summary = staticmethod(summary_body)
    ask = staticmethod(ask_body)
    add = staticmethod(add)
    serve = staticmethod(running_server)
    release = staticmethod(release)
    asgi = AsgiCaller
    clock = FixedClock
    mk = tuple(MK)
    now_us = NOW_US


@pytest.fixture(scope="session")
def kit() -> Kit:
    """What tests use instead of importing this file."""
    return Kit()


ON_EVERY_STORE = (
    "test_store.py",
    "test_snapshots.py",
    "test_overlap.py",
    "test_recall_search.py",
    "test_replay.py",
    "test_proof.py",
    "test_verify.py",
    "test_bundle.py",
    "test_published.py",
    "test_group_commit.py",
)
"""The files whose tests run once on each store; the others run on SQLite."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the port's tests on every store."""
    if "store_kind" in metafunc.fixturenames and metafunc.definition.path.name in ON_EVERY_STORE:
        metafunc.parametrize("store_kind", ["sqlite", "postgresql"])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of our own, started when the first test asks for it."""
    with running_cluster() as server:
        yield server


@pytest.fixture
def store_kind() -> str:
    """The kind of store that `world` is on."""
    return "sqlite"


@pytest.fixture
def world(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    if store_kind == "sqlite":
        made = World(SqliteStranger(tmp_path / "memory.db"))
    else:
        made = World(PostgresStranger(request.getfixturevalue("postgres")))
    yield made
    for kernel in made.opened:
        kernel.file.close()


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> Callable[[Path | str], Stranger]:
    """Somebody else with access to a database."""
    return lambda location: (
        SqliteStranger(location)
        if isinstance(location, Path)
        else PostgresStranger(request.getfixturevalue("postgres"), location)
    )


@pytest.fixture
def kernel(world: World) -> Kernel:
    return world.open()


@pytest.fixture
def release_folders(tmp_path: Path) -> dict[str, Path]:
    """The folders of the first program's two releases."""
    return {
        "v0.3.2": write_release(tmp_path / "v0.3.2", V1_RELEASE),
        "v0.4.0": write_release(tmp_path / "v0.4.0", V2_RELEASE),
    }


@pytest.fixture
def run_mk() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `mk` as a process."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*MK, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=MK_ENV)

    return run
