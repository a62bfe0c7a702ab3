"""SQLite files of the published implementation, schema 1 and 2; see `ports.PublishedData`.

How these files name their columns was not told when this was written: only that records and answers have
the fields of the wire. So columns are found by those names, and a file that names them otherwise is refused
with the names that it has. Nothing is guessed.

    memory_records      memory_version_id memory_id version created_at effective_at truth_status authority
                        confidence writer justification
                        source_uri source_hash evidence*, or provenance*
                        record_type payload* (the inner one), or payload* with both
                        supersedes* contradicts*, unless memory_links has them
    memory_links        from_memory_version_id to_memory_version_id relation [writer justification]
    context_packages    context_package_id, and package* or payload*

A column with * holds JSON and may also be named with `_json` behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from memorykernel.adapters.sqlite_schema import APPLICATION_ID
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.admission import NewRecord, admit_link
from memorykernel.core.published import (
    PublishedAnswer,
    PublishedManifest,
    parse_published_answer,
    parse_published_record,
)
from memorykernel.core.record import Link
from memorykernel.core.request import AddLink
from memorykernel.core.vocabulary import Relation
from memorykernel.errors import BundleInvalid, MemoryKernelError

_RECORDS: Final = "memory_records"
_LINKS: Final = "memory_links"
_PACKAGES: Final = "context_packages"
_PLAIN: Final = (
    "memory_version_id",
    "memory_id",
    "version",
    "created_at",
    "effective_at",
    "truth_status",
    "authority",
    "confidence",
    "writer",
    "justification",
)
_LINK_PLAIN: Final = ("from_memory_version_id", "to_memory_version_id", "relation")
_UNSTATED: Final = "imported from a file that does not say"


class PublishedSqlite:
    """One file, opened for reading only.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def verify(self) -> PublishedManifest:
        """See `ports.PublishedData`: pages and columns are checked, there are no digests to check."""
        with self._reading() as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
                raise BundleInvalid(
                    "the file is a database of this program; put it in place with 'mk restore', or export it"
                    " with 'mk export' and import that"
                )
            finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if finding != "ok":
                raise BundleInvalid(f"the file is damaged: {finding}; take an older copy")
            _RecordColumns(connection)
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        return PublishedManifest(schema_version=version, exported_at="", files=())

    def read_records(self) -> Iterator[NewRecord]:
        """See `ports.PublishedData`."""
        with self._reading() as connection:
            columns = _RecordColumns(connection)
            for number, row in enumerate(_read(connection, _RECORDS), start=1):
                where = f"{_RECORDS} row {number}"
                yield parse_published_record(columns.encode(row, where), where)

    def read_links(self) -> Iterator[Link]:
        """See `ports.PublishedData`."""
        with self._reading() as connection:
            if not (names := _list_columns(connection, _LINKS)):
                return
            _require(_LINKS, names, {*_LINK_PLAIN}, {"writer", "justification"})
            for number, row in enumerate(_read(connection, _LINKS), start=1):
                yield _make_link(row, f"{_LINKS} row {number}")

    def read_answers(self) -> Iterator[PublishedAnswer]:
        """See `ports.PublishedData`."""
        with self._reading() as connection:
            if not (names := _list_columns(connection, _PACKAGES)):
                return
            column = _choose(names, "package", "package_json", "payload", "payload_json")
            _require(_PACKAGES, names, {"context_package_id", column or "package"}, {"created_at"})
            for number, row in enumerate(_read(connection, _PACKAGES), start=1):
                text = row[column]
                data = text.encode() if isinstance(text, str) else bytes(text)
                answer = parse_published_answer(data, f"{_PACKAGES} row {number}")
                if answer.context_package_id != row["context_package_id"]:
                    raise BundleInvalid(f"{_PACKAGES} row {number}: the package is not the one of its id")
                yield answer

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        # Without a log beside it the file is read as it lies there, so that nothing appears beside it.
        alone = "" if self._path.with_name(f"{self._path.name}-wal").exists() else "&immutable=1"
        uri = f"{self._path.absolute().as_uri()}?mode=ro{alone}"
        try:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        except sqlite3.Error as exc:
            raise BundleInvalid(f"'{self._path}' cannot be opened: {explain(exc)}") from exc
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        except sqlite3.Error as exc:
            raise BundleInvalid(f"'{self._path}' cannot be read: {explain(exc)}") from exc
        finally:
            connection.close()


class _RecordColumns:
    """Which column holds what; refuses a table of other columns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        names = _list_columns(connection, _RECORDS)
        self._payload = _choose(names, "payload", "payload_json")
        self._type = _choose(names, "record_type")
        self._provenance = _choose(names, "provenance", "provenance_json")
        self._evidence = _choose(names, "evidence", "evidence_json")
        self._supersedes = _choose(names, "supersedes", "supersedes_json")
        self._contradicts = _choose(names, "contradicts", "contradicts_json")
        required = {*_PLAIN, self._payload or "payload"}
        if self._provenance is None:
            required |= {"source_uri", "source_hash", self._evidence or "evidence"}
        if not _list_columns(connection, _LINKS):
            required |= {self._supersedes or "supersedes", self._contradicts or "contradicts"}
        known = (self._type, self._provenance, self._evidence, self._supersedes, self._contradicts)
        allowed = {each for each in known if each} | {"source_uri", "source_hash"}
        _require(_RECORDS, names, required, allowed)

    def encode(self, row: sqlite3.Row, where: str) -> bytes:
        """The record of a row as the wire has it."""
        record: dict[str, Any] = {name: row[name] for name in _PLAIN}
        record["provenance"] = (
            _parse_json(row, self._provenance, where)
            if self._provenance
            else {
                "source_uri": row["source_uri"],
                "source_hash": row["source_hash"],
                "evidence": _parse_json(row, self._evidence, where),
            }
        )
        record["supersedes"] = _parse_json(row, self._supersedes, where)
        record["contradicts"] = _parse_json(row, self._contradicts, where)
        payload = _parse_json(row, self._payload, where)
        if self._type and not (isinstance(payload, dict) and "record_type" in payload):
            payload = {"record_type": row[self._type], "payload": payload}
        record["payload"] = payload
        return msgspec.json.encode(record)


def _parse_json(row: sqlite3.Row, column: str | None, where: str) -> Any:
    if column is None or row[column] is None:
        return []
    try:
        return msgspec.json.decode(row[column])
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as exc:
        raise BundleInvalid(f"{where}: column '{column}' is no JSON: {exc}") from exc


def _make_link(row: sqlite3.Row, where: str) -> Link:
    names = row.keys()
    try:
        return admit_link(
            AddLink(
                from_id=row["from_memory_version_id"],
                to_id=row["to_memory_version_id"],
                relation=Relation(row["relation"]),
                writer=row["writer"] if "writer" in names else _UNSTATED,
                justification=row["justification"] if "justification" in names else _UNSTATED,
            )
        )
    except (MemoryKernelError, ValueError) as exc:
        raise BundleInvalid(f"{where}: {exc}") from exc


def _read(connection: sqlite3.Connection, table: str) -> sqlite3.Cursor:
    return connection.execute(f"SELECT * FROM {table}")  # noqa: S608  # three names


def _list_columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return frozenset(row[0] for row in rows)


def _choose(names: frozenset[str], *spellings: str) -> str | None:
    return next((each for each in spellings if each in names), None)


def _require(table: str, names: frozenset[str], required: set[str], allowed: set[str]) -> None:
    missing, unknown = sorted(required - names), sorted(names - required - allowed)
    if missing or unknown:
        raise BundleInvalid(
            f"table {table} is not as expected: missing {', '.join(missing) or 'nothing'},"
            f" unknown {', '.join(unknown) or 'nothing'}; export the data as a snapshot instead"
        )
