"""Group commit: many answers and writes in one transaction, and one fsync for all of them.

One thread writes. It takes everything that waits, runs it in one transaction (each write in a savepoint of
its own, so that one that is refused spoils no other), commits once and completes the tickets. While the disk
is busy others queue up for the next group: the slower the disk, the larger the groups. Reading goes on
meanwhile on a connection of its own, as WAL allows. A commit that fails fails every ticket of its group, and
nothing of the group is there. See docs/adr/0013.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from memorykernel.adapters.rows import encode_answer
from memorykernel.adapters.sqlite_answers import insert_answers
from memorykernel.adapters.sqlite_file import BUSY_TIMEOUT_MS, SqliteFile
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.chain import Value
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.ticket import Ticket
from memorykernel.errors import MemoryKernelError, QueryFailed, Stopped, WriteFailed
from memorykernel.service.attempt import Attempt

Result = TypeVar("Result")

MAX_GROUP: Final = 256
"""How many answers and writes share a commit at most; bounds how long the first of them waits."""

_CHECKPOINT_PAGES: Final = 4000
"""How long the WAL grows before it is written back: at 3,000 answers a second 1,000 pages are full ten times
a second, and each writing back costs two more fsyncs."""


_ASK_AGAIN_S: Final = 0.0003
"""How long to leave a lock alone that another process has; a group takes about a millisecond."""


@dataclass(slots=True)
class _Answer:
    """An answer that waits to be written."""

    values: tuple[Value, ...]
    package: bytes
    attempt: Attempt | None
    ticket: Ticket[bytes] = field(default_factory=Ticket)


@dataclass(slots=True)
class _Write:
    """A piece of work that waits to be run on the writing connection."""

    work: Callable[[], Any]
    attempt: Attempt | None
    ticket: Ticket[Any] = field(default_factory=Ticket)


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
        self._durable = durable
        self._max_group = max_group
        self._writer = _GroupFile(path, busy_timeout_ms=busy_timeout_ms)
        self._queue: SimpleQueue[_Answer | _Write | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._writer_ident: int | None = None

    def begin_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> Ticket[bytes]:
        """See `ports.AnswerKeeper`."""
        answer = _Answer(encode_answer(context_package_id, package, asked), package, self._attempt)
        self._enqueue(answer)
        return answer.ticket

    def begin_write(self, work: Callable[[], Result]) -> Ticket[Result]:
        """Run a use case on the writing thread, in the next group.

        Args:
            work: What it writes through this file is kept with the group. It must not wait for a ticket.
        """
        write = _Write(work, self._attempt)
        self._enqueue(write)
        return write.ticket

    @contextmanager
    def reading(self, *, one_statement: bool = False) -> Iterator[sqlite3.Connection]:
        """See `SqliteFile.reading`."""
        read = self._writer.reading if self._is_writer() else super().reading
        with read(one_statement=one_statement) as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool, create: bool = False) -> Iterator[sqlite3.Connection]:
        """See `SqliteFile.writing`."""
        write = self._writer.writing if self._is_writer() else super().writing
        with write(durable=durable, create=create) as connection:
            yield connection

    def close(self) -> None:
        """Write what waits, end the thread, and close; the next use opens the file again."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
                thread.join()
        super().close()

    def _is_writer(self) -> bool:
        return threading.get_ident() == self._writer_ident

    def _enqueue(self, job: _Answer | _Write) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    # Started late: a server forks its workers after it opened the kernel.
                    self._thread = threading.Thread(target=self._work, name="memory-commit", daemon=True)
                    self._thread.start()
        self._queue.put(job)

    def _work(self) -> None:
        self._writer_ident = threading.get_ident()
        is_open = True
        while is_open:
            group: list[_Answer | _Write] = []
            is_open = self._take(group)
            if group:
                self._write(group)
        self._writer.close()

    def _take(self, group: list[_Answer | _Write]) -> bool:
        """Wait for one job and take all that wait with it; False when the file is being closed."""
        job = self._queue.get()
        try:
            while job is not None:
                group.append(job)
                if len(group) >= self._max_group:
                    return True
                job = self._queue.get_nowait()
        except Empty:
            return True
        return False

    def _write(self, group: Sequence[_Answer | _Write]) -> None:
        answers = [each for each in group if isinstance(each, _Answer)]
        writes = [each for each in group if isinstance(each, _Write)]
        outcomes: list[tuple[Ticket[Any], Any]] = []
        try:
            with self._writer.group(durable=self._durable or bool(writes)):
                outcomes += self._run(writes)
                outcomes += self._insert(answers)
        except (sqlite3.Error, MemoryKernelError) as exc:
            _fail_all(outcomes, writes, answers, exc)
        except BaseException as exc:  # noqa: BLE001  # the thread goes on; who waits must hear of it
            for each in group:
                each.ticket.fail(exc)
        else:
            for ticket, result in outcomes:
                ticket.resolve(result)

    def _run(self, writes: Sequence[_Write]) -> Iterator[tuple[Ticket[Any], Any]]:
        for write in writes:
            self._writer.guard(write.attempt)
            try:
                result = write.work()
            except BaseException as exc:  # a write's failure is its own
                if self._writer.is_lost:
                    raise
                write.ticket.fail(exc)
            else:
                yield write.ticket, result
            finally:
                self._writer.guard(None)

    def _insert(self, answers: Sequence[_Answer]) -> list[tuple[Ticket[Any], Any]]:
        if not answers:
            return []
        connection = self._writer.begin()
        wanted = [each for each in answers if _claim(each)]
        insert_answers(connection, [each.values for each in wanted])
        return [(each.ticket, each.package) for each in wanted]


def _claim(answer: _Answer) -> bool:
    """Take an answer past the point of no return, unless it was stopped."""
    try:
        if answer.attempt is not None:
            answer.attempt.begin_commit()
    except Stopped as exc:
        answer.ticket.fail(exc)
        return False
    return True


def _fail_all(
    outcomes: Sequence[tuple[Ticket[Any], Any]],
    writes: Sequence[_Write],
    answers: Sequence[_Answer],
    cause: Exception,
) -> None:
    """Tell everybody of a group that was not kept; who was refused before was told already."""
    reason = cause.message if isinstance(cause, MemoryKernelError) else explain(cause)
    for write in writes:
        if not write.ticket.is_done:
            write.ticket.fail(WriteFailed(f"it was not kept, nor what was to be kept with it: {reason}"))
    for answer in answers:
        if not answer.ticket.is_done:
            answer.ticket.fail(QueryFailed(f"the answer could not be kept: {reason}"))
