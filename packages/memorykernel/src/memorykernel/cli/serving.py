"""`mk serve`: the HTTP service of one release on one database file."""

from __future__ import annotations

from typing import Annotated

import typer

from memorykernel.cli.output import narrate
from memorykernel.cli.target import Database, ReleaseFolder, choose_new_database
from memorykernel.errors import MemoryKernelError
from memorykernel.wiring import Kernel, build_service, choose_release, load_release_openapi, open_kernel

DEFAULT_BIND = "127.0.0.1:4010"


def serve(
    ctx: typer.Context,
    db: Database = None,
    bind: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = DEFAULT_BIND,
    service_contract: Annotated[
        str | None, typer.Option(help="service.v2 or service.v3, without --release.", show_default=False)
    ] = None,
    release: ReleaseFolder = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse unknown keys in requests.")] = False,
) -> None:
    """Serve until SIGINT or SIGTERM; creates a missing database file, never migrates an old one."""
    # Imported here: other commands start without the HTTP stack.
    from memorykernel.web.server import describe_exposure, open_socket, run_server

    path = choose_new_database(ctx, db)
    chosen = choose_release(release, service_contract)
    kernel = open_kernel(path, chosen)
    listener = open_socket(bind)
    if not path.exists():
        narrate(f"{path} does not exist: creating it at schema {chosen.schema_version}")
        kernel.schema_care.migrate(dry_run=False)
    if exposure := describe_exposure(listener.getsockname()[0]):
        narrate(f"warning: {exposure}")
    _narrate_unready(kernel)
    run_server(build_service(kernel, openapi=load_release_openapi(release, chosen), strict=strict), listener)
    kernel.file.close()


def _narrate_unready(kernel: Kernel) -> None:
    """Say at once what every request would be answered; liveness and migration still work."""
    try:
        kernel.schema_care.require_usable()
    except MemoryKernelError as error:
        narrate(f"warning: {error.message}")
