"""The folder that holds each tenant's database as a file of its own."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from memorykernel.adapters.storage_fault import explain
from memorykernel.core.access import require_tenant
from memorykernel.errors import AccessInvalid, SchemaUnavailable

_PROBE_BYTES: Final = 4096


def locate_database(folder: Path, tenant: str) -> Path:
    """The file of a tenant, directly in the folder.

    Raises:
        AccessInvalid: The name is none, or somebody put a link or a folder where the file belongs.
    """
    path = folder / f"{require_tenant(tenant)}.db"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise AccessInvalid(f"'{path.name}' is no regular file in the folder of tenants; remove it")
    return path


def require_writable(folder: Path) -> None:
    """Write and remove a small file: only that tells a full disk from one with room.

    Raises:
        SchemaUnavailable: It could not be written.
    """
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as exc:
        raise SchemaUnavailable(f"the folder of tenants cannot be written: {explain(exc)}") from exc
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
