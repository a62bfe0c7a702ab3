"""A PostgreSQL server that holds each tenant's database as a database of its own.

A connection is bound to one database, and no statement reaches into another: tenants are as far apart as
files are, and each can be dumped, restored and dropped alone (ADR 0017).
"""

from __future__ import annotations

from contextlib import closing
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from memorykernel.adapters.postgres_database import PostgresDatabase
from memorykernel.adapters.postgres_line import PostgresLine, describe_error
from memorykernel.core.access import require_tenant
from memorykernel.errors import AccessInvalid, SchemaUnavailable

_MAX_NAME_BYTES: Final = 63
"""How long the name of a database may be; PostgreSQL cuts a longer one off without a word."""

_IS_THERE: Final = "SELECT 1 FROM pg_database WHERE datname = %s"
_MAKE: Final = "CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0"


def locate_database(server: str, tenant: str) -> str:
    """The DSN of a tenant's database: that of the server, the database's name with `_TENANT` after it.

    Raises:
        AccessInvalid: The name is none, or too long with what stands in front, or the DSN cannot be read.
    """
    name = f"{_read_name(server)}_{require_tenant(tenant)}"
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise AccessInvalid(
            f"the tenant's database would be called '{name}', expected at most {_MAX_NAME_BYTES} bytes;"
            " shorten the name of the database in --tenants or the tenant's"
        )
    # As an option, the last of which counts: a name in the path would give way to one that the DSN has there.
    begun = "&" if "?" in server.rpartition("@")[2] else "?"
    location = f"{server}{begun}dbname={quote(name, safe='')}"
    if _read_name(location) != name:
        raise AccessInvalid("the DSN of --tenants cannot be read; write '?' and '@' in it as %3F and %40")
    return location


def make_database(server: str, location: str) -> None:
    """Make a tenant's database, unless it is there.

    Args:
        server: The DSN to connect to for that; its database holds nothing of ours.
        location: Of `locate_database`.

    Raises:
        SchemaUnavailable: The server does not answer, or this role may not make a database.
    """
    name = str(conninfo_to_dict(location)["dbname"])
    line = PostgresLine(server)
    try:
        with closing(line):
            connection = line.open()
            if not connection.execute(_IS_THERE, (name,)).fetchall():
                connection.execute(sql.SQL(_MAKE).format(sql.Identifier(name)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another worker made it meanwhile
    except psycopg.errors.InsufficientPrivilege as exc:
        raise SchemaUnavailable(
            f"there is no database '{name}', and this role may not make one;"
            f" run: createdb -E UTF8 -T template0 {name}"
        ) from exc
    except psycopg.Error as exc:
        raise SchemaUnavailable(
            f"the tenant's database cannot be reached: {describe_error(exc)}; check the server"
        ) from exc


def _read_name(dsn: str) -> str:
    try:
        return str(conninfo_to_dict(dsn).get("dbname", ""))
    except psycopg.ProgrammingError as exc:  # whose message may repeat a password
        raise AccessInvalid("the DSN of --tenants cannot be read; correct it") from exc


def require_writable(server: str) -> None:
    """Pass when the server takes writes.

    Raises:
        SchemaUnavailable: It does not.
    """
    with closing(PostgresDatabase(server)) as database:
        database.require_writable()
