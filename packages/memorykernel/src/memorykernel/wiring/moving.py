"""Moving data: exports, imports, backups, policies from files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.system import SystemClock
from memorykernel.errors import InvalidRequest, WriteFailed
from memorykernel.ports import Clock, DataSource, DataTarget, PublishedTarget
from memorykernel.wiring.kernel import Kernel, is_dsn, require_driver, require_file

if TYPE_CHECKING:
    from memorykernel.adapters.sqlite_backup import BackupReport, RestoreReport
    from memorykernel.core.bundle_signature import PrivateKey
    from memorykernel.service.moving import ImportReport, Moving, TakeoverReport
    from memorykernel.service.policies import PolicyReport


def open_moving(location: Path | str, *, clock: Clock | None = None) -> Moving:
    """The use cases that move a store's data.

    Args:
        location: A file, which need not exist, or the DSN of a PostgreSQL database, which may be empty.
        clock: The real clock if None.

    Raises:
        DriverMissing: It is a DSN, and the PostgreSQL driver is not installed.
    """
    # Imported here: keys and encryption take longer to load than most commands to run.
    from memorykernel.service.moving import Moving

    source, target, published = (
        _open_postgres(str(location)) if is_dsn(location) else _open_file(Path(location))
    )
    return Moving(source=source, target=target, published=published, clock=clock or SystemClock())


def _open_file(path: Path) -> tuple[DataSource, DataTarget, PublishedTarget]:
    from memorykernel.adapters.bundle_source import SqliteSource
    from memorykernel.adapters.bundle_target import SqliteTarget
    from memorykernel.adapters.published_target import PublishedSqliteTarget

    file = SqliteFile(path)
    return SqliteSource(file), SqliteTarget(file), PublishedSqliteTarget(file)


def _open_postgres(dsn: str) -> tuple[DataSource, DataTarget, PublishedTarget]:
    require_driver()
    from memorykernel.adapters.postgres_database import PostgresDatabase
    from memorykernel.adapters.postgres_moving import PostgresSource, PostgresTarget, PublishedPostgresTarget

    database = PostgresDatabase(dsn)
    return PostgresSource(database), PostgresTarget(database), PublishedPostgresTarget(database)


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
) -> int | None:
    """Export into a new file, or to standard output if None; its size in bytes, None for standard output.

    Raises:
        SchemaUnavailable: The store is older than schema 4.
        QueryFailed: The store could not be read, or is damaged.
        WriteConflict: There is such a file already.
        WriteFailed: It could not be written.
    """
    from memorykernel.adapters.bundle_archive import TarWriter
    from memorykernel.adapters.bundle_file import write_file, write_stream
    from memorykernel.adapters.storage_fault import explain

    chunks = moving.export(TarWriter(), exported_at=exported_at, sign_key=sign_key)
    if target is not None:
        return write_file(chunks, target, recipients)
    try:
        write_stream(chunks, sys.stdout.buffer, recipients)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise WriteFailed(f"the export broke off, throw away what is there of it: {explain(exc)}") from exc
    return None


def write_whole(data: bytes, target: Path) -> None:
    """Write a small file, whole or not at all, over one of its name if there is one.

    Raises:
        WriteFailed: It could not be written; what was there is there.
    """
    from memorykernel.adapters.bundle_file import replace_file

    replace_file(data, target)


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

    return back_up(SqliteFile(require_file(location)), target, progress)


def restore_file(
    backup: Path, location: Path | str, *, replace: bool, progress: Callable[[int, int], None]
) -> RestoreReport:
    """Put a backup in the place of a SQLite file; see `adapters.sqlite_backup`."""
    from memorykernel.adapters.sqlite_backup import restore

    return restore(backup, require_file(location), replace=replace, progress=progress)


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
