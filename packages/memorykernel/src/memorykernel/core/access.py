"""Who may do what: tokens, their scopes and tenants, as the access file has them.

A token is `mk_<id>_<secret>`: the id finds its entry and is no secret; of the secret only a SHA-256 is kept,
which is enough because it has 256 bits of randomness. A tenant's name is also the name of its database
file, hence its narrow alphabet.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from memorykernel.errors import AccessInvalid

DEFAULT_TENANT: Final = "default"
"""The tenant of a server with one database."""

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TOKEN: Final = re.compile(r"mk_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})")
_ID: Final = re.compile(r"[0-9a-f]{16}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NOBODY: Final = "0" * 64


class TokenScope(StrEnum):
    """What a token allows; none includes another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One token, without its secret."""

    id: str
    tenant: str
    scopes: tuple[TokenScope, ...]
    sha256: str
    created_at: str


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tokens: tuple[TokenEntry, ...] = ()


class AccessList:
    """The tokens of one access file. Immutable."""

    def __init__(self, tokens: Iterable[TokenEntry]) -> None:
        self.tokens = tuple(tokens)
        self._by_id = {each.id: each for each in self.tokens}

    def get(self, token_id: str) -> TokenEntry | None:
        """The entry of an id, which is no secret: whoever asks must have been let in by the token before."""
        return self._by_id.get(token_id)

    def find(self, token: str) -> TokenEntry | None:
        """The entry of a token, or None; takes as long for a wrong secret as for the right one."""
        parts = _TOKEN.fullmatch(token)
        entry = self._by_id.get(parts["id"]) if parts else None
        expected = entry.sha256 if entry else _NOBODY
        matches = hmac.compare_digest(digest_token(token), expected)
        return entry if matches else None


def digest_token(token: str) -> str:
    """What is kept of a token: 64 hex digits. Pure."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def require_tenant(name: str) -> str:
    """Pass a tenant's name through when it is one.

    Raises:
        AccessInvalid: It is none; nothing that could leave a folder is.
    """
    if not _TENANT.fullmatch(name):
        raise AccessInvalid(
            f"'{name[:64]}' is no tenant name; expected 1 to 63 of a-z, 0-9, '-' and '_', beginning with a"
            " letter or digit"
        )
    return name


def parse_access(data: bytes) -> AccessList:
    """Read an access file.

    Raises:
        AccessInvalid: It is no TOML, or an entry is not as `mk tokens add` writes it.
    """
    try:
        file = msgspec.convert(tomllib.loads(data.decode()), _File)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise AccessInvalid(f"the access file cannot be read: {exc}; correct it") from exc
    for entry in file.tokens:
        require_tenant(entry.tenant)
        if not (_ID.fullmatch(entry.id) and _SHA256.fullmatch(entry.sha256) and entry.scopes):
            raise AccessInvalid(
                f"token '{entry.id[:64]}' is not as 'mk tokens add' writes one; revoke it and add another"
            )
    if len({entry.id for entry in file.tokens}) != len(file.tokens):
        raise AccessInvalid("two tokens of the access file have the same id; remove one")
    return AccessList(file.tokens)


def encode_access(access: AccessList) -> bytes:
    """Write an access file; `parse_access` reads it back. Pure."""
    lines = ["# Written by 'mk tokens'. Holds digests of tokens, not the tokens.\n"]
    for entry in access.tokens:
        scopes = ", ".join(f'"{scope}"' for scope in entry.scopes)
        lines.append(
            f'\n[[tokens]]\nid = "{entry.id}"\ntenant = "{entry.tenant}"\nscopes = [{scopes}]\n'
            f'sha256 = "{entry.sha256}"\ncreated_at = "{entry.created_at}"\n'
        )
    return "".join(lines).encode()
