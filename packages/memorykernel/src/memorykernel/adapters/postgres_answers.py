"""Answers in PostgreSQL; see `ports.Answers`.

Unless they are durable, a crash of the server may lose the last answers, as one of the machine may with
SQLite; it never loses what they rest on. An answer that a replica does not have yet is read from the primary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from memorykernel.adapters.postgres_chain import OPEN_ANSWERS, SCOPE_SCHEMA, AnswerTip
from memorykernel.adapters.postgres_database import PostgresDatabase
from memorykernel.adapters.postgres_line import describe_error
from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    decode_answer,
    digest_answer,
    encode_answer,
)
from memorykernel.core.record import Scope
from memorykernel.core.stored_question import StoredAnswer, StoredQuestion
from memorykernel.core.vocabulary import WILDCARD, Match
from memorykernel.errors import ContextLookupFailed, QueryFailed

_COLUMNS: Final = ("answer_seq", *ANSWER_COLUMNS, *ANSWER_COLUMNS_4)
READ_ANSWERS: Final = f"SELECT {', '.join(_COLUMNS[:6])} FROM answers"  # noqa: S608  # column names
"""What `decode_answer` reads."""

_NEWEST: Final = f"{READ_ANSWERS} WHERE context_package_id = %s ORDER BY answer_seq DESC LIMIT 1"
_INSERT: Final = f"INSERT INTO answers ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608  # column names
_SAME: Final = """
SELECT package = %s FROM answers WHERE context_package_id = %s ORDER BY answer_seq DESC LIMIT 1
"""


class PostgresAnswers:
    """Answers of one database; of an id's different answers the newest is found, as in `SqliteAnswers`.

    Args:
        database: The database; it must be migrated.
        durable: An answer is on disk when it was stored; else a crash of the server may lose the last ones.
    """

    def __init__(self, database: PostgresDatabase, *, durable: bool = False) -> None:
        self._database = database
        self._durable = durable

    def store_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> None:
        """See `ports.Answers`."""
        values = encode_answer(context_package_id, package, asked)
        try:
            with self._database.writing(OPEN_ANSWERS, durable=self._durable) as writing:
                if writing.read(_SAME, (package, context_package_id)) == [(True,)]:
                    return
                tip = AnswerTip(writing)
                if tip.schema < SCOPE_SCHEMA:
                    values = (*values[: len(ANSWER_COLUMNS)], *(None,) * len(ANSWER_COLUMNS_4))
                answer_seq = tip.number_answer()
                writing.put(_INSERT, (answer_seq, *values))
                tip.append(answer_seq, digest_answer(values))
        except psycopg.Error as exc:
            raise QueryFailed(f"the answer could not be kept: {describe_error(exc)}; ask again") from exc

    def load_answer(self, context_package_id: str) -> StoredAnswer | None:
        """See `ports.Answers`."""
        asked = (context_package_id,)
        rows = self._query(_NEWEST, asked) or self._query(_NEWEST, asked, newest=True)
        return decode_answer(rows[0]) if rows else None

    def list_policy_answers(
        self, *, after: int, limit: int, scope: Scope | None = None
    ) -> Sequence[StoredAnswer]:
        """See `ports.Answers`."""
        conditions, values = _match(scope)
        found = f"WHERE actor IS NOT NULL AND answer_seq > %s{conditions}"
        statement = f"{READ_ANSWERS} {found} ORDER BY answer_seq LIMIT %s"
        return tuple(map(decode_answer, self._query(statement, (after, *values, limit))))

    def _query(self, statement: str, values: Sequence[Any], *, newest: bool = False) -> list[tuple[Any, ...]]:
        try:
            return self._database.query(statement, values, newest=newest)
        except psycopg.Error as exc:
            raise ContextLookupFailed(
                f"the answer could not be read: {describe_error(exc)}; repeat the request"
            ) from exc


def _match(scope: Scope | None) -> tuple[str, tuple[str, ...]]:
    """The conditions on a stored question's values that a scope implies, and the values to bind."""
    conditions = ""
    values: list[str] = []
    for field, value, match in scope.patterns() if scope else ():
        if match is Match.EXACT and value != WILDCARD:
            conditions += f" AND left({field}, 200) = left(%s, 200) AND {field} = %s"
            values += [value, value]
        elif match is Match.PREFIX:
            conditions += f" AND starts_with({field}, %s)"
            values.append(value)
    return conditions, tuple(values)
