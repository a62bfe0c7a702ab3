"""What this machine can do at best, measured in the run that the numbers come from.

Three limits, each a median in milliseconds: making 4 KiB durable (`fdatasync`), one round trip over
loopback TCP (one byte each way, TCP_NODELAY on both ends), and one `git update-ref` in a bare
repository, process start included. A goal in milliseconds is met when it holds, or when it is within twice
the sum of the limits that it is made of: a slow disk must not read as slow code.
"""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

SAMPLES: Final = 200
GIT_SAMPLES: Final = 30
_BLOCK: Final = b"\0" * 4096
_EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of one run, in milliseconds."""

    fdatasync_ms: float
    loopback_ms: float
    update_ref_ms: float


@cache
def load_limits() -> Limits:
    """Return the limits of this process, measured once, on the file system of the temporary folder."""
    with tempfile.TemporaryDirectory(prefix="limit-") as folder:
        return measure_limits(Path(folder))


def measure_limits(folder: Path, *, samples: int = SAMPLES, git_samples: int = GIT_SAMPLES) -> Limits:
    """Measure all three.

    Args:
        folder: An existing folder on the file system that matters; files are left in it.
        samples: How often to sync and to go round.
        git_samples: How often to move a ref.
    """
    return Limits(
        fdatasync_ms=measure_fdatasync_ms(folder, samples),
        loopback_ms=measure_loopback_ms(samples),
        update_ref_ms=measure_update_ref_ms(folder, git_samples),
    )


def measure_fdatasync_ms(folder: Path, samples: int = SAMPLES) -> float:
    """Return the median time of appending 4 KiB and making them durable."""
    fd = os.open(folder / "fdatasync.bin", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def append() -> None:
        os.write(fd, _BLOCK)
        os.fdatasync(fd)

    try:
        return _median_ms(append, samples)
    finally:
        os.close(fd)


def measure_loopback_ms(samples: int = SAMPLES) -> float:
    """Return the median time of one byte to another thread and back over loopback TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echo = threading.Thread(target=_echo, args=(listener,), daemon=True)
        echo.start()
        with socket.create_connection(listener.getsockname(), timeout=5.0) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def go_round() -> None:
                client.sendall(b"x")
                client.recv(1)

            median = _median_ms(go_round, samples)
        echo.join(5.0)
    return median


def measure_update_ref_ms(folder: Path, samples: int = GIT_SAMPLES) -> float:
    """Return the median time of `git update-ref` between two commits of a new bare repository."""
    repository = str(folder / "ref.git")
    _git("init", "-q", "--bare", repository)
    _git("-C", repository, "hash-object", "-t", "tree", "-w", "--stdin")
    commits = [_git("-C", repository, "commit-tree", _EMPTY_TREE, "-m", name) for name in ("a", "b")]
    turns = itertools.cycle(commits)
    return _median_ms(lambda: _git("-C", repository, "update-ref", "refs/heads/main", next(turns)), samples)


def _git(*arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "limit" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ.get("PATH", os.defpath), "GIT_CONFIG_NOSYSTEM": "1", **identity}
    done = subprocess.run(
        ["git", *arguments], input=b"", capture_output=True, check=True, timeout=30, env=environment
    )
    return done.stdout.decode().strip()


def _echo(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(64):
            connection.sendall(data)


def _median_ms(act: Callable[[], object], samples: int) -> float:
    act()  # the first one warms caches
    times = []
    for _ in range(samples):
        begun = time.perf_counter()
        act()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)
