"""A folder that is no program: a mistake in how a command was called, not an answer about a program."""

from __future__ import annotations

from pathlib import Path

from cutover.errors import InvalidProgram


class ProgramMissing(InvalidProgram):
    """Raised when the named folder has no readable program file.

    Args:
        path: The file that was looked for.
        reason: Why it cannot be read.
    """

    def __init__(self, path: Path, reason: str | None) -> None:
        super().__init__((f"{path} cannot be read: {reason}; name its folder with --program",))
