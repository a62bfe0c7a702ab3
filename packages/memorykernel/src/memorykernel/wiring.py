"""The composition root: the only place that picks adapters."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from memorykernel.adapters.release_folder import load_release_folder
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.adapters.system import RandomIds, SystemClock
from memorykernel.core.release import Release, default_release
from memorykernel.errors import DriverMissing, ReleaseInvalid
from memorykernel.ports import Answers, Clock, Ids, Memory, Schema
from memorykernel.service.asking import Asking
from memorykernel.service.remembering import Remembering
from memorykernel.service.schema_care import SchemaCare

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from memorykernel.adapters.postgres_database import PostgresDatabase
    from memorykernel.adapters.sqlite_integrity import IntegrityReport

POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")
"""How the name of a PostgreSQL database begins; every other name is a file's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The ports of one database, and the database itself."""

    file: SqliteFile | PostgresDatabase
    memory: Memory
    answers: Answers
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The use cases of one release on one database; used by one thread at a time."""

    release: Release
    file: SqliteFile | PostgresDatabase
    asking: Asking
    remembering: Remembering
    schema_care: SchemaCare

    def check_integrity(self) -> IntegrityReport:
        """Check the whole database; see `adapters.sqlite_integrity`."""
        if not isinstance(self.file, SqliteFile):
            from memorykernel.adapters import postgres_integrity

            return postgres_integrity.check_integrity(self.file)
        from memorykernel.adapters.sqlite_integrity import check_integrity

        return check_integrity(self.file)


def open_kernel(
    location: Path | str,
    release: Release,
    *,
    clock: Clock | None = None,
    ids: Ids | None = None,
    replica: str | None = None,
) -> Kernel:
    """Put a kernel together; the database is opened when it is first used.

    Args:
        location: A file, or the DSN of a PostgreSQL database (`postgresql://...`).
        release: The rules and the schema.
        clock: The real clock if None.
        ids: Random ids if None.
        replica: The DSN of a read replica of a PostgreSQL database.

    Raises:
        DriverMissing: It is a DSN, and the PostgreSQL driver is not installed.
    """
    clock = clock or SystemClock()
    if is_dsn(location):
        store = _open_postgres(str(location), replica, release.schema_version)
    else:
        store = _open_sqlite(Path(location), release.schema_version)
    schema_care = SchemaCare(schema=store.schema, clock=clock)
    return Kernel(
        release=release,
        file=store.file,
        asking=Asking(
            memory=store.memory,
            answers=store.answers,
            schema_care=schema_care,
            clock=clock,
            release=release,
        ),
        remembering=Remembering(
            memory=store.memory, schema_care=schema_care, clock=clock, ids=ids or RandomIds()
        ),
        schema_care=schema_care,
    )


def is_dsn(location: Path | str) -> bool:
    """Say whether a database is named by a PostgreSQL DSN, not by a file."""
    return isinstance(location, str) and location.startswith(POSTGRES_SCHEMES)


def _open_sqlite(path: Path, schema_version: int) -> Store:
    file = SqliteFile(path)
    return Store(
        file=file,
        memory=SqliteMemory(file),
        answers=SqliteAnswers(file),
        schema=SqliteSchema(file, schema_version),
    )


def _open_postgres(dsn: str, replica: str | None, schema_version: int) -> Store:
    # Imported here: the driver is an extra, and loading it takes longer than opening a file.
    try:
        from memorykernel.adapters.postgres_answers import PostgresAnswers
        from memorykernel.adapters.postgres_database import PostgresDatabase
        from memorykernel.adapters.postgres_memory import PostgresMemory
        from memorykernel.adapters.postgres_schema import PostgresSchema
    except ModuleNotFoundError as exc:
        raise DriverMissing(
            f"a PostgreSQL database needs the driver '{exc.name}', which is not installed;"
            " run: pip install 'memorykernel-service[postgresql]'"
        ) from exc
    database = PostgresDatabase(dsn, replica=replica)
    return Store(
        file=database,
        memory=PostgresMemory(database),
        answers=PostgresAnswers(database),
        schema=PostgresSchema(database, schema_version),
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
