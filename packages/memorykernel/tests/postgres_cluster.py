"""A private PostgreSQL server for the tests: Debian's programs, a folder of its own, fsync on.

Nothing is taken from a server that happens to run. initdb refuses to run as root, so for root everything runs
as the user `postgres`, which comes with the package, else as `nobody`. A missing server is no reason to
skip: the tests fail and say what to install.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

REMEDY = "PostgreSQL is not installed; on Debian run 'apt-get install postgresql', or .ci/run does it"
PORTS = range(12_000, 20_000)
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "full_page_writes": "on",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "wal_retrieve_retry_interval": "100ms",
    "autovacuum": "off",
    "log_min_messages": "warning",
}


def find_programs() -> Path:
    """The folder of the server's programs, newest version last; fails the test when there is none."""
    if shutil.which("pg_config"):
        command = ["pg_config", "--bindir"]
        named = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
        if (named / "initdb").is_file():
            return named
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: float(each.parts[-3]))
    if not found:
        pytest.fail(REMEDY)
    return found[-1].parent


def choose_user() -> str | None:
    """Whom to run the server as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def find_free_port() -> int:
    """A loopback port that nobody listens on; below those that the system deals out itself."""
    # Not `random.randrange`: a seeded run gives every process of the suite the same numbers.
    for candidate in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", candidate))
            return candidate
    pytest.fail(f"no port is free in {PORTS}")


@dataclass
class Server:
    """One server process on one data folder."""

    programs: Path
    folder: Path
    user: str | None
    port: int = field(default_factory=find_free_port)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs to its end."""
        command = [str(self.programs / program), *arguments]
        with (self.folder / "programs.log").open("ab") as log:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=60, cwd="/",
                **self.identity,
            )  # fmt: skip
        if done.returncode != 0:
            pytest.fail(f"{program} failed:\n{(self.folder / 'programs.log').read_text()}")

    @property
    def identity(self) -> dict[str, Any]:
        """Whom to run programs as, for subprocess."""
        if self.user is None:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def start(self) -> None:
        """Start, and wait until connections are taken."""
        settings = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        options = f"-p {self.port} -k {self.folder} {settings}"
        log = str(self.folder / "server.log")
        self.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop: `fast` closes connections and shuts down; `immediate` is a crash."""
        self.run("pg_ctl", "stop", "-w", "-D", str(self.data), "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start again on the same port."""
        self.stop(mode)
        self.start()

    def dsn(self, schema: str = "public", database: str = "postgres") -> str:
        """The DSN of one schema."""
        options = f"?options=-csearch_path%3D{schema}"
        return f"postgresql://memory@127.0.0.1:{self.port}/{database}{options}"

    def make_schema(self) -> str:
        """Create an empty schema; its DSN. Each test has its own, which costs a millisecond."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return self.dsn(name)

    def execute(self, statement: str, schema: str = "public") -> list[tuple[object, ...]]:
        """Run a statement as somebody else on a connection of its own."""
        with psycopg.connect(self.dsn(schema), autocommit=True, gssencmode="disable") as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def terminate_backends(self) -> None:
        """Cut every connection off but the one that says so."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'memorykernel' AND pid <> pg_backend_pid()"
        )

    def backends(self) -> Sequence[int]:
        """The processes that serve our connections."""
        listed = self.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'memorykernel'")
        return [int(str(pid)) for (pid,) in listed]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the processes that serve our connections, and the one that accepts new ones."""
        accepting = int((self.data / "postmaster.pid").read_text().split()[0])
        processes = [accepting, *self.backends()]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """A second server that follows this one and takes no writes."""
        with make_folder(self.user) as folder:
            follower = Server(self.programs, folder, self.user)
            source = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "memory"]
            follower.run(
                "pg_basebackup", *source, "-D", str(follower.data), "-R", "-X", "stream", "-c", "fast"
            )
            follower.start()
            try:
                yield follower
            finally:
                follower.stop("immediate")


@contextmanager
def make_folder(user: str | None) -> Iterator[Path]:
    """A folder that the server's user can enter; pytest's own are for their owner only."""
    folder = Path(tempfile.mkdtemp(prefix="memory-pg-"))
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_cluster() -> Iterator[Server]:
    """Make a cluster, start its server, and leave nothing behind."""
    programs, user = find_programs(), choose_user()
    with make_folder(user) as folder:
        server = Server(programs, folder, user)
        # The cluster itself need not survive a power cut; what is written to it later is synced.
        making = ["-U", "memory", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--data-checksums"]
        server.run("initdb", "-D", str(server.data), *making)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
