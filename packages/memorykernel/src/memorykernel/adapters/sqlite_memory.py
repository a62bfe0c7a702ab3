"""Records and links in SQLite; see `ports.Memory`."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from memorykernel.adapters.sqlite_chain import LINK_COLUMNS, RECORD_COLUMNS, append_entry
from memorykernel.adapters.sqlite_evidence import (
    VersionIndex,
    decode_policy,
    decode_recall,
    read_policy_rows,
    read_term_rows,
    read_type_rows,
)
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_schema import TERM_INDEX_SCHEMA, read_version
from memorykernel.adapters.sqlite_terms import index_record
from memorykernel.core.admission import NewRecord
from memorykernel.core.chain import Value
from memorykernel.core.evidence import PolicyEvidence, RecallEvidence
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, Link
from memorykernel.core.terms import describe_content
from memorykernel.core.vocabulary import RecordType, Relation
from memorykernel.errors import QueryFailed, WriteConflict, WriteFailed

_INSERT_RECORD: Final = (
    f"INSERT INTO records ({', '.join(RECORD_COLUMNS)}) VALUES ({', '.join('?' * len(RECORD_COLUMNS))})"  # noqa: S608  # column names
)
_INSERT_LINK: Final = f"INSERT INTO links ({', '.join(LINK_COLUMNS)}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608  # column names
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

    def add_record(self, new: NewRecord) -> None:
        """See `ports.Memory`."""
        self.add_records((new,))

    def add_records(self, many: Iterable[NewRecord]) -> None:
        """Keep records in one transaction, all or none; what filling a store is fast with.

        Raises:
            WriteConflict: A version exists, or a link's target does not.
            WriteFailed: The store could not.
        """
        try:
            with self._file.writing(durable=True) as connection:
                for new in many:
                    _insert_record(connection, new)
                    for link in _own_links(new):
                        _insert_link(connection, link)
        except sqlite3.Error as exc:
            raise WriteFailed(f"the record was not kept: {exc}; repeat the write") from exc

    def add_link(self, link: Link) -> None:
        """See `ports.Memory`."""
        try:
            with self._file.writing(durable=True) as connection:
                _refuse_cycle(connection, link)
                _insert_link(connection, link)
        except sqlite3.Error as exc:
            raise WriteFailed(f"the link was not kept: {exc}; repeat the write") from exc

    def read_policy_evidence(self, question: PolicyQuestion, *, version_index: bool) -> PolicyEvidence:
        """See `ports.Memory`."""
        try:
            with self._file.reading() as connection:
                rows = read_policy_rows(connection, question)
                index = self._version_index.read(connection) if version_index else b""
        except sqlite3.Error as exc:
            raise QueryFailed(f"the question could not be read for: {exc}; repeat it") from exc
        return decode_policy(rows, index)

    def read_recall_evidence(
        self, record_types: Collection[RecordType], terms: Collection[str]
    ) -> RecallEvidence:
        """See `ports.Memory`."""
        try:
            with self._file.reading() as connection:
                rows = read_term_rows(connection, record_types, terms)
        except sqlite3.Error as exc:
            raise QueryFailed(f"the recall could not be read for: {exc}; repeat it") from exc
        return decode_recall(rows)

    def read_every_record(self, record_types: Collection[RecordType]) -> RecallEvidence:
        """See `ports.Memory`."""
        try:
            with self._file.reading() as connection:
                rows = read_type_rows(connection, record_types)
                index = self._version_index.read(connection)
        except sqlite3.Error as exc:
            raise QueryFailed(f"the recall could not be read for: {exc}; repeat it") from exc
        return decode_recall(rows, index)


def _insert_record(connection: sqlite3.Connection, new: NewRecord) -> None:
    values = _record_values(new)
    try:
        record_seq = connection.execute(_INSERT_RECORD, values).lastrowid
    except sqlite3.IntegrityError as exc:
        record = new.record
        raise WriteConflict(
            f"memory {record.memory_id} has a version {record.version} already; send the next one",
            {"memory_id": record.memory_id, "version": record.version},
        ) from exc
    assert record_seq is not None  # noqa: S101  # an INSERT of one row has a row number
    append_entry(connection, "memory_chain", kind="record", subject_seq=record_seq, values=values)
    if read_version(connection) >= TERM_INDEX_SCHEMA:
        index_record(connection, record_seq, describe_content(new.record.payload.payload))


def _insert_link(connection: sqlite3.Connection, link: Link) -> None:
    values = (
        link.from_memory_version_id,
        link.to_memory_version_id,
        link.relation.value,
        link.writer,
        link.justification,
    )
    if connection.execute(_SAME_LINK, values).fetchone():
        return
    _require_versions(connection, link)
    link_seq = connection.execute(_INSERT_LINK, values).lastrowid
    assert link_seq is not None  # noqa: S101  # an INSERT of one row has a row number
    append_entry(connection, "memory_chain", kind="link", subject_seq=link_seq, values=values)


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


def _record_values(new: NewRecord) -> tuple[Value, ...]:
    """The values of `RECORD_COLUMNS`."""
    record = new.record
    provenance = record.provenance
    return (
        record.memory_version_id,
        record.memory_id,
        record.version,
        record.payload.record_type.value,
        new.created_at_us,
        new.effective_at_us,
        record.truth_status.value,
        record.authority.value,
        record.confidence,
        record.writer,
        record.justification,
        provenance.source_uri,
        provenance.source_hash,
        msgspec.json.encode(provenance.evidence).decode(),
        *_content_values(new),
    )


def _content_values(new: NewRecord) -> tuple[Value, ...]:
    content = new.record.payload.payload
    if isinstance(content, ConstraintContent):
        scope = content.scope
        return scope.actor, scope.action, scope.resource, content.effect.value, content.note, None
    return None, None, None, None, None, describe_content(content)
