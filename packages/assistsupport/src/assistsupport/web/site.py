"""What the routes need, in one record."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import Request

from assistsupport.core.ticket import Ticket
from assistsupport.ports import PolicyLane
from assistsupport.service.desk import Desk
from assistsupport.service.knowledge import KnowledgeBase

DRAFT_THREADS = 2
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The use cases behind the routes, and the threads that they run on.

    Drafts run on threads of their own (see `docs/reference/assistsupport.md`, "Figures"): a draft is
    some milliseconds of search, and a page's event stream must not stutter for it. A reload may wait
    for git and for a preflight, so it has a thread that no draft needs.

    Args:
        version: Of this program.
        desk: Drafts.
        knowledge: Articles.
        lane: The integration's status and reload.
        tickets: The inbox.
        control_token: Who may reload; None when nobody may.
        allowed_hosts: Host names that requests may name; empty for any.
    """

    version: str
    desk: Desk
    knowledge: KnowledgeBase
    lane: PolicyLane
    tickets: tuple[Ticket, ...] = ()
    control_token: str | None = None
    allowed_hosts: frozenset[str] = frozenset()
    draft_threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(DRAFT_THREADS, thread_name_prefix="draft")
    )
    control_thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="control")
    )
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def draft_thread(self, work: Callable[[], _T]) -> _T:
        """Run synchronous work on a draft thread, without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.draft_threads, work)

    def close(self) -> None:
        """Let the threads finish what they do."""
        self.draft_threads.shutdown()
        self.control_thread.shutdown(wait=False, cancel_futures=True)


def site_of(request: Request) -> Site:
    """Return the site that a request is for."""
    site: Site = request.app.state.site
    return site
