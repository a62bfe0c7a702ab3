"""Finding a state of the memory in PostgreSQL's hash chain: by a time, or by its head."""

from __future__ import annotations

from typing import Final

from memorykernel.adapters.postgres_database import PostgresDatabase
from memorykernel.core.evidence import Snapshot

_SNAPSHOT: Final = """
SELECT e.entry_seq, e.head, e.recorded_at_us,
  coalesce((SELECT subject_seq FROM memory_chain WHERE kind = 'record' AND entry_seq <= e.entry_seq
            ORDER BY entry_seq DESC LIMIT 1), 0),
  coalesce((SELECT subject_seq FROM memory_chain WHERE kind = 'link' AND entry_seq <= e.entry_seq
            ORDER BY entry_seq DESC LIMIT 1), 0)
FROM ({entry}) e
"""
_BY_HEAD: Final = _SNAPSHOT.format(entry="SELECT * FROM memory_chain WHERE head = %s")
# The first entry has no time, and neither have those of older schemas: they are known at any time.
_BY_TIME: Final = _SNAPSHOT.format(
    entry="""
  (SELECT * FROM memory_chain WHERE recorded_at_us <= %s ORDER BY recorded_at_us DESC, entry_seq DESC LIMIT 1)
  UNION ALL
  (SELECT * FROM memory_chain WHERE recorded_at_us IS NULL ORDER BY entry_seq DESC LIMIT 1)
  ORDER BY entry_seq DESC LIMIT 1"""
)


def find_snapshot(database: PostgresDatabase, as_known_at: int | str) -> Snapshot | None:
    """See `ports.Memory`; every part of the statement reads one entry of an index."""
    if isinstance(as_known_at, str):
        rows = database.query(_BY_HEAD, (bytes.fromhex(as_known_at),))
    else:
        rows = database.query(_BY_TIME, (as_known_at,))
    if not rows:
        return None
    entry_seq, head, recorded_at_us, newest_record_seq, newest_link_seq = rows[0]
    return Snapshot(
        head=bytes(head).hex(),
        entry_seq=entry_seq,
        recorded_at_us=recorded_at_us,
        newest_record_seq=newest_record_seq,
        newest_link_seq=newest_link_seq,
    )
