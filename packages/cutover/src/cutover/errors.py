"""The errors of cutover, one tree with stable codes.

    CutoverError                    cutover
    ├── InvalidProgram              program      cutover.toml says something that cannot be
    ├── Refused                     refused      a step may not be taken now; says what must come first
    ├── LogError                    log
    │   ├── LogDamaged              log-damaged  an entry is changed, missing, out of place or not ours
    │   └── LogConflict             log-conflict what was appended meanwhile forbids it
    ├── KeyUnusable                 key          a key is missing, of the wrong kind or not in the program
    ├── RepositoryError             repository   git said no, or a ref moved under us
    ├── EvidenceUnreadable          evidence     bytes are missing, do not match their digest or do not parse
    ├── ReleaseUnreachable          release      a release, the gateway or the consumer does not answer
    └── CommandFailed               command      a declared command could not be started at all

A negative answer (a gate that fails, a NO-GO) is a value, never one of these.
"""

from __future__ import annotations

from typing import ClassVar


class CutoverError(Exception):
    """Any failure that cutover reports; one line, lower case, ending in what to do."""

    code: ClassVar[str] = "cutover"


class InvalidProgram(CutoverError):
    """Raised when a program file is not acceptable.

    Args:
        problems: Every problem found, each with its line and remedy, in file order.
    """

    code = "program"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Refused(CutoverError):
    """Raised when a step is asked for that the entries do not allow (yet)."""

    code = "refused"


class LogError(CutoverError):
    """Any failure of the decision log."""

    code = "log"


class LogDamaged(LogError):
    """Raised when an entry does not verify.

    Args:
        index: Zero-based number of the first entry that does not verify.
        reason: What is wrong with it.
    """

    code = "log-damaged"

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"entry {index} of the decision log does not verify: {reason}")
        self.index = index
        self.reason = reason


class LogConflict(LogError):
    """Raised when an entry may not be appended because of what was appended meanwhile."""

    code = "log-conflict"


class KeyUnusable(CutoverError):
    """Raised when a signing key is missing, malformed, of the wrong kind or unknown to the program."""

    code = "key"


class RepositoryError(CutoverError):
    """Raised when git refuses, or a ref is not where it was expected."""

    code = "repository"


class EvidenceUnreadable(CutoverError):
    """Raised when evidence bytes are missing, altered or malformed."""

    code = "evidence"


class ReleaseUnreachable(CutoverError):
    """Raised when a process that should answer does not.

    Args:
        message: One line, the fact first.
        kind: What went wrong, one of `refused`, `reset`, `timeout`, `cut`, `not-http`, `too-large`,
            `remote` (not a loopback address) or `unusable` (a complete reply that cannot be used).
    """

    code = "release"

    def __init__(self, message: str, *, kind: str = "unusable") -> None:
        super().__init__(message)
        self.kind = kind


class CommandFailed(CutoverError):
    """Raised when a declared command cannot be started at all."""

    code = "command"
