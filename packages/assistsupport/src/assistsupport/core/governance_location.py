"""Where governance lives: `REPO@REF`, as it is typed on a command line.

Pure. The ref is checked against git's own rules for names (git-check-ref-format), so that what reaches git
is a name and never an expression: `main~3`, `main:file` or an option are refused here.
"""

import re
from typing import Final

import msgspec

from assistsupport.errors import GovernanceUnreadable

_COMMIT: Final = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|\.lock(?:/|\Z)|/\.|\.\Z|/\Z")
_MAX_REF: Final = 255


class GovernanceLocation(msgspec.Struct, frozen=True, kw_only=True):
    """A repository on this machine and the ref to follow in it.

    Args:
        repository: Path of a working clone or a bare repository.
        ref: A branch, a tag, a full ref name, or a commit id.
    """

    repository: str
    ref: str


def parse_governance_location(text: str) -> GovernanceLocation:
    """Read `REPO@REF`, split at the last `@`, because folders may hold one and refs seldom do.

    Pure.

    Args:
        text: Such as `/srv/assistsupport.git@main`.

    Returns:
        The location; nothing is touched, so it may not exist.

    Raises:
        GovernanceUnreadable: Repository or ref is missing, or the ref is no name that git accepts.
    """
    repository, at, ref = text.rpartition("@")
    if not at or not repository or not ref:
        raise GovernanceUnreadable(f"no governance location: expected REPO@REF, got {text[:200]!r}")
    if "\x00" in repository or "\n" in repository:
        raise GovernanceUnreadable("the governance repository is no path: expected one line without NUL")
    if len(ref) > _MAX_REF or ref.startswith(("-", ".", "/")) or _FORBIDDEN.search(ref):
        raise GovernanceUnreadable(f"{ref[:80]!r} is no ref: expected a branch, a tag or a commit id")
    return GovernanceLocation(repository=repository, ref=ref)


def list_ref_candidates(ref: str) -> tuple[str, ...]:
    """Return the full names that a ref may stand for, first match first.

    Pure. git itself prefers a tag over a branch of the same name; here the branch wins, because the ref that
    a cutover moves is a branch and a stray tag must not freeze it.

    Args:
        ref: As `parse_governance_location` accepts it.

    Returns:
        At least one name; a commit id and HEAD stand for themselves.
    """
    if ref == "HEAD" or ref.startswith("refs/") or _COMMIT.match(ref):
        return (ref,)
    return (f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/remotes/{ref}")
