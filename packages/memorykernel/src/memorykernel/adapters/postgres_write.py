"""One write to the memory in PostgreSQL; see `ports.WriteTransaction`.

What is asked is asked in one round trip; what is written waits and travels with the commit.
"""

from __future__ import annotations

from typing import Final

from memorykernel.adapters.postgres_chain import SCOPE_SCHEMA, MemoryTip
from memorykernel.adapters.postgres_database import Writing
from memorykernel.adapters.postgres_history import load_record
from memorykernel.adapters.postgres_overlap import PostgresNearby
from memorykernel.adapters.postgres_postings import index_posting
from memorykernel.adapters.postgres_scopes import index_scope
from memorykernel.adapters.postgres_terms import index_record
from memorykernel.adapters.rows import (
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    digest_record,
    encode_link,
    encode_record,
    place_row,
)
from memorykernel.core.admission import NewRecord
from memorykernel.core.chain import digest_entry
from memorykernel.core.record import Content, Link
from memorykernel.core.stored_record import KeptRequest, StoredRecord
from memorykernel.core.terms import describe_content
from memorykernel.core.vocabulary import Relation
from memorykernel.errors import WriteConflict

TERM_INDEX_SCHEMA: Final = 3


def _insert_into(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608  # column names


_INSERT_RECORD: Final = _insert_into("records", ("record_seq", *RECORD_COLUMNS, *RECORD_COLUMNS_4))
_INSERT_LINK: Final = _insert_into("links", ("link_seq", *LINK_COLUMNS))
_REQUEST: Final = "SELECT request_sha256, reply FROM request_keys WHERE request_key = %s"
_RECORD_FACTS: Final = """
SELECT EXISTS (SELECT FROM records WHERE memory_id = %s AND version = %s)
    OR EXISTS (SELECT FROM records WHERE memory_version_id = %s),
  ARRAY(SELECT memory_version_id FROM records WHERE memory_version_id = ANY(%s::text[])),
  ARRAY(SELECT head FROM memory_chain WHERE entry_seq = ANY(%s::bigint[]) ORDER BY entry_seq)
"""
_LINK_FACTS: Final = """
WITH RECURSIVE reached (id) AS (
  SELECT %(to)s::text COLLATE "C"
  UNION
  SELECT l.to_version_id FROM reached JOIN links l
  ON l.from_version_id = reached.id AND l.relation = 'supersedes'
)
SELECT %(relation)s::text = 'supersedes' AND EXISTS (SELECT FROM reached WHERE id = %(from)s),
  EXISTS (SELECT FROM links WHERE from_version_id = %(from)s AND to_version_id = %(to)s
    AND relation = %(relation)s AND writer = %(writer)s AND justification = %(justification)s),
  ARRAY(SELECT memory_version_id FROM records WHERE memory_version_id IN (%(from)s, %(to)s)),
  ARRAY(SELECT head FROM memory_chain WHERE entry_seq = ANY(%(jumps)s::bigint[]) ORDER BY entry_seq)
"""


class PostgresWrite:
    """See `ports.WriteTransaction`.

    Args:
        writing: A transaction opened with `OPEN_MEMORY`.
        now_us: The time of the write.
    """

    def __init__(self, writing: Writing, now_us: int) -> None:
        self._writing = writing
        self._now_us = now_us
        self._tip = MemoryTip(writing, now_us)

    @property
    def head(self) -> str:
        """The chain's head as it is now, 64 lower-case hex digits."""
        return self._tip.head.hex()

    @property
    def entry_seq(self) -> int:
        """The number of the newest entry as it is now."""
        return self._tip.entry_seq

    def find_request(self, key: str) -> KeptRequest | None:
        """See `ports.WriteTransaction`."""
        rows = self._writing.read(_REQUEST, (key,))
        if not rows:
            return None
        digest, reply = rows[0]
        return KeptRequest(key=key, digest=bytes(digest).hex(), reply=bytes(reply))

    def keep_request(self, kept: KeptRequest) -> None:
        """See `ports.WriteTransaction`."""
        row = (kept.key, bytes.fromhex(kept.digest), kept.reply, self._now_us)
        self._writing.put("INSERT INTO request_keys VALUES (%s, %s, %s, %s, %s)", (*row, digest_entry(row)))

    def load_record(self, memory_version_id: str) -> StoredRecord | None:
        """See `ports.WriteTransaction`."""
        return load_record(self._writing.read, memory_version_id)

    def look_around(self) -> PostgresNearby:
        """See `ports.WriteTransaction`."""
        return PostgresNearby(self._writing)

    def add_record(self, new: NewRecord) -> str:
        """See `ports.WriteTransaction`."""
        links = _own_links(new)
        self._require_new(new, links)
        record_seq = self._tip.number_record()
        values = encode_record(new)
        self._writing.put(_INSERT_RECORD, (record_seq, *values))
        self._tip.append("record", record_seq, digest_record(values))
        self._index(record_seq, new.record.payload.payload, values)
        for link in links:
            self._insert_link(link)
        return self.head

    def add_link(self, link: Link) -> str:
        """See `ports.WriteTransaction`."""
        jumps = self._tip.list_jumps(1)
        names = ("from", "to", "relation", "writer", "justification", "jumps")
        asked = dict(zip(names, (*encode_link(link), jumps), strict=True))
        ((closes_cycle, is_there, known, heads),) = self._writing.read(_LINK_FACTS, asked)
        self._tip.learn(jumps, heads)
        if closes_cycle:
            raise _refuse_cycle(link)
        if not is_there:
            _require_versions((link.from_memory_version_id, link.to_memory_version_id), known)
            self._insert_link(link)
        return self.head

    def _require_new(self, new: NewRecord, links: tuple[Link, ...]) -> None:
        record = new.record
        targets = [link.to_memory_version_id for link in links]
        jumps = self._tip.list_jumps(1 + len(links))
        asked = (record.memory_id, record.version, record.memory_version_id, targets, jumps)
        ((is_there, known, heads),) = self._writing.read(_RECORD_FACTS, asked)
        self._tip.learn(jumps, heads)
        if is_there:
            raise WriteConflict(
                f"memory {record.memory_id} has a version {record.version} already; send the next one",
                {"memory_id": record.memory_id, "version": record.version},
            )
        _require_versions(targets, known)

    def _insert_link(self, link: Link) -> None:
        link_seq = self._tip.number_link()
        values = encode_link(link)
        self._writing.put(_INSERT_LINK, (link_seq, *values))
        self._tip.append("link", link_seq, digest_entry(values))

    def _index(self, record_seq: int, content: Content, values: Row) -> None:
        if self._tip.schema >= TERM_INDEX_SCHEMA:
            index_record(self._writing, record_seq, describe_content(content))
        if self._tip.schema >= SCOPE_SCHEMA:
            index_posting(self._writing, record_seq, describe_content(content), place_row(values))
        index_scope(self._writing, record_seq, content, self._tip.schema)


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


def _require_versions(version_ids: tuple[str, ...] | list[str], known: list[str]) -> None:
    for version_id in version_ids:
        if version_id not in known:
            raise WriteConflict(
                f"no record has version id {version_id}; link to one that was written",
                {"memory_version_id": version_id},
            )


def _refuse_cycle(link: Link) -> WriteConflict:
    return WriteConflict(
        f"{link.to_memory_version_id} supersedes {link.from_memory_version_id} already, directly or"
        " through others; a cycle is refused, link the other way or write a new version",
        {"from": link.from_memory_version_id, "to": link.to_memory_version_id},
    )
