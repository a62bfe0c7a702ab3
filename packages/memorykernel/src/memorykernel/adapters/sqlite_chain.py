"""Appending to a hash chain inside the write transaction that makes the entry true."""

from __future__ import annotations

import sqlite3
from typing import Literal

from memorykernel.core.chain import find_jump, next_head, next_timed_head

ChainTable = Literal["memory_chain", "answer_chain"]


def append_entry(
    connection: sqlite3.Connection, table: ChainTable, *, kind: str, subject_seq: int, digest: bytes
) -> bytes:
    """Append one entry to a chain.

    The caller holds the write lock, so that no other process appends between reading the head and writing
    the next one.

    Args:
        connection: Inside a write transaction.
        table: The chain.
        kind: What the entry is.
        subject_seq: The row that holds its content.
        digest: Of the content, from `rows`.

    Returns:
        The new head, 32 bytes.
    """
    entry_seq, head = connection.execute(
        f"SELECT entry_seq, head FROM {table} ORDER BY entry_seq DESC LIMIT 1"  # noqa: S608  # closed set of names
    ).fetchone()
    head = next_head(head, kind=kind, subject=subject_seq, digest=digest)
    row = (entry_seq + 1, kind, subject_seq, digest, head)
    connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608  # closed set of names
    return head


def append_timed_entry(
    connection: sqlite3.Connection, *, kind: str, subject_seq: int, digest: bytes, now_us: int
) -> bytes:
    """Append one entry to the memory's chain with the time of its recording, as schema 4 does.

    Args:
        connection, kind, subject_seq, digest: As for `append_entry`.
        now_us: The clock's time; an entry is never recorded before the one in front of it.

    Returns:
        The new head, 32 bytes.
    """
    entry_seq, head, before_us = connection.execute(
        "SELECT entry_seq, head, recorded_at_us FROM memory_chain ORDER BY entry_seq DESC LIMIT 1"
    ).fetchone()
    recorded_at_us = now_us if before_us is None else max(now_us, before_us)
    head = next_timed_head(
        head,
        jump_head=_load_head(connection, find_jump(entry_seq + 1)),
        entry_seq=entry_seq + 1,
        kind=kind,
        subject=subject_seq,
        digest=digest,
        recorded_at_us=recorded_at_us,
    )
    row = (entry_seq + 1, kind, subject_seq, digest, head, recorded_at_us)
    connection.execute("INSERT INTO memory_chain VALUES (?, ?, ?, ?, ?, ?)", row)
    return head


def _load_head(connection: sqlite3.Connection, entry_seq: int) -> bytes:
    statement = "SELECT head FROM memory_chain WHERE entry_seq = ?"
    return bytes(connection.execute(statement, (entry_seq,)).fetchone()[0])
