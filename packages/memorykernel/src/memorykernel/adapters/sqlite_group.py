"""Group commit in SQLite; see `group_commit`.

Reading goes on while the writing thread commits, on a connection of its own, as WAL allows.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from memorykernel.adapters.group_commit import MAX_GROUP, CommitThread, Refusals, refuse_group
from memorykernel.adapters.sqlite_answers import insert_answers
from memorykernel.adapters.sqlite_file import BUSY_TIMEOUT_MS, SqliteFile
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.chain import Value
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.ticket import Ticket

Result = TypeVar("Result")

_CHECKPOINT_PAGES: Final = 4000
"""How long the WAL grows before it is written back: at 3,000 answers a second 1,000 pages are full ten times
a second, and each writing back costs two more fsyncs."""


_ASK_AGAIN_S: Final = 0.0003
"""How long to leave a lock alone that another process has; a group takes about a millisecond."""


class _GroupFile(SqliteFile):
    """The connection of the writing thread: inside `group`, every transaction is a savepoint of one."""

    is_lost = False
    """Whether SQLite rolled the whole group back, as it does when a disk is full."""

    _grouped = False
    _synchronous = True

    @contextmanager
    def group(self, *, durable: bool) -> Iterator[None]:
        """Commit at the end what is written inside, all of it or nothing."""
        self._grouped, self.is_lost = True, False
        self._synchronous = durable
        try:
            yield
            self._commit()
        except BaseException:
            self._abandon()
            raise
        finally:
            self._grouped = False

    def insert(self, claim: Callable[[], Sequence[tuple[Value, ...]]]) -> None:
        """See `GroupWriter`."""
        insert_answers(self.begin(), claim())

    def explain(self, error: Exception) -> Refusals | None:
        """See `GroupWriter`."""
        return refuse_group(explain(error)) if isinstance(error, sqlite3.Error) else None

    def begin(self) -> sqlite3.Connection:
        """The connection inside the group's transaction; waits for the write lock when it is the first."""
        connection = self._open(create=False)
        if not connection.in_transaction:
            self._sync(connection, self._synchronous)
            self._lock(connection)
        return connection

    @contextmanager
    def reading(self, *, one_statement: bool = False) -> Iterator[sqlite3.Connection]:
        """As in the base class; inside a group's transaction it sees what the group wrote."""
        connection = self._open(create=False)
        if connection.in_transaction:
            yield connection
        else:
            with super().reading(one_statement=one_statement) as connection:
                yield connection

    @contextmanager
    def writing(self, *, durable: bool, create: bool = False) -> Iterator[sqlite3.Connection]:
        """As in the base class; inside a group nothing is durable before the group is."""
        if not self._grouped:
            with super().writing(durable=durable, create=create) as connection:
                yield connection
            return
        connection = self.begin()
        connection.execute("SAVEPOINT job")
        try:
            yield connection
            if self._attempt is not None:
                self._attempt.begin_commit()
        except BaseException:
            self.is_lost = not connection.in_transaction
            if not self.is_lost:
                connection.execute("ROLLBACK TO job")
                connection.execute("RELEASE job")
            raise
        connection.execute("RELEASE job")

    def _lock(self, connection: sqlite3.Connection) -> None:
        """Take the write lock, asking often: SQLite's own waiting sleeps far longer than a group takes."""
        give_up_s = time.monotonic() + self._busy_timeout_ms / 1000
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_s:
                    raise
                time.sleep(_ASK_AGAIN_S)
            else:
                return

    def _prepare(self, connection: sqlite3.Connection) -> None:
        super()._prepare(connection)
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")

    def _commit(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.commit()

    def _abandon(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._roll_back(self._connection)


class SqliteGroup(SqliteFile):
    """A file with a thread that writes; other threads' transactions go through one connection of their own.

    Everything wired on it works as on a `SqliteFile`. What `begin_answer` and `begin_write` are given shares
    commits.

    Args:
        path: The file.
        durable: Answers are on disk when their tickets are done; else only safe from the death of this
            process. Writes always are.
        max_group: How many share a commit at most.
        busy_timeout_ms: As for `SqliteFile`.
    """

    def __init__(
        self,
        path: Path,
        *,
        durable: bool = True,
        max_group: int = MAX_GROUP,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        super().__init__(path, busy_timeout_ms=busy_timeout_ms)
        self._writer = _GroupFile(path, busy_timeout_ms=busy_timeout_ms)
        self._thread = CommitThread(self._writer, durable=durable, max_group=max_group)

    def begin_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> Ticket[bytes]:
        """See `ports.AnswerKeeper`."""
        return self._thread.begin_answer(context_package_id, package, asked, self._attempt)

    def begin_write(self, work: Callable[[], Result]) -> Ticket[Result]:
        """Run a use case on the writing thread, in the next group.

        Args:
            work: What it writes through this file is kept with the group. It must not wait for a ticket.
        """
        return self._thread.begin_write(work, self._attempt)

    @contextmanager
    def reading(self, *, one_statement: bool = False) -> Iterator[sqlite3.Connection]:
        """See `SqliteFile.reading`."""
        read = self._writer.reading if self._thread.is_current else super().reading
        with read(one_statement=one_statement) as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool, create: bool = False) -> Iterator[sqlite3.Connection]:
        """See `SqliteFile.writing`."""
        write = self._writer.writing if self._thread.is_current else super().writing
        with write(durable=durable, create=create) as connection:
            yield connection

    def close(self) -> None:
        """Write what waits, end the thread, and close; the next use opens the file again."""
        self._thread.close()
        super().close()
