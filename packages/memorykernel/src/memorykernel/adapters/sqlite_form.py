"""Checking what a file is made of below its rows: header, pages, indexes, schema, and what has no chain."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from memorykernel.adapters.integrity import MAX_DAMAGE, Damage
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_schema import (
    APPLICATION_ID,
    SCOPE_SCHEMA,
    SqliteSchema,
    calculate_seal,
)
from memorykernel.core.chain import digest_entry

_HEADER: Final[dict[int, bytes]] = {
    0: b"SQLite format 3\0",
    18: bytes((2, 2, 0, 64, 32, 32)),
    44: (4).to_bytes(4, "big"),
    52: bytes(4),
    56: (1).to_bytes(4, "big"),
    64: bytes(4),
    68: APPLICATION_ID.to_bytes(4, "big"),
    72: bytes(20),
}
"""What stands where in the header of every file of ours: format, WAL, no reserved bytes, UTF-8, application.

Source: https://www.sqlite.org/fileformat2.html, section 1.3.
"""

_NAMED: Final = re.compile(r"(?:row ([0-9]+) missing from )?index (\w+)")


def check_header(path: Path) -> Iterator[Damage]:
    """Check the constants of the file's header, which SQLite itself does not look at."""
    with suppress(OSError):
        if path.with_name(f"{path.name}-wal").stat().st_size:
            return  # the newest header is not in the file yet
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as exc:
        yield Damage(table="header", row=None, id=None, finding=f"cannot be read: {exc.strerror}")
        return
    if not header.startswith(_HEADER[0]):
        finding = "the file is not a database, or its beginning is lost"
        yield Damage(table="header", row=0, id=None, finding=finding)
        return
    for offset, expected in _HEADER.items():
        if header[offset : offset + len(expected)] != expected:
            yield Damage(table="header", row=offset, id=None, finding=f"bytes from {offset} on are not ours")


def check_pages(connection: sqlite3.Connection) -> Iterator[Damage]:
    """SQLite's own check of pages and indexes, table by table, so that each finding has one to name."""
    is_whole = True
    try:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        yield Damage(table="sqlite_schema", row=None, id=None, finding=f"cannot be read on: {exc}")
        return
    for table in ("sqlite_schema", *(name for (name,) in tables)):
        for damage in _check_table(connection, table):
            is_whole = False
            yield damage
    if is_whole:  # what belongs to no table: the list of free pages, and pages that belong to two
        yield from _check_table(connection, None)


def check_schema(connection: sqlite3.Connection, version: int) -> Iterator[Damage]:
    """Check tables, indexes and triggers against those of the migrations."""
    statement = "SELECT name, type, tbl_name, sql FROM sqlite_schema"
    expected = _make_schema(min(version, SCOPE_SCHEMA), statement)
    found = {row[0]: row for row in connection.execute(statement).fetchall()}
    for name in sorted(set(expected) | set(found), key=str):
        if found.get(name) != expected.get(name):
            yield Damage(
                table="sqlite_schema", row=None, id=str(name), finding="is not what the migrations make"
            )


def check_ledger(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Check the ledger of the migrations against its seal."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != calculate_seal(connection):
        yield Damage(
            table="schema_migrations", row=None, id=None, finding="the seal is not that of the ledger"
        )


def check_request_keys(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Check each kept request against its digest."""
    rows = connection.execute(
        "SELECT CAST(request_key AS BLOB), request_sha256, reply, recorded_at_us, digest FROM request_keys"
    )
    for key, *values, digest in rows:
        if digest_entry((key, *values)) != digest:
            name = key.decode(errors="replace")
            yield Damage(table="request_keys", row=None, id=name, finding="content is not what was written")


@cache
def _make_schema(version: int, statement: str) -> dict[object, tuple[object, ...]]:
    with tempfile.TemporaryDirectory(prefix="memorykernel-schema-") as folder:
        file = SqliteFile(Path(folder) / "made.db")
        try:
            SqliteSchema(file, version).migrate(0)
            with file.reading() as connection:
                return {row[0]: row for row in connection.execute(statement).fetchall()}
        finally:
            file.close()


def _check_table(connection: sqlite3.Connection, table: str | None) -> Iterator[Damage]:
    limit = MAX_DAMAGE if table is None else f"'{table}'"
    try:
        for (finding,) in connection.execute(f"PRAGMA integrity_check({limit})"):
            yield from (_locate(table, line) for line in str(finding).splitlines() if _is_finding(line))
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        yield Damage(table=table or "file", row=None, id=None, finding=f"cannot be read on: {exc}")


def _is_finding(line: str) -> bool:
    return line != "ok" and "***" not in line


def _locate(table: str | None, finding: str) -> Damage:
    """The row and the index that a finding of SQLite names, if it does."""
    named = _NAMED.search(finding)
    row = int(named[1]) if named and named[1] else None
    return Damage(table=table or "file", row=row, id=named[2] if named else None, finding=finding)
