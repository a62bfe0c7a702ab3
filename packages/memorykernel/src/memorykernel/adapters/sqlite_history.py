"""Reading records back, with their place in the chain and who speaks about them; needs schema 4."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from memorykernel.adapters.rows import RECORD_COLUMNS, RECORD_COLUMNS_4, Row, decode_stored_record
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.vocabulary import Relation

_COLUMNS: Final = ", ".join(f"r.{each}" for each in (*RECORD_COLUMNS, *RECORD_COLUMNS_4))
_RECORDS: Final = f"""
SELECT c.entry_seq, c.head, c.recorded_at_us, {_COLUMNS}
FROM records r JOIN memory_chain c ON c.kind = 'record' AND c.subject_seq = r.record_seq
"""  # noqa: S608  # column names
_ONE: Final = f"{_RECORDS} WHERE r.memory_version_id = ?"
_VERSIONS: Final = f"{_RECORDS} WHERE r.memory_id = ? AND r.version > ? ORDER BY r.version LIMIT ?"
_MADE: Final = "SELECT relation, to_version_id FROM links WHERE from_version_id = ?"
_SUFFERED: Final = "SELECT relation, from_version_id FROM links WHERE to_version_id = ?"


def load_record(connection: sqlite3.Connection, memory_version_id: str) -> StoredRecord | None:
    """See `ports.Memory`."""
    row = connection.execute(_ONE, (memory_version_id,)).fetchone()
    return None if row is None else _complete(connection, row)


def list_versions(
    connection: sqlite3.Connection, memory_id: str, after: int, limit: int
) -> tuple[StoredRecord, ...]:
    """See `ports.Memory`."""
    rows = connection.execute(_VERSIONS, (memory_id, after, limit)).fetchall()
    return tuple(_complete(connection, row) for row in rows)


def _complete(connection: sqlite3.Connection, row: Row) -> StoredRecord:
    version_id = (row[3],)
    made = connection.execute(_MADE, version_id).fetchall()
    suffered = connection.execute(_SUFFERED, version_id).fetchall()
    return decode_stored_record(
        row,
        supersedes=_pick(made, Relation.SUPERSEDES),
        contradicts=_pick(made, Relation.CONTRADICTS),
        superseded_by=_pick(suffered, Relation.SUPERSEDES),
        contradicted_by=_pick(suffered, Relation.CONTRADICTS),
    )


def _pick(links: Iterable[tuple[str, str]], relation: Relation) -> tuple[str, ...]:
    return tuple(sorted({version_id for stated, version_id in links if stated == relation}))
