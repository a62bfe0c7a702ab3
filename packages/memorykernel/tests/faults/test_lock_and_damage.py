"""A database that another process holds, or that is damaged, when it is opened and while it is served."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from memorykernel import open_kernel
from memorykernel.adapters.sqlite_verify import verify
from memorykernel.core.release import default_release
from memorykernel.errors import SchemaUnavailable

LOCKED = "another process has held the database for too long"
DAMAGED = "the database is damaged; find where with 'mk verify' and restore a backup with 'mk restore'"
PAGE = 4096


@pytest.fixture
def db(tmp_path: Path, kit: Any) -> Path:
    """A database of some pages, which nobody has open."""
    path = tmp_path / "memory.db"
    kernel = open_kernel(path, default_release())
    kernel.schema_care.migrate(dry_run=False)
    for number in range(30):
        kit.add(kernel, kit.constraint(f"actor-{number}", note="n" * 3000))
    kernel.file.close()
    return path


@contextmanager
def locked(db: Path) -> Iterator[None]:
    """Another process writes for long."""
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield
        writer.execute("ROLLBACK")


def test_a_lock_held_for_long_is_told_and_reads_go_on(db: Path, kit: Any) -> None:
    with kit.serve(db, "--timeout-ms", "8000") as server:
        kept = server.call("POST", "/v1/query/ask", kit.ask()).data
        with locked(db):
            written = server.call("POST", "/v1/memory/add/constraint", kit.constraint())
            asked = server.call("POST", "/v1/query/ask", kit.ask(text="locked"))
            found = server.call("GET", f"/v1/context/{kept['context_package_id']}")
            ready = server.call("GET", "/v1/ready")
        again = server.call("POST", "/v1/memory/add/constraint", kit.constraint())

    for reply, code in ((written, "write_failed"), (asked, "query_failed")):
        assert (reply.status, reply.json()["error"]["code"]) == (500, code)
        assert LOCKED in reply.json()["error"]["message"]
    assert (found.data, ready.status, again.status) == (kept, 200, 200)


def test_a_command_says_that_the_database_is_locked(db: Path, mk: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "memory.tar"
    assert mk("export", "--db", db, "-o", bundle).code == 0
    with locked(db):
        imported = mk("import", bundle, "--db", db)
        backed_up = mk("backup", tmp_path / "backup.db", "--db", db)
        verified = mk("verify", "--db", db, "--jobs", "1")

    assert (imported.code, imported.out) == (3, "")
    assert LOCKED in imported.err
    assert (backed_up.code, verified.code) == (0, 0)


def test_damage_while_serving_is_told_with_what_to_do(db: Path, kit: Any, mk: Any) -> None:
    with kit.serve(db) as server:
        server.call("GET", "/v1/health")
        data = bytearray(db.read_bytes())
        data[PAGE:] = b"\xff" * (len(data) - PAGE)
        db.write_bytes(data)
        replies = [
            server.call("POST", "/v1/query/ask", kit.ask()),
            server.call("POST", "/v1/memory/add/constraint", kit.constraint()),
            server.call("GET", "/v1/ready"),
        ]
        alive = server.call("GET", "/v1/health")

    assert alive.status == 200
    for reply in replies:
        assert reply.status in (500, 503)
        assert DAMAGED in reply.json()["error"]["message"]
    report = mk("verify", "--db", db, "--jobs", "1")
    assert report.code == 1
    assert json.loads(report.out)["damage"]


def test_a_database_that_is_none_is_told_when_it_is_opened(tmp_path: Path, kit: Any, mk: Any) -> None:
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"junk" * 5000)
    with kit.serve(junk) as server:
        ready = server.call("GET", "/v1/ready")
        asked = server.call("POST", "/v1/query/ask", kit.ask())
    for reply in (ready, asked):
        assert (reply.status, reply.json()["error"]["code"]) == (503, "schema_unavailable")
        assert "the file is not a database; correct the path" in reply.json()["error"]["message"]
    asked_by_hand = mk("db", "schema-version", "--db", junk)
    assert (asked_by_hand.code, asked_by_hand.out) == (3, "")


@pytest.mark.parametrize("content", [b"junk" * 5000, b"", b"SQLite"])
def test_verify_says_once_that_a_file_is_no_database(content: bytes, tmp_path: Path, mk: Any) -> None:
    junk = tmp_path / "junk.db"
    junk.write_bytes(content)

    report = mk("verify", "--db", junk)

    assert report.code == 1
    (found,) = json.loads(report.out)["damage"]
    assert found["finding"] == "the file is not a database, or its beginning is lost"
    assert [each.name for each in tmp_path.iterdir()] == ["junk.db"]


def test_verify_says_once_that_a_database_is_another_programs(tmp_path: Path, mk: Any) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE songs (title)")

    (found,) = json.loads(mk("verify", "--db", other).out)["damage"]

    assert found["finding"] == "the file is a database of another program"


def test_reading_a_backup_leaves_nothing_beside_it(db: Path, tmp_path: Path, mk: Any) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    backup = folder / "backup.db"
    assert mk("backup", backup, "--db", db).code == 0
    for command in (
        ["verify", "--db", backup],
        ["verify", "--db", backup, "--jobs", "2"],
        ["restore", backup, "--db", tmp_path / "copy.db"],
    ):
        assert mk(*command).code == 0
        assert [each.name for each in folder.iterdir()] == ["backup.db"], command
    refused = mk("import", backup, "--db", tmp_path / "other.db")
    assert (refused.code, [each.name for each in folder.iterdir()]) == (2, ["backup.db"])
    assert "mk restore" in refused.err


def test_a_database_is_no_backup_of_itself(db: Path, mk: Any) -> None:
    before = db.read_bytes()

    ran = mk("restore", db, "--db", db, "--replace")

    assert (ran.code, db.read_bytes()) == (1, before)
    assert "is that database itself" in ran.err


def test_a_schema_that_is_no_text_is_damage(db: Path, kit: Any) -> None:
    data = db.read_bytes()
    for name in (b"CREATE TABLE links", b"CREATE TABLE records"):
        data = data.replace(name, name[:-3] + b"\xc9" + name[-2:])
    db.write_bytes(data)
    report = verify(db, answers=True, jobs=1, progress=lambda done, total: None)
    assert [each.table for each in report.damage][:1] == ["sqlite_schema"]
    kernel = open_kernel(db, default_release())
    with pytest.raises(SchemaUnavailable, match="the database is damaged"):
        kernel.schema_care.load_status()
    kernel.file.close()
