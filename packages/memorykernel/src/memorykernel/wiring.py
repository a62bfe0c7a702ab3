"""The composition root: the only place that picks adapters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.core.service import SERVICE_V4

from memorykernel.adapters.release_folder import load_release_folder
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.adapters.system import RandomIds, SystemClock
from memorykernel.core.access import DEFAULT_TENANT, AccessList, TokenEntry, TokenScope, require_tenant
from memorykernel.core.instant import format_instant
from memorykernel.core.negotiation import list_spoken
from memorykernel.core.release import Release, default_release
from memorykernel.core.vocabulary import ConflictPolicy
from memorykernel.errors import AccessInvalid, DatabaseMissing, DriverMissing, InvalidRequest, ReleaseInvalid
from memorykernel.ports import Answers, Clock, Ids, Memory, Schema, WriteQueue
from memorykernel.service.asking import Asking
from memorykernel.service.known_state import Remembered
from memorykernel.service.proving import Proving
from memorykernel.service.remembering import Remembering
from memorykernel.service.replaying import Replaying
from memorykernel.service.schema_care import SchemaCare

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from memorykernel.adapters.postgres_database import PostgresDatabase
    from memorykernel.adapters.sqlite_backup import BackupReport, RestoreReport
    from memorykernel.adapters.sqlite_group import SqliteGroup
    from memorykernel.adapters.sqlite_integrity import IntegrityReport
    from memorykernel.adapters.sqlite_verify import VerifyReport
    from memorykernel.core.bundle_signature import PrivateKey
    from memorykernel.service.moving import ImportReport, Moving, TakeoverReport
    from memorykernel.service.policies import PolicyReport
    from memorykernel.service.suite import Suite
    from memorykernel.web.app import Access, Tables
    from memorykernel.web.console.site import Example
    from memorykernel.web.metrics import WorkerSlot
    from memorykernel.web.routes import Endpoints
    from memorykernel.web.server import Service
    from memorykernel.web.worker import Worker

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
    group: SqliteGroup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The use cases of one release on one database; used by one thread at a time."""

    release: Release
    file: SqliteFile | PostgresDatabase
    asking: Asking
    remembering: Remembering
    schema_care: SchemaCare
    writes: WriteQueue | None = None

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
        durability: When an answer of a file is kept; a thread of its own commits answers and writes together.
            None commits each by itself.

    Raises:
        DriverMissing: It is a DSN, and the PostgreSQL driver is not installed.
    """
    clock = clock or SystemClock()
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
        ),
        remembering=Remembering(
            memory=store.memory, schema_care=schema_care, clock=clock, ids=ids or RandomIds()
        ),
        schema_care=schema_care,
        writes=store.group,
    )


def open_replaying(kernel: Kernel) -> Replaying:
    """The use case of computing a kernel's answers again."""
    return Replaying(remembered=_remember(kernel), schema_care=kernel.schema_care)


def open_proving(kernel: Kernel) -> Proving:
    """The use case of proving a kernel's answers.

    Raises:
        InvalidRequest: The kernel is not on a file.
    """
    if not isinstance(kernel.file, SqliteFile):
        raise InvalidRequest("proofs are written from a file; import an export of this database into one")
    # Imported here: few commands need it.
    from memorykernel.adapters.sqlite_provenance import SqliteProvenance

    return Proving(
        remembered=_remember(kernel),
        provenance=SqliteProvenance(kernel.file),
        schema_care=kernel.schema_care,
    )


def verify_file(
    path: Path, *, answers: bool, jobs: int, progress: Callable[[int, int], None]
) -> VerifyReport:
    """Verify a whole file; see `adapters.sqlite_verify`.

    Raises:
        DatabaseMissing: There is no such file.
    """
    from memorykernel.adapters.sqlite_verify import verify

    if not path.is_file():
        raise DatabaseMissing(f"there is no database at '{path}'; correct the path")
    return verify(path, answers=answers, jobs=jobs, progress=progress)


def _remember(kernel: Kernel) -> Remembered:
    return Remembered(memory=kernel.asking.memory, answers=kernel.asking.answers)


def is_dsn(location: Path | str) -> bool:
    """Say whether a database is named by a PostgreSQL DSN, not by a file."""
    return isinstance(location, str) and location.startswith(POSTGRES_SCHEMES)


def _open_sqlite(path: Path, schema_version: int, durability: Durability | None) -> Store:
    group = None
    if durability is not None:
        # Imported here: commands commit at once.
        from memorykernel.adapters.sqlite_group import SqliteGroup

        group = SqliteGroup(path, durable=durability is Durability.FULL)
    file = group or SqliteFile(path)
    return Store(
        group=group,
        file=file,
        memory=SqliteMemory(file),
        answers=SqliteAnswers(file),
        schema=SqliteSchema(file, schema_version),
    )


def _open_postgres(
    dsn: str, replica: str | None, schema_version: int, durability: Durability | None
) -> Store:
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
        answers=PostgresAnswers(database, durable=durability is Durability.FULL),
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
        folder: Each tenant's database is a file in it; None for one database, of the tenant `default`.
    """

    access: Path
    folder: Path | None


def check_access(path: Path) -> None:
    """Pass when an access file can be used.

    Raises:
        AccessInvalid: It is missing, readable by others, or malformed.
    """
    from memorykernel.adapters.access_file import load_access

    load_access(path)


def add_token(path: Path, *, tenant: str, scopes: tuple[TokenScope, ...]) -> tuple[TokenEntry, str]:
    """Add a token to an access file; a missing one is made.

    Returns:
        Its entry, and the token, which nobody can show again.

    Raises:
        AccessInvalid: The tenant's name is none, or the file cannot be used.
    """
    from memorykernel.adapters.access_file import change_access, mint_token

    token_id, token, digest = mint_token()
    entry = TokenEntry(
        id=token_id,
        tenant=require_tenant(tenant),
        scopes=scopes,
        sha256=digest,
        created_at=format_instant(SystemClock().now_us()),
    )
    change_access(path, lambda present: AccessList((*present.tokens, entry)))
    return entry, token


def list_tokens(path: Path) -> tuple[TokenEntry, ...]:
    """The tokens of an access file, oldest first.

    Raises:
        AccessInvalid: The file cannot be used.
    """
    from memorykernel.adapters.access_file import load_access

    return load_access(path).tokens


def revoke_token(path: Path, token_id: str) -> TokenEntry:
    """Take a token out of an access file.

    Raises:
        AccessInvalid: It is not in there, or the file cannot be used.
    """
    from memorykernel.adapters.access_file import change_access, load_access

    gone = next((each for each in load_access(path).tokens if each.id == token_id), None)
    if gone is None:
        raise AccessInvalid(f"no token has the id '{token_id[:64]}'; 'mk tokens list' shows those there are")
    change_access(path, lambda present: AccessList(each for each in present.tokens if each.id != token_id))
    return gone


def build_service(kernel: Kernel, *, openapi: bytes, strict: bool) -> ASGIApp:
    """The HTTP application of a kernel, with its one worker thread and nothing around it."""
    # Imported here: a command that only asks starts without the HTTP stack.
    from memorykernel.web.app import Edge, EdgeOptions
    from memorykernel.web.worker import Worker

    tables = _build_tables(
        kernel, Worker(kernel.file), openapi=openapi, strict=strict, conflicts=ConflictPolicy.WARN
    )
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
    from memorykernel.web.connection import ConnectionLimits
    from memorykernel.web.lifecycle import Lifecycle
    from memorykernel.web.metrics import Metrics
    from memorykernel.web.server import Service
    from memorykernel.web.tenancy import Workers

    release, lifecycle = kernel.release, Lifecycle()
    metrics = Metrics(version=read_version(), service_contract=release.service_contract, slot=options.slot)
    workers = Workers(max_queue=options.max_queue)

    def open_tables(opened: Kernel) -> Tables:
        worker = workers.start(opened.file)
        return _build_tables(
            opened, worker, openapi=openapi, strict=options.strict, conflicts=options.conflicts
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
        connections=ConnectionLimits(
            arrival_s=options.timeout_ms / 1000,
            max_connections=options.max_connections,
            refuse=edge.refuse_connection,
            count_refusal=metrics.count_refusal,
        ),
        sample=sample,
        close=workers.close,
    )


def _build_tables(
    kernel: Kernel, worker: Worker, *, openapi: bytes, strict: bool, conflicts: ConflictPolicy
) -> Tables:
    """The endpoints of each contract that the kernel's release speaks, all on the same database."""
    from contracts.documents import load_openapi

    from memorykernel.web.envelope import Envelopes
    from memorykernel.web.routes import Endpoints
    from memorykernel.web.routes_v4 import EndpointsV4

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
    return {**published, SERVICE_V4: EndpointsV4(base=base, suite=build_suite(kernel, conflicts))}


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


def build_console(kernel: Kernel, options: ConsoleOptions) -> Service:
    """The pages of a kernel, with a worker thread of their own; they answer by the rules of service.v4.

    Args:
        kernel: Used by nobody else.
        options: How it behaves.
    """
    from memorykernel.service.picturing import Picturing
    from memorykernel.web.access import HostCheck
    from memorykernel.web.console.app import build_pages
    from memorykernel.web.console.site import Site
    from memorykernel.web.server import Service
    from memorykernel.web.tenancy import Workers

    remembered, care = _remember(kernel), kernel.schema_care
    workers = Workers(max_queue=64)
    site = Site(
        name=options.name,
        asking=replace(kernel.asking, release=default_release(SERVICE_V4)),
        suite=build_suite(kernel),
        remembered=remembered,
        picturing=Picturing(memory=remembered.memory, remembered=remembered, schema_care=care),
        clock=kernel.remembering.clock,
        worker=workers.start(kernel.file),
        hosts=HostCheck(options.hosts),
        timeout_ms=options.timeout_ms,
        examples=options.examples,
    )
    return Service(app=build_pages(site), close=workers.close)


def add_console(service: Service, console: Service) -> Service:
    """Let a service answer with the pages too, below /console."""
    from memorykernel.web.console.app import put_before

    def close() -> None:
        console.close()
        service.close()

    return replace(service, app=put_before(console.app, service.app), close=close)


def build_suite(kernel: Kernel, conflicts: ConflictPolicy = ConflictPolicy.WARN) -> Suite:
    """The use cases that service.v4 adds, over a kernel's store."""
    provenance = None
    if isinstance(kernel.file, SqliteFile):
        from memorykernel.adapters.sqlite_provenance import SqliteProvenance

        provenance = SqliteProvenance(kernel.file)
    from memorykernel.service.suite import Suite

    return Suite.build(kernel.asking, kernel.remembering, provenance=provenance, conflicts=conflicts)


def _build_access(
    kernel: Kernel,
    tenants: TenantFolder,
    openapi: bytes,
    open_tables: Callable[[Kernel], Tables],
    options: ServeOptions,
) -> Access:
    from contracts.documents import load_openapi

    from memorykernel.adapters.access_file import AccessFile
    from memorykernel.adapters.tenant_folder import locate_database, require_writable
    from memorykernel.web.app import Access
    from memorykernel.web.envelope import Envelopes
    from memorykernel.web.lobby import Lobby

    folder = tenants.folder

    def open_tenant(tenant: str) -> Tables:
        if folder is None:
            return open_tables(kernel)
        path = locate_database(folder, tenant)
        opened = open_kernel(path, kernel.release, durability=options.durability)
        if not path.exists():
            opened.schema_care.migrate(dry_run=False)
        return open_tables(opened)

    require_room = kernel.file.require_writable if folder is None else partial(require_writable, folder)
    lobby = {
        release.service_contract: Lobby(
            envelopes=Envelopes(service_contract=release.service_contract),
            openapi=openapi if release is kernel.release else load_openapi(release.service_contract),
            schema_version=release.schema_version,
            require_writable=require_room,
        )
        for release in list_spoken(kernel.release)
    }
    allowed = DEFAULT_TENANT if folder is None else None
    return Access(
        source=AccessFile(tenants.access), lobby=lobby, open_tenant=open_tenant, only_tenant=allowed
    )


def open_moving(location: Path | str, *, clock: Clock | None = None) -> Moving:
    """The use cases that move the data of a SQLite file, which need not exist.

    Raises:
        InvalidRequest: It is no file.
    """
    # Imported here: keys and encryption take longer to load than most commands to run.
    from memorykernel.adapters.bundle_source import SqliteSource
    from memorykernel.adapters.bundle_target import SqliteTarget
    from memorykernel.adapters.published_target import PublishedSqliteTarget
    from memorykernel.service.moving import Moving

    file = SqliteFile(_require_file(location))
    return Moving(
        source=SqliteSource(file),
        target=SqliteTarget(file),
        published=PublishedSqliteTarget(file),
        clock=clock or SystemClock(),
    )


def load_export_keys(sign_key: Path | None, recipients: list[str]) -> tuple[PrivateKey | None, list[Any]]:
    """The keys that an export is signed with and encrypted to.

    Raises:
        KeyUnusable: One is not what it should be.
    """
    from memorykernel.adapters.bundle_seal import load_sign_key, parse_recipient

    key = None if sign_key is None else load_sign_key(sign_key)
    return key, [parse_recipient(each) for each in recipients]


def write_export(
    moving: Moving,
    target: Path | None,
    *,
    exported_at: str | None,
    sign_key: PrivateKey | None,
    recipients: list[Any],
) -> int:
    """Export into a new file, or to standard output if None; its size in bytes, 0 for standard output.

    Raises:
        SchemaUnavailable: The store is older than schema 4.
        QueryFailed: The store could not be read, or is damaged.
        WriteConflict: There is such a file already.
        WriteFailed: It could not be written.
    """
    from memorykernel.adapters.bundle_archive import TarWriter
    from memorykernel.adapters.bundle_file import write_file, write_stream

    chunks = moving.export(TarWriter(), exported_at=exported_at, sign_key=sign_key)
    if target is not None:
        return write_file(chunks, target, recipients)
    write_stream(chunks, sys.stdout.buffer, recipients)
    return 0


def import_file(
    moving: Moving, path: Path, *, verify_key: Path | None, identity: Path | None
) -> ImportReport | TakeoverReport:
    """Take over a bundle, or what the published implementation wrote.

    Raises:
        InvalidRequest: Keys are named for a file that has no signature and no encryption.
        KeyUnusable: A key file is not what it should be.
        MemoryKernelError: As `Moving.take_over` and `Moving.take_over_published`.
    """
    from memorykernel.adapters.bundle_file import Kind, find_kind, open_bundle, open_published

    kind = find_kind(path)
    if kind is Kind.BUNDLE:
        return moving.take_over(open_bundle(path, verify_key=verify_key, identity=identity))
    if verify_key is not None or identity is not None:
        raise InvalidRequest(f"a {kind} is neither signed nor encrypted; leave the keys out if you trust it")
    return moving.take_over_published(open_published(path, kind))


def back_up_file(location: Path | str, target: Path, progress: Callable[[int, int], None]) -> BackupReport:
    """Copy a SQLite file while it is used; see `adapters.sqlite_backup`."""
    from memorykernel.adapters.sqlite_backup import back_up

    return back_up(SqliteFile(_require_file(location)), target, progress)


def restore_file(
    backup: Path, location: Path | str, *, replace: bool, progress: Callable[[int, int], None]
) -> RestoreReport:
    """Put a backup in the place of a SQLite file; see `adapters.sqlite_backup`."""
    from memorykernel.adapters.sqlite_backup import restore

    return restore(backup, _require_file(location), replace=replace, progress=progress)


def _require_file(location: Path | str) -> Path:
    if is_dsn(location):
        raise InvalidRequest("this works on SQLite files; use pg_dump for a PostgreSQL database")
    return Path(location)


def import_policies(
    kernel: Kernel, path: Path, *, name: str | None, apply: bool, prune: bool
) -> PolicyReport:
    """Bring a kernel's rules to what a policy file says; see `service.policies`.

    Args:
        kernel: The store, at schema 4.
        path: YAML, or CSV when its name ends with `.csv`.
        name: The set's, unless the file names it; the file's name without its ending if None.
        apply: Write it; else only say what that would do.
        prune: End the rules of the set that the file does not have any more.

    Raises:
        PolicyFileInvalid: The file says what cannot be imported.
        MemoryKernelError: As `Policies.bring`.
    """
    from memorykernel.adapters.policy_document import load_policies
    from memorykernel.core.policy_file import read_policies
    from memorykernel.service.policies import Policies

    policies = read_policies(load_policies(path), name or path.stem, f"file:{path.name}")
    remembering = kernel.remembering
    use_case = Policies(
        memory=remembering.memory,
        schema_care=kernel.schema_care,
        clock=remembering.clock,
        ids=remembering.ids,
    )
    return use_case.bring(policies, apply=apply, prune=prune)
