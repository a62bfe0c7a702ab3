"""Copying a SQLite store while it is written, and putting a copy back.

A backup is one consistent state: the source is held at the state in which the copying began, so that a writer
neither waits nor makes it begin again. A restore looks at everything in the copy before it touches what is
there, keeps that beside it, and swaps both in one rename; it refuses while any other process has the database
open.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from memorykernel.adapters.bundle_target import claim_draft, publish, sync_folder
from memorykernel.adapters.integrity import IntegrityReport
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.adapters.sqlite_schema import APPLICATION_ID
from memorykernel.adapters.storage_fault import explain, is_no_damage
from memorykernel.errors import DatabaseMissing, SchemaUnavailable, WriteConflict, WriteFailed

Progress = Callable[[int, int], None]
"""Called with the pages that are left and all pages."""

_PAGES_AT_ONCE: Final = 4096
_CHECK_WAIT_S: Final = 0.5
"""How long a restore waits for another process that has the database open."""

_HEAD: Final = "SELECT lower(hex(head)) FROM {table} ORDER BY entry_seq DESC LIMIT 1"
_SIDE_FILES: Final = ("-wal", "-shm")


class BackupReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied: the file, its size, and the heads of its chains."""

    file: str
    size_bytes: int
    memory_head: str
    answer_head: str | None


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back, what was checked before, and where the file is that was there."""

    file: str
    kept: str | None
    checked: IntegrityReport


def back_up(file: SqliteFile, target: Path, progress: Progress) -> BackupReport:
    """Copy the newest state into a new file, which appears when it is whole.

    Raises:
        DatabaseMissing: There is no such file.
        SchemaUnavailable: It is no database of this program.
        WriteConflict: The target exists.
        WriteFailed: It could not be written.
    """
    if target.exists():
        raise WriteConflict(f"'{target}' exists; name a new file")
    try:
        with claim_draft(target, "backing-up") as draft:
            with file.reading() as source:
                _require_ours(source)
                heads = _read_heads(source)
                _copy(source, draft, progress)
            with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
                if _read_heads(copy) != heads:
                    raise WriteFailed("the copy is not what was copied; repeat it, and check the disk")
            publish(draft, target)
    except (sqlite3.Error, OSError) as exc:
        raise WriteFailed(f"the backup was not written: {explain(exc)}") from exc
    finally:
        file.close()
    memory_head, answer_head = heads
    return BackupReport(
        file=str(target),
        size_bytes=target.stat().st_size,
        memory_head=memory_head,
        answer_head=answer_head,
    )


def restore(backup: Path, path: Path, *, replace: bool, progress: Progress) -> RestoreReport:
    """Put a backup in the place of a database, after all of it was checked.

    Args:
        backup: It stays as it is.
        path: Where to; what is there is renamed to `NAME.before-restore-N`.
        replace: Whether something may be there.
        progress: As for `back_up`.

    Raises:
        DatabaseMissing: There is no such backup.
        SchemaUnavailable: The backup is damaged or another program's; nothing was changed.
        WriteConflict: Something is there and `replace` is not set, or somebody has it open.
        WriteFailed: It could not be written; nothing was changed.
    """
    if not backup.is_file():
        raise DatabaseMissing(f"there is no backup at '{backup}'; correct the path")
    if path.exists() and path.samefile(backup):
        raise WriteConflict(f"'{backup}' is that database itself; name a backup of it")
    if path.exists() and not replace:
        raise WriteConflict(f"'{path}' exists; add --replace to put the backup in its place and keep it too")
    try:
        with claim_draft(path, "restoring") as draft:
            report = _check_copy(backup, draft, progress)
            if not path.exists():
                publish(draft, path)
                return RestoreReport(file=str(path), kept=None, checked=report)
            with _alone(path):
                kept = _swap(draft, path)
            _use_wal(kept)
            return RestoreReport(file=str(path), kept=str(kept), checked=report)
    except (sqlite3.Error, OSError) as exc:
        raise WriteFailed(f"nothing was restored: {explain(exc)}") from exc


def _check_copy(backup: Path, draft: Path, progress: Progress) -> IntegrityReport:
    """Copy first, then check the copy: what is checked is what will be used."""
    try:
        with closing(_open_backup(backup)) as source:
            source.execute("BEGIN")
            _require_ours(source)
            _copy(source, draft, progress)
        copy = SqliteFile(draft)
        try:
            report = check_integrity(copy)
        finally:
            copy.close()
    except sqlite3.DatabaseError as exc:
        if is_no_damage(exc):
            raise  # the copy could not be written, which says nothing about the backup
        raise SchemaUnavailable(
            f"the backup is damaged: {exc}; nothing was changed, take another one"
        ) from exc
    if not report.ok:
        first = report.damage[0]
        raise SchemaUnavailable(
            f"the backup is damaged: {first.table} row {first.row}: {first.finding};"
            " nothing was changed, take another one"
        )
    _use_wal(draft)
    return report


def _open_backup(backup: Path) -> sqlite3.Connection:
    """Open a backup for reading; nothing appears beside it.

    A file with a log beside it is in use, or was when its writer died. Any other is read as it lies there: if
    somebody begins to write it meanwhile, the check of the copy finds out.
    """
    alone = "" if backup.with_name(f"{backup.name}-wal").exists() else "&immutable=1"
    uri = f"{backup.absolute().as_uri()}?mode=ro{alone}"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def _copy(source: sqlite3.Connection, draft: Path, progress: Progress) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # it is synced once, before it gets its name
        # The source is inside a read transaction: it stays at one state, whoever writes.
        source.backup(copy, pages=_PAGES_AT_ONCE, progress=lambda _, left, total: progress(left, total))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the database so that nobody else has it open or can open it.

    Leaving WAL needs that: every connection that has read holds a lock in the file, idle servers too. What
    was in the log is in the file then.
    """
    with closing(sqlite3.connect(path, isolation_level=None, timeout=_CHECK_WAIT_S)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as exc:
            if "lock" in str(exc) or "busy" in str(exc):
                raise WriteConflict(
                    f"'{path}' is open in another process; stop the server that uses it, then repeat"
                ) from exc
        except sqlite3.DatabaseError:
            # Too damaged to be locked, which is a good reason to restore: nobody can be using it.
            pass
        yield


def _swap(draft: Path, path: Path) -> Path:
    """Keep the old file under another name and rename the new one over it: there is always one."""
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    kept = _keep(path)
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        with suppress(FileNotFoundError):
            side.rename(kept.with_name(kept.name + suffix))
    draft.replace(path)
    sync_folder(path.parent)
    return kept


def _keep(path: Path) -> Path:
    number = 1
    while True:
        kept = path.with_name(f"{path.name}.before-restore-{number}")
        try:
            os.link(path, kept)
        except FileExistsError:
            number += 1
        else:
            return kept


def _use_wal(path: Path) -> None:
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _require_ours(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise SchemaUnavailable("the file is no database of this program; name another file")


def _read_heads(connection: sqlite3.Connection) -> tuple[str, str | None]:
    has_answers = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'answer_chain'").fetchone()
    memory = connection.execute(_HEAD.format(table="memory_chain")).fetchone()[0]
    answers = connection.execute(_HEAD.format(table="answer_chain")).fetchone()[0] if has_answers else None
    return memory, answers
