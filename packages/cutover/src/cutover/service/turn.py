"""Who may move things now: one at a time, and one executor at work, on this machine.

A *turn* is taken for each act that changes routes or refs, forward or back, so that a step forward never
lands behind a way back that overtook it. Locks are `flock`s: the kernel lets go of them when their holder
dies, however it dies. They are not re-entrant.
Source: cutover-program, "Switch".
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cutover.errors import Refused

TURN_FILE = "turn.lock"
EXECUTOR_FILE = "executor.lock"


@contextmanager
def take_turn(folder: Path) -> Iterator[None]:
    """Wait until nobody else moves anything in this program folder, and keep others out.

    Args:
        folder: The program folder; the lock is below its `run/`.
    """
    fd = _open(folder / "run" / TURN_FILE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def be_the_executor(folder: Path) -> Iterator[None]:
    """Be the only executor at work on a program folder.

    Raises:
        Refused: When another one is; what it does is not a crash to recover from.
    """
    fd = _open(folder / "run" / EXECUTOR_FILE)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                "another executor is at work here; wait until it ends, or use 'cutover stop'"
            ) from None
        yield
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
