"""Records and links in SQLite; see `ports.Memory`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from memorykernel.adapters.sqlite_evidence import (
    VersionIndex,
    decode_policy,
    decode_recall,
    read_policy_rows,
    read_term_rows,
    read_type_rows,
)
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_history import list_versions, load_record
from memorykernel.adapters.sqlite_overlap import SqliteNearby
from memorykernel.adapters.sqlite_postings import decode_search, search_rows
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, read_version
from memorykernel.adapters.sqlite_snapshot import find_snapshot
from memorykernel.adapters.sqlite_write import SqliteTransaction
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.admission import NewRecord
from memorykernel.core.evidence import PolicyEvidence, RecallEvidence, Snapshot
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.recall_search import RecallSearch
from memorykernel.core.record import Link
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.vocabulary import RecordType
from memorykernel.errors import QueryFailed, WriteFailed
from memorykernel.ports import Nearby, Result, WriteTransaction


class SqliteMemory:
    """Records and links of one file.

    Args:
        file: The file; it must be migrated.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._version_index = VersionIndex()
        self._grown = False

    def add_record(self, new: NewRecord, *, now_us: int) -> str:
        """See `ports.Memory`."""
        return self.write(lambda transaction: transaction.add_record(new), now_us=now_us)

    def add_records(self, many: Iterable[NewRecord], *, now_us: int) -> str:
        """Keep records in one transaction, all or none; what filling a store is fast with.

        Raises:
            WriteConflict: A version exists, or a link's target does not.
            WriteFailed: The store could not.
        """

        def add_all(transaction: WriteTransaction) -> str:
            head = ""
            for new in many:
                head = transaction.add_record(new)
            return head

        return self.write(add_all, now_us=now_us)

    def add_link(self, link: Link, *, now_us: int) -> str:
        """See `ports.Memory`."""
        return self.write(lambda transaction: transaction.add_link(link), now_us=now_us)

    def write(self, job: Callable[[WriteTransaction], Result], *, now_us: int) -> Result:
        """See `ports.Memory`."""
        try:
            with self._file.writing(durable=True) as connection:
                return job(SqliteTransaction(connection, now_us))
        except sqlite3.Error as exc:
            raise WriteFailed(f"nothing was kept: {explain(exc)}") from exc

    def look_around(self, job: Callable[[Nearby], Result]) -> Result:
        """See `ports.Memory`."""
        with self._reading() as connection:
            return job(SqliteNearby(connection))

    def load_record(self, memory_version_id: str) -> StoredRecord | None:
        """See `ports.Memory`."""
        with self._reading() as connection:
            return load_record(connection, memory_version_id)

    def list_versions(self, memory_id: str, *, after: int, limit: int) -> Sequence[StoredRecord]:
        """See `ports.Memory`."""
        with self._reading() as connection:
            return list_versions(connection, memory_id, after, limit)

    def find_snapshot(self, as_known_at: int | str) -> Snapshot | None:
        """See `ports.Memory`."""
        with self._reading() as connection:
            return find_snapshot(connection, as_known_at)

    def read_policy_evidence(
        self,
        question: PolicyQuestion,
        *,
        version_index: bool = False,
        patterns: bool = False,
        known: Snapshot | None = None,
    ) -> PolicyEvidence:
        """See `ports.Memory`."""
        with self._reading(one_statement=not version_index) as connection:
            grown = self._has_patterns(connection)
            rows = read_policy_rows(connection, question, grown=grown, patterns=patterns, known=known)
            index = self._version_index.read(connection, known) if version_index else b""
        return decode_policy(rows, index)

    def read_recall_evidence(
        self, record_types: Collection[RecordType], terms: Collection[str], *, known: Snapshot | None = None
    ) -> RecallEvidence:
        """See `ports.Memory`."""
        with self._reading() as connection:
            grown = self._has_patterns(connection)
            rows = read_term_rows(connection, record_types, terms, grown=grown, known=known)
        return decode_recall(rows)

    def search_records(self, search: RecallSearch, *, known: Snapshot | None = None) -> RecallEvidence:
        """See `ports.Memory`."""
        with self._reading(one_statement=True) as connection:
            return decode_search(search, search_rows(connection, search, known))

    def read_every_record(
        self, record_types: Collection[RecordType], *, known: Snapshot | None = None
    ) -> RecallEvidence:
        """See `ports.Memory`."""
        with self._reading() as connection:
            grown = self._has_patterns(connection)
            rows = read_type_rows(connection, record_types, grown=grown, known=known)
            index = self._version_index.read(connection, known)
        return decode_recall(rows, index)

    @contextmanager
    def _reading(self, *, one_statement: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            with self._file.reading(one_statement=one_statement) as connection:
                yield connection
        except sqlite3.Error as exc:
            raise QueryFailed(f"the question could not be read for: {explain(exc)}") from exc

    def _has_patterns(self, connection: sqlite3.Connection) -> bool:
        """Whether the file has schema 4's columns; once it has, it always does."""
        if not self._grown:
            self._grown = read_version(connection) >= SCOPE_SCHEMA
        return self._grown
