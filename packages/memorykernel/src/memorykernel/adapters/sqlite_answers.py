"""Answers in SQLite; see `ports.Answers`.

By itself one transaction an answer, not fsynced: an answer survives the death of the process, but not
necessarily that of the machine. It can be asked again; what it rests on is durable. With `sqlite_group` many
answers share a transaction, which is fsynced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    decode_answer,
    digest_answer,
    encode_answer,
)
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, read_version
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.chain import Value, next_head
from memorykernel.core.record import Scope
from memorykernel.core.stored_question import StoredAnswer, StoredQuestion
from memorykernel.core.vocabulary import WILDCARD, Match
from memorykernel.errors import ContextLookupFailed, QueryFailed

_NEWEST: Final = "WHERE context_package_id = ? ORDER BY answer_seq DESC LIMIT 1"
_STORED: Final = """
SELECT a.context_package_id, a.package FROM json_each(?) j
JOIN answers a ON a.context_package_id = j.value ORDER BY a.answer_seq
"""
_TIPS: Final = """
SELECT (SELECT coalesce(max(answer_seq), 0) FROM answers), entry_seq, head
FROM answer_chain ORDER BY entry_seq DESC LIMIT 1
"""
_MAX_ROWS: Final = 64
_PUBLISHED: Final = ("answer_seq", *ANSWER_COLUMNS)
_GROWN: Final = (*_PUBLISHED, "ruleset", "head", "question")
_WIDTH: Final = {False: len(ANSWER_COLUMNS), True: len(ANSWER_COLUMNS) + len(ANSWER_COLUMNS_4)}


class SqliteAnswers:
    """Answers of one file.

    An id of the v1 rulesets has a resolution of one second, so two different answers can share it;
    both are kept, and the newest is found.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def store_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> None:
        """See `ports.Answers`."""
        try:
            with self._file.writing(durable=False) as connection:
                insert_answers(connection, (encode_answer(context_package_id, package, asked),))
        except sqlite3.Error as exc:
            raise QueryFailed(f"the answer could not be kept: {explain(exc)}") from exc

    def load_answer(self, context_package_id: str) -> StoredAnswer | None:
        """See `ports.Answers`."""
        try:
            with self._file.reading() as connection:
                columns = _GROWN if read_version(connection) >= SCOPE_SCHEMA else _PUBLISHED
                statement = f"SELECT {', '.join(columns)} FROM answers {_NEWEST}"  # noqa: S608  # column names
                row = connection.execute(statement, (context_package_id,)).fetchone()
        except sqlite3.Error as exc:
            raise ContextLookupFailed(f"the answer could not be read: {explain(exc)}") from exc
        return None if row is None else decode_answer(row)

    def list_policy_answers(
        self, *, after: int, limit: int, scope: Scope | None = None
    ) -> Sequence[StoredAnswer]:
        """See `ports.Answers`."""
        conditions, values = _match(scope)
        statement = (
            f"SELECT {', '.join(_GROWN)} FROM answers"  # noqa: S608  # column names and bound values
            f" WHERE actor IS NOT NULL AND answer_seq > ?{conditions} ORDER BY answer_seq LIMIT ?"
        )
        try:
            with self._file.reading() as connection:
                rows = connection.execute(statement, (after, *values, limit)).fetchall()
        except sqlite3.Error as exc:
            raise ContextLookupFailed(f"the answers could not be read: {explain(exc)}") from exc
        return tuple(map(decode_answer, rows))


def _match(scope: Scope | None) -> tuple[str, tuple[str, ...]]:
    """The conditions on a stored question's values that a scope implies, and the values to bind."""
    conditions, values = "", []
    for field, value, match in scope.patterns() if scope else ():
        if match is Match.EXACT and value != WILDCARD:
            conditions += f" AND {field} = ?"
            values.append(value)
        elif match is Match.PREFIX:
            conditions += f" AND substr({field}, 1, length(?)) = ?"
            values += [value, value]
    return conditions, tuple(values)


def insert_answers(connection: sqlite3.Connection, answers: Sequence[tuple[Value, ...]]) -> None:
    """Insert answers that are not there yet, and their chain entries, in a few statements.

    A statement for each row would hand the interpreter's lock to another thread and back for each, which
    under load costs more than the row.

    Args:
        connection: Inside a write transaction.
        answers: The values of `encode_answer`, in the order in which they are to be chained.
    """
    width = _WIDTH[read_version(connection) >= SCOPE_SCHEMA]
    answer_seq, entry_seq, head = connection.execute(_TIPS).fetchone()
    rows: list[tuple[Value, ...]] = []
    entries: list[tuple[Value, ...]] = []
    for values in _find_new(connection, answers):
        stored = values[:width]
        answer_seq, entry_seq = answer_seq + 1, entry_seq + 1
        digest = digest_answer(stored)
        head = next_head(head, kind="answer", subject=answer_seq, digest=digest)
        rows.append((answer_seq, *stored))
        entries.append((entry_seq, "answer", answer_seq, digest, head))
    columns = ("answer_seq", *(*ANSWER_COLUMNS, *ANSWER_COLUMNS_4)[:width])
    _insert_rows(connection, f"INSERT INTO answers ({', '.join(columns)})", rows)
    _insert_rows(connection, "INSERT INTO answer_chain", entries)


def _find_new(
    connection: sqlite3.Connection, answers: Sequence[tuple[Value, ...]]
) -> Iterator[tuple[Value, ...]]:
    """The answers that differ from the newest one under their id."""
    ids = msgspec.json.encode([values[0] for values in answers]).decode()
    newest: dict[Value, Value] = dict(connection.execute(_STORED, (ids,)).fetchall())
    for values in answers:
        if newest.get(values[0]) != values[1]:
            newest[values[0]] = values[1]
            yield values


def _insert_rows(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Value, ...]]) -> None:
    """Insert rows by statements of 64, 32, 16, ... of them, which are few enough to stay prepared."""
    start, size = 0, _MAX_ROWS
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        chunk = rows[start : start + size]
        row = f"({', '.join('?' * len(chunk[0]))})"
        values = [value for each in chunk for value in each]
        connection.execute(f"{into} VALUES {', '.join([row] * size)}", values)
        start += size
