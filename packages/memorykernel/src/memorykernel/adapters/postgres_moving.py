"""Exporting a PostgreSQL database and importing into one; see `ports.DataSource` and `ports.DataTarget`.

An import is one transaction, the making of the tables included when there are none, so a database is as it
was or holds everything. Rows go in by COPY.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

import psycopg

from memorykernel.adapters.bundle_merge import merge
from memorykernel.adapters.bundle_rows import MemoryRows, check_links, pour, refuse_rows
from memorykernel.adapters.bundle_source import RowSnapshot, read_state, require_schema
from memorykernel.adapters.bundle_store import COLUMNS, UNTOLD
from memorykernel.adapters.postgres_answers import insert_answers
from memorykernel.adapters.postgres_chain import OPEN_ANSWERS, OPEN_MEMORY, SCOPE_SCHEMA
from memorykernel.adapters.postgres_database import ChainTable, Entry, PostgresDatabase, Writing
from memorykernel.adapters.postgres_integrity import read_version
from memorykernel.adapters.postgres_line import describe_error
from memorykernel.adapters.postgres_schema import LOCK_SCHEMA, PostgresSchema, migrate_inside
from memorykernel.adapters.postgres_write import PostgresWrite
from memorykernel.adapters.published_target import take_over
from memorykernel.adapters.rows import Row, place_row
from memorykernel.adapters.sqlite_postings import list_postings
from memorykernel.core.bundle import Manifest, Member
from memorykernel.core.release import SCHEMA_VERSIONS
from memorykernel.core.schema_status import require_usable
from memorykernel.errors import QueryFailed, WriteFailed
from memorykernel.ports import Bundle, DataSnapshot, Imported, PublishedData

_BY_VERSION_ID: Final = f"SELECT {COLUMNS} FROM records WHERE memory_version_id = %s"  # noqa: S608  # column names
_BY_VERSION: Final = "SELECT 1 FROM records WHERE memory_id = %s AND version = %s"
_SAME_ANSWER: Final = "SELECT 1 FROM answers WHERE context_package_id = %s AND package = %s"

Job = Callable[[Writing], Imported]


class PostgresSource:
    """One database to export; see `ports.DataSource`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @contextmanager
    def hold(self) -> Iterator[DataSnapshot]:
        """See `ports.DataSource`."""
        with closing(self._database):
            require_usable(PostgresSchema(self._database, SCOPE_SCHEMA).load_status())
            try:
                with self._database.reading(patient=True) as reading:
                    require_schema(read_version(reading))
                    yield RowSnapshot(reading.stream)
            except psycopg.Error as exc:
                raise QueryFailed(
                    f"the database cannot be read: {describe_error(exc)}; check it with 'mk verify'"
                ) from exc


class PostgresTarget:
    """One database to import into; it must exist, and may be empty. See `ports.DataTarget`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def load(self, bundle: Bundle, manifest: Manifest, *, now_us: int) -> Imported:
        """See `ports.DataTarget`."""

        def fill(writing: Writing) -> Imported:
            if read_state(writing.read).is_empty:
                added = _load_exactly(writing, bundle, manifest)
                return Imported(exact=True, added=added, identical=0, left_out=0)
            with _open_store(writing, now_us) as store:
                return merge(store, bundle, manifest)

        return _fill(self._database, fill, now_us)


class PublishedPostgresTarget:
    """One database that takes over published data; see `ports.PublishedTarget`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def load(self, data: PublishedData, *, now_us: int) -> Imported:
        """See `ports.PublishedTarget`."""

        def fill(writing: Writing) -> Imported:
            with _open_store(writing, now_us) as store:
                return take_over(store, data)

        return _fill(self._database, fill, now_us)


def _fill(database: PostgresDatabase, job: Job, now_us: int) -> Imported:
    """Run a job in one transaction, in which the tables are made when there are none.

    Raises:
        SchemaUnavailable: The database is too old, or another program's.
        WriteFailed: The store could not.
    """
    with closing(database):
        status = PostgresSchema(database, SCHEMA_VERSIONS[-1]).load_status()
        if status.current_version:
            require_usable(status)
            require_schema(status.current_version)
        try:
            with database.writing(LOCK_SCHEMA, patient=True) as writing:
                if not status.current_version:
                    migrate_inside(writing, SCHEMA_VERSIONS[-1], now_us)
                # The order of the locks is that of a group commit.
                writing.reopen(OPEN_MEMORY)
                writing.reopen(OPEN_ANSWERS)
                return job(writing)
        except psycopg.Error as exc:
            raise WriteFailed(
                f"nothing was imported: {describe_error(exc)}; correct that and repeat"
            ) from exc


def _load_exactly(writing: Writing, bundle: Bundle, manifest: Manifest) -> int:
    """Fill an empty database; how many lines were taken over."""
    # Links are checked in the end, all at once.
    writing.put("SET CONSTRAINTS ALL DEFERRED")
    with closing(sqlite3.connect("")) as parking:
        maker = pour(bundle, manifest, _Tables(writing), parking)
    check_links(writing.read)
    maker.check_heads(manifest)
    state = manifest.state
    return state.records + state.links + state.answers + state.requests


class _Tables:
    """See `bundle_rows.RowSink`."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def add_memory(self, rows: MemoryRows) -> None:
        """See `bundle_rows.RowSink`."""
        self._copy(Member.MEMORY, f"records (record_seq, {COLUMNS})", rows.records)
        self._copy(Member.MEMORY, "links", rows.links)
        self._copy(Member.MEMORY, "memory_chain", rows.entries)
        self._copy(
            Member.MEMORY, "record_terms", [(word, seq) for seq, words in rows.words for word in words]
        )
        self._copy(Member.MEMORY, "postings", list(_list_postings(rows)))
        self._copy(Member.MEMORY, "constraint_scopes", rows.scopes)
        self._copy(Member.MEMORY, "memberships", rows.members)
        self._note("memory_chain", rows.entries)

    def add_answers(self, answers: list[Row], entries: list[Row]) -> None:
        """See `bundle_rows.RowSink`."""
        self._copy(Member.ANSWERS, "answers", answers)
        self._copy(Member.ANSWERS, "answer_chain", entries)
        self._note("answer_chain", entries)

    def add_requests(self, requests: list[Row]) -> None:
        """See `bundle_rows.RowSink`."""
        self._copy(Member.REQUESTS, "request_keys", requests)

    def _note(self, table: ChainTable, entries: list[Row]) -> None:
        """Remember the last entry, by which the commit can be recognized."""
        if entries:
            seq, _, _, _, head, *_ = entries[-1]
            self._writing.newest = Entry(table, seq, head)

    def _copy(self, member: Member, table: str, rows: list[Row]) -> None:
        try:
            self._writing.copy(table, rows)
        except psycopg.IntegrityError as exc:
            raise refuse_rows(member, exc) from exc


def _list_postings(rows: MemoryRows) -> Iterator[Row]:
    for row, (record_seq, words) in zip(rows.records, rows.words, strict=True):
        yield from list_postings(record_seq, words, place_row(row[1:]))


@contextmanager
def _open_store(writing: Writing, now_us: int) -> Iterator[_Store]:
    with closing(sqlite3.connect("")) as parking:
        yield _Store(writing, parking, now_us)


class _Store:
    """See `bundle_store.BundleStore`."""

    def __init__(self, writing: Writing, parking: sqlite3.Connection, now_us: int) -> None:
        self._writing = writing
        self.parking = parking
        writing.reopen(OPEN_MEMORY)
        self.transaction = PostgresWrite(writing, now_us)

    def find_row(self, memory_version_id: str) -> Row | None:
        """See `bundle_store.BundleStore`."""
        rows = self._writing.read(_BY_VERSION_ID, (memory_version_id,))
        return rows[0] if rows else None

    def is_taken(self, memory_id: str, version: int) -> bool:
        """See `bundle_store.BundleStore`."""
        return bool(self._writing.read(_BY_VERSION, (memory_id, version)))

    def count_entries(self) -> int:
        """See `bundle_store.BundleStore`."""
        return self.transaction.entry_seq

    def add_untold_answer(self, context_package_id: str, package: bytes) -> bool:
        """See `bundle_store.BundleStore`."""
        values = (context_package_id, package)
        if self._writing.read(_SAME_ANSWER, values):
            return False
        self._writing.reopen(OPEN_ANSWERS)
        insert_answers(self._writing, [(*values, *UNTOLD)])
        return True
