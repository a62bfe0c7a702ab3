"""Reading rows and entries of the chain as they are hashed, in PostgreSQL; see `ports.Provenance`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import psycopg

from memorykernel.adapters.postgres_database import PostgresDatabase
from memorykernel.adapters.postgres_line import describe_error
from memorykernel.adapters.rows import LINK_COLUMNS, RECORD_COLUMNS, RECORD_COLUMNS_4, Row
from memorykernel.adapters.sqlite_provenance import collect_inputs, decode_entries, list_bound
from memorykernel.core.evidence import Snapshot
from memorykernel.core.proof import ProofEntry, ProofInput
from memorykernel.errors import ContextLookupFailed

_RECORD: Final = ", ".join(f"r.{each}" for each in (*RECORD_COLUMNS, *RECORD_COLUMNS_4))
_LINK: Final = ", ".join(f"l.{each}" for each in LINK_COLUMNS)
_CLAIMS: Final = """l.to_version_id = ANY(%(version_ids)s::text[]) AND l.relation = 'supersedes'
  AND l.link_seq <= %(newest_link_seq)s"""
_RECORDS: Final = f"""
SELECT c.entry_seq, {_RECORD} FROM records r
JOIN memory_chain c ON c.kind = 'record' AND c.subject_seq = r.record_seq
WHERE r.memory_version_id = ANY(%(version_ids)s::text[]
  || ARRAY(SELECT l.from_version_id FROM links l WHERE {_CLAIMS}))
"""  # noqa: S608  # assembled from constants
_LINKS: Final = f"""
SELECT c.entry_seq, {_LINK} FROM links l
JOIN memory_chain c ON c.kind = 'link' AND c.subject_seq = l.link_seq
WHERE {_CLAIMS}
"""  # noqa: S608  # assembled from constants
_ENTRIES: Final = """
SELECT entry_seq, kind, subject_seq, digest, head, recorded_at_us FROM memory_chain
WHERE entry_seq = ANY(%s::bigint[])
"""
_FIRST_JUMP: Final = """
SELECT entry_seq FROM memory_chain WHERE recorded_at_us IS NOT NULL
ORDER BY recorded_at_us, entry_seq LIMIT 1
"""


class PostgresProvenance:
    """The chain of one database; needs schema 4. Read from the primary, which has every state."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def read_inputs(self, version_ids: Collection[str], known: Snapshot) -> Sequence[ProofInput]:
        """See `ports.Provenance`."""
        asked = {"version_ids": sorted(version_ids), "newest_link_seq": known.newest_link_seq}
        return collect_inputs(self._read(_RECORDS, asked), self._read(_LINKS, asked))

    def find_first_jump(self) -> int | None:
        """See `ports.Provenance`."""
        rows = self._read(_FIRST_JUMP, ())
        return int(rows[0][0]) if rows else None

    def read_entries(self, entry_seqs: Sequence[int]) -> Sequence[ProofEntry]:
        """See `ports.Provenance`."""
        return decode_entries(self._read(_ENTRIES, (list_bound(entry_seqs),)), entry_seqs)

    def _read(self, statement: str, values: Any) -> list[Row]:
        try:
            return self._database.query(statement, values, newest=True)
        except psycopg.Error as exc:
            raise ContextLookupFailed(
                f"the chain could not be read: {describe_error(exc)}; repeat the request"
            ) from exc
