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
from cutover.ports import Clock

TURN_FILE = "turn.lock"
EXECUTOR_FILE = "executor.lock"
_LOOK_S = 0.002


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
def take_turn_or_go_on(folder: Path, clock: Clock, *, patience_s: float) -> Iterator[bool]:
    """As `take_turn`, but wait for so long only: a way back must not hang on whoever hangs.

    A lock whose holder is stopped or stuck is never let go. Who goes on without it must make sure that
    what the other one was about to do can no longer happen, and that doing it twice is doing it once.

    Yields:
        Whether the turn is ours.
    """
    fd, deadline = _open(folder / "run" / TURN_FILE), clock.monotonic() + patience_s
    try:
        while not (is_ours := _try_lock(fd)) and clock.monotonic() < deadline:
            clock.pause(_LOOK_S)
        yield is_ours
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
        if not _try_lock(fd):
            raise Refused("another executor is at work here; wait until it ends, or use 'cutover stop'")
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
