"""Answers in SQLite; see `ports.Answers`.

One transaction an answer, not fsynced: an answer survives the death of the process, but not
necessarily that of the machine. It can be asked again; what it rests on is durable.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from memorykernel.adapters.sqlite_chain import append_entry
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.errors import ContextLookupFailed, QueryFailed

_NEWEST: Final = """
SELECT package FROM answers WHERE context_package_id = ? ORDER BY answer_seq DESC LIMIT 1
"""


class SqliteAnswers:
    """Answers of one file.

    An id of the v1 rulesets has a resolution of one second, so two different answers can share it;
    both are kept, and the newest is found.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def store_answer(self, context_package_id: str, package: bytes) -> None:
        """See `ports.Answers`."""
        try:
            with self._file.writing(durable=False) as connection:
                if _find(connection, context_package_id) != package:
                    _insert(connection, context_package_id, package)
        except sqlite3.Error as exc:
            raise QueryFailed(f"the answer could not be kept: {exc}; ask again") from exc

    def load_answer(self, context_package_id: str) -> bytes | None:
        """See `ports.Answers`."""
        try:
            with self._file.reading() as connection:
                return _find(connection, context_package_id)
        except sqlite3.Error as exc:
            raise ContextLookupFailed(f"the answer could not be read: {exc}; repeat the request") from exc


def _find(connection: sqlite3.Connection, context_package_id: str) -> bytes | None:
    row = connection.execute(_NEWEST, (context_package_id,)).fetchone()
    return None if row is None else bytes(row[0])


def _insert(connection: sqlite3.Connection, context_package_id: str, package: bytes) -> None:
    values = (context_package_id, package)
    added = "INSERT INTO answers (context_package_id, package) VALUES (?, ?)"
    answer_seq = connection.execute(added, values).lastrowid
    assert answer_seq is not None  # noqa: S101  # an INSERT of one row has a row number
    append_entry(connection, "answer_chain", kind="answer", subject_seq=answer_seq, values=values)
