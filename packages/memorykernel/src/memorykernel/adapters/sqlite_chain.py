"""Appending to a hash chain inside the write transaction that makes the entry true."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, Literal

from memorykernel.core.chain import Value, digest_entry, next_head

ChainTable = Literal["memory_chain", "answer_chain"]

RECORD_COLUMNS: Final = (
    "memory_version_id",
    "memory_id",
    "version",
    "record_type",
    "created_at_us",
    "effective_at_us",
    "truth_status",
    "authority",
    "confidence",
    "writer",
    "justification",
    "source_uri",
    "source_hash",
    "evidence",
    "actor",
    "action",
    "resource",
    "effect",
    "note",
    "summary",
)
"""What a record's digest covers, in this order: everything but its row number."""

LINK_COLUMNS: Final = ("from_version_id", "to_version_id", "relation", "writer", "justification")
"""What a link's digest covers, in this order."""

ANSWER_COLUMNS: Final = ("context_package_id", "package")
"""What an answer's digest covers, in this order."""


def append_entry(
    connection: sqlite3.Connection, table: ChainTable, *, kind: str, subject_seq: int, values: Iterable[Value]
) -> None:
    """Append one entry to a chain.

    The caller holds the write lock, so that no other process appends between reading the head and writing
    the next one.

    Args:
        connection: Inside a write transaction.
        table: The chain.
        kind: What the entry is.
        subject_seq: The row that holds its content.
        values: The content, in the order of the columns above.
    """
    entry_seq, head = connection.execute(
        f"SELECT entry_seq, head FROM {table} ORDER BY entry_seq DESC LIMIT 1"  # noqa: S608  # closed set of names
    ).fetchone()
    digest = digest_entry(values)
    head = next_head(head, kind=kind, subject=subject_seq, digest=digest)
    row = (entry_seq + 1, kind, subject_seq, digest, head)
    connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608  # closed set of names
