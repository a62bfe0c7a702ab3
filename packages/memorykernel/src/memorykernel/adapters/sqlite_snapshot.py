"""Finding a state of the memory in its hash chain: by a time, or by its head."""

from __future__ import annotations

import sqlite3
from typing import Final

from memorykernel.core.evidence import Snapshot

_BY_HEAD: Final = "SELECT entry_seq, head, recorded_at_us FROM memory_chain WHERE head = ?"
_BY_TIME: Final = """
SELECT entry_seq, head, recorded_at_us FROM memory_chain WHERE recorded_at_us <= ?
ORDER BY recorded_at_us DESC, entry_seq DESC LIMIT 1
"""
_UNTIMED: Final = """
SELECT entry_seq, head, recorded_at_us FROM memory_chain WHERE recorded_at_us IS NULL
ORDER BY entry_seq DESC LIMIT 1
"""
_NEWEST_SUBJECT: Final = """
SELECT subject_seq FROM memory_chain WHERE kind = ? AND entry_seq <= ? ORDER BY entry_seq DESC LIMIT 1
"""


def find_snapshot(connection: sqlite3.Connection, as_known_at: int | str) -> Snapshot | None:
    """See `ports.Memory`; every statement reads one entry of an index."""
    if isinstance(as_known_at, str):
        row = connection.execute(_BY_HEAD, (bytes.fromhex(as_known_at),)).fetchone()
    else:
        row = connection.execute(_BY_TIME, (as_known_at,)).fetchone()
        # The first entry has no time, and neither have those of older schemas: they are known at any time.
        row = row or connection.execute(_UNTIMED).fetchone()
    if row is None:
        return None
    entry_seq, head, recorded_at_us = row
    return Snapshot(
        head=bytes(head).hex(),
        entry_seq=entry_seq,
        recorded_at_us=recorded_at_us,
        newest_record_seq=_find_newest(connection, "record", entry_seq),
        newest_link_seq=_find_newest(connection, "link", entry_seq),
    )


def _find_newest(connection: sqlite3.Connection, kind: str, entry_seq: int) -> int:
    row = connection.execute(_NEWEST_SUBJECT, (kind, entry_seq)).fetchone()
    return 0 if row is None else int(row[0])
