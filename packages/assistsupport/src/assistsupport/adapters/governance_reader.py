"""Readings of the governance ref, numbered in the order in which they were made.

Reloads come from several threads at once (a request, the poll). The number lets the later reading win, so
that a slow reader can never bring an older commit back.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from assistsupport.core.governance import GovernanceCommit
from assistsupport.errors import GovernanceUnreadable
from assistsupport.ports import GovernanceSource

_T = TypeVar("_T")
_log = structlog.get_logger("assistsupport.producer")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the ref said once.

    Args:
        number: Position among all readings, from 1.
        begun: When it was asked for, on the monotonic clock, in seconds.
        governance: What was read, or why nothing was.
    """

    number: int
    begun: float
    governance: GovernanceCommit | GovernanceUnreadable


class GovernanceReader:
    """Reads a source one reading at a time; safe from any thread."""

    def __init__(self, source: GovernanceSource) -> None:
        """Wrap a source.

        Args:
            source: The ref to read.
        """
        self._source = source
        self._lock = threading.Lock()
        self._count = 0

    def read(self) -> Reading:
        """Read the ref and its three files. An unreadable source is a value here."""
        begun = time.monotonic()
        with self._lock:
            self._count += 1
            return Reading(number=self._count, begun=begun, governance=_attempt(self._source.read))

    def read_unless(self, commit: str | None) -> Reading | None:
        """Read only if the ref names another commit than this one; None stands for no commit at all."""
        begun = time.monotonic()
        with self._lock:
            if commit is not None and _attempt(self._source.resolve) == commit:
                return None
            self._count += 1
            return Reading(number=self._count, begun=begun, governance=_attempt(self._source.read))


def _attempt(read: Callable[[], _T]) -> _T | GovernanceUnreadable:
    try:
        return read()
    except GovernanceUnreadable as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 - a defect here must not end the loop that follows the ref
        _log.error("defect while reading governance", exc_info=exc)
        return GovernanceUnreadable(f"governance cannot be read: defect in the reader ({type(exc).__name__})")
