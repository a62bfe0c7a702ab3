"""The vectors of a file's records, in a second file beside it: `memory.db.vectors`.

Derived data, outside of chain, export and backup: who deletes the file loses what `mk db embed` makes again.
A vector belongs to a record's number and version id and to a model, so that vectors of another store or
another model are as good as missing. In memory they are one matrix, which every process that recalls by
meaning has.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Final

import msgspec

from memorykernel.adapters.sqlite_evidence import decode_recall, read_chosen_rows
from memorykernel.adapters.sqlite_file import BUSY_TIMEOUT_MS, SqliteFile
from memorykernel.adapters.vector_matrix import VectorMatrix
from memorykernel.core.evidence import RecallEvidence, Snapshot
from memorykernel.core.vector import DIMENSIONS, Model, digest_vectors
from memorykernel.core.vocabulary import RecordType
from memorykernel.errors import QueryFailed
from memorykernel.ports import TextOfRecord

SUFFIX: Final = ".vectors"

_SLICE: Final = 50_000
"""How many records are read at once; their vectors are 20 MB."""

_SCHEMA: Final = (
    "PRAGMA journal_mode = WAL",
    """CREATE TABLE IF NOT EXISTS models (
      model_seq INTEGER PRIMARY KEY, name TEXT NOT NULL, weights_sha256 TEXT NOT NULL,
      UNIQUE (name, weights_sha256)
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS vectors (
      model_seq INTEGER NOT NULL REFERENCES models, record_seq INTEGER NOT NULL,
      memory_version_id TEXT NOT NULL, vector BLOB NOT NULL,
      PRIMARY KEY (model_seq, record_seq)
    ) STRICT, WITHOUT ROWID""",
)
_ADD_MODEL: Final = "INSERT INTO models (name, weights_sha256) VALUES (?, ?) ON CONFLICT DO NOTHING"
_MODEL: Final = "(SELECT model_seq FROM models WHERE name = ? AND weights_sha256 = ?)"
_KEEP: Final = f"""
INSERT INTO vectors VALUES ({_MODEL}, ?, ?, ?)
ON CONFLICT DO UPDATE SET memory_version_id = excluded.memory_version_id, vector = excluded.vector
WHERE memory_version_id <> excluded.memory_version_id OR length(vector) <> {DIMENSIONS}
"""  # noqa: S608  # constants
_READ: Final = f"""
SELECT record_seq, memory_version_id, vector FROM vectors
WHERE model_seq = {_MODEL} AND record_seq > ? AND record_seq <= ?
"""  # noqa: S608  # constants
_RECORDS: Final = """
SELECT memory_version_id, record_type FROM records
WHERE record_seq > ? AND record_seq <= ? ORDER BY record_seq
"""
_TEXTS: Final = """
SELECT record_seq, memory_version_id,
  coalesce(summary, actor || ' ' || action || ' ' || resource || ' ' || coalesce(note, ''))
FROM records WHERE record_seq IN (SELECT value FROM json_each(?)) ORDER BY record_seq
"""


class SqliteVectors:
    """See `ports.Vectors`; used by one thread at a time.

    Args:
        file: The store; it must be at schema 4.
        model: Whose vectors.
    """

    def __init__(self, file: SqliteFile, model: Model) -> None:
        self._file = file
        self._path = file.path.with_name(file.path.name + SUFFIX)
        self._model = (model.name, model.weights_sha256)
        self._matrix = VectorMatrix()
        # Records without a vector, as far as was looked; in the order of their numbers.
        self._missing: dict[int, str] = {}

    def count_missing(self, known: Snapshot) -> int:
        """See `ports.Vectors`."""
        self._read_on(known)
        return sum(seq <= known.newest_record_seq for seq in self._missing)

    def list_missing(self, known: Snapshot, *, limit: int) -> Sequence[TextOfRecord]:
        """See `ports.Vectors`."""
        self._read_on(known)
        wanted = islice((seq for seq in self._missing if seq <= known.newest_record_seq), limit)
        if not (numbers := tuple(wanted)):
            return ()
        with self._reading() as connection:
            rows = connection.execute(_TEXTS, (msgspec.json.encode(numbers).decode(),)).fetchall()
        return tuple(TextOfRecord(*row) for row in rows)

    def keep(self, vectors: Sequence[tuple[TextOfRecord, bytes]]) -> None:
        """See `ports.Vectors`."""
        if not vectors:
            return
        rows = [(*self._model, each.record_seq, each.memory_version_id, vector) for each, vector in vectors]
        with self._beside() as connection, connection:
            connection.execute(_ADD_MODEL, self._model)
            connection.executemany(_KEEP, rows)
        # What counts is what the file has: another process may have been first.
        numbers = [each.record_seq for each, _ in vectors]
        self._take_over(min(numbers) - 1, max(numbers))

    def drop(self) -> None:
        """See `ports.Vectors`."""
        with self._beside() as connection, connection:
            connection.execute(f"DELETE FROM vectors WHERE model_seq = {_MODEL}", self._model)  # noqa: S608  # constant
        self._matrix, self._missing = VectorMatrix(), {}

    def read_nearest(
        self,
        vector: bytes,
        record_types: Collection[RecordType],
        *,
        known: Snapshot,
        limit: int,
        at_least: int,
    ) -> RecallEvidence:
        """See `ports.Vectors`."""
        self._read_on(known)
        newest = known.newest_record_seq
        nearest = self._matrix.find_nearest(
            vector, record_types, newest=newest, limit=limit, at_least=at_least
        )
        with self._reading() as connection:
            evidence = decode_recall(read_chosen_rows(connection, nearest, known))
            names = connection.execute(_TEXTS, (msgspec.json.encode(tuple(nearest)).decode(),)).fetchall()
        digest = digest_vectors((name, self._matrix.get(seq)) for seq, name, _ in names)
        return msgspec.structs.replace(evidence, vectors_sha256=digest)

    def _read_on(self, known: Snapshot) -> None:
        """Bring the matrix up to a state; then look for vectors that other processes made meanwhile."""
        while (first := self._matrix.size) < known.newest_record_seq:
            # Some at a time: what was read stays when the work is stopped at its deadline.
            last = min(first + _SLICE, known.newest_record_seq)
            self._read_slice(first, last)
            self._take_over(first, last)
        if self._missing:
            self._take_over(next(iter(self._missing)) - 1, self._matrix.size)

    def _read_slice(self, after: int, last: int) -> None:
        with self._reading() as connection:
            rows = connection.execute(_RECORDS, (after, last)).fetchall()
        if len(rows) != last - after:
            raise QueryFailed(
                f"records are missing: expected {last - after} behind number {after}, got {len(rows)};"
                " find the damage with 'mk verify'"
            )
        self._matrix.extend([RecordType(record_type) for _, record_type in rows])
        self._missing |= {seq: name for seq, (name, _) in enumerate(rows, start=after + 1)}

    def _take_over(self, after: int, last: int) -> None:
        """Take the vectors of missing records out of the file beside the store."""
        if not self._path.exists():
            return
        with self._beside() as connection:
            rows = connection.execute(_READ, (*self._model, after, last)).fetchall()
        fitting = [
            (seq, vector)
            for seq, name, vector in rows
            if self._missing.get(seq) == name and len(vector) == DIMENSIONS
        ]
        self._matrix.put([seq for seq, _ in fitting], b"".join(vector for _, vector in fitting))
        for seq, _ in fitting:
            del self._missing[seq]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file.reading() as connection:
                yield connection
        except sqlite3.Error as exc:
            raise QueryFailed(f"the question could not be read for: {exc}; repeat it") from exc

    @contextmanager
    def _beside(self) -> Iterator[sqlite3.Connection]:
        """The file beside the store; made when it is missing, readable by whom the store is."""
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, self._file.path.stat().st_mode & 0o777))
            with closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
                for statement in _SCHEMA:
                    connection.execute(statement)
                yield connection
        except (sqlite3.Error, OSError) as exc:
            raise QueryFailed(
                f"the vectors in '{self._path.name}' cannot be used: {exc};"
                " correct that, or delete the file and run 'mk db embed'"
            ) from exc
