"""Records and links in SQLite; see `ports.Memory`."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from memorykernel.adapters.rows import (
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    digest_record,
    encode_link,
    encode_record,
)
from memorykernel.adapters.sqlite_chain import append_entry, append_timed_entry
from memorykernel.adapters.sqlite_evidence import (
    VersionIndex,
    decode_policy,
    decode_recall,
    read_policy_rows,
    read_term_rows,
    read_type_rows,
)
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, TERM_INDEX_SCHEMA, read_version
from memorykernel.adapters.sqlite_scopes import index_scope
from memorykernel.adapters.sqlite_snapshot import find_snapshot
from memorykernel.adapters.sqlite_terms import index_record
from memorykernel.core.admission import NewRecord
from memorykernel.core.chain import digest_entry
from memorykernel.core.evidence import PolicyEvidence, RecallEvidence, Snapshot
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import Link
from memorykernel.core.terms import describe_content
from memorykernel.core.vocabulary import RecordType, Relation
from memorykernel.errors import QueryFailed, WriteConflict, WriteFailed


def _insert_into(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  # column names


_INSERT_RECORD: Final = {
    len(columns): _insert_into("records", columns)
    for columns in (RECORD_COLUMNS, (*RECORD_COLUMNS, *RECORD_COLUMNS_4))
}
"""By the number of columns: schema 4 has more."""

_INSERT_LINK: Final = _insert_into("links", LINK_COLUMNS)
_SAME_LINK: Final = """
SELECT 1 FROM links WHERE from_version_id = ? AND to_version_id = ? AND relation = ?
AND writer = ? AND justification = ?
"""
_REACHED_BY: Final = """
WITH RECURSIVE reached (id) AS (
  SELECT :start
  UNION
  SELECT l.to_version_id FROM reached JOIN links l
  ON l.from_version_id = reached.id AND l.relation = 'supersedes'
)
SELECT 1 FROM reached WHERE id = :goal
"""


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
        return self.add_records((new,), now_us=now_us)

    def add_records(self, many: Iterable[NewRecord], *, now_us: int) -> str:
        """Keep records in one transaction, all or none; what filling a store is fast with.

        Raises:
            WriteConflict: A version exists, or a link's target does not.
            WriteFailed: The store could not.
        """
        try:
            with self._file.writing(durable=True) as connection:
                schema = read_version(connection)
                for new in many:
                    _insert_record(connection, new, schema, now_us)
                    for link in _own_links(new):
                        _insert_link(connection, link, schema, now_us)
                return _read_head(connection).hex()
        except sqlite3.Error as exc:
            raise WriteFailed(f"the record was not kept: {exc}; repeat the write") from exc

    def add_link(self, link: Link, *, now_us: int) -> str:
        """See `ports.Memory`."""
        try:
            with self._file.writing(durable=True) as connection:
                _refuse_cycle(connection, link)
                _insert_link(connection, link, read_version(connection), now_us)
                return _read_head(connection).hex()
        except sqlite3.Error as exc:
            raise WriteFailed(f"the link was not kept: {exc}; repeat the write") from exc

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
        with self._reading() as connection:
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
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file.reading() as connection:
                yield connection
        except sqlite3.Error as exc:
            raise QueryFailed(f"the question could not be read for: {exc}; repeat it") from exc

    def _has_patterns(self, connection: sqlite3.Connection) -> bool:
        """Whether the file has schema 4's columns; once it has, it always does."""
        if not self._grown:
            self._grown = read_version(connection) >= SCOPE_SCHEMA
        return self._grown


def _insert_record(connection: sqlite3.Connection, new: NewRecord, schema: int, now_us: int) -> bytes:
    values = encode_record(new)
    stored = values if schema >= SCOPE_SCHEMA else values[: len(RECORD_COLUMNS)]
    try:
        record_seq = connection.execute(_INSERT_RECORD[len(stored)], stored).lastrowid
    except sqlite3.IntegrityError as exc:
        record = new.record
        raise WriteConflict(
            f"memory {record.memory_id} has a version {record.version} already; send the next one",
            {"memory_id": record.memory_id, "version": record.version},
        ) from exc
    assert record_seq is not None  # noqa: S101  # an INSERT of one row has a row number
    head = _append(connection, "record", record_seq, digest_record(values), schema, now_us)
    content = new.record.payload.payload
    if schema >= TERM_INDEX_SCHEMA:
        index_record(connection, record_seq, describe_content(content))
    if schema >= SCOPE_SCHEMA:
        index_scope(connection, record_seq, content)
    return head


def _insert_link(connection: sqlite3.Connection, link: Link, schema: int, now_us: int) -> bytes | None:
    values = encode_link(link)
    if connection.execute(_SAME_LINK, values).fetchone():
        return None
    _require_versions(connection, link)
    link_seq = connection.execute(_INSERT_LINK, values).lastrowid
    assert link_seq is not None  # noqa: S101  # an INSERT of one row has a row number
    return _append(connection, "link", link_seq, digest_entry(values), schema, now_us)


def _append(
    connection: sqlite3.Connection, kind: str, subject_seq: int, digest: bytes, schema: int, now_us: int
) -> bytes:
    if schema >= SCOPE_SCHEMA:
        return append_timed_entry(
            connection, kind=kind, subject_seq=subject_seq, digest=digest, now_us=now_us
        )
    return append_entry(connection, "memory_chain", kind=kind, subject_seq=subject_seq, digest=digest)


def _read_head(connection: sqlite3.Connection) -> bytes:
    newest = "SELECT head FROM memory_chain ORDER BY entry_seq DESC LIMIT 1"
    return bytes(connection.execute(newest).fetchone()[0])


def _require_versions(connection: sqlite3.Connection, link: Link) -> None:
    for version_id in (link.from_memory_version_id, link.to_memory_version_id):
        known = "SELECT 1 FROM records WHERE memory_version_id = ?"
        if connection.execute(known, (version_id,)).fetchone() is None:
            raise WriteConflict(
                f"no record has version id {version_id}; link to one that was written",
                {"memory_version_id": version_id},
            )


def _refuse_cycle(connection: sqlite3.Connection, link: Link) -> None:
    """A record's own links cannot close a cycle: nothing can have named an id that did not exist."""
    if link.relation is not Relation.SUPERSEDES:
        return
    ends = {"start": link.to_memory_version_id, "goal": link.from_memory_version_id}
    if connection.execute(_REACHED_BY, ends).fetchone():
        raise WriteConflict(
            f"{link.to_memory_version_id} supersedes {link.from_memory_version_id} already, directly or"
            " through others; a cycle is refused, link the other way or write a new version",
            {"from": link.from_memory_version_id, "to": link.to_memory_version_id},
        )


def _own_links(new: NewRecord) -> tuple[Link, ...]:
    record = new.record
    named = ((Relation.SUPERSEDES, record.supersedes), (Relation.CONTRADICTS, record.contradicts))
    return tuple(
        Link(
            from_memory_version_id=record.memory_version_id,
            to_memory_version_id=version_id,
            relation=relation,
            writer=record.writer,
            justification=record.justification,
        )
        for relation, version_ids in named
        for version_id in version_ids
    )
