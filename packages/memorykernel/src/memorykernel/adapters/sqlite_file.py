"""One SQLite file, its connection and its transactions.

WAL, so that readers and one writer of any number of processes do not wait for each other; foreign
keys on; writers take the lock at BEGIN and wait for it up to `busy_timeout_ms`. Two promises of
durability: a *durable* commit is on disk when it returns (synchronous=FULL), another one is safe from
the death of the process but not from that of the machine (synchronous=NORMAL).

Work that is guarded by an `Attempt` can be stopped from another thread: its statement is interrupted, it
waits for a lock until its deadline at most, and it does not commit once it was stopped.

A file object belongs to one thread at a time. A path that does not exist is an error unless the
caller says `create`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from memorykernel.adapters.storage_fault import explain
from memorykernel.errors import DatabaseMissing, SchemaUnavailable, Stopped
from memorykernel.service.attempt import Attempt

BUSY_TIMEOUT_MS: Final = 5000
"""How long a writer waits for another process; far above any transaction but a migration."""

_STATEMENT_CACHE: Final = 256
_CACHE_KIB: Final = 65536
_SPILL: Final = "PRAGMA temp_store = FILE"
_SPILL_NOT: Final = "PRAGMA temp_store = MEMORY"
"""A question puts a few rows into temporary tables, and SQLite takes 90 KB for each that could become a file:
the ten of ordering.v3 cost 300 of 340 microseconds, in page faults."""

_PROBE_BYTES: Final = 4096
_LATE_MS: Final = 10
"""How much longer than its deadline work may wait for a lock, so that the deadline is what ends it."""


class SqliteFile:
    """Opens the file when it is first needed and keeps it open.

    Args:
        path: The file.
        busy_timeout_ms: How long to wait for another writer.
    """

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._waits_ms = busy_timeout_ms
        self._syncs: bool | None = None
        self._attempt: Attempt | None = None
        self._connection: sqlite3.Connection | None = None

    def guard(self, attempt: Attempt | None) -> None:
        """See `service.attempt.Stoppable`."""
        self._attempt = attempt

    def interrupt(self) -> None:
        """See `service.attempt.Stoppable`."""
        connection = self._connection
        if connection is not None:
            with suppress(sqlite3.ProgrammingError):  # closed meanwhile
                connection.interrupt()

    def require_writable(self) -> None:
        """Write and remove a small file beside the database: only that tells a full disk from one with room.

        Raises:
            DatabaseMissing: The file was taken away from under the open connection.
            SchemaUnavailable: It could not be written.
        """
        self._require_file()
        probe = self.path.with_name(f".{self.path.name}.probe-{os.getpid()}")
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        except OSError as exc:
            raise SchemaUnavailable(f"the disk of the database cannot be written: {explain(exc)}") from exc
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

    @contextmanager
    def reading(self, *, one_statement: bool = False) -> Iterator[sqlite3.Connection]:
        """A read of one consistent state, whatever is written meanwhile.

        Args:
            one_statement: Leave out the transaction, which a single statement does not need.

        Raises:
            DatabaseMissing: There is no such file.
            Stopped: The work was stopped: who reads again and again must not go on for nobody.
        """
        if self._attempt is not None and self._attempt.is_stopped:
            raise Stopped("the work was stopped at its deadline")
        connection = self._open(create=False)
        if one_statement:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            self._roll_back(connection)

    @contextmanager
    def writing(self, *, durable: bool, create: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; rolled back on any exception.

        Args:
            durable: On disk when it returns; else only safe from the death of this process.
            create: Make a missing file.

        Raises:
            DatabaseMissing: There is no such file, and none may be made.
        """
        connection = self._open(create=create)
        if create:
            # The file remembers the mode, so that merely looking at a file never has to write it.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_SPILL)
        self._sync(connection, durable)
        self._limit_wait(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            if self._attempt is not None:
                self._attempt.begin_commit()
            connection.commit()
        except BaseException:
            # Also a commit that fails, on a full disk for example, must not leave a transaction open.
            self._roll_back(connection)
            raise
        if create:
            connection.execute(_SPILL_NOT)

    def let_spill(self) -> None:
        """Let temporary tables go to files until the file is closed, which is for who sorts a whole store.

        Raises:
            DatabaseMissing: There is no such file.
        """
        self._open(create=False).execute(_SPILL)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """An interrupt can meet the rollback itself; then the connection goes, its transaction with it."""
        try:
            connection.rollback()
        except sqlite3.OperationalError:
            self.close()

    def _sync(self, connection: sqlite3.Connection, durable: bool) -> None:
        """Say whether the next commit is on disk when it returns; outside of a transaction."""
        if durable is not self._syncs:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._syncs = durable

    def _limit_wait(self, connection: sqlite3.Connection) -> None:
        """SQLite cannot be interrupted while it waits for a lock, so it must not wait past the deadline."""
        waits_ms = self._busy_timeout_ms
        if self._attempt is not None and self._attempt.deadline_s is not None:
            left_ms = int((self._attempt.deadline_s - time.monotonic()) * 1000)
            waits_ms = max(0, min(waits_ms, left_ms + _LATE_MS))
        if waits_ms != self._waits_ms:
            connection.execute(f"PRAGMA busy_timeout = {waits_ms}")
            self._waits_ms = waits_ms

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect(create=create)
        return self._connection

    def _connect(self, *, create: bool) -> sqlite3.Connection:
        if not create:
            self._require_file()
        mode = "rwc" if create else "rw&immutable=1" if self._is_frozen() else "rw"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENT_CACHE,
        )
        try:
            self._prepare(connection)
        except UnicodeDecodeError as exc:  # of SQLite's message, which quotes the schema
            connection.close()
            damaged = sqlite3.DatabaseError("malformed schema: its text is not UTF-8")
            damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damaged from exc
        except BaseException:
            connection.close()
            raise
        return connection

    def _require_file(self) -> None:
        if not self.path.is_file():
            raise DatabaseMissing(
                f"there is no database at '{self.path}'; correct the path, or create it with 'mk db migrate'"
            )

    def _is_frozen(self) -> bool:
        """Whether the disk is read-only and all is in the file: SQLite could not make the files beside it."""
        if not os.statvfs(self.path).f_flag & os.ST_RDONLY:
            return False
        log = self.path.with_name(f"{self.path.name}-wal")
        return not log.exists() or log.stat().st_size == 0

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        self._waits_ms, self._syncs = self._busy_timeout_ms, None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(_SPILL_NOT)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
