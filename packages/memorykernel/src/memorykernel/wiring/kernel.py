"""What every program starts from: a store, and the use cases on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.adapters.sqlite_semantic import open_semantic
from memorykernel.adapters.system import RandomIds, SystemClock
from memorykernel.core.release import Release
from memorykernel.errors import DriverMissing, InvalidRequest
from memorykernel.ports import Answers, Clock, Ids, Memory, Schema, WriteQueue
from memorykernel.service.asking import Asking
from memorykernel.service.remembering import Remembering
from memorykernel.service.schema_care import SchemaCare
from memorykernel.service.semantic_recall import OpenSemantic, SemanticRecall, refuse_semantic

if TYPE_CHECKING:
    from memorykernel.adapters.integrity import IntegrityReport
    from memorykernel.adapters.postgres_database import PostgresDatabase
    from memorykernel.adapters.postgres_group import PostgresGroup
    from memorykernel.adapters.sqlite_group import SqliteGroup

POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")
"""How the name of a PostgreSQL database begins; every other name is a file's."""


class Durability(StrEnum):
    """When an answer is given: when it is on disk, or when it survives the death of the process.

    What is written to memory is always on disk before it is acknowledged.
    """

    FULL = "full"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The ports of one database, and the database itself; `group` where commits are shared."""

    file: SqliteFile | PostgresDatabase
    memory: Memory
    answers: Answers
    schema: Schema
    group: SqliteGroup | PostgresGroup | None = None
    semantic: OpenSemantic = refuse_semantic


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The use cases of one release on one database; used by one thread at a time.

    `reopen` gives another one on the same database, with connections of its own, for another thread.
    """

    release: Release
    file: SqliteFile | PostgresDatabase
    asking: Asking
    remembering: Remembering
    schema_care: SchemaCare
    writes: WriteQueue | None = None
    reopen: Callable[[], Kernel]

    def open_semantic(self) -> SemanticRecall:
        """Recalls by meaning on this database, which is at its release's schema.

        Raises:
            ModeUnavailable: The database keeps no vectors, or the extra is not installed.
            SchemaUnavailable: The database waits for a migration.
        """
        self.schema_care.require_usable()
        return self.asking.semantic()

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
    durability: Durability | None = None,
) -> Kernel:
    """Put a kernel together; the database is opened when it is first used.

    Args:
        location: A file, or the DSN of a PostgreSQL database (`postgresql://...`).
        release: The rules and the schema.
        clock: The real clock if None.
        ids: Random ids if None.
        replica: The DSN of a read replica of a PostgreSQL database.
        durability: When an answer is kept; a thread of its own commits answers and writes together.
            None commits each by itself.

    Raises:
        DriverMissing: It is a DSN, and the PostgreSQL driver is not installed.
    """
    clock = clock or SystemClock()
    location = parse_location(location) if isinstance(location, str) else location
    if is_dsn(location):
        store = _open_postgres(str(location), replica, release.schema_version, durability)
    else:
        store = _open_sqlite(Path(location), release.schema_version, durability)
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
            keeper=store.group,
            semantic=store.semantic,
        ),
        remembering=Remembering(
            memory=store.memory, schema_care=schema_care, clock=clock, ids=ids or RandomIds()
        ),
        schema_care=schema_care,
        writes=store.group,
        reopen=partial(open_kernel, location, release, clock=clock, ids=ids, replica=replica),
    )


def parse_location(name: str) -> Path | str:
    """A database's name as somebody wrote it: a file's path, or a DSN.

    Raises:
        InvalidRequest: It looks like a DSN and is none.
    """
    if is_dsn(name):
        return name
    scheme, colon, rest = name.partition(":")
    if colon and scheme.lower() in ("postgresql", "postgres", "psql", "pg"):
        raise InvalidRequest(
            f"'{scheme}:{rest[:1]}...' names neither a file nor a server;"
            " write postgresql://USER@HOST:PORT/NAME, with two slashes"
        )
    return Path(name)


def is_dsn(location: Path | str) -> bool:
    """Say whether a database is named by a PostgreSQL DSN, not by a file."""
    return isinstance(location, str) and location.startswith(POSTGRES_SCHEMES)


def require_file(location: Path | str) -> Path:
    """The path of a SQLite file.

    Raises:
        InvalidRequest: The location is a PostgreSQL database.
    """
    if is_dsn(location):
        raise InvalidRequest(
            "this copies files; back a PostgreSQL database up with 'pg_dump -Fc -f FILE NAME', put it back"
            " with 'pg_restore -d NEW FILE', or move what it holds with 'mk export' and 'mk import'"
        )
    return Path(location)


def _open_sqlite(path: Path, schema_version: int, durability: Durability | None) -> Store:
    group = None
    if durability is not None:
        # Imported here: commands commit at once.
        from memorykernel.adapters.sqlite_group import SqliteGroup

        group = SqliteGroup(path, durable=durability is Durability.FULL)
    file = group or SqliteFile(path)
    memory = SqliteMemory(file)
    return Store(
        group=group,
        file=file,
        memory=memory,
        semantic=open_semantic(file, memory),
        answers=SqliteAnswers(file),
        schema=SqliteSchema(file, schema_version),
    )


def require_driver() -> None:
    """Pass when a PostgreSQL database can be opened: the driver is an extra.

    Raises:
        DriverMissing: It is not installed.
    """
    try:
        import psycopg  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as exc:
        raise DriverMissing(
            f"a PostgreSQL database needs the driver '{exc.name}', which is not installed;"
            " install memorykernel-service with its extra 'postgresql'"
        ) from exc


def _open_postgres(
    dsn: str, replica: str | None, schema_version: int, durability: Durability | None
) -> Store:
    require_driver()
    # Imported here: loading the driver takes longer than opening a file.
    from memorykernel.adapters.postgres_answers import PostgresAnswers
    from memorykernel.adapters.postgres_database import PostgresDatabase
    from memorykernel.adapters.postgres_memory import PostgresMemory
    from memorykernel.adapters.postgres_schema import PostgresSchema

    group = None
    if durability is not None:
        from memorykernel.adapters.postgres_group import PostgresGroup

        group = PostgresGroup(dsn, replica=replica, durable=durability is Durability.FULL)
    database = group or PostgresDatabase(dsn, replica=replica)
    return Store(
        group=group,
        file=database,
        memory=PostgresMemory(database),
        answers=PostgresAnswers(database),
        schema=PostgresSchema(database, schema_version),
    )
