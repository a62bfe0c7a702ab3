"""`mk serve`: the HTTP service of one release, on one database or on one for each tenant."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memorykernel.cli.options import takes_records
from memorykernel.cli.output import narrate
from memorykernel.cli.target import (
    Database,
    ReleaseFolder,
    ServiceContract,
    choose_new_database,
    is_missing,
    name_database,
)
from memorykernel.core.release import Release
from memorykernel.core.vocabulary import ConflictPolicy
from memorykernel.errors import InvalidRequest, MemoryKernelError
from memorykernel.wiring import (
    ConsoleGuard,
    ConsoleOptions,
    Durability,
    Kernel,
    ServeOptions,
    TenantFolder,
    add_console,
    build_console,
    build_server,
    check_access,
    choose_release,
    is_dsn,
    load_release_openapi,
    open_kernel,
    parse_location,
)

if TYPE_CHECKING:
    import socket

    from memorykernel.web.server import Service, Shutdown

DEFAULT_BIND = "127.0.0.1:4010"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Who is answered."""

    access: Annotated[
        Path | None, typer.Option(help="Ask for tokens of this file; see 'mk tokens'.", show_default=False)
    ] = None
    tenants: Annotated[
        str | None,
        typer.Option(
            help="A folder, or postgresql://..., with a database for each tenant, instead of --db.",
            show_default=False,
        ),
    ] = None
    allow_open: Annotated[
        bool, typer.Option("--allow-open", help="Listen beyond loopback without asking for tokens.")
    ] = False
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host name to answer to; may be repeated.", show_default=False)
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken on, and for how long."""

    timeout_ms: Annotated[int, typer.Option(min=10, max=3_600_000, help="Limit of a request.")] = 10_000
    max_queue: Annotated[
        int, typer.Option(min=1, max=100_000, help="Requests that may wait for a database.")
    ] = 512
    max_connections: Annotated[
        int, typer.Option(min=1, max=100_000, help="Connections that a process serves.")
    ] = 1000
    drain_delay_ms: Annotated[
        int, typer.Option(min=0, max=600_000, help="After a signal, serve on so long while ready says no.")
    ] = 0
    grace_ms: Annotated[
        int, typer.Option(min=0, max=600_000, help="How long requests in flight may take to finish.")
    ] = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How requests are treated."""

    strict: Annotated[bool, typer.Option("--strict", help="Refuse unknown keys in requests.")] = False
    durability: Annotated[
        Durability, typer.Option(help="Give an answer when it is on disk, or when the process may die.")
    ] = Durability.FULL
    conflicts: Annotated[
        ConflictPolicy,
        typer.Option(help="What becomes of a write through service.v4 that makes questions undecidable."),
    ] = ConflictPolicy.WARN
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="A line on stderr for every request.")
    ] = False


@takes_records
def serve(
    ctx: typer.Context,
    *,
    db: Database = None,
    replica: Annotated[
        str | None,
        typer.Option(help="A read replica, when --db is postgresql://...", show_default=False),
    ] = None,
    bind: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = DEFAULT_BIND,
    service_contract: ServiceContract = None,
    release: ReleaseFolder = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that serve.")] = 1,
    guard: Guard,
    limits: Limits,
    care: Care,
    console: Annotated[
        bool, typer.Option("--console", help="Show the pages of 'mk console' too, at /console.")
    ] = False,
) -> None:
    """Serve until SIGINT or SIGTERM; creates a missing database file, never migrates an old one."""
    # Imported here: other commands start without the HTTP stack.
    from memorykernel.web.server import Shutdown, open_socket

    chosen = choose_release(release, service_contract)
    tenants = choose_tenants(guard)
    path = _choose_database(ctx, db, guard.tenants)
    if replica is not None and not is_dsn(path):
        raise InvalidRequest("a replica goes with --db postgresql://... only; leave --replica out")
    listener = open_socket(bind)
    require_guarded(listener.getsockname()[0], guarded=tenants is not None, allow_open=guard.allow_open)
    openapi = load_release_openapi(release, chosen)
    if guard.tenants is None:
        _prepare(path, chosen)
    shutdown = Shutdown(delay_ms=limits.drain_delay_ms, grace_ms=limits.grace_ms)
    with keep_sessions(tenants if console else None) as console_guard:

        def build(options: ServeOptions) -> Service:
            kernel = open_kernel(path, chosen, replica=replica, durability=options.durability)
            service = build_server(kernel, openapi=openapi, options=options, tenants=tenants)
            if not console:
                return service
            shown = ConsoleOptions(
                name=name_database(path), timeout_ms=options.timeout_ms, hosts=options.hosts
            )
            return add_console(service, build_console(path, shown, guard=console_guard))

        _run(build, _list_options(guard, limits, care), listener, shutdown, workers)


def _list_options(guard: Guard, limits: Limits, care: Care) -> ServeOptions:
    return ServeOptions(
        strict=care.strict,
        timeout_ms=limits.timeout_ms,
        max_queue=limits.max_queue,
        max_connections=limits.max_connections,
        hosts=tuple(guard.allow_host or ()),
        log_requests=care.log_requests,
        durability=care.durability,
        conflicts=care.conflicts,
    )


def _run(
    build: Callable[[ServeOptions], Service],
    options: ServeOptions,
    listener: socket.socket,
    shutdown: Shutdown,
    workers: int,
) -> None:
    from memorykernel.web.server import run_server

    if workers == 1:
        run_server(build(options), listener, shutdown=shutdown)
        return
    with tempfile.TemporaryDirectory(prefix="memorykernel-metrics-") as folder:
        _supervise(build, options, listener, shutdown, workers, Path(folder))


def _supervise(
    build: Callable[[ServeOptions], Service],
    options: ServeOptions,
    listener: socket.socket,
    shutdown: Shutdown,
    workers: int,
    folder: Path,
) -> None:
    from memorykernel.web.journal import LOG
    from memorykernel.web.metrics import WorkerSlot, forget_worker
    from memorykernel.web.server import print_ready, run_server
    from memorykernel.web.supervisor import Supervisor, WorkerSeat

    def run_worker(seat: WorkerSeat) -> None:
        slotted = replace(options, slot=WorkerSlot(number=seat.number, folder=folder))
        ending = replace(shutdown, parent=seat.parent)
        run_server(build(slotted), listener, shutdown=ending, announce=seat.announce)

    def on_death(number: int, how: str) -> None:
        forget_worker(WorkerSlot(number=number, folder=folder))
        LOG.warning("a worker ended and is started again", worker=number, how=how)

    Supervisor(
        count=workers,
        run_worker=run_worker,
        announce=lambda: print_ready(listener),
        on_death=on_death,
        grace_s=(shutdown.delay_ms + shutdown.grace_ms) / 1000,
    ).run()


def choose_tenants(guard: Guard) -> TenantFolder | None:
    """Whose tokens are asked for; None when nobody is asked.

    Raises:
        InvalidRequest: There are tenants and no tokens, or no such folder.
        AccessInvalid: The access file cannot be used.
    """
    access, tenants = guard.access, guard.tenants
    if access is None:
        if tenants is not None:
            raise InvalidRequest("--tenants needs tokens to tell tenants apart; add --access FILE")
        return None
    place = None if tenants is None else parse_location(tenants)
    if isinstance(place, Path) and not place.is_dir():
        raise InvalidRequest(f"there is no folder '{place}'; create it")
    check_access(access)
    return TenantFolder(access=access, place=place)


@contextmanager
def keep_sessions(tenants: TenantFolder | None) -> Iterator[ConsoleGuard | None]:
    """A guard for a console where tokens are asked for; its sessions end with the server."""
    if tenants is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="memorykernel-sessions-") as folder:
        yield ConsoleGuard(tenants=tenants, sessions=Path(folder))


def _choose_database(ctx: typer.Context, db: str | None, tenants: str | None) -> Path | str:
    if tenants is None:
        return choose_new_database(ctx, db)
    if db is not None:
        raise InvalidRequest("--db and --tenants exclude each other; name one")
    place = parse_location(tenants)
    return place / "unused.db" if isinstance(place, Path) else place


def require_guarded(host: str, *, guarded: bool, allow_open: bool) -> None:
    """Pass when listening on an address is a decision, not an accident; warns of what was decided.

    Args:
        host: A numeric address.
        guarded: Tokens are asked for.
        allow_open: Somebody said that they need not be.

    Raises:
        InvalidRequest: Other machines would reach a server that asks nobody who they are.
    """
    from memorykernel.web.server import describe_exposure

    exposure = describe_exposure(host)
    if exposure is None:
        return
    if guarded:
        narrate(f"warning: {host} is reachable from other machines; tokens travel in clear, put TLS in front")
    elif allow_open:
        narrate(f"warning: {exposure}")
    else:
        raise InvalidRequest(f"{exposure}; or ask for tokens with --access FILE, or say --allow-open")


def _prepare(location: Path | str, release: Release) -> None:
    """Make a missing database, and let go of it: worker processes open their own."""
    kernel = open_kernel(location, release)
    try:
        if is_missing(location):
            narrate(f"{location} does not exist: creating it at schema {release.schema_version}")
            kernel.schema_care.migrate(dry_run=False)
        elif _is_empty(kernel):  # a server's database, or a file whose creation was broken off
            narrate(f"the database is empty: creating schema {release.schema_version}")
            kernel.schema_care.migrate(dry_run=False)
        _narrate_unready(kernel)
    finally:
        kernel.file.close()


def _is_empty(kernel: Kernel) -> bool:
    """Say whether a database has nothing yet; one that does not answer may have."""
    try:
        return kernel.schema_care.load_status().current_version == 0
    except MemoryKernelError:
        return False


def _narrate_unready(kernel: Kernel) -> None:
    """Say at once what every request would be answered; liveness and migration still work."""
    try:
        kernel.schema_care.require_usable()
    except MemoryKernelError as error:
        narrate(f"warning: {error.message}")
