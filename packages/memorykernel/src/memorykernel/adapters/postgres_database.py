"""Transactions on a PostgreSQL database, and where reads go.

A read of one statement is one round trip and sees one state. With a replica it goes there; a replica that
cannot be reached, or cancels the read, is left alone for a while and the primary answers; so is one that
lacks a state that somebody knows of, until it has it. Writes, and reads that say `newest`, go to the primary.

A write that loses its connection while committing may have been kept. The hash chain knows: if the entry is
there with the head that was written, it was. Only if nobody can be asked the outcome stays unknown, and the
error says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple

import psycopg

from memorykernel.adapters.postgres_line import (
    SILENCE_MS,
    TIMEOUT_MS,
    PostgresLine,
    Row,
    TimedConnection,
    describe_error,
    name_database,
)
from memorykernel.adapters.postgres_text import decode_row, encode_value, encode_values
from memorykernel.errors import SchemaUnavailable
from memorykernel.service.attempt import Attempt

ChainTable = Literal["memory_chain", "answer_chain"]
Values = Sequence[Any] | Mapping[str, Any]

LOCK_CLASS: Final = 0x4D4B524E
"""`MKRN`: the class of our advisory locks, so that another program's do not meet them."""

_REPLICA_REST_S: Final = 5.0
_BEGIN_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_READ_ONLY: Final = "SELECT current_setting('transaction_read_only')::boolean"
_HAS_HEAD: Final = "SELECT 1 FROM memory_chain WHERE head = %s"
_HEAD_AT: Final = "SELECT head FROM {table} WHERE entry_seq = %s"


class OutcomeUnknown(psycopg.OperationalError):
    """The connection was lost while committing, and the server cannot be asked."""


class Entry(NamedTuple):
    """A chain's entry that a transaction writes, by which its commit can be recognized."""

    table: ChainTable
    entry_seq: int
    head: bytes


class Reading:
    """A transaction that reads one consistent state."""

    def __init__(self, connection: TimedConnection) -> None:
        self._connection = connection

    def read(self, statement: str, values: Values = ()) -> list[Row]:
        """Run a statement and give back its rows."""
        return _fetch(self._connection, statement, values)

    def stream(self, statement: str, values: Values = (), *, batch: int = 1000) -> Iterator[Row]:
        """Run a statement whose rows need not fit into memory."""
        with self._connection.cursor(name="stream") as cursor:
            cursor.itersize = batch
            cursor.execute(statement, encode_values(values), binary=True)
            yield from map(decode_row, cursor)


class Writing(Reading):
    """A transaction that writes; what is put waits for the next read or the commit, to share its round trip.

    Attributes:
        opened: The last row of the opening statement.
        newest: The last entry that was put on a chain, None when there is none.
    """

    def __init__(self, connection: TimedConnection, opened: Row) -> None:
        super().__init__(connection)
        self.opened = opened
        self.newest: Entry | None = None
        self._waiting: list[tuple[str, Values]] = []

    def put(self, statement: str, values: Values = ()) -> None:
        """Run a statement that gives back nothing, before anything else is read and before the commit."""
        self._waiting.append((statement, values))

    def read(self, statement: str, values: Values = ()) -> list[Row]:
        """Run a statement after all that were put, and give back its rows."""
        if not self._waiting:
            return super().read(statement, values)
        with self._connection.pipeline():
            self._send()
            cursor = self._connection.execute(statement, encode_values(values))
        return list(map(decode_row, cursor))

    def run_script(self, script: str) -> None:
        """Run many statements without parameters, after all that were put."""
        self.flush()
        open_transaction(self._connection, script)

    def reopen(self, opening: str) -> None:
        """Run another opening statement, after all that were put; its last row is `opened` from here on."""
        self.flush()
        self.opened = open_transaction(self._connection, opening)

    def copy(self, table: str, rows: Iterable[Row]) -> None:
        """Let rows into a table, after all that were put; the fastest way for many.

        Args:
            table: Its name, perhaps with the columns in parentheses.
            rows: The values of the columns.
        """
        self.flush()
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(encode_value(list(row)))

    def commit(self) -> None:
        """Run what was put, and commit."""
        with self._connection.pipeline():
            self._send()
            self._connection.execute("COMMIT")

    def drop(self) -> None:
        """Forget what was put and did not run."""
        self._waiting.clear()

    def flush(self) -> None:
        """Run what was put."""
        if self._waiting:
            with self._connection.pipeline():
                self._send()

    def _send(self) -> None:
        for statement, values in self._waiting:
            self._connection.execute(statement, encode_values(values))
        self._waiting.clear()


class PostgresDatabase:
    """A database and perhaps a replica of it; used by one thread at a time, connected when first needed.

    Args:
        dsn: `postgresql://...` of a server that takes writes.
        replica: The DSN of a server that follows it.
        timeout_ms: How long a statement or a lock may take.
        silence_ms: How much later than the server we give up.
    """

    def __init__(
        self,
        dsn: str,
        *,
        replica: str | None = None,
        timeout_ms: int = TIMEOUT_MS,
        silence_ms: int = SILENCE_MS,
    ) -> None:
        self.name = name_database(dsn)
        limits = {"timeout_ms": timeout_ms, "silence_ms": silence_ms}
        self._primary = PostgresLine(dsn, **limits)
        self._replica = None if replica is None else PostgresLine(replica, **limits)
        self._replica_rests_until = 0.0
        self._awaited: bytes | None = None
        self._attempt: Attempt | None = None

    def guard(self, attempt: Attempt | None) -> None:
        """See `service.attempt.Stoppable`."""
        self._attempt = attempt
        for line in filter(None, (self._primary, self._replica)):
            line.guard(attempt)

    def interrupt(self) -> None:
        """See `service.attempt.Stoppable`; every wait looks for itself whether its work was stopped."""

    def require_writable(self) -> None:
        """Pass when the primary answers and takes writes.

        Raises:
            SchemaUnavailable: It does not.
        """
        try:
            ((is_read_only,),) = self.query(_READ_ONLY, newest=True)
        except psycopg.Error as exc:
            raise SchemaUnavailable(f"the database does not answer: {describe_error(exc)}; start it") from exc
        if is_read_only:
            raise SchemaUnavailable("the database takes no writes; name the primary, or promote this one")

    def query(self, statement: str, values: Values = (), *, newest: bool = False) -> list[Row]:
        """Run one statement that only reads, in one round trip.

        Raises:
            psycopg.Error: It failed.
        """

        def ask(connection: TimedConnection) -> list[Row]:
            return _fetch(connection, statement, values)

        if self._replica is not None and not newest and time.monotonic() >= self._replica_rests_until:
            try:
                if self._has_awaited(self._replica):
                    return self._replica.repeat(ask)
            except psycopg.Error:
                # Also a table that it does not have yet: a standby follows migrations like everything else.
                self._replica_rests_until = time.monotonic() + _REPLICA_REST_S
        return self._primary.repeat(ask)

    def await_head(self, head: bytes) -> None:
        """Leave the replica alone until it has an entry of the memory's chain."""
        self._awaited = head

    def _has_awaited(self, replica: PostgresLine) -> bool:
        if self._awaited is not None:
            head = self._awaited
            if not replica.repeat(lambda connection: _fetch(connection, _HAS_HEAD, (head,))):
                return False
            self._awaited = None
        return True

    @contextmanager
    def reading(self, *, patient: bool = False) -> Iterator[Reading]:
        """Several reads of one state of the primary.

        Args:
            patient: Without a time limit, for a check of everything.
        """
        with self._bracket(_BEGIN_READING, patient=patient) as (connection, _):
            yield Reading(connection)

    @contextmanager
    def writing(self, opening: str, *, durable: bool = True, patient: bool = False) -> Iterator[Writing]:
        """A transaction that writes; rolled back on any exception.

        Args:
            opening: Statements without parameters, sent in one round trip with BEGIN: a lock, and a SELECT.
            durable: On disk when it returns; else a crash of the server may lose it, never a part of it.
            patient: Without a time limit, for a migration.

        Raises:
            OutcomeUnknown: It was lost while committing, and may have been kept.
            psycopg.Error: It failed, and was not kept.
        """
        durability = "" if durable else "SET LOCAL synchronous_commit = off; "
        with self._bracket(f"BEGIN; {durability}{opening}", patient=patient) as (connection, opened):
            writing = Writing(connection, opened)
            yield writing
            if self._attempt is not None:
                self._attempt.begin_commit()
            self._commit(writing)

    def close(self) -> None:
        """Close the connections; the next use opens others."""
        self._primary.close()
        if self._replica is not None:
            self._replica.close()

    @contextmanager
    def _bracket(self, opening: str, *, patient: bool) -> Iterator[tuple[TimedConnection, Row]]:
        try:
            opened = self._primary.repeat(lambda connection: open_transaction(connection, opening))
            if patient:
                self._primary.wait_patiently()
            yield self._primary.open(), opened
        except BaseException as exc:
            self._primary.release(exc)
            raise
        else:
            self._primary.release()
        finally:
            self._primary.wait_usually()

    def _commit(self, writing: Writing) -> None:
        """Commit; a lost reply is no failure when the server says that it was kept."""
        try:
            writing.commit()
        except psycopg.Error as exc:
            if self._primary.release(exc) or not self._was_kept(writing.newest, exc):
                raise

    def _was_kept(self, entry: Entry | None, lost: psycopg.Error) -> bool:
        """Ask the server, after the transaction is over there, whether its entry is in the chain."""
        if entry is None:
            return False
        asking = f"BEGIN; {lock_chain(entry.table)}"
        try:
            connection = self._primary.open()
            open_transaction(connection, asking)
            found = _fetch(connection, _HEAD_AT.format(table=entry.table), (entry.entry_seq,))
        except psycopg.Error as exc:
            self._primary.release(exc)
            raise OutcomeUnknown(f"{describe_error(lost)}; it may or may not have been kept") from exc
        return bool(found) and bytes(found[0][0]) == entry.head


def lock_chain(table: ChainTable) -> str:
    """The statement that lets one transaction at a time append to a chain; readers do not wait."""
    return f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, '{table}'::regclass::oid::int);"


def open_transaction(connection: TimedConnection, opening: str) -> Row:
    """Send several statements at once; the first row of the last of them, or an empty one."""
    cursor = connection.execute(opening, prepare=False)
    while cursor.nextset():
        pass
    row = cursor.fetchone() if cursor.description else None
    return () if row is None else decode_row(row)


def _fetch(connection: TimedConnection, statement: str, values: Values) -> list[Row]:
    return list(map(decode_row, connection.execute(statement, encode_values(values), binary=True)))
