"""Tokens in the access file."""

from __future__ import annotations

from pathlib import Path

from memorykernel.adapters.system import SystemClock
from memorykernel.core.access import AccessList, TokenEntry, TokenScope, require_tenant
from memorykernel.core.instant import format_instant
from memorykernel.errors import AccessInvalid


def check_access(path: Path) -> None:
    """Pass when an access file can be used.

    Raises:
        AccessInvalid: It is missing, readable by others, or malformed.
    """
    from memorykernel.adapters.access_file import load_access

    load_access(path)


def add_token(path: Path, *, tenant: str, scopes: tuple[TokenScope, ...]) -> tuple[TokenEntry, str]:
    """Add a token to an access file; a missing one is made.

    Returns:
        Its entry, and the token, which nobody can show again.

    Raises:
        AccessInvalid: The tenant's name is none, or the file cannot be used.
    """
    from memorykernel.adapters.access_file import change_access, mint_token

    token_id, token, digest = mint_token()
    entry = TokenEntry(
        id=token_id,
        tenant=require_tenant(tenant),
        scopes=scopes,
        sha256=digest,
        created_at=format_instant(SystemClock().now_us()),
    )
    change_access(path, lambda present: AccessList((*present.tokens, entry)))
    return entry, token


def list_tokens(path: Path) -> tuple[TokenEntry, ...]:
    """The tokens of an access file, oldest first.

    Raises:
        AccessInvalid: The file cannot be used.
    """
    from memorykernel.adapters.access_file import load_access

    return load_access(path).tokens


def revoke_token(path: Path, token_id: str) -> TokenEntry:
    """Take a token out of an access file.

    Raises:
        AccessInvalid: It is not in there, or the file cannot be used.
    """
    from memorykernel.adapters.access_file import change_access, load_access

    gone = next((each for each in load_access(path).tokens if each.id == token_id), None)
    if gone is None:
        raise AccessInvalid(f"no token has the id '{token_id[:64]}'; 'mk tokens list' shows those there are")
    change_access(path, lambda present: AccessList(each for each in present.tokens if each.id != token_id))
    return gone
