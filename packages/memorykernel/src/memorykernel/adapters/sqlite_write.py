"""One write transaction on SQLite; see `ports.WriteTransaction`."""

from __future__ import annotations

import sqlite3
from typing import Final

from memorykernel.adapters.rows import (
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    digest_record,
    encode_link,
    encode_record,
    place_row,
)
from memorykernel.adapters.sqlite_chain import append_entry, append_timed_entry
from memorykernel.adapters.sqlite_history import load_record
from memorykernel.adapters.sqlite_overlap import SqliteNearby
from memorykernel.adapters.sqlite_postings import index_posting
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, TERM_INDEX_SCHEMA, read_version
from memorykernel.adapters.sqlite_scopes import index_scope
from memorykernel.adapters.sqlite_terms import index_record
from memorykernel.core.admission import NewRecord
from memorykernel.core.chain import digest_entry
from memorykernel.core.record import Link
from memorykernel.core.stored_record import KeptRequest, StoredRecord
from memorykernel.core.terms import describe_content
from memorykernel.core.vocabulary import Relation
from memorykernel.errors import WriteConflict


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


class SqliteTransaction:
    """What a write job works with, between BEGIN IMMEDIATE and COMMIT.

    Args:
        connection: Inside a write transaction.
        now_us: The time of the write, microseconds since 1970 UTC.
    """

    def __init__(self, connection: sqlite3.Connection, now_us: int) -> None:
        self._connection = connection
        self._now_us = now_us
        self._schema = read_version(connection)

    def find_request(self, key: str) -> KeptRequest | None:
        """See `ports.WriteTransaction`."""
        row = self._connection.execute(
            "SELECT request_sha256, reply FROM request_keys WHERE request_key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        return KeptRequest(key=key, digest=bytes(row[0]).hex(), reply=bytes(row[1]))

    def keep_request(self, kept: KeptRequest) -> None:
        """See `ports.WriteTransaction`."""
        row = (kept.key, bytes.fromhex(kept.digest), kept.reply, self._now_us)
        self._connection.execute("INSERT INTO request_keys VALUES (?, ?, ?, ?, ?)", (*row, digest_entry(row)))

    def load_record(self, memory_version_id: str) -> StoredRecord | None:
        """See `ports.WriteTransaction`."""
        return load_record(self._connection, memory_version_id)

    def look_around(self) -> SqliteNearby:
        """See `ports.WriteTransaction`."""
        return SqliteNearby(self._connection)

    def add_record(self, new: NewRecord) -> str:
        """See `ports.WriteTransaction`."""
        head = _insert_record(self._connection, new, self._schema, self._now_us)
        for link in _own_links(new):
            head = _insert_link(self._connection, link, self._schema, self._now_us) or head
        return head.hex()

    def add_link(self, link: Link) -> str:
        """See `ports.WriteTransaction`."""
        _refuse_cycle(self._connection, link)
        added = _insert_link(self._connection, link, self._schema, self._now_us)
        return (added or _read_head(self._connection)).hex()


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
        index_posting(connection, record_seq, describe_content(content), place_row(values))
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
