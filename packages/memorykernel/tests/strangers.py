"""Somebody else with access to a database: what they may run, and what they can do without scruples."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psycopg

from packages.memorykernel.tests.postgres_cluster import Server


class Stranger(Protocol):
    """Access to a store beside the program."""

    @property
    def location(self) -> Path | str:
        """The file, or the DSN."""
        ...

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and keep its effect."""
        ...

    def refusal(self, statement: str) -> str:
        """What the database says to a statement that it refuses; empty when it does not."""
        ...

    def tamper(self, statement: str) -> None:
        """Switch the guards off and run a statement."""
        ...

    def replace_in_packages(self, old: str, new: str) -> None:
        """Forge every stored answer, behind the guards."""
        ...

    def spell_bytes(self, text: str) -> str:
        """Bytes as a statement has them."""
        ...

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        ...

    def elsewhere(self) -> Path | str:
        """The place of another, empty database."""
        ...


class SqliteStranger:
    """Beside a file."""

    def __init__(self, path: Path) -> None:
        self.location = path
        self._numbers = count()

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """See `Stranger`."""
        with closing(sqlite3.connect(self.location)) as connection, connection:
            return connection.execute(statement).fetchall()

    def refusal(self, statement: str) -> str:
        """See `Stranger`."""
        try:
            self.run(statement)
        except sqlite3.Error as exc:
            return str(exc)
        return ""

    def tamper(self, statement: str) -> None:
        """See `Stranger`."""
        guards = self.run("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        for name, _ in guards:
            self.run(f"DROP TRIGGER {name}")
        self.run(statement)
        for _, made in guards:
            self.run(made)

    def replace_in_packages(self, old: str, new: str) -> None:
        """See `Stranger`."""
        self.tamper(f"UPDATE answers SET package = CAST(replace(package, '{old}', '{new}') AS BLOB)")  # noqa: S608

    def spell_bytes(self, text: str) -> str:
        """See `Stranger`."""
        return f"CAST('{text}' AS BLOB)"

    def columns(self, table: str) -> list[str]:
        """See `Stranger`."""
        return [row[1] for row in self.run(f"PRAGMA table_info({table})")]

    def elsewhere(self) -> Path:
        """See `Stranger`."""
        return self.location.with_name(f"other-{next(self._numbers)}.db")


class PostgresStranger:
    """Beside a schema of a server."""

    def __init__(self, server: Server, location: str | None = None) -> None:
        self._server = server
        self.location = location or server.make_schema()

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """See `Stranger`."""
        with psycopg.connect(self.location, gssencmode="disable") as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def refusal(self, statement: str) -> str:
        """See `Stranger`."""
        try:
            self.run(statement)
        except psycopg.Error as exc:
            return str(exc)
        return ""

    def tamper(self, statement: str) -> None:
        """See `Stranger`."""
        self.run(f"SET session_replication_role = replica; {statement}")

    def replace_in_packages(self, old: str, new: str) -> None:
        """See `Stranger`."""
        forged = f"replace(convert_from(package, 'UTF8'), '{old}', '{new}')"
        self.tamper(f"UPDATE answers SET package = convert_to({forged}, 'UTF8')")  # noqa: S608

    def spell_bytes(self, text: str) -> str:
        """See `Stranger`."""
        return f"convert_to('{text}', 'UTF8')"

    def columns(self, table: str) -> list[str]:
        """See `Stranger`."""
        listing = (
            "SELECT attname FROM pg_attribute"  # noqa: S608  # our own names
            f" WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        )
        return [str(name) for (name,) in self.run(listing)]

    def elsewhere(self) -> str:
        """See `Stranger`."""
        return self._server.make_schema()
