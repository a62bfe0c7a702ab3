"""The SQLite schema: its migrations, and where a file stands.

Migrations only ever add, so a release of an older schema keeps working on a newer file:

1. memory: records, links, the hash chain over both, the migration ledger
2. answers, with a hash chain of their own
3. the term index of recall-ordering.v2, filled from the records that are there
4. two times and scopes with patterns: when an entry was recorded, when a record expires, how a scope's
   fields match, memberships, the question beside each answer, request keys, the lists of recall-ordering.v3

Every table refuses UPDATE and DELETE by triggers, except the term index, the lists, the scopes and the
memberships by member, which are derived data.
All pending migrations are applied in one transaction. A file says that it is ours by `application_id`, and
seals the ledger of its migrations, which no chain covers, by a checksum in `user_version`.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from typing import Final

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_postings import create_postings
from memorykernel.adapters.sqlite_terms import index_every_record
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.chain import GENESIS_ANSWERS, GENESIS_MEMORY
from memorykernel.core.instant import format_instant
from memorykernel.core.schema_status import SchemaStatus, compare_schema, require_lists
from memorykernel.errors import DatabaseMissing, MigrationFailed, SchemaUnavailable

TERM_INDEX_SCHEMA: Final = 3
"""The schema since which records are indexed by their words."""

SCOPE_SCHEMA: Final = 4
"""The schema since which constraints are found by the keys of their patterns, and entries have times."""

APPLICATION_ID: Final = 0x4D4B524E
"""`MKRN`: what SQLite's header field for the application says in our files."""

_MEMORY: Final = """
CREATE TABLE schema_migrations (
  version INTEGER PRIMARY KEY,
  applied_at TEXT NOT NULL
) STRICT;
CREATE TABLE records (
  record_seq INTEGER PRIMARY KEY,
  memory_version_id TEXT NOT NULL UNIQUE,
  memory_id TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  record_type TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  effective_at_us INTEGER NOT NULL,
  truth_status TEXT NOT NULL,
  authority TEXT NOT NULL,
  confidence REAL,
  writer TEXT NOT NULL,
  justification TEXT NOT NULL,
  source_uri TEXT NOT NULL,
  source_hash TEXT,
  evidence TEXT NOT NULL,
  actor TEXT,
  action TEXT,
  resource TEXT,
  effect TEXT,
  note TEXT,
  summary TEXT,
  UNIQUE (memory_id, version),
  CHECK ((record_type = 'constraint') = (summary IS NULL)),
  CHECK ((record_type = 'constraint') = (effect IS NOT NULL))
) STRICT;
CREATE INDEX records_by_scope ON records (actor, action, resource) WHERE record_type = 'constraint';
CREATE TABLE links (
  link_seq INTEGER PRIMARY KEY,
  from_version_id TEXT NOT NULL REFERENCES records (memory_version_id),
  to_version_id TEXT NOT NULL REFERENCES records (memory_version_id),
  relation TEXT NOT NULL,
  writer TEXT NOT NULL,
  justification TEXT NOT NULL,
  CHECK (from_version_id <> to_version_id)
) STRICT;
CREATE INDEX links_by_maker ON links (from_version_id, relation, to_version_id);
CREATE INDEX links_by_target ON links (to_version_id, relation, from_version_id);
CREATE TABLE memory_chain (
  entry_seq INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  subject_seq INTEGER NOT NULL,
  digest BLOB NOT NULL,
  head BLOB NOT NULL
) STRICT;
"""

_ANSWERS: Final = """
CREATE TABLE answers (
  answer_seq INTEGER PRIMARY KEY,
  context_package_id TEXT NOT NULL,
  package BLOB NOT NULL
) STRICT;
CREATE INDEX answers_by_id ON answers (context_package_id, answer_seq);
CREATE TABLE answer_chain (
  entry_seq INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  subject_seq INTEGER NOT NULL,
  digest BLOB NOT NULL,
  head BLOB NOT NULL
) STRICT;
"""

_TERMS: Final = """
CREATE TABLE record_terms (
  term TEXT NOT NULL,
  record_seq INTEGER NOT NULL REFERENCES records (record_seq),
  PRIMARY KEY (term, record_seq)
) STRICT, WITHOUT ROWID;
"""

_PATTERNS: Final = """
ALTER TABLE records ADD COLUMN expires_at_us INTEGER;
ALTER TABLE records ADD COLUMN matching TEXT;
ALTER TABLE records ADD COLUMN field TEXT;
ALTER TABLE records ADD COLUMN group_name TEXT;
ALTER TABLE records ADD COLUMN member TEXT;
ALTER TABLE memory_chain ADD COLUMN recorded_at_us INTEGER;
CREATE INDEX memory_chain_by_head ON memory_chain (head);
CREATE INDEX memory_chain_by_time ON memory_chain (recorded_at_us, entry_seq);
CREATE INDEX memory_chain_by_subject ON memory_chain (kind, subject_seq);
ALTER TABLE answers ADD COLUMN ruleset TEXT;
ALTER TABLE answers ADD COLUMN head BLOB;
ALTER TABLE answers ADD COLUMN question TEXT;
ALTER TABLE answers ADD COLUMN actor TEXT;
ALTER TABLE answers ADD COLUMN action TEXT;
ALTER TABLE answers ADD COLUMN resource TEXT;
CREATE INDEX answers_by_scope ON answers (actor, action, resource, answer_seq) WHERE actor IS NOT NULL;
CREATE TABLE constraint_scopes (
  actor_key TEXT NOT NULL,
  action_key TEXT NOT NULL,
  resource_key TEXT NOT NULL,
  record_seq INTEGER NOT NULL REFERENCES records (record_seq),
  PRIMARY KEY (actor_key, action_key, resource_key, record_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX constraint_scopes_by_action ON constraint_scopes (action_key, resource_key);
CREATE INDEX constraint_scopes_by_resource ON constraint_scopes (resource_key);
CREATE TABLE memberships (
  field TEXT NOT NULL,
  member TEXT NOT NULL,
  group_name TEXT NOT NULL,
  record_seq INTEGER NOT NULL REFERENCES records (record_seq),
  PRIMARY KEY (field, member, group_name, record_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_group ON memberships (field, group_name, member);
CREATE TABLE request_keys (
  request_key TEXT PRIMARY KEY,
  request_sha256 BLOB NOT NULL,
  reply BLOB NOT NULL,
  recorded_at_us INTEGER NOT NULL,
  digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""
_INDEX_SCOPES: Final = """
INSERT INTO constraint_scopes
SELECT iif(actor = '*', '*', '=' || actor), iif(action = '*', '*', '=' || action),
  iif(resource = '*', '*', '=' || resource), record_seq
FROM records WHERE record_type = 'constraint'
"""

_FORBID: Final = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} is refused'); END;
"""


class SqliteSchema:
    """The schema of one file; see `ports.Schema`.

    Args:
        file: Where the database is; it need not exist.
        target_version: The schema that the release needs.
    """

    def __init__(self, file: SqliteFile, target_version: int) -> None:
        self._file = file
        self._target_version = target_version

    def load_status(self) -> SchemaStatus:
        """See `ports.Schema`; a missing or empty file is at version 0."""
        try:
            with self._file.reading() as connection:
                return compare_schema(_read_version(connection), self._target_version)
        except DatabaseMissing:
            return compare_schema(0, self._target_version)
        except sqlite3.Error as exc:
            raise SchemaUnavailable(f"the database cannot be read: {explain(exc)}") from exc

    def migrate(self, now_us: int) -> SchemaStatus:
        """See `ports.Schema`; creates the file."""
        try:
            with self._file.writing(create=True, durable=True) as connection:
                status = compare_schema(_read_version(connection), self._target_version)
                for version in status.pending_versions:
                    _MIGRATIONS[version](connection)
                    applied = (version, format_instant(now_us))
                    connection.execute("INSERT INTO schema_migrations VALUES (?, ?)", applied)
                    connection.execute(f"PRAGMA user_version = {calculate_seal(connection)}")
                return compare_schema(_read_version(connection), self._target_version)
        except (sqlite3.Error, DatabaseMissing) as exc:
            raise MigrationFailed(f"the migration was not applied: {explain(exc)}") from exc


def read_version(connection: sqlite3.Connection) -> int:
    """The schema version of an open database that is known to be ours."""
    row = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    return int(row[0])


def calculate_seal(connection: sqlite3.Connection) -> int:
    """The checksum of the migrations' ledger, as `user_version` holds it: a signed number of 32 bits."""
    ledger = connection.execute(
        "SELECT version, applied_at FROM schema_migrations ORDER BY version"
    ).fetchall()
    checksum = zlib.crc32(repr(ledger).encode())
    return checksum - (checksum >> 31 << 32)


def _read_version(connection: sqlite3.Connection) -> int:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    if application_id == APPLICATION_ID:
        version = read_version(connection)
        lists = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'postings'").fetchone()
        require_lists(version < SCOPE_SCHEMA or lists is not None)
        return version
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise SchemaUnavailable("the file is a database of another program; name another file")
    return 0


def _forbid_changes(connection: sqlite3.Connection, *tables: str) -> None:
    for table in tables:
        for verb in ("UPDATE", "DELETE"):
            connection.execute(_FORBID.format(table=table, verb=verb))


def _create(connection: sqlite3.Connection, script: str) -> None:
    # executescript() would commit first; single statements stay inside the transaction.
    for statement in filter(str.strip, script.split(";\n")):
        connection.execute(statement)


def _create_memory(connection: sqlite3.Connection) -> None:
    _create(connection, _MEMORY)
    _forbid_changes(connection, "schema_migrations", "records", "links", "memory_chain")
    genesis = (GENESIS_MEMORY, GENESIS_MEMORY)
    connection.execute("INSERT INTO memory_chain VALUES (0, 'genesis', 0, ?, ?)", genesis)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _create_answers(connection: sqlite3.Connection) -> None:
    _create(connection, _ANSWERS)
    _forbid_changes(connection, "answers", "answer_chain")
    genesis = (GENESIS_ANSWERS, GENESIS_ANSWERS)
    connection.execute("INSERT INTO answer_chain VALUES (0, 'genesis', 0, ?, ?)", genesis)


def _create_terms(connection: sqlite3.Connection) -> None:
    _create(connection, _TERMS)
    index_every_record(connection)


def _create_patterns(connection: sqlite3.Connection) -> None:
    _create(connection, _PATTERNS)
    _forbid_changes(connection, "request_keys")
    connection.execute(_INDEX_SCOPES)
    create_postings(connection)


_MIGRATIONS: Final[dict[int, Callable[[sqlite3.Connection], None]]] = {
    1: _create_memory,
    2: _create_answers,
    3: _create_terms,
    4: _create_patterns,
}
