"""The console: pages over a kernel's use cases, for everybody or for who has a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memorykernel.adapters.system import SystemClock
from memorykernel.core.access import DEFAULT_TENANT
from memorykernel.core.release import default_release
from memorykernel.wiring.evidence import _remember, build_suite
from memorykernel.wiring.kernel import Kernel, open_kernel
from memorykernel.wiring.serving import TenantFolder
from memorykernel.wiring.tenants import fill_tenant, locate_tenant, name_tenant

if TYPE_CHECKING:
    from memorykernel.web.console.entrance import Entrance
    from memorykernel.web.console.site import Example, Site
    from memorykernel.web.server import Service
    from memorykernel.web.tenancy import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How the console behaves.

    Attributes:
        name: The database's name, as a person knows it.
        timeout_ms: How long a page may take.
        hosts: Host names that are answered to, besides addresses and local names.
        examples: Questions to begin with.
    """

    name: str
    timeout_ms: int = 10_000
    hosts: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleGuard:
    """Who may see which pages.

    Attributes:
        tenants: Whose tokens are taken, and where the databases are.
        sessions: A folder for this server alone, in which its workers keep who signed in.
    """

    tenants: TenantFolder
    sessions: Path


def build_console(
    location: Path | str, options: ConsoleOptions, *, guard: ConsoleGuard | None = None
) -> Service:
    """The pages of a database, or of each tenant's; they answer by the rules of service.v4.

    Args:
        location: The database; with a folder of tenants it is not used.
        options: How it behaves.
        guard: Asks for tokens, and keeps tenants apart; None for a console that asks nobody.
    """
    from memorykernel.web.access import HostCheck
    from memorykernel.web.console.app import build_pages
    from memorykernel.web.console.entrance import OpenEntrance
    from memorykernel.web.server import Service
    from memorykernel.web.tenancy import Workers

    workers = Workers(max_queue=64)

    def open_site(path: Path | str, name: str) -> Site:
        return _build_site(open_kernel(path, default_release()), workers, replace(options, name=name))

    entrance: Entrance
    if guard is None:
        entrance = OpenEntrance(open_site(location, options.name))
    else:
        entrance = _build_entrance(guard, lambda: open_site(location, Path(options.name).name), open_site)
    pages = build_pages(entrance, hosts=HostCheck(options.hosts), timeout_ms=options.timeout_ms)
    return Service(app=pages, close=workers.close)


def add_console(service: Service, console: Service) -> Service:
    """Let a service answer with the pages too, below /console."""
    from memorykernel.web.console.app import put_before

    def close() -> None:
        console.close()
        service.close()

    return replace(service, app=put_before(console.app, service.app), close=close)


def _build_site(kernel: Kernel, workers: Workers, options: ConsoleOptions) -> Site:
    """The pages of a kernel that nobody else uses, with a worker thread of their own."""
    from memorykernel.service.picturing import Picturing
    from memorykernel.web.console.site import Site

    remembered, care = _remember(kernel), kernel.schema_care
    return Site(
        name=options.name,
        asking=kernel.asking,
        suite=build_suite(kernel),
        remembered=remembered,
        picturing=Picturing(memory=remembered.memory, remembered=remembered, schema_care=care),
        clock=kernel.remembering.clock,
        worker=workers.start(kernel.file),
        examples=options.examples,
    )


def _build_entrance(
    guard: ConsoleGuard, open_only: Callable[[], Site], open_site: Callable[[Path | str, str], Site]
) -> Entrance:
    from memorykernel.adapters.access_file import AccessFile
    from memorykernel.adapters.session_folder import SessionFolder
    from memorykernel.web.console.entrance import GuardedEntrance

    place = guard.tenants.place

    def open_tenant(tenant: str) -> Site:
        if place is None:
            return open_only()
        location = locate_tenant(place, tenant)
        site = open_site(location, name_tenant(location))
        fill_tenant(location, site.asking.schema_care)
        return site

    return GuardedEntrance(
        source=AccessFile(guard.tenants.access),
        sessions=SessionFolder(guard.sessions),
        open_site=open_tenant,
        only_tenant=DEFAULT_TENANT if place is None else None,
        clock=SystemClock(),
    )
