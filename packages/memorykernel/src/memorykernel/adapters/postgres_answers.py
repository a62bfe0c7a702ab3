"""Answers in PostgreSQL; see `ports.Answers`.

By itself one transaction an answer, of which a crash of the server may lose the last ones, as one of the
machine may with SQLite; it never loses what they rest on. With `postgres_group` many answers share a
transaction, which is on disk. An answer that a replica does not have yet is read from the primary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from memorykernel.adapters.postgres_chain import OPEN_ANSWERS, SCOPE_SCHEMA
from memorykernel.adapters.postgres_database import Entry, PostgresDatabase, Writing
from memorykernel.adapters.postgres_line import describe_error
from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    decode_answer,
    digest_answer,
    encode_answer,
)
from memorykernel.core.chain import Value, next_head
from memorykernel.core.record import Scope
from memorykernel.core.stored_question import StoredAnswer, StoredQuestion
from memorykernel.core.vocabulary import WILDCARD, Match
from memorykernel.errors import ContextLookupFailed, QueryFailed

_UNTOLD: Final = (None,) * len(ANSWER_COLUMNS_4)
_COLUMNS: Final = ("answer_seq", *ANSWER_COLUMNS, *ANSWER_COLUMNS_4)
READ_ANSWERS: Final = f"SELECT {', '.join(_COLUMNS[:6])} FROM answers"  # noqa: S608  # column names
"""What `decode_answer` reads."""

_NEWEST: Final = f"{READ_ANSWERS} WHERE context_package_id = %s ORDER BY answer_seq DESC LIMIT 1"
_STORED: Final = """
SELECT context_package_id, package FROM answers WHERE context_package_id = ANY(%s::text[]) ORDER BY answer_seq
"""
_TYPES: Final = ("bigint", "text", "bytea", "text", "bytea", "text", "text", "text", "text")
_INSERT: Final = (
    f"INSERT INTO answers ({', '.join(_COLUMNS)})"  # noqa: S608  # column names
    f" SELECT * FROM unnest({', '.join(f'%s::{each}[]' for each in _TYPES)})"
)
_INSERT_ENTRIES: Final = """
INSERT INTO answer_chain
SELECT seq, 'answer', subject, digest, head
FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[]) entry (seq, subject, digest, head)
"""


class PostgresAnswers:
    """Answers of one database; of an id's different answers the newest is found, as in `SqliteAnswers`.

    Args:
        database: The database; it must be migrated.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def store_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> None:
        """See `ports.Answers`."""
        values = encode_answer(context_package_id, package, asked)
        try:
            with self._database.writing(OPEN_ANSWERS, durable=False) as writing:
                insert_answers(writing, (values,))
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


def insert_answers(writing: Writing, answers: Sequence[tuple[Value, ...]]) -> None:
    """Insert answers that are not there yet, and their chain entries, in a statement for each table.

    Args:
        writing: A transaction opened, or opened again, with `OPEN_ANSWERS`.
        answers: The values of `encode_answer`, in the order in which they are to be chained.
    """
    entry_seq, head, answer_seq, schema = writing.opened
    rows: list[tuple[Value, ...]] = []
    entries: list[tuple[Value, ...]] = []
    newest: dict[Value, Value] = dict(writing.read(_STORED, ([values[0] for values in answers],)))
    for values in answers:
        if newest.get(values[0]) == values[1]:
            continue
        newest[values[0]] = values[1]
        stored = values if schema >= SCOPE_SCHEMA else (*values[: len(ANSWER_COLUMNS)], *_UNTOLD)
        answer_seq, entry_seq = answer_seq + 1, entry_seq + 1
        digest = digest_answer(stored)
        head = next_head(bytes(head), kind="answer", subject=answer_seq, digest=digest)
        rows.append((answer_seq, *stored))
        entries.append((entry_seq, answer_seq, digest, head))
    if rows:
        writing.put(_INSERT, [list(column) for column in zip(*rows, strict=True)])
        writing.put(_INSERT_ENTRIES, [list(column) for column in zip(*entries, strict=True)])
        writing.newest = Entry("answer_chain", entry_seq, head)


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
