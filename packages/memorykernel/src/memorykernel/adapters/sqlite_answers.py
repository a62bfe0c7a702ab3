"""Answers in SQLite; see `ports.Answers`.

One transaction an answer, not fsynced: an answer survives the death of the process, but not
necessarily that of the machine. It can be asked again; what it rests on is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    decode_answer,
    digest_answer,
    encode_answer,
)
from memorykernel.adapters.sqlite_chain import append_entry
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, read_version
from memorykernel.core.record import Scope
from memorykernel.core.stored_question import StoredAnswer, StoredQuestion
from memorykernel.core.vocabulary import WILDCARD, Match
from memorykernel.errors import ContextLookupFailed, QueryFailed

_NEWEST: Final = "WHERE context_package_id = ? ORDER BY answer_seq DESC LIMIT 1"
_NEWEST_PACKAGE: Final = f"SELECT package FROM answers {_NEWEST}"  # noqa: S608  # constants
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
                row = connection.execute(_NEWEST_PACKAGE, (context_package_id,)).fetchone()
                if row is None or bytes(row[0]) != package:
                    _insert(connection, context_package_id, package, asked)
        except sqlite3.Error as exc:
            raise QueryFailed(f"the answer could not be kept: {exc}; ask again") from exc

    def load_answer(self, context_package_id: str) -> StoredAnswer | None:
        """See `ports.Answers`."""
        try:
            with self._file.reading() as connection:
                columns = _GROWN if read_version(connection) >= SCOPE_SCHEMA else _PUBLISHED
                statement = f"SELECT {', '.join(columns)} FROM answers {_NEWEST}"  # noqa: S608  # column names
                row = connection.execute(statement, (context_package_id,)).fetchone()
        except sqlite3.Error as exc:
            raise ContextLookupFailed(f"the answer could not be read: {exc}; repeat the request") from exc
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
            raise ContextLookupFailed(f"the answers could not be read: {exc}; repeat the request") from exc
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


def _insert(
    connection: sqlite3.Connection, context_package_id: str, package: bytes, asked: StoredQuestion
) -> None:
    grown = read_version(connection) >= SCOPE_SCHEMA
    columns = (*ANSWER_COLUMNS, *ANSWER_COLUMNS_4)[: _WIDTH[grown]]
    values = encode_answer(context_package_id, package, asked)[: _WIDTH[grown]]
    added = f"INSERT INTO answers ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  # column names
    answer_seq = connection.execute(added, values).lastrowid
    assert answer_seq is not None  # noqa: S101  # an INSERT of one row has a row number
    append_entry(
        connection, "answer_chain", kind="answer", subject_seq=answer_seq, digest=digest_answer(values)
    )
