"""What can go wrong while reading the agreement, as one tree with stable codes.

    ContractsError
    |-- MalformedDocument    malformed-document    bytes that are not what their format says
    `-- UnknownDocument      unknown-document      a name that the package has no document for

Every message is one line: the fact, then what was expected, then what to do.
"""

from collections.abc import Iterable


class ContractsError(Exception):
    """Base of everything this package raises on purpose; `code` is stable and safe to match on."""

    code = "contracts-error"


class MalformedDocument(ContractsError):
    """Bytes that a strict reader refuses.

    Args:
        field: Path of the offending value, such as `error_code_enum[3]`; `$` is the whole document.
        reason: One line, lower case, without the path.
    """

    code = "malformed-document"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnknownDocument(ContractsError):
    """A name for which the package holds no document; the message lists the names that it has."""

    code = "unknown-document"

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} is named {name!r}; expected one of {', '.join(sorted(known))}")
        self.kind = kind
        self.name = name
