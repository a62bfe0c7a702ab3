"""SIGTERM and SIGINT as a flag, so that a supervisor ends what it started before it ends itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Termination:
    """While entered, the two signals set a flag instead of ending the process."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Termination:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, lambda _number, _frame: self._asked.set())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, timeout_s: float) -> bool:
        """Wait at most that long; say whether somebody asked to end."""
        return self._asked.wait(timeout_s)
