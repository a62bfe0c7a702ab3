"""Sessions of the console: one small file each, in a folder that all workers of a server share.

A session's key is `<token id>.<secret>`. The file is named by the token's id and the secret's SHA-256 and
holds the session's end: nothing that opens anything can be read from the folder.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

LASTS_US: Final = 8 * 3_600 * 1_000_000
"""How long a session lasts: a working day."""

MAX_PER_TOKEN: Final = 20
"""How many sessions a token has at most; one more ends its oldest."""

_KEY: Final = re.compile(r"(?P<token>[0-9a-f]{16})\.(?P<secret>[A-Za-z0-9_-]{43})")


class SessionFolder:
    """Begins, finds and ends sessions.

    Args:
        folder: For this server alone, gone with it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, token_id: str, now_us: int) -> str:
        """Begin a session of a token.

        Returns:
            Its key, which nobody can show again.
        """
        self._make_room(token_id, now_us)
        secret = secrets.token_urlsafe(32)
        file = self._locate(token_id, secret)
        file.touch(mode=0o600)
        file.write_text(str(now_us + LASTS_US))
        return f"{token_id}.{secret}"

    def find(self, key: str, now_us: int) -> str | None:
        """The id of the token that a session was begun with; None when there is none, or it is over."""
        parts = _KEY.fullmatch(key)
        if parts is None:
            return None
        end_us = _read_end(self._locate(parts["token"], parts["secret"]))
        return parts["token"] if now_us < end_us else None

    def end(self, key: str) -> None:
        """End a session, if there is one."""
        if (parts := _KEY.fullmatch(key)) is not None:
            self._locate(parts["token"], parts["secret"]).unlink(missing_ok=True)

    def _locate(self, token_id: str, secret: str) -> Path:
        return self._folder / f"{token_id}.{hashlib.sha256(secret.encode()).hexdigest()}"

    def _make_room(self, token_id: str, now_us: int) -> None:
        ends = sorted((_read_end(file), file) for file in self._folder.glob(f"{token_id}.*"))
        surplus = len(ends) - MAX_PER_TOKEN + 1
        for number, (end_us, file) in enumerate(ends):
            if number < surplus or end_us <= now_us:
                file.unlink(missing_ok=True)


def _read_end(file: Path) -> int:
    """When a session ends; 0 for none, and for one that is being begun."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return 0
