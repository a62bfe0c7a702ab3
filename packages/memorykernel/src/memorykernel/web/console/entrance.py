"""Who comes in: everybody to a console of this machine, and by a token's session to a guarded one.

The browser gets a random session key, never the token, in a cookie that scripts cannot read and that no other
site can make it send. A session is looked up at every request and its token in the newest access list: who
signed out, whose session is over, and whose token was revoked or may not read any more, is outside at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request

from memorykernel.core.access import TokenEntry
from memorykernel.errors import Forbidden, Unauthenticated
from memorykernel.ports import Clock
from memorykernel.web.access import AccessSource, require_scope, require_token
from memorykernel.web.console.site import Site

COOKIE: Final = "memorykernel_console"
_READING: Final = "/console"


class Sessions(Protocol):
    """Where sessions are kept."""

    def begin(self, token_id: str, now_us: int) -> str:
        """Begin a session of a token; its key."""
        ...

    def find(self, key: str, now_us: int) -> str | None:
        """The id of a session's token; None when there is no such session."""
        ...

    def end(self, key: str) -> None:
        """End a session, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request that came in: to which pages, and by whose token; None where nobody is asked."""

    site: Site
    visitor: TokenEntry | None = None


class Entrance(Protocol):
    """Lets requests in."""

    async def admit(self, request: Request) -> Visit:
        """Pass a request on to its pages.

        Raises:
            Unauthenticated: Nobody is signed in.
            Forbidden: Whoever is may not read.
        """
        ...


class OpenEntrance:
    """Asks nobody.

    Args:
        site: The one there is.
    """

    def __init__(self, site: Site) -> None:
        self._visit = Visit(site=site)

    async def admit(self, _: Request) -> Visit:
        """Let everybody in."""
        return self._visit


class GuardedEntrance:
    """Asks for a token once, and keeps a session.

    Args:
        source: The access list.
        sessions: Where sessions are kept.
        open_site: The pages of a tenant; called once for each, on a thread.
        only_tenant: The one whose tokens are taken; None for all.
        clock: Says when a session is over.
    """

    def __init__(
        self,
        *,
        source: AccessSource,
        sessions: Sessions,
        open_site: Callable[[str], Site],
        only_tenant: str | None,
        clock: Clock,
    ) -> None:
        self._source = source
        self._sessions = sessions
        self._open_site = open_site
        self._only_tenant = only_tenant
        self._clock = clock
        self._sites: dict[str, Site] = {}
        self._opening = asyncio.Lock()

    async def admit(self, request: Request) -> Visit:
        """Let in whoever has a session whose token still counts."""
        token_id = self._sessions.find(request.cookies.get(COOKIE, ""), self._clock.now_us())
        entry = None if token_id is None else self._source.load().get(token_id)
        if entry is None:
            raise Unauthenticated("nobody is signed in, or the session is over; sign in")
        self._require_reader(entry)
        return Visit(site=await self._find_site(entry.tenant), visitor=entry)

    def sign_in(self, token: str) -> tuple[TokenEntry, str]:
        """Begin a session of a token; its entry, and the session's key.

        Raises:
            Unauthenticated: The token is not known.
            Forbidden: It may not read, or is for another tenant than this server has.
        """
        entry = require_token(self._source.load(), f"Bearer {token}", _READING)
        self._require_reader(entry)
        return entry, self._sessions.begin(entry.id, self._clock.now_us())

    def sign_out(self, request: Request) -> None:
        """End the session of a request, if it has one."""
        self._sessions.end(request.cookies.get(COOKIE, ""))

    def _require_reader(self, entry: TokenEntry) -> None:
        # At every request: what an entry says can have changed since its session began.
        require_scope(entry, _READING)
        if self._only_tenant not in (None, entry.tenant):
            raise Forbidden("the token is for another tenant than this server has; use that tenant's server")

    async def _find_site(self, tenant: str) -> Site:
        if tenant not in self._sites:
            async with self._opening:
                if tenant not in self._sites:
                    # On a thread: making a database waits for the disk.
                    self._sites[tenant] = await asyncio.to_thread(self._open_site, tenant)
        return self._sites[tenant]
