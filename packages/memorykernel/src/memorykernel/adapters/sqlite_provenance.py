"""Reading rows and entries of the chain as they are hashed; see `ports.Provenance`."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from memorykernel.adapters.rows import LINK_COLUMNS, RECORD_COLUMNS, RECORD_COLUMNS_4, Row
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.chain import find_jump
from memorykernel.core.evidence import Snapshot
from memorykernel.core.proof import ProofEntry, ProofInput
from memorykernel.errors import ContextLookupFailed

_RECORD: Final = ", ".join(f"r.{each}" for each in (*RECORD_COLUMNS, *RECORD_COLUMNS_4))
_LINK: Final = ", ".join(f"l.{each}" for each in LINK_COLUMNS)
_GIVEN: Final = "(SELECT value FROM json_each(:version_ids))"
_CLAIMS: Final = f"""l.to_version_id IN {_GIVEN} AND l.relation = 'supersedes'
  AND l.link_seq <= :newest_link_seq"""
_RECORDS: Final = f"""
SELECT c.entry_seq, {_RECORD} FROM records r
JOIN memory_chain c ON c.kind = 'record' AND c.subject_seq = r.record_seq
WHERE r.memory_version_id IN (SELECT value FROM json_each(:version_ids)
  UNION SELECT l.from_version_id FROM links l WHERE {_CLAIMS})
"""  # noqa: S608  # assembled from constants
_LINKS: Final = f"""
SELECT c.entry_seq, {_LINK} FROM links l
JOIN memory_chain c ON c.kind = 'link' AND c.subject_seq = l.link_seq
WHERE {_CLAIMS}
"""  # noqa: S608  # assembled from constants
_ENTRIES: Final = """
SELECT entry_seq, kind, subject_seq, digest, head, recorded_at_us FROM memory_chain
WHERE entry_seq IN (SELECT value FROM json_each(?))
"""
_FIRST_JUMP: Final = """
SELECT entry_seq FROM memory_chain WHERE recorded_at_us IS NOT NULL
ORDER BY recorded_at_us, entry_seq LIMIT 1
"""


class SqliteProvenance:
    """The chain of one file; needs schema 4."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def read_inputs(self, version_ids: Collection[str], known: Snapshot) -> Sequence[ProofInput]:
        """See `ports.Provenance`."""
        asked = {
            "version_ids": msgspec.json.encode(sorted(version_ids)).decode(),
            "newest_link_seq": known.newest_link_seq,
        }
        with self._reading() as connection:
            records = connection.execute(_RECORDS, asked).fetchall()
            links = connection.execute(_LINKS, asked).fetchall()
        return collect_inputs(records, links)

    def find_first_jump(self) -> int | None:
        """See `ports.Provenance`."""
        with self._reading() as connection:
            row = connection.execute(_FIRST_JUMP).fetchone()
        return None if row is None else int(row[0])

    def read_entries(self, entry_seqs: Sequence[int]) -> Sequence[ProofEntry]:
        """See `ports.Provenance`."""
        bound = msgspec.json.encode(list_bound(entry_seqs)).decode()
        with self._reading() as connection:
            rows = connection.execute(_ENTRIES, (bound,)).fetchall()
        return decode_entries(rows, entry_seqs)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file.reading() as connection:
                yield connection
        except sqlite3.Error as exc:
            raise ContextLookupFailed(f"the chain could not be read: {explain(exc)}") from exc


def collect_inputs(records: Iterable[Row], links: Iterable[Row]) -> Sequence[ProofInput]:
    """Make inputs of the number of an entry and the columns of its row, by entry."""
    found = [ProofInput(entry_seq=row[0], kind="record", columns=row[1:]) for row in records]
    found += [ProofInput(entry_seq=row[0], kind="link", columns=row[1:]) for row in links]
    return sorted(found, key=lambda each: each.entry_seq)


def list_bound(entry_seqs: Iterable[int]) -> list[int]:
    """The entries whose heads are bound by some entries, and these."""
    return sorted({older for seq in entry_seqs for older in (seq, seq - 1, find_jump(seq))})


def decode_entries(rows: Iterable[Row], entry_seqs: Sequence[int]) -> Sequence[ProofEntry]:
    """Make entries of the rows of `list_bound`: number, kind, subject, digest, head and time."""
    by_seq = {row[0]: row for row in rows}
    return [_decode(by_seq[seq], by_seq) for seq in entry_seqs]


def _decode(row: Row, by_seq: dict[int, Row]) -> ProofEntry:
    entry_seq, kind, subject, digest, _, recorded_at_us = row
    jump = None if recorded_at_us is None else bytes(by_seq[find_jump(entry_seq)][4]).hex()
    return ProofEntry(
        entry_seq=entry_seq,
        kind=kind,
        subject=subject,
        digest=bytes(digest).hex(),
        recorded_at_us=recorded_at_us,
        previous=bytes(by_seq[entry_seq - 1][4]).hex(),
        jump=jump,
    )
