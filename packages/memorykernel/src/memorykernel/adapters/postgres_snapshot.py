"""Finding a state of the memory in PostgreSQL's chain by a time or by its head; see `sqlite_snapshot`."""

from __future__ import annotations

from typing import Final

from memorykernel.adapters.postgres_database import PostgresDatabase
from memorykernel.core.evidence import Snapshot

_ENTRY: Final = "SELECT entry_seq, kind, subject_seq, head, recorded_at_us FROM memory_chain"
_BY_HEAD: Final = f"{_ENTRY} WHERE head = %s"
# The first entry has no time, and neither have those of older schemas: they are known at any time.
_BY_TIME: Final = f"""
({_ENTRY} WHERE recorded_at_us <= %s ORDER BY recorded_at_us DESC, entry_seq DESC LIMIT 1)
UNION ALL
({_ENTRY} WHERE recorded_at_us IS NULL ORDER BY entry_seq DESC LIMIT 1)
ORDER BY entry_seq DESC LIMIT 1
"""


def find_snapshot(database: PostgresDatabase, as_known_at: int | str) -> Snapshot | None:
    """See `ports.Memory`; every part of the statement reads one entry of an index."""
    by_head = isinstance(as_known_at, str)
    asked = bytes.fromhex(as_known_at) if isinstance(as_known_at, str) else as_known_at
    statement = _BY_HEAD if by_head else _BY_TIME
    rows = database.query(statement, (asked,))
    if by_head and not rows and (rows := database.query(statement, (asked,), newest=True)):
        # Who knows of a state reads nothing older after it.
        database.await_head(bytes(rows[0][3]))
    if not rows:
        return None
    entry_seq, kind, subject_seq, head, recorded_at_us = rows[0]
    links = subject_seq if kind == "link" else entry_seq - subject_seq
    return Snapshot(
        head=bytes(head).hex(),
        entry_seq=entry_seq,
        recorded_at_us=recorded_at_us,
        newest_record_seq=entry_seq - links,
        newest_link_seq=links,
    )
