"""Group commit in PostgreSQL; see `group_commit`.

The writing thread has a connection of its own, so questions are read while a commit is under way. A group
takes the locks of the chains in one order, the memory's first, so that groups of several processes wait for
one another and never in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from memorykernel.adapters.group_commit import MAX_GROUP, CommitThread, Refusals, refuse_group
from memorykernel.adapters.postgres_answers import insert_answers
from memorykernel.adapters.postgres_chain import OPEN_ANSWERS
from memorykernel.adapters.postgres_database import (
    OutcomeUnknown,
    PostgresDatabase,
    Reading,
    Values,
    Writing,
    open_transaction,
)
from memorykernel.adapters.postgres_line import SILENCE_MS, TIMEOUT_MS, Row, describe_error
from memorykernel.core.chain import Value
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.ticket import Ticket
from memorykernel.errors import WriteFailed
from memorykernel.service.attempt import Attempt

Result = TypeVar("Result")


class _GroupDatabase(PostgresDatabase):
    """The connection of the writing thread: inside `group`, every transaction is a savepoint of one."""

    is_lost = False

    _grouped = False
    _durable = True
    _group: Writing | None = None

    def guard(self, attempt: Attempt | None) -> None:
        """See `GroupWriter`; who stops waiting would end the whole group, so nobody does."""
        self._attempt = attempt

    @contextmanager
    def group(self, *, durable: bool) -> Iterator[None]:
        """See `GroupWriter`."""
        self._grouped, self._durable, self.is_lost = True, durable, False
        try:
            yield
            if self._group is not None:
                self._keep(self._group)
            self._primary.release()
        except BaseException as exc:
            self._primary.release(exc)
            raise
        finally:
            self._grouped, self._group = False, None

    def insert(self, claim: Callable[[], Sequence[tuple[Value, ...]]]) -> None:
        """See `GroupWriter`."""
        group = self._join(OPEN_ANSWERS)
        insert_answers(group, claim())

    def explain(self, error: Exception) -> Refusals | None:
        """See `GroupWriter`."""
        if not isinstance(error, psycopg.Error):
            return None
        refusals = refuse_group(f"{describe_error(error)}; repeat it")
        if isinstance(error, OutcomeUnknown):
            look = WriteFailed(f"{describe_error(error)}; look before repeating the write")
            return refusals._replace(write=look)
        return refusals

    def query(self, statement: str, values: Values = (), *, newest: bool = False) -> list[Row]:
        """As in the base class; inside a group's transaction it sees what the group wrote."""
        if self._group is not None:
            return self._group.read(statement, values)
        return super().query(statement, values, newest=newest)

    @contextmanager
    def reading(self, *, patient: bool = False) -> Iterator[Reading]:
        """As in the base class; inside a group's transaction it sees what the group wrote."""
        if self._group is not None:
            yield self._group
            return
        with super().reading(patient=patient) as reading:
            yield reading

    @contextmanager
    def writing(self, opening: str, *, durable: bool = True, patient: bool = False) -> Iterator[Writing]:
        """As in the base class; inside a group nothing is durable before the group is."""
        if not self._grouped:
            with super().writing(opening, durable=durable, patient=patient) as alone:
                yield alone
            return
        before = None if self._group is None else self._group.newest
        group = self._join(f"SAVEPOINT job; {opening}")
        try:
            yield group
            if self._attempt is not None:
                self._attempt.begin_commit()
            group.put("RELEASE SAVEPOINT job")
            group.flush()
        except BaseException as exc:
            self._undo(group, exc)
            group.newest = before
            raise

    def _join(self, opening: str) -> Writing:
        """The group's transaction, begun if it is not, after an opening statement."""
        if self._group is None:
            durability = "" if self._durable else "SET LOCAL synchronous_commit = off; "
            statements = f"BEGIN; {durability}{opening}"
            opened = self._primary.repeat(lambda connection: open_transaction(connection, statements))
            self._group = Writing(self._primary.open(), opened)
        else:
            try:
                self._group.reopen(opening)
            except psycopg.Error:
                self.is_lost = True
                raise
        return self._group

    def _undo(self, group: Writing, exc: BaseException) -> None:
        """Take back what one write did."""
        try:
            group.drop()
            group.run_script("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job")
        except psycopg.Error as lost:
            self.is_lost = True
            raise lost from exc

    def _keep(self, group: Writing) -> None:
        # The COMMIT of a transaction in which something failed rolls back, and is no error.
        if self._primary.open().info.transaction_status is TransactionStatus.INERROR:
            raise psycopg.OperationalError("something in the group failed, and with it the group")
        self._commit(group)


class PostgresGroup(PostgresDatabase):
    """A database with a thread that writes; other threads' transactions go through a connection of their own.

    Everything wired on it works as on a `PostgresDatabase`. What `begin_answer` and `begin_write` are given
    shares commits.

    Args:
        dsn, replica, timeout_ms, silence_ms: As for `PostgresDatabase`.
        durable: Answers are on disk when their tickets are done; else a crash of the server may lose the last
            ones. Writes always are.
        max_group: How many share a commit at most.
    """

    def __init__(
        self,
        dsn: str,
        *,
        replica: str | None = None,
        durable: bool = True,
        max_group: int = MAX_GROUP,
        timeout_ms: int = TIMEOUT_MS,
        silence_ms: int = SILENCE_MS,
    ) -> None:
        super().__init__(dsn, replica=replica, timeout_ms=timeout_ms, silence_ms=silence_ms)
        self._writer = _GroupDatabase(dsn, timeout_ms=timeout_ms, silence_ms=silence_ms)
        self._thread = CommitThread(self._writer, durable=durable, max_group=max_group)

    def begin_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> Ticket[bytes]:
        """See `ports.AnswerKeeper`."""
        return self._thread.begin_answer(context_package_id, package, asked, self._attempt)

    def begin_write(self, work: Callable[[], Result]) -> Ticket[Result]:
        """Run a use case on the writing thread, in the next group.

        Args:
            work: What it writes through this database is kept with the group. It must not wait for a ticket.
        """
        return self._thread.begin_write(work, self._attempt)

    def query(self, statement: str, values: Values = (), *, newest: bool = False) -> list[Row]:
        """See `PostgresDatabase.query`."""
        ask = self._writer.query if self._thread.is_current else super().query
        return ask(statement, values, newest=newest)

    @contextmanager
    def reading(self, *, patient: bool = False) -> Iterator[Reading]:
        """See `PostgresDatabase.reading`."""
        read = self._writer.reading if self._thread.is_current else super().reading
        with read(patient=patient) as reading:
            yield reading

    @contextmanager
    def writing(self, opening: str, *, durable: bool = True, patient: bool = False) -> Iterator[Writing]:
        """See `PostgresDatabase.writing`."""
        write = self._writer.writing if self._thread.is_current else super().writing
        with write(opening, durable=durable, patient=patient) as writing:
            yield writing

    def close(self) -> None:
        """Write what waits, end the thread, and close; the next use opens connections again."""
        self._thread.close()
        super().close()
