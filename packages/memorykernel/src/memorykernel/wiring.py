"""The composition root: the only place that picks adapters."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from memorykernel.adapters.release_folder import load_release_folder
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.adapters.system import RandomIds, SystemClock
from memorykernel.core.release import Release, default_release
from memorykernel.errors import ReleaseInvalid
from memorykernel.ports import Clock, Ids
from memorykernel.service.asking import Asking
from memorykernel.service.remembering import Remembering
from memorykernel.service.schema_care import SchemaCare

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from memorykernel.adapters.sqlite_integrity import IntegrityReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The use cases of one release on one database file; used by one thread at a time."""

    release: Release
    file: SqliteFile
    asking: Asking
    remembering: Remembering
    schema_care: SchemaCare

    def check_integrity(self) -> IntegrityReport:
        """Check the whole file; see `adapters.sqlite_integrity`."""
        from memorykernel.adapters.sqlite_integrity import check_integrity

        return check_integrity(self.file)


def open_kernel(
    path: Path, release: Release, *, clock: Clock | None = None, ids: Ids | None = None
) -> Kernel:
    """Put a kernel together; the file is opened when it is first used.

    Args:
        path: The database file.
        release: The rules and the schema.
        clock: The real clock if None.
        ids: Random ids if None.
    """
    clock = clock or SystemClock()
    file = SqliteFile(path)
    memory = SqliteMemory(file)
    schema_care = SchemaCare(schema=SqliteSchema(file, release.schema_version), clock=clock)
    return Kernel(
        release=release,
        file=file,
        asking=Asking(
            memory=memory,
            answers=SqliteAnswers(file),
            schema_care=schema_care,
            clock=clock,
            release=release,
        ),
        remembering=Remembering(memory=memory, schema_care=schema_care, clock=clock, ids=ids or RandomIds()),
        schema_care=schema_care,
    )


def read_version() -> str:
    """The version of this program."""
    return version("memorykernel-service")


def choose_release(folder: Path | None, service_contract: str | None = None) -> Release:
    """The release to run: that of the folder, else the newest rules under the contract.

    Raises:
        ReleaseInvalid: The folder is incomplete, the contract is unknown, or they contradict.
    """
    if folder is None:
        return default_release(service_contract) if service_contract else default_release()
    release = load_release_folder(folder).release
    if service_contract not in (None, release.service_contract):
        raise ReleaseInvalid(
            f"the release speaks {release.service_contract}, expected {service_contract};"
            " leave --service-contract out or choose another release"
        )
    return release


def load_release_openapi(folder: Path | None, release: Release) -> bytes:
    """The OpenAPI document to serve: the folder's, byte for byte, else that of the contract."""
    if folder is not None:
        return load_release_folder(folder).openapi
    from contracts.documents import load_openapi

    return load_openapi(release.service_contract)


def build_service(kernel: Kernel, *, openapi: bytes, strict: bool) -> ASGIApp:
    """The HTTP application of a kernel, with its one worker thread."""
    # Imported here: a command that only asks starts without the HTTP stack.
    from concurrent.futures import ThreadPoolExecutor

    from memorykernel.web.app import build_app
    from memorykernel.web.envelope import Envelopes
    from memorykernel.web.routes import Endpoints

    return build_app(
        Endpoints(
            asking=kernel.asking,
            remembering=kernel.remembering,
            schema_care=kernel.schema_care,
            envelopes=Envelopes(service_contract=kernel.release.service_contract),
            openapi=openapi,
            strict=strict,
            worker=ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory"),
        )
    )
