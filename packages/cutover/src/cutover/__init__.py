"""Moves a consumer from one producer release to the next: two keys to go, one to stop.

The way in is the command (`cutover`, in `cutover.cli`). The rules work without it: a program is read by
`cutover.core.program_file`, a log verified by `cutover.core.log`, a decision recomputed by
`cutover.core.decision`. They are not imported here, so that a command pays only for what it uses.
"""

from cutover.errors import (
    CommandFailed,
    CutoverError,
    EvidenceUnreadable,
    InvalidProgram,
    KeyUnusable,
    LogConflict,
    LogDamaged,
    LogError,
    Refused,
    ReleaseUnreachable,
    RepositoryError,
)

__all__ = [
    "CommandFailed",
    "CutoverError",
    "EvidenceUnreadable",
    "InvalidProgram",
    "KeyUnusable",
    "LogConflict",
    "LogDamaged",
    "LogError",
    "Refused",
    "ReleaseUnreachable",
    "RepositoryError",
]
