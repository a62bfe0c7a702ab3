"""What a store is asked while something is merged into it, inside one write transaction.

The questions are put to a write transaction by `ports`, and to the tables directly where importing needs what
no request does: a record exactly as it is stored, and answers from before questions were kept.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Protocol

from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    digest_answer,
)
from memorykernel.adapters.sqlite_chain import append_entry
from memorykernel.adapters.sqlite_write import SqliteTransaction
from memorykernel.ports import WriteTransaction

COLUMNS: Final = ", ".join((*RECORD_COLUMNS, *RECORD_COLUMNS_4))
UNTOLD: Final = (None,) * len(ANSWER_COLUMNS_4)
"""What an answer has instead of its question, when that is not known."""

_BY_VERSION_ID: Final = f"SELECT {COLUMNS} FROM records WHERE memory_version_id = ?"  # noqa: S608  # column names
_BY_VERSION: Final = "SELECT 1 FROM records WHERE memory_id = ? AND version = ?"
_SAME_ANSWER: Final = "SELECT 1 FROM answers WHERE context_package_id = ? AND package = ?"
_ADD_ANSWER: Final = f"INSERT INTO answers ({', '.join(ANSWER_COLUMNS)}) VALUES (?, ?)"  # noqa: S608  # column names
_NEWEST: Final = "SELECT entry_seq FROM memory_chain ORDER BY entry_seq DESC LIMIT 1"


class BundleStore(Protocol):
    """A store in a write transaction."""

    @property
    def transaction(self) -> WriteTransaction:
        """Adds records and links."""
        ...

    @property
    def parking(self) -> sqlite3.Connection:
        """Where lines wait that come early, in a temporary table."""
        ...

    def find_row(self, memory_version_id: str) -> Row | None:
        """The columns of a record as they are stored."""
        ...

    def is_taken(self, memory_id: str, version: int) -> bool:
        """Whether a memory has a version."""
        ...

    def count_entries(self) -> int:
        """How many entries the memory's chain has."""
        ...

    def add_untold_answer(self, context_package_id: str, package: bytes) -> bool:
        """Add an answer without its question; False when the same is there already."""
        ...


class SqliteBundleStore:
    """See `BundleStore`.

    Args:
        connection: Inside a write transaction.
        now_us: The time of recording.
    """

    def __init__(self, connection: sqlite3.Connection, now_us: int) -> None:
        self.parking = connection
        self.transaction: WriteTransaction = SqliteTransaction(connection, now_us)

    def find_row(self, memory_version_id: str) -> Row | None:
        """See `BundleStore`."""
        row: Row | None = self.parking.execute(_BY_VERSION_ID, (memory_version_id,)).fetchone()
        return row

    def is_taken(self, memory_id: str, version: int) -> bool:
        """See `BundleStore`."""
        return self.parking.execute(_BY_VERSION, (memory_id, version)).fetchone() is not None

    def count_entries(self) -> int:
        """See `BundleStore`."""
        return int(self.parking.execute(_NEWEST).fetchone()[0])

    def add_untold_answer(self, context_package_id: str, package: bytes) -> bool:
        """See `BundleStore`."""
        values = (context_package_id, package)
        if self.parking.execute(_SAME_ANSWER, values).fetchone():
            return False
        answer_seq = self.parking.execute(_ADD_ANSWER, values).lastrowid
        assert answer_seq is not None  # noqa: S101  # an INSERT of one row has a row number
        append_entry(
            self.parking,
            "answer_chain",
            kind="answer",
            subject_seq=answer_seq,
            digest=digest_answer((*values, *UNTOLD)),
        )
        return True
