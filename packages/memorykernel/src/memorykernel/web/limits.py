"""What a request may take, and what it is told when it takes more.

A limit is made when a request arrives, travels in a context variable (every request has a task of its own),
and names the failure that its endpoint has: a read cannot be answered, a write was not made.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from memorykernel.errors import (
    ContextLookupFailed,
    MemoryKernelError,
    MigrationFailed,
    QueryFailed,
    SchemaUnavailable,
    SlowBody,
    WriteFailed,
)

TIMEOUT_MS: Final = 10_000
"""How long a request may take by default, from its last header on."""

MIGRATION_TIMEOUT_MS: Final = 3_600_000
"""A migration reads every record: it has an hour, whatever the limit of requests is."""

RETRY_AFTER_S: Final = 1
"""When to come back after an overload: a full queue is worked off in less."""

_MIGRATE: Final = "/v1/db/migrate"
_FAILURES: Final[tuple[tuple[str, type[MemoryKernelError]], ...]] = (
    ("/v1/memory/add/", WriteFailed),
    ("/v1/memory/link", WriteFailed),
    ("/v1/context/", ContextLookupFailed),
    (_MIGRATE, MigrationFailed),
    ("/v1/db/", SchemaUnavailable),
    ("/v1/ready", SchemaUnavailable),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The limit of one request.

    Attributes:
        timeout_ms: How long it may take; None for as long as it likes.
        deadline_s: When that is over, on the event loop's clock.
        failure: What a caller of this endpoint is told.
    """

    timeout_ms: int | None
    deadline_s: float | None
    failure: type[MemoryKernelError]

    def describe_timeout(self) -> MemoryKernelError:
        """What a request is told whose work was stopped."""
        return self.failure(
            f"not done within {self.timeout_ms} ms and stopped: nothing was kept; repeat the request",
            {"timeout_ms": self.timeout_ms or 0},
        )

    def describe_slow_body(self) -> SlowBody:
        """What a request is told whose body did not arrive."""
        return SlowBody(
            f"the body did not arrive within {self.timeout_ms} ms; send it faster",
            {"timeout_ms": self.timeout_ms or 0},
        )

    def refuse_overload(self) -> MemoryKernelError:
        """What a request is told that finds the queue full."""
        return self.failure(
            "too many requests wait already and this one was not begun; repeat it later",
            {"reason": "overload"},
            retry_after_s=RETRY_AFTER_S,
        )


UNLIMITED: Final = Limit(timeout_ms=None, deadline_s=None, failure=QueryFailed)
CURRENT: Final[ContextVar[Limit]] = ContextVar("memorykernel_limit", default=UNLIMITED)
"""The limit of the request whose task this is."""


def choose_limit(path: str, now_s: float, timeout_ms: int | None) -> Limit:
    """The limit of a request to a path that arrived now. Pure.

    Args:
        path: The path.
        now_s: The event loop's clock.
        timeout_ms: The server's limit; None for none.
    """
    failure = _find_failure(path)
    if timeout_ms is None:
        return Limit(timeout_ms=None, deadline_s=None, failure=failure)
    allowed_ms = MIGRATION_TIMEOUT_MS if path == _MIGRATE else timeout_ms
    return Limit(timeout_ms=allowed_ms, deadline_s=now_s + allowed_ms / 1000, failure=failure)


@lru_cache(maxsize=256)
def _find_failure(path: str) -> type[MemoryKernelError]:
    return next((kind for prefix, kind in _FAILURES if path.startswith(prefix)), QueryFailed)
