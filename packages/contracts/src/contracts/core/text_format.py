"""The formats of single values in governance files, as types that msgspec enforces.

Each type carries the words a person needs when a value does not match; `typed_reader` quotes them.
All patterns are anchored at both ends: `$` would let a trailing line break through.
"""

import re
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

ReleaseTag: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\Av(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\Z",
        description="a release tag like v1.2.3",
    ),
]
CommitSha: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[0-9a-f]{40}\Z", description="a commit sha of 40 lower-case hex digits")
]
Sha256Hex: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[0-9a-f]{64}\Z", description="a sha256 of 64 lower-case hex digits")
]
ServiceContract: TypeAlias = Annotated[
    str, Meta(pattern=r"\Aservice\.v[1-9][0-9]{0,3}\Z", description="a service contract like service.v3")
]
ApiContract: TypeAlias = Annotated[
    str, Meta(pattern=r"\Aapi\.v[1-9][0-9]{0,3}\Z", description="an api contract like api.v1")
]
ErrorCodeName: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z", description="an error code like write_conflict")
]
UtcTime: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)\Z",
        description="an RFC 3339 time in UTC like 2026-02-08T13:19:53Z",
    ),
]
Ulid: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[0-7][0-9A-HJKMNP-TV-Z]{25}\Z", description="a ULID of 26 characters")
]
ProgramVersion: TypeAlias = Annotated[
    str,
    Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}\Z", description="a program version like 1.4.0"),
]
Line: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.*\S)[^\x00-\x1f\x7f\u2028\u2029]{1,2000}\Z",
        description="one line of text that is not blank",
    ),
]
"""Text that stays on one line: it is shown to people and written into Markdown."""

_PARENT: Final = re.compile(r"(\A|/)\.\.(/|\Z)")
_DRIVE: Final = re.compile(r"\A[A-Za-z]:")


def is_repository_relative(path: str) -> bool:
    """Say whether a path stays inside the repository it is read from.

    Args:
        path: A path or URL as written in a governance file.

    Returns:
        False for absolute paths (POSIX, Windows, home, `file:`), for backslashes, for any `..`
        step and for the empty path.
    """
    has_root = path.startswith(("/", "~", "file:")) or _DRIVE.match(path) is not None
    return bool(path) and not has_root and "\\" not in path and _PARENT.search(path) is None


def is_real_time(text: str) -> bool:
    """Say whether a text of the form `UtcTime` names an instant that exists (no 30 February)."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
