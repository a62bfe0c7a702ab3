"""A result whose durability is still under way.

Many answers share one fsync, so what a use case found and when it may be told are two moments. A ticket is
both: it is done when everything that its result rests on is as durable as it was promised to be, or when that
has failed. A store that commits at once gives tickets that are done already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Ticket(Generic[Result]):
    """Resolved or failed once, by one thread; awaited by another."""

    __slots__ = ("_error", "_lock", "_result", "_tell")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._result: tuple[Result] | None = None
        self._error: BaseException | None = None
        self._tell: Callable[[Ticket[Result]], None] | None = None

    @classmethod
    def done(cls, result: Result) -> Ticket[Result]:
        """A ticket of something that is durable already."""
        ticket = cls()
        ticket._result = (result,)
        return ticket

    @property
    def is_done(self) -> bool:
        """Whether it was resolved or has failed."""
        return self._result is not None or self._error is not None

    @property
    def result(self) -> Result:
        """The result of a ticket that is done.

        Raises:
            BaseException: What it failed with.
        """
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise RuntimeError("the ticket is not done; wait for it first")
        return self._result[0]

    def resolve(self, result: Result) -> None:
        """Say that it is durable."""
        with self._lock:
            self._result = (result,)
            tell = self._tell
        if tell is not None:
            tell(self)

    def fail(self, error: BaseException) -> None:
        """Say that nothing of it was kept, and why."""
        with self._lock:
            self._error = error
            tell = self._tell
        if tell is not None:
            tell(self)

    def when_done(self, tell: Callable[[Ticket[Result]], None]) -> None:
        """Call `tell` once with the ticket: now if it is done, else by the thread that completes it.

        There is one listener; `tell` must be short and must not fail.
        """
        with self._lock:
            if not self.is_done:
                self._tell = tell
                return
        tell(self)

    def wait(self) -> Result:
        """Wait until it is done.

        Raises:
            BaseException: What it failed with.
        """
        if not self.is_done:
            over = threading.Event()
            self.when_done(lambda _: over.set())
            over.wait()
        return self.result
