"""Who is asking: the host name that a request is for, its token, and what the token allows."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final, Protocol

from memorykernel.core.access import AccessList, TokenEntry, TokenScope
from memorykernel.errors import Forbidden, RefusedHost, Unauthenticated

_SCOPES: Final = (
    ("/v1/db/migrate", TokenScope.ADMIN),
    ("/metrics", TokenScope.ADMIN),
    ("/v1/memory/add/", TokenScope.WRITE),
    ("/v1/memory/link", TokenScope.WRITE),
)
_SCHEME: Final = "bearer "
MAX_TOKEN: Final = 256


class AccessSource(Protocol):
    """Where the access list comes from."""

    @property
    def fault(self) -> str | None:
        """Why nobody is let in; None while the source can be used."""
        ...

    def load(self) -> AccessList:
        """The newest list."""
        ...


def find_scope(path: str) -> TokenScope:
    """The scope that a path needs: write to write, admin for what concerns the whole server. Pure."""
    return next((scope for prefix, scope in _SCOPES if path.startswith(prefix)), TokenScope.READ)


def require_token(access: AccessList, authorization: str | None, path: str) -> TokenEntry:
    """The entry of the request's token.

    Raises:
        Unauthenticated: There is none, or it is not known.
        Forbidden: It lacks the scope of the path.
    """
    if authorization is None:
        raise Unauthenticated("the request has no token; send 'Authorization: Bearer TOKEN'")
    scheme, token = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :].strip()
    entry = access.find(token) if scheme.lower() == _SCHEME and len(token) <= MAX_TOKEN else None
    if entry is None:
        raise Unauthenticated("the token is not known; ask the operator for one that 'mk tokens add' printed")
    require_scope(entry, path)
    return entry


def require_scope(entry: TokenEntry, path: str) -> None:
    """Pass when a token has the scope of a path.

    Raises:
        Forbidden: It lacks it.
    """
    needed = find_scope(path)
    if needed not in entry.scopes:
        raise Forbidden(f"the token does not have the scope '{needed}'; use one that does", {"scope": needed})


class HostCheck:
    """Refuses names that a web page could point at this machine (DNS rebinding).

    Passing are: no Host at all (every browser sends one), IP literals, `localhost` and names below it, names
    without a dot (container and machine names; nobody on the internet can own one), and what was configured.

    Args:
        allowed: Host names that are answered to, besides.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(name.lower().rstrip(".") for name in allowed)
        self._passed: set[str] = set()

    def check(self, host: str) -> None:
        """Pass or raise.

        Raises:
            RefusedHost: The name is none of these.
        """
        if host in self._passed:
            return
        if not self._is_allowed(split_port(host).lower().rstrip(".")):
            raise RefusedHost(
                "the server does not answer to this host name; use its address, or start it with --allow-host"
            )
        if len(self._passed) < 64:
            self._passed.add(host)

    def _is_allowed(self, name: str) -> bool:
        if name in self._allowed or name.endswith(".localhost"):
            return True
        if "." not in name and ":" not in name:
            return True
        try:
            ipaddress.ip_address(name.strip("[]").partition("%")[0])
        except ValueError:
            return False
        return True


def split_port(host: str) -> str:
    """The name of a Host header, without its port. Pure."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and (":" not in name or name.endswith("]")) else host
