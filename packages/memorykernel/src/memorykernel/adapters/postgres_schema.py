"""The PostgreSQL schema: its migrations, and where a database stands.

The versions are SQLite's, and a database is at the same version after the same migrations. Nobody has
a PostgreSQL database from before schema 4 was thought of, so tables have their later columns from the
start: a statement is the same at every version.

1. memory: records and the keys that constraints are found by, links, the hash chain over both, the ledger
2. answers, with a hash chain of their own
3. the term index of recall-ordering.v2, filled from the records that are there
4. memberships, request keys and the lists of recall-ordering.v3; from here on entries have the time of
   their recording

Triggers refuse UPDATE, DELETE and TRUNCATE of all but derived data. Text is compared byte by byte (COLLATE
"C"), as SQLite does. An index entry must fit into a third of a page, so indexes over free text hold its
first characters, and statements compare both these and the whole. The schema is the first one of the
search_path; a comment on the ledger says that it is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import psycopg

from memorykernel.adapters.postgres_database import LOCK_CLASS, PostgresDatabase, Writing
from memorykernel.adapters.postgres_line import Row, describe_error
from memorykernel.adapters.postgres_postings import POSTINGS, create_postings
from memorykernel.adapters.postgres_terms import index_every_record
from memorykernel.core.chain import GENESIS_ANSWERS, GENESIS_MEMORY
from memorykernel.core.instant import format_instant
from memorykernel.core.schema_status import SchemaStatus, compare_schema, require_lists
from memorykernel.errors import MigrationFailed, SchemaUnavailable

LOCK_SCHEMA: Final = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0);"
"""What a migration's transaction is opened with: one at a time."""

_OURS: Final = "memorykernel"
_LISTS_SCHEMA: Final = 4

_MEMORY: Final = """
CREATE TABLE schema_migrations (version integer PRIMARY KEY, applied_at text COLLATE "C" NOT NULL);
COMMENT ON TABLE schema_migrations IS 'memorykernel';
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TABLE records (
  record_seq bigint PRIMARY KEY,
  memory_version_id text COLLATE "C" NOT NULL UNIQUE,
  memory_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL CHECK (version >= 1),
  record_type text COLLATE "C" NOT NULL,
  created_at_us bigint NOT NULL,
  effective_at_us bigint NOT NULL,
  truth_status text COLLATE "C" NOT NULL,
  authority text COLLATE "C" NOT NULL,
  confidence double precision,
  writer text COLLATE "C" NOT NULL,
  justification text COLLATE "C" NOT NULL,
  source_uri text COLLATE "C" NOT NULL,
  source_hash text COLLATE "C",
  evidence text COLLATE "C" NOT NULL,
  actor text COLLATE "C",
  action text COLLATE "C",
  resource text COLLATE "C",
  effect text COLLATE "C",
  note text COLLATE "C",
  summary text COLLATE "C",
  expires_at_us bigint,
  matching text COLLATE "C",
  field text COLLATE "C",
  group_name text COLLATE "C",
  member text COLLATE "C",
  UNIQUE (memory_id, version),
  CHECK ((record_type = 'constraint') = (summary IS NULL)),
  CHECK ((record_type = 'constraint') = (effect IS NOT NULL))
);
CREATE INDEX records_by_type ON records (record_type, record_seq);
CREATE TABLE constraint_scopes (
  actor_key text COLLATE "C" NOT NULL,
  action_key text COLLATE "C" NOT NULL,
  resource_key text COLLATE "C" NOT NULL,
  record_seq bigint NOT NULL
);
CREATE INDEX constraint_scopes_by_key ON constraint_scopes
  (left(actor_key, 200), left(action_key, 200), left(resource_key, 200), record_seq);
CREATE INDEX constraint_scopes_by_action ON constraint_scopes
  (left(action_key, 200), left(resource_key, 200), left(actor_key, 200));
CREATE INDEX constraint_scopes_by_resource ON constraint_scopes
  (left(resource_key, 200), left(actor_key, 200), left(action_key, 200));
CREATE TABLE links (
  link_seq bigint PRIMARY KEY,
  from_version_id text COLLATE "C" NOT NULL REFERENCES records (memory_version_id) DEFERRABLE,
  to_version_id text COLLATE "C" NOT NULL REFERENCES records (memory_version_id) DEFERRABLE,
  relation text COLLATE "C" NOT NULL,
  writer text COLLATE "C" NOT NULL,
  justification text COLLATE "C" NOT NULL,
  CHECK (from_version_id <> to_version_id)
);
CREATE INDEX links_by_maker ON links (from_version_id, relation, to_version_id);
CREATE INDEX links_by_target ON links (to_version_id, relation, from_version_id);
CREATE TABLE memory_chain (
  entry_seq bigint PRIMARY KEY,
  kind text COLLATE "C" NOT NULL,
  subject_seq bigint NOT NULL,
  digest bytea NOT NULL,
  head bytea NOT NULL,
  recorded_at_us bigint
);
CREATE INDEX memory_chain_by_head ON memory_chain (head);
CREATE INDEX memory_chain_by_time ON memory_chain (recorded_at_us, entry_seq);
CREATE INDEX memory_chain_by_subject ON memory_chain (kind, subject_seq);
"""

_ANSWERS: Final = """
CREATE TABLE answers (
  answer_seq bigint PRIMARY KEY,
  context_package_id text COLLATE "C" NOT NULL,
  package bytea NOT NULL,
  ruleset text COLLATE "C",
  head bytea,
  question text COLLATE "C",
  actor text COLLATE "C",
  action text COLLATE "C",
  resource text COLLATE "C"
);
CREATE INDEX answers_by_id ON answers (context_package_id, answer_seq);
CREATE INDEX answers_by_scope ON answers
  (left(actor, 200), left(action, 200), left(resource, 200), answer_seq) WHERE actor IS NOT NULL;
CREATE TABLE answer_chain (
  entry_seq bigint PRIMARY KEY,
  kind text COLLATE "C" NOT NULL,
  subject_seq bigint NOT NULL,
  digest bytea NOT NULL,
  head bytea NOT NULL
);
"""

_TERMS: Final = """
CREATE TABLE record_terms (term text COLLATE "C" NOT NULL, record_seq bigint NOT NULL);
CREATE INDEX record_terms_by_term ON record_terms (left(term, 200), record_seq);
"""

_PATTERNS: Final = """
CREATE TABLE memberships (
  field text COLLATE "C" NOT NULL,
  member text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  record_seq bigint NOT NULL
);
CREATE INDEX memberships_by_member ON memberships
  (field, left(member, 200), left(group_name, 200), record_seq);
CREATE INDEX memberships_by_group ON memberships
  (field, left(group_name, 200), left(member, 200), record_seq);
CREATE TABLE request_keys (
  request_key text COLLATE "C" PRIMARY KEY,
  request_sha256 bytea NOT NULL,
  reply bytea NOT NULL,
  recorded_at_us bigint NOT NULL,
  digest bytea NOT NULL
);
"""

_SCRIPTS: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    1: (_MEMORY, ("schema_migrations", "records", "links", "memory_chain")),
    2: (_ANSWERS, ("answers", "answer_chain")),
    3: (_TERMS, ()),
    4: (_PATTERNS + POSTINGS, ("request_keys",)),
}
"""What each migration makes, and its tables that are guarded."""

_INDEX: Final = re.compile(r"CREATE INDEX (\w+)")
_FORBID: Final = """
CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""

_LOOK: Final = """
SELECT current_setting('server_encoding'), count(c.oid),
  max(obj_description(c.oid, 'pg_class')) FILTER (WHERE c.relname = 'schema_migrations'),
  count(*) FILTER (WHERE c.relname = 'postings')
FROM pg_namespace n
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND NOT EXISTS (
  SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
WHERE n.nspname = current_schema() GROUP BY n.oid
"""
_VERSION: Final = "SELECT max(version) FROM schema_migrations"


class PostgresSchema:
    """The schema of one database; see `ports.Schema`.

    Args:
        database: Where it is; it must exist, and its schema may be empty.
        target_version: The schema that the release needs.
    """

    def __init__(self, database: PostgresDatabase, target_version: int) -> None:
        self._database = database
        self._target_version = target_version

    def load_status(self) -> SchemaStatus:
        """See `ports.Schema`; an empty schema is at version 0."""
        try:
            rows = self._database.query(_LOOK, newest=True)
            version = 0 if _is_empty(rows) else self._database.query(_VERSION, newest=True)[0][0]
            require_lists(version < _LISTS_SCHEMA or rows[0][3] == 1)
        except psycopg.Error as exc:
            raise SchemaUnavailable(
                f"the database cannot be read: {describe_error(exc)};"
                f" check the server and the name {self._database.name}"
            ) from exc
        return compare_schema(version, self._target_version)

    def migrate(self, now_us: int) -> SchemaStatus:
        """See `ports.Schema`; creates the tables, not the database."""
        try:
            with self._database.writing(LOCK_SCHEMA, patient=True) as writing:
                return migrate_inside(writing, self._target_version, now_us)
        except psycopg.Error as exc:
            reason = describe_error(exc)
            raise MigrationFailed(
                f"the migration was not applied: {reason}; correct that and repeat"
            ) from exc


def migrate_inside(writing: Writing, target_version: int, now_us: int) -> SchemaStatus:
    """As `PostgresSchema.migrate`, inside a transaction that was opened with `LOCK_SCHEMA`."""
    rows = writing.read(_LOOK)
    version = 0 if _is_empty(rows) else writing.read(_VERSION)[0][0]
    require_lists(version < _LISTS_SCHEMA or rows[0][3] == 1)
    status = compare_schema(version, target_version)
    for each in status.pending_versions:
        _MIGRATIONS[each](writing)
        applied = (each, format_instant(now_us))
        writing.put("INSERT INTO schema_migrations VALUES (%s, %s)", applied)
    return compare_schema(max(version, *status.pending_versions, 0), target_version)


def _is_empty(rows: list[Row]) -> bool:
    """Say whether there is nothing yet; anything that is not ours is refused."""
    if not rows:
        raise SchemaUnavailable("the database has no schema to use; name one that exists in search_path")
    encoding, tables, comment, _ = rows[0]
    if encoding != "UTF8":
        raise SchemaUnavailable(f"the database's encoding is {encoding}, expected UTF8; create it with UTF8")
    if tables and comment != _OURS:
        raise SchemaUnavailable(
            "the schema has another program's tables; name another database, or a schema of its own with"
            " '?options=-csearch_path%3DNAME'"
        )
    return not tables


def _create(writing: Writing, version: int) -> None:
    script, append_only = _SCRIPTS[version]
    writing.run_script(script)
    for table in append_only:
        writing.put(_FORBID.format(table=table))


def list_indexes_and_guards(version: int) -> Iterator[str]:
    """The names of the indexes and triggers that a database of a version has, those of keys left out."""
    for each, (script, tables) in _SCRIPTS.items():
        if each <= version:
            yield from _INDEX.findall(script)
            yield from (f"{table}_no_change" for table in tables)


def _create_memory(writing: Writing) -> None:
    _create(writing, 1)
    writing.put(
        "INSERT INTO memory_chain VALUES (0, 'genesis', 0, %s, %s, NULL)", (GENESIS_MEMORY, GENESIS_MEMORY)
    )


def _create_answers(writing: Writing) -> None:
    _create(writing, 2)
    genesis = (GENESIS_ANSWERS, GENESIS_ANSWERS)
    writing.put("INSERT INTO answer_chain VALUES (0, 'genesis', 0, %s, %s)", genesis)


def _create_terms(writing: Writing) -> None:
    _create(writing, 3)
    index_every_record(writing)


def _create_patterns(writing: Writing) -> None:
    _create(writing, 4)
    create_postings(writing)


_MIGRATIONS: Final[dict[int, Callable[[Writing], None]]] = {
    1: _create_memory,
    2: _create_answers,
    3: _create_terms,
    4: _create_patterns,
}
