"""Finding a state of the memory in its hash chain: by a time, or by its head.

Rows are numbered from 1 without gaps, and each has one entry; so entry n stands after n rows, and its own row
tells how many of them are records and how many are links.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from memorykernel.core.evidence import Snapshot

_ENTRY: Final = "SELECT entry_seq, kind, subject_seq, head, recorded_at_us FROM memory_chain"
_BY_HEAD: Final = f"{_ENTRY} WHERE head = ?"
_BY_TIME: Final = f"{_ENTRY} WHERE recorded_at_us <= ? ORDER BY recorded_at_us DESC, entry_seq DESC LIMIT 1"
_UNTIMED: Final = f"{_ENTRY} WHERE recorded_at_us IS NULL ORDER BY entry_seq DESC LIMIT 1"


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
    entry_seq, kind, subject_seq, head, recorded_at_us = row
    links = subject_seq if kind == "link" else entry_seq - subject_seq
    return Snapshot(
        head=bytes(head).hex(),
        entry_seq=entry_seq,
        recorded_at_us=recorded_at_us,
        newest_record_seq=entry_seq - links,
        newest_link_seq=links,
    )
