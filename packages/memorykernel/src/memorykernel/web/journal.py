"""The server's log: one JSON line per event on stderr.

Never in it: bodies, tokens, question texts, and error messages of requests that were wrong (those can repeat
what was sent). A request's line has the endpoint, not the path.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO, cast


@contextmanager
def _without_rich() -> Iterator[None]:
    """structlog imports rich where it is installed, for a console's log: a sixth of a server's start."""
    if "rich" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        yield
    finally:
        del sys.modules["rich"]


with _without_rich():
    import structlog


class _Stderr(io.TextIOBase):
    """stderr as a log: a line that cannot be written, on a full disk for example, fails no request."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


LOG: Final = structlog.wrap_logger(
    structlog.WriteLogger(cast("TextIO", _Stderr())),
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # The plain trace: a pretty one would print local variables, and with them what users sent.
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
)

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Ids for requests that do not bring one: a prefix nobody else has, and a count."""

    def __init__(self) -> None:
        self._prefix = ""
        self._pid = 0
        self._count = itertools.count(1)

    def choose(self, given: str | None) -> str:
        """The id that the sender gave, when it can be logged as it is, else a new one."""
        if given is not None and _GIVEN_ID.fullmatch(given):
            return given
        if self._pid != os.getpid():
            self._pid, self._prefix = os.getpid(), secrets.token_hex(4)
        return f"{self._prefix}-{next(self._count)}"
