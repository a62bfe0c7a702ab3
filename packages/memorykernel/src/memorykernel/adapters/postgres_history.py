"""Reading records back from PostgreSQL, with their place in the chain and who speaks about them.

One statement, so one state and one round trip, however many versions a memory has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from memorykernel.adapters.postgres_database import Values
from memorykernel.adapters.rows import RECORD_COLUMNS, RECORD_COLUMNS_4, Row, decode_stored_record
from memorykernel.core.stored_record import StoredRecord

Read = Callable[[str, Values], list[Row]]
"""`PostgresDatabase.query` or `Reading.read`."""

_COLUMNS: Final = ", ".join(f"r.{each}" for each in (*RECORD_COLUMNS, *RECORD_COLUMNS_4))


def _linked(end: str, other: str, relation: str) -> str:
    return (
        f"ARRAY(SELECT DISTINCT {other} FROM links WHERE {end} = r.memory_version_id"  # noqa: S608  # column names
        f" AND relation = '{relation}' ORDER BY {other})"
    )


_LINKS: Final = ", ".join(
    _linked(end, other, relation)
    for end, other in (("from_version_id", "to_version_id"), ("to_version_id", "from_version_id"))
    for relation in ("supersedes", "contradicts")
)
_RECORDS: Final = f"""
SELECT {_LINKS}, c.entry_seq, c.head, c.recorded_at_us, {_COLUMNS}
FROM records r JOIN memory_chain c ON c.kind = 'record' AND c.subject_seq = r.record_seq
"""  # noqa: S608  # column names
_ONE: Final = f"{_RECORDS} WHERE r.memory_version_id = %s"
_VERSIONS: Final = f"{_RECORDS} WHERE r.memory_id = %s AND r.version > %s ORDER BY r.version LIMIT %s"


def load_record(read: Read, memory_version_id: str) -> StoredRecord | None:
    """See `ports.Memory`."""
    rows = read(_ONE, (memory_version_id,))
    return _decode(rows[0]) if rows else None


def list_versions(read: Read, memory_id: str, after: int, limit: int) -> tuple[StoredRecord, ...]:
    """See `ports.Memory`."""
    return tuple(map(_decode, read(_VERSIONS, (memory_id, after, limit))))


def _decode(row: Row) -> StoredRecord:
    supersedes, contradicts, superseded_by, contradicted_by = map(tuple, row[:4])
    return decode_stored_record(
        row[4:],
        supersedes=supersedes,
        contradicts=contradicts,
        superseded_by=superseded_by,
        contradicted_by=contradicted_by,
    )
