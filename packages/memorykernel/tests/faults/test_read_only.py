"""Disks, folders and files that may only be read: what can be read is, and the rest says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from memorykernel import open_kernel
from memorykernel.core.release import default_release

READ_ONLY = "the disk, the folder or the file is read-only; allow writing there"
ASK = ("--text", "q", "--actor", "a", "--action", "b", "--resource", "c")


@pytest.fixture
def make(kit: Any) -> Callable[[Path], Path]:
    """Makes a database with a record, and nobody has it open."""

    def make_database(path: Path) -> Path:
        kernel = open_kernel(path, default_release())
        kernel.schema_care.migrate(dry_run=False)
        kit.add(kernel, kit.constraint())
        kernel.file.close()
        return path

    return make_database


def test_a_server_on_a_read_only_disk_reads_and_says_why_it_does_not_ask(
    disk: Any, kit: Any, mk: Any, make: Any
) -> None:
    db = make(disk.path / "memory.db")
    package_id = json.loads(mk("query", "ask", "--db", db, *ASK).out)["context_package_id"]
    disk.forbid_writing()
    with kit.serve(db) as server:
        kept = server.call("GET", f"/v1/context/{package_id}")
        replayed = server.call("GET", f"/v1/context/{package_id}/replay")
        asked = server.call("POST", "/v1/query/ask", kit.ask())
        written = server.call("POST", "/v1/memory/add/constraint", kit.constraint())
        ready = server.call("GET", "/v1/ready")

    assert kept.data["context_package_id"] == package_id
    assert replayed.data["identical"]
    assert [each.status for each in (asked, written, ready)] == [500, 500, 503]
    for each in (asked, written, ready):
        assert READ_ONLY in each.json()["error"]["message"]
    assert asked.json()["error"]["message"].startswith("the answer could not be kept: ")
    assert disk.list_names() == {"memory.db"}


@pytest.mark.parametrize("command", ["verify", "export", "backup", "restore", "replay"])
def test_what_only_reads_works_on_a_read_only_disk(
    command: str, disk: Any, mk: Any, make: Any, tmp_path: Path
) -> None:
    db = make(disk.path / "memory.db")
    package_id = json.loads(mk("query", "ask", "--db", db, *ASK).out)["context_package_id"]
    disk.forbid_writing()
    target = tmp_path / "new"

    ran = mk(*{
        "verify": ["verify", "--db", db, "--jobs", "1"],
        "export": ["export", "--db", db, "-o", target],
        "backup": ["backup", target, "--db", db],
        "restore": ["restore", db, "--db", target],
        "replay": ["replay", package_id, "--db", db],
    }[command])  # fmt: skip

    assert (ran.code, ran.err if ran.code else "") == (0, "")


@pytest.mark.parametrize("command", ["ask", "migrate", "import", "backup", "restore"])
def test_what_writes_says_that_the_disk_is_read_only(
    command: str, disk: Any, mk: Any, make: Any, tmp_path: Path
) -> None:
    db, other = make(disk.path / "memory.db"), make(tmp_path / "other.db")
    bundle = tmp_path / "other.tar"
    assert mk("export", "--db", other, "-o", bundle).code == 0
    disk.forbid_writing()
    target = disk.path / "new"

    ran = mk(*{
        "ask": ["query", "ask", "--db", db, *ASK],
        "migrate": ["db", "migrate", "--db", target],
        "import": ["import", bundle, "--db", db],
        "backup": ["backup", target, "--db", other],
        "restore": ["restore", other, "--db", db, "--replace"],
    }[command])  # fmt: skip

    assert (ran.code, ran.out) == (3, "")
    assert "read-only" in ran.err or "allow reading and writing in its folder" in ran.err


def test_a_folder_that_may_not_be_written_is_no_damage(
    mk: Any, make: Any, tmp_path: Path, unprivileged: list[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    db = make(folder / "memory.db")
    folder.chmod(0o555)
    try:
        verified = mk("verify", "--db", db, "--jobs", "1", before=unprivileged)
        asked = mk("query", "ask", "--db", db, *ASK, before=unprivileged)
        backed_up = mk("restore", db, "--db", tmp_path / "copy.db", before=unprivileged)
    finally:
        folder.chmod(0o755)

    for ran in (verified, asked):
        assert (ran.code, ran.out) == (3, "")
        assert READ_ONLY in ran.err
    assert backed_up.code == 0


def test_a_file_that_may_not_be_written_is_read(
    mk: Any, make: Any, tmp_path: Path, unprivileged: list[str]
) -> None:
    db = make(tmp_path / "memory.db")
    db.chmod(0o444)

    verified = mk("verify", "--db", db, "--jobs", "1", before=unprivileged)
    asked = mk("query", "ask", "--db", db, *ASK, before=unprivileged)

    assert verified.code == 0
    assert (asked.code, asked.out) == (3, "")
    assert READ_ONLY in asked.err
