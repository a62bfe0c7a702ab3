"""One piece of work that may be stopped from another thread until it commits.

A deadline that passes must not leave anybody guessing: either the work was stopped, and then nothing of it is
kept, or it had begun to commit, and then its outcome is awaited. Both sides ask the same lock, so there is
no third case.
"""

from __future__ import annotations

import threading
from enum import Enum, auto
from typing import Protocol

from memorykernel.errors import Stopped


class _State(Enum):
    OPEN = auto()
    COMMITTING = auto()
    STOPPED = auto()


class Attempt:
    """One piece of work with a deadline.

    Args:
        deadline_s: When it should be over, on the monotonic clock; None for never.
    """

    def __init__(self, deadline_s: float | None = None) -> None:
        self.deadline_s = deadline_s
        self._lock = threading.Lock()
        self._state = _State.OPEN

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped; once it was, it never commits."""
        return self._state is _State.STOPPED

    def stop(self) -> bool:
        """Stop the work, unless it has begun to commit.

        Returns:
            Whether it is stopped: nothing that it did or still does is kept.
        """
        with self._lock:
            if self._state is _State.OPEN:
                self._state = _State.STOPPED
            return self._state is _State.STOPPED

    def begin_commit(self) -> None:
        """Go past the point of no return; a store calls it directly before it commits.

        Raises:
            Stopped: The work was stopped; roll back.
        """
        with self._lock:
            if self._state is _State.STOPPED:
                raise Stopped("the work was stopped at its deadline; nothing of it was kept")
            self._state = _State.COMMITTING


class Stoppable(Protocol):
    """A store whose work can be stopped."""

    def guard(self, attempt: Attempt | None) -> None:
        """Take this attempt's commits through `Attempt.begin_commit`, and wait for no lock past its deadline.

        Called by the thread that uses the store, before and (with None) after each piece of work.
        """
        ...

    def interrupt(self) -> None:
        """End the statement that runs now, if any; called by any thread, often, and never fails."""
        ...

    def require_writable(self) -> None:
        """Pass when a write would find room.

        Raises:
            SchemaUnavailable: The disk is full or read-only.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; the next use opens them again."""
        ...
