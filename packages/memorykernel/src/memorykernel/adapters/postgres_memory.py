"""Records and links in PostgreSQL; see `ports.Memory`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from memorykernel.adapters.postgres_chain import OPEN_MEMORY
from memorykernel.adapters.postgres_database import OutcomeUnknown, PostgresDatabase, Reading
from memorykernel.adapters.postgres_evidence import ask_policy, ask_terms, ask_types
from memorykernel.adapters.postgres_history import list_versions, load_record
from memorykernel.adapters.postgres_line import Row, describe_error
from memorykernel.adapters.postgres_overlap import PostgresNearby
from memorykernel.adapters.postgres_postings import ask_search
from memorykernel.adapters.postgres_snapshot import find_snapshot
from memorykernel.adapters.postgres_write import PostgresWrite
from memorykernel.adapters.sqlite_evidence import decode_policy, decode_recall
from memorykernel.adapters.sqlite_postings import decode_search
from memorykernel.core.admission import NewRecord
from memorykernel.core.evidence import PolicyEvidence, RecallEvidence, Snapshot
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.recall_search import RecallSearch
from memorykernel.core.record import Link
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.vocabulary import RecordType
from memorykernel.errors import QueryFailed, WriteFailed
from memorykernel.ports import Nearby, Result, WriteTransaction

_NAMES: Final = """
SELECT record_seq, memory_id || ':' || memory_version_id FROM records
WHERE record_seq > %s AND record_seq <= %s
"""
_ALL: Final = 2**63 - 1


class PostgresMemory:
    """Records and links of one database.

    Args:
        database: The database; it must be migrated.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._version_index = _VersionIndex()

    def add_record(self, new: NewRecord, *, now_us: int) -> str:
        """See `ports.Memory`."""
        return self.write(lambda write: write.add_record(new), now_us=now_us)

    def add_records(self, many: Iterable[NewRecord], *, now_us: int) -> str:
        """Keep records in one transaction, all or none; what filling a store is fast with.

        Raises:
            WriteConflict: A version exists, or a link's target does not.
            WriteFailed: The store could not.
        """

        def add(write: WriteTransaction) -> str:
            head = ""
            for new in many:
                head = write.add_record(new)
            return head

        return self.write(add, now_us=now_us)

    def add_link(self, link: Link, *, now_us: int) -> str:
        """See `ports.Memory`."""
        return self.write(lambda write: write.add_link(link), now_us=now_us)

    def write(self, job: Callable[[WriteTransaction], Result], *, now_us: int) -> Result:
        """See `ports.Memory`."""
        try:
            with self._database.writing(OPEN_MEMORY) as writing:
                return job(PostgresWrite(writing, now_us))
        except OutcomeUnknown as exc:
            raise WriteFailed(f"{describe_error(exc)}; look before repeating the write") from exc
        except psycopg.Error as exc:
            raise WriteFailed(f"nothing was kept: {describe_error(exc)}; repeat the write") from exc

    def look_around(self, job: Callable[[Nearby], Result]) -> Result:
        """See `ports.Memory`."""
        with _as_query_failed(), self._database.reading() as reading:
            return job(PostgresNearby(reading))

    def load_record(self, memory_version_id: str) -> StoredRecord | None:
        """See `ports.Memory`."""
        with _as_query_failed():
            return load_record(self._database.query, memory_version_id)

    def list_versions(self, memory_id: str, *, after: int, limit: int) -> Sequence[StoredRecord]:
        """See `ports.Memory`."""
        with _as_query_failed():
            return list_versions(self._database.query, memory_id, after, limit)

    def find_snapshot(self, as_known_at: int | str) -> Snapshot | None:
        """See `ports.Memory`."""
        with _as_query_failed():
            return find_snapshot(self._database, as_known_at)

    def read_policy_evidence(
        self,
        question: PolicyQuestion,
        *,
        version_index: bool = False,
        patterns: bool = False,
        known: Snapshot | None = None,
    ) -> PolicyEvidence:
        """See `ports.Memory`."""
        statement, values = ask_policy(question, patterns=patterns, known=known)
        with _as_query_failed():
            if not version_index:
                return decode_policy(self._read(statement, values, known), b"")
            with self._database.reading() as reading:
                return decode_policy(
                    reading.read(statement, values), self._version_index.read(reading, known)
                )

    def read_recall_evidence(
        self, record_types: Collection[RecordType], terms: Collection[str], *, known: Snapshot | None = None
    ) -> RecallEvidence:
        """See `ports.Memory`."""
        with _as_query_failed():
            return decode_recall(self._read(*ask_terms(record_types, terms, known), known))

    def search_records(self, search: RecallSearch, *, known: Snapshot | None = None) -> RecallEvidence:
        """See `ports.Memory`."""
        with _as_query_failed():
            return decode_search(search, self._database.query(*ask_search(search, known)))

    def read_every_record(
        self, record_types: Collection[RecordType], *, known: Snapshot | None = None
    ) -> RecallEvidence:
        """See `ports.Memory`."""
        with _as_query_failed(), self._database.reading() as reading:
            rows = reading.read(*ask_types(record_types, known))
            return decode_recall(rows, self._version_index.read(reading, known))

    def _read(self, statement: str, values: dict[str, Any], known: Snapshot | None) -> list[Row]:
        """Read evidence; of the primary when the replica lacks the state."""
        rows = self._database.query(statement, values)
        if known is not None and bytes(rows[0][0]).hex() != known.head:
            return self._database.query(statement, values, newest=True)
        return rows


class _VersionIndex:
    """v1's list of every version's name, as `sqlite_evidence.VersionIndex` keeps it.

    It is read from the primary only, so that what was read never is newer than what is read next.
    """

    def __init__(self) -> None:
        self._newest_seq = 0
        self._names: list[str] = []
        self._joined = b""

    def read(self, reading: Reading, known: Snapshot | None) -> bytes:
        """The index as of the state that the transaction reads, or as of an earlier one."""
        if known is not None:
            names = sorted(name for _, name in reading.read(_NAMES, (0, known.newest_record_seq)))
            return "".join(names).encode()
        if rows := reading.read(_NAMES, (self._newest_seq, _ALL)):
            self._names.extend(name for _, name in rows)
            self._names.sort()
            self._joined = "".join(self._names).encode()
            self._newest_seq = max(seq for seq, _ in rows)
        return self._joined


@contextmanager
def _as_query_failed() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as exc:
        raise QueryFailed(f"the question could not be read for: {describe_error(exc)}; repeat it") from exc
