"""The composition root: the only place that picks adapters, one module per part of the program."""

from memorykernel.wiring.console import ConsoleGuard, ConsoleOptions, add_console, build_console
from memorykernel.wiring.evidence import build_suite, open_proving, open_replaying, verify_store
from memorykernel.wiring.kernel import (
    POSTGRES_SCHEMES,
    Durability,
    Kernel,
    Store,
    is_dsn,
    open_kernel,
    parse_location,
)
from memorykernel.wiring.moving import (
    back_up_file,
    import_file,
    import_policies,
    load_export_keys,
    open_moving,
    restore_file,
    write_export,
    write_whole,
)
from memorykernel.wiring.release import choose_release, load_release_openapi, read_version
from memorykernel.wiring.serving import ServeOptions, TenantFolder, build_server, build_service
from memorykernel.wiring.tokens import add_token, check_access, list_tokens, revoke_token

__all__ = [
    "POSTGRES_SCHEMES",
    "ConsoleGuard",
    "ConsoleOptions",
    "Durability",
    "Kernel",
    "ServeOptions",
    "Store",
    "TenantFolder",
    "add_console",
    "add_token",
    "back_up_file",
    "build_console",
    "build_server",
    "build_service",
    "build_suite",
    "check_access",
    "choose_release",
    "import_file",
    "import_policies",
    "is_dsn",
    "list_tokens",
    "load_export_keys",
    "load_release_openapi",
    "open_kernel",
    "open_moving",
    "open_proving",
    "open_replaying",
    "parse_location",
    "read_version",
    "restore_file",
    "revoke_token",
    "verify_store",
    "write_export",
    "write_whole",
]
