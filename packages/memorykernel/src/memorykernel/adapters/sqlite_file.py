"""One SQLite file, its connection and its transactions.

WAL, so that readers and one writer of any number of processes do not wait for each other; foreign
keys on; writers take the lock at BEGIN and wait for it up to `busy_timeout_ms`. Two promises of
durability: a *durable* commit is on disk when it returns (synchronous=FULL), another one is safe from
the death of the process but not from that of the machine (synchronous=NORMAL).

A file object belongs to one thread at a time. A path that does not exist is an error unless the
caller says `create`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from memorykernel.errors import DatabaseMissing

BUSY_TIMEOUT_MS: Final = 5000
"""How long a writer waits for another process; far above any transaction but a migration."""

_STATEMENT_CACHE: Final = 256
_CACHE_KIB: Final = 65536


class SqliteFile:
    """Opens the file when it is first needed and keeps it open.

    Args:
        path: The file.
        busy_timeout_ms: How long to wait for another writer.
    """

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read of one consistent state, whatever is written meanwhile.

        Raises:
            DatabaseMissing: There is no such file.
        """
        connection = self._open(create=False)
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.rollback()

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
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.commit()
        except BaseException:
            # Also a commit that fails, on a full disk for example, must not leave a transaction open.
            connection.rollback()
            raise

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect(create=create)
        return self._connection

    def _connect(self, *, create: bool) -> sqlite3.Connection:
        if not create and not self.path.is_file():
            raise DatabaseMissing(
                f"there is no database at '{self.path}'; correct the path, or create it with 'mk db migrate'"
            )
        mode = "rwc" if create else "rw"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENT_CACHE,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
