"""One connection to a PostgreSQL server that comes back by itself.

Opened when it is first needed and kept. A server may restart, fail over or cut the connection between two
uses: the next use finds out and opens another one, and nobody notices. What is cut off in the middle is an
error of that use only.

Every wait has an end. The server gives up on a statement or a lock after the time limit; a server that says
nothing at all (stopped, or behind a network that swallows packets) is given up on here, a little later.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from memorykernel.errors import Stopped
from memorykernel.service.attempt import Attempt

TIMEOUT_MS: Final = 5000
"""How long a statement or a lock may take; far above any but a migration's."""

SILENCE_MS: Final = 2000
"""How much later than the server we give up."""

_LOOK_S: Final = 0.02
"""How often a wait looks whether its work was stopped."""

_CONNECT_S: Final = 3
_CANCEL_S: Final = 0.5
_GONE: Final = ("08", "57P", "25006")
"""SQLSTATEs that end a connection: lost, shut down, or turned into a standby that takes no writes."""

_DURABLE: Final = """
SELECT set_config('synchronous_commit', CASE now WHEN 'off' THEN 'on' ELSE now END, false)
FROM current_setting('synchronous_commit') now
"""
"""A server, database or role may leave commits out of the wait: then what was acknowledged is not on disk."""

Row = tuple[Any, ...]
T = TypeVar("T")


class TimedConnection(psycopg.Connection[Row]):
    """A connection whose every wait has an end; `reply_s` None waits for as long as it takes.

    A wait for work that was stopped ends at the next look. The connection is lost then, and with it the
    transaction.
    """

    reply_s: float | None = None
    attempt: Attempt | None = None

    def wait(self, gen: PQGen[RV], interval: float = _LOOK_S, timeout: float | None = None) -> RV:
        """See psycopg."""
        if self.attempt is not None:
            gen = _until_stopped(gen, self.attempt)
        return super().wait(gen, interval=interval, timeout=self.reply_s if timeout is None else timeout)


class PostgresLine:
    """The connection to one server; used by one thread at a time.

    Args:
        dsn: `postgresql://...`, as libpq reads it; the schema is the first of its search_path.
        timeout_ms: How long a statement or a lock may take.
        silence_ms: How much later than the server we give up.
    """

    def __init__(self, dsn: str, *, timeout_ms: int = TIMEOUT_MS, silence_ms: int = SILENCE_MS) -> None:
        self._dsn = dsn
        self._timeout_ms = timeout_ms
        self._reply_s = (timeout_ms + silence_ms) / 1000
        self._attempt: Attempt | None = None
        self._connection: TimedConnection | None = None

    def repeat(self, action: Callable[[TimedConnection], T]) -> T:
        """Do what may be done twice, and do it again if the connection had ended before it.

        Args:
            action: Reads, or begins a transaction.

        Raises:
            psycopg.Error: It failed, on a connection that works or on two that do not.
        """
        fresh = self._connection is None
        try:
            return action(self.open())
        except psycopg.Error as exc:
            if self.release(exc) or fresh:
                raise
            return action(self.open())

    def guard(self, attempt: Attempt | None) -> None:
        """Look at an attempt while waiting; see `service.attempt.Stoppable`."""
        self._attempt = attempt
        if self._connection is not None:
            self._connection.attempt = attempt

    def open(self) -> TimedConnection:
        """The connection, opened if there is none."""
        if self._connection is None:
            self._connection = TimedConnection.connect(**self._parameters())
            self._connection.reply_s = self._reply_s
            self._connection.attempt = self._attempt
            try:
                self._connection.execute(_DURABLE)
            except BaseException:
                self.close()
                raise
        return self._connection

    def release(self, exc: BaseException | None = None) -> bool:
        """Leave a transaction behind, whatever its state.

        Args:
            exc: What ended it, if something did.

        Returns:
            Whether the connection is kept for the next use.
        """
        connection = self._connection
        if connection is None:
            return False
        if _is_gone(connection, exc):
            if isinstance(exc, Stopped):
                self.cancel()
            self.close()
            return False
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:
                self.close()
        return self._connection is not None

    def close(self) -> None:
        """Close the connection; the next use opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def cancel(self) -> None:
        """Ask the server to end the statement that runs now; called by any thread, and never fails."""
        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CANCEL_S)

    def wait_patiently(self) -> None:
        """Let this transaction take as long as it needs: a migration, or a check of everything."""
        connection = self.open()
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.reply_s = None

    def wait_usually(self) -> None:
        """Put the limits back that `wait_patiently` took away."""
        if self._connection is not None:
            self._connection.reply_s = self._reply_s

    def _parameters(self) -> dict[str, Any]:
        given = _parse_dsn(self._dsn)
        limits = f"-c statement_timeout={self._timeout_ms} -c lock_timeout={self._timeout_ms}"
        # A statement here is short: compiling it costs more than it saves.
        options = f"{limits} -c jit=off {given.pop('options', '')}"
        defaults = {
            "connect_timeout": _CONNECT_S,
            "application_name": "memorykernel",
            "gssencmode": "disable",
        }
        return {**defaults, **given, "options": options, "client_encoding": "utf8", "autocommit": True}


def _until_stopped(gen: PQGen[RV], attempt: Attempt) -> PQGen[RV]:
    try:
        # What has nothing to wait for, such as entering a pipeline, ends at its first step.
        wanted = next(gen)
        while True:
            ready = yield wanted
            if attempt.is_stopped:
                raise Stopped("the work was stopped while it waited for the database; nothing of it was kept")
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what the generator gives back is untyped here


def name_database(dsn: str) -> str:
    """A DSN as it may be shown: without its password and options, however wrongly they are written."""
    scheme, _, rest = dsn.partition("://")
    place, _, options = rest.partition("?")
    named, at, shown = place.rpartition("@")
    if not at and "@" in options:
        # A password with a question mark, or an option: where one ends and the other begins is a guess.
        return f"{scheme}://..."
    user = named.partition(":")[0]
    return f"{scheme}://{user}{at}{shown}"


def _parse_dsn(dsn: str) -> dict[str, Any]:
    """The parameters of a DSN; libpq's own messages repeat parts of it, such as the password."""
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        given = {"host": "@"}
    if "@" in str(given.get("host", "")):
        raise psycopg.ProgrammingError(
            "the DSN cannot be read: expected postgresql://USER:PASSWORD@HOST:PORT/NAME; write what is no"
            " letter or digit in its password as % and two hex digits"
        )
    return dict(given)


def describe_error(exc: psycopg.Error) -> str:
    """What a driver's error says, on one line."""
    message = exc.diag.message_primary or str(exc).strip() or type(exc).__name__
    return " ".join(message.split())


def _is_gone(connection: TimedConnection, exc: BaseException | None) -> bool:
    if connection.closed or connection.broken:
        return True
    if not isinstance(exc, psycopg.Error):
        # Not the server's doing; but a wait that was interrupted leaves half a conversation.
        return connection.info.transaction_status is TransactionStatus.ACTIVE
    if exc.sqlstate is None:
        return isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError)
    return exc.sqlstate.startswith(_GONE)
