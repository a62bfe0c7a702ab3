"""Importing a bundle into a SQLite file; see `ports.DataTarget`.

A missing file is made beside its place and linked there when it is whole, so it is never seen half full; a
file that exists is written in one transaction. A process that dies leaves either nothing, or a file named
`.NAME.importing` that the next import replaces.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from memorykernel.adapters.bundle_load import load_exactly
from memorykernel.adapters.bundle_merge import merge
from memorykernel.adapters.bundle_source import read_state, require_schema
from memorykernel.adapters.bundle_store import SqliteBundleStore
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, SqliteSchema, read_version
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.bundle import Manifest
from memorykernel.core.release import SCHEMA_VERSIONS
from memorykernel.core.schema_status import require_usable
from memorykernel.errors import WriteConflict, WriteFailed
from memorykernel.ports import Bundle, Imported

_UNSEEN: Final = (
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "cache_size = -65536",
)
"""How a file is written that nobody else can see; it is thrown away on any failure."""

Job = Callable[[sqlite3.Connection], Imported]


class SqliteTarget:
    """One file to import into.

    Args:
        file: It need not exist.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def load(self, bundle: Bundle, manifest: Manifest, *, now_us: int) -> Imported:
        """See `ports.DataTarget`."""

        def fill(connection: sqlite3.Connection) -> Imported:
            if read_state(connection.execute).is_empty:
                added = load_exactly(connection, bundle, manifest)
                return Imported(exact=True, added=added, identical=0, left_out=0)
            return merge(SqliteBundleStore(connection, now_us), bundle, manifest)

        return fill_file(self._file, fill, now_us=now_us)


def fill_file(file: SqliteFile, job: Job, *, now_us: int) -> Imported:
    """Run a job in one transaction on a file, which is made whole or not at all when it is missing.

    Raises:
        SchemaUnavailable: The file exists and is too old, or another program's.
        WriteConflict: Somebody else made the file meanwhile.
        WriteFailed: The store could not.
    """
    try:
        if not file.path.exists():
            return _fill_new(file.path, job, now_us)
        require_usable(SqliteSchema(file, SCOPE_SCHEMA).load_status())
        file.let_spill()
        with file.writing(durable=True) as connection:
            require_schema(read_version(connection))
            return job(connection)
    except (sqlite3.Error, OSError) as exc:
        raise WriteFailed(f"nothing was imported: {explain(exc)}") from exc


def _fill_new(path: Path, job: Job, now_us: int) -> Imported:
    with claim_draft(path, "importing") as draft:
        file = SqliteFile(draft)
        SqliteSchema(file, SCHEMA_VERSIONS[-1]).migrate(now_us)
        file.close()
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            for pragma in _UNSEEN:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN IMMEDIATE")
            imported = job(connection)
            connection.commit()
            connection.execute("PRAGMA locking_mode = NORMAL")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        publish(draft, path)
    return imported


@contextmanager
def claim_draft(path: Path, purpose: str) -> Iterator[Path]:
    """The name of a file to make beside `path`, ours until the end; nothing is left under it then.

    Raises:
        WriteConflict: Another process is making one, or something is left of a database that was here.
    """
    if not path.exists():
        _refuse_remains(path)
    draft = path.with_name(f".{path.name}.{purpose}")
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # The lock is on the folder: one on a file would have to be left behind.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(draft)
        yield draft
    except BlockingIOError as exc:
        raise WriteConflict(f"another process makes a database in '{path.parent}'; wait for it") from exc
    finally:
        _remove(draft)
        os.close(folder)


def publish(draft: Path, path: Path) -> None:
    """Put a whole file in its place, durably; never over another one.

    Raises:
        WriteConflict: There is one now, or something is left of one.
    """
    _refuse_remains(path)
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(draft, path)
    except FileExistsError as exc:
        raise WriteConflict(f"'{path}' was made by somebody else meanwhile; nothing was changed") from exc
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_remains(path: Path) -> None:
    """SQLite would take a log for that of the file which gets the name, and write its pages into it."""
    for suffix in ("-wal", "-journal"):
        log = path.with_name(f"{path.name}{suffix}")
        if log.exists() and log.stat().st_size:
            raise WriteConflict(
                f"'{log}' is left of a database that is not there any more, and may hold its last writes;"
                " put that database back, or move the log away"
            )


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            draft.with_name(draft.name + suffix).unlink()
