"""The HTTP service over a kernel: its tables of endpoints, its limits, its tenants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.core.service import SERVICE_V4

from memorykernel.core.access import DEFAULT_TENANT
from memorykernel.core.negotiation import list_spoken
from memorykernel.core.vocabulary import ConflictPolicy
from memorykernel.wiring.evidence import build_suite
from memorykernel.wiring.kernel import Durability, Kernel, open_kernel
from memorykernel.wiring.release import read_version
from memorykernel.wiring.tenants import fill_tenant, locate_tenant, require_room

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from memorykernel.service.attempt import Stoppable
    from memorykernel.web.app import Access, Edge, Tables
    from memorykernel.web.connection import ConnectionLimits
    from memorykernel.web.metrics import Metrics, WorkerSlot
    from memorykernel.web.routes import Endpoints
    from memorykernel.web.server import Service
    from memorykernel.web.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a server behaves; the defaults are those of `mk serve`.

    Attributes:
        strict: Refuse unknown keys in requests.
        timeout_ms: How long a request may take.
        max_queue: How many requests may wait for a database.
        max_connections: How many connections a process serves.
        hosts: Host names that are answered to, besides addresses and local names.
        log_requests: A line for every request.
        conflicts: What becomes of a write through service.v4 that makes questions undecidable.
        durability: When an answer is given.
        slot: This worker's place among several.
    """

    strict: bool = False
    timeout_ms: int = 10_000
    max_queue: int = 512
    max_connections: int = 1000
    hosts: tuple[str, ...] = ()
    log_requests: bool = False
    conflicts: ConflictPolicy = ConflictPolicy.WARN
    durability: Durability = Durability.FULL
    slot: WorkerSlot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFolder:
    """Where the databases of tenants are, and who may use which.

    Attributes:
        access: The access file.
        place: Each tenant's database is a file in this folder, or a database of this PostgreSQL server; None
            for one database, of the tenant `default`.
    """

    access: Path
    place: Path | str | None


def build_service(kernel: Kernel, *, openapi: bytes, strict: bool) -> ASGIApp:
    """The HTTP application of a kernel, with its one worker thread and nothing around it."""
    # Imported here: a command that only asks starts without the HTTP stack.
    from memorykernel.web.app import Edge, EdgeOptions
    from memorykernel.web.worker import Worker

    tables = _build_tables(kernel, Worker, openapi=openapi, strict=strict, conflicts=ConflictPolicy.WARN)
    return Edge(kernel.release.service_contract, tables, access=None, options=EdgeOptions())


def build_server(
    kernel: Kernel, *, openapi: bytes, options: ServeOptions, tenants: TenantFolder | None = None
) -> Service:
    """The HTTP service of a kernel, with everything around it: limits, metrics, log, tokens.

    Args:
        kernel: Of the one database; with a folder of tenants only its release is used.
        openapi: The document of the release.
        options: How it behaves.
        tenants: Asks for tokens, and keeps tenants apart; None for a server that asks nobody.
    """
    from memorykernel.web.access import HostCheck
    from memorykernel.web.app import Edge, EdgeOptions
    from memorykernel.web.lifecycle import Lifecycle
    from memorykernel.web.metrics import Metrics
    from memorykernel.web.server import Service
    from memorykernel.web.tenancy import Workers

    release, lifecycle = kernel.release, Lifecycle()
    metrics = Metrics(read_version=read_version, service_contract=release.service_contract, slot=options.slot)
    workers = Workers(max_queue=options.max_queue)

    def open_tables(opened: Kernel) -> Tables:
        return _build_tables(
            opened, workers.start, openapi=openapi, strict=options.strict, conflicts=options.conflicts
        )

    access = None if tenants is None else _build_access(kernel, tenants, openapi, open_tables, options)
    edge = Edge(
        release.service_contract,
        {} if access else open_tables(kernel),
        access=access,
        options=EdgeOptions(
            timeout_ms=options.timeout_ms,
            hosts=HostCheck(options.hosts),
            metrics=metrics,
            log_requests=options.log_requests,
            lifecycle=lifecycle,
        ),
    )

    def sample(connections: int) -> None:
        metrics.set_connections(connections)
        metrics.set_depth(workers.depth)

    return Service(
        app=edge,
        lifecycle=lifecycle,
        connections=_limit_connections(edge, metrics, options),
        sample=sample,
        close=workers.close,
    )


def _limit_connections(edge: Edge, metrics: Metrics, options: ServeOptions) -> ConnectionLimits:
    from memorykernel.web.connection import ConnectionLimits

    return ConnectionLimits(
        arrival_s=options.timeout_ms / 1000,
        max_connections=options.max_connections,
        refuse=edge.refuse_connection,
        malformed=edge.describe_malformed(),
        count_refusal=metrics.count_refusal,
    )


def _build_tables(
    kernel: Kernel,
    start: Callable[[Stoppable], Worker],
    *,
    openapi: bytes,
    strict: bool,
    conflicts: ConflictPolicy,
) -> Tables:
    """The endpoints of each contract that the kernel's release speaks, all on the same database."""
    from contracts.documents import load_openapi

    from memorykernel.service.clock_care import ClockCare
    from memorykernel.service.freshness import Freshness
    from memorykernel.web.envelope import Envelopes
    from memorykernel.web.routes import Endpoints
    from memorykernel.web.routes_v4 import Aside, EndpointsV4

    worker = start(kernel.file)
    published: dict[str, Endpoints] = {
        release.service_contract: Endpoints(
            asking=replace(kernel.asking, release=release),
            remembering=kernel.remembering,
            schema_care=kernel.schema_care,
            envelopes=Envelopes(service_contract=release.service_contract),
            openapi=openapi if release is kernel.release else load_openapi(release.service_contract),
            strict=strict,
            worker=worker,
            writes=kernel.writes,
        )
        for release in list_spoken(kernel.release)
    }
    if (base := published.get(SERVICE_V4)) is None:
        return published
    memory, aside = kernel.asking.memory, kernel.reopen()
    # What a replica does not have yet is looked for in the primary: what is not there was made elsewhere.
    freshness = Freshness(memory=memory, may_lag=False)
    return {
        **published,
        SERVICE_V4: EndpointsV4(
            base=base,
            suite=replace(build_suite(kernel, conflicts), freshness=freshness),
            aside=Aside(suite=build_suite(aside, conflicts), worker=start(aside.file)),
            clock_care=ClockCare(memory=memory, clock=kernel.remembering.clock),
        ),
    }


def _build_access(
    kernel: Kernel,
    tenants: TenantFolder,
    openapi: bytes,
    open_tables: Callable[[Kernel], Tables],
    options: ServeOptions,
) -> Access:
    from contracts.documents import load_openapi

    from memorykernel.adapters.access_file import AccessFile
    from memorykernel.web.app import Access
    from memorykernel.web.envelope import Envelopes
    from memorykernel.web.lobby import Lobby

    place = tenants.place

    def open_tenant(tenant: str) -> Tables:
        if place is None:
            return open_tables(kernel)
        location = locate_tenant(place, tenant)
        opened = open_kernel(location, kernel.release, durability=options.durability)
        fill_tenant(location, opened.schema_care)
        return open_tables(opened)

    find_room = kernel.file.require_writable if place is None else require_room(place)
    lobby = {
        release.service_contract: Lobby(
            envelopes=Envelopes(service_contract=release.service_contract),
            openapi=openapi if release is kernel.release else load_openapi(release.service_contract),
            schema_version=release.schema_version,
            require_writable=find_room,
        )
        for release in list_spoken(kernel.release)
    }
    allowed = DEFAULT_TENANT if place is None else None
    return Access(
        source=AccessFile(tenants.access), lobby=lobby, open_tenant=open_tenant, only_tenant=allowed
    )
