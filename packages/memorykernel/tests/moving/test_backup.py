"""A backup is one state of a store that is written; a restore checks before it replaces."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.integrity import IntegrityReport
from memorykernel.adapters.sqlite_backup import back_up, restore
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.errors import DatabaseMissing, SchemaUnavailable, WriteConflict


def look(path: Path) -> IntegrityReport:
    """Check a file and let go of it."""
    file = SqliteFile(path)
    try:
        return check_integrity(file)
    finally:
        file.close()


def ignore(left: int, total: int) -> None:
    """Nobody watches."""


def test_a_backup_is_the_state_that_it_began_with_while_others_write(
    store: Path, tmp_path: Path, record: Any
) -> None:
    before = look(store)
    numbers = iter(range(100, 200))
    writer = SqliteMemory(SqliteFile(store))

    def write(left: int, total: int) -> None:
        writer.add_record(record(next(numbers)), now_us=1)

    report = back_up(SqliteFile(store), tmp_path / "b.db", write)
    copy = look(tmp_path / "b.db")
    assert next(numbers) > 100
    assert copy.ok
    assert copy.memory_head == before.memory_head == report.memory_head
    with pytest.raises(WriteConflict, match="exists"):
        back_up(SqliteFile(store), tmp_path / "b.db", ignore)


def test_a_restore_keeps_what_was_there(store: Path, tmp_path: Path, record: Any) -> None:
    backup = tmp_path / "b.db"
    report = back_up(SqliteFile(store), backup, ignore)
    file = SqliteFile(store)
    SqliteMemory(file).add_record(record(90), now_us=1)
    file.close()
    later = look(store).memory_head
    with pytest.raises(WriteConflict, match="--replace"):
        restore(backup, store, replace=False, progress=ignore)
    restored = restore(backup, store, replace=True, progress=ignore)
    assert restored.kept is not None
    assert look(store).memory_head == report.memory_head
    assert look(Path(restored.kept)).memory_head == later
    fresh = restore(backup, tmp_path / "fresh.db", replace=False, progress=ignore)
    assert fresh.kept is None
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", ["-wal", "-journal"])
def test_what_is_left_of_a_database_is_not_written_into_another_one(
    store: Path, tmp_path: Path, filled: Any, exported: Any, moving: Any, archive: Any, kind: str
) -> None:
    back_up(SqliteFile(store), tmp_path / "copy.mk", ignore)
    (tmp_path / "export.tar").write_bytes(exported(store))
    lost, there = tmp_path / "lost.db", tmp_path / "there.db"
    with SqliteFile(filled(there)).writing(durable=True) as connection:
        connection.execute("DELETE FROM postings")
        connection.commit()
        left = there.with_name("there.db-wal").read_bytes()
    log = lost.with_name(f"lost.db{kind}")
    log.write_bytes(left)
    for attempt in (
        lambda: restore(tmp_path / "copy.mk", lost, replace=True, progress=ignore),
        lambda: back_up(SqliteFile(store), lost, ignore),
        lambda: moving(lost).take_over(archive(tmp_path / "export.tar")),
    ):
        with pytest.raises(WriteConflict, match="is left of a database"):
            attempt()
    assert (lost.exists(), log.read_bytes()) == (False, left)
    log.rename(tmp_path / "away")
    restore(tmp_path / "copy.mk", lost, replace=False, progress=ignore)
    assert look(lost).ok


def test_a_restore_refuses_while_somebody_has_the_database_open(store: Path, tmp_path: Path) -> None:
    back_up(SqliteFile(store), tmp_path / "b.db", ignore)
    open_elsewhere = SqliteFile(store)
    with open_elsewhere.reading() as connection:
        connection.execute("SELECT count(*) FROM records").fetchone()
    before = store.read_bytes()
    with pytest.raises(WriteConflict, match="open in another process"):
        restore(tmp_path / "b.db", store, replace=True, progress=ignore)
    assert store.read_bytes() == before
    open_elsewhere.close()
    assert restore(tmp_path / "b.db", store, replace=True, progress=ignore).checked.ok


def test_a_damaged_backup_replaces_nothing(store: Path, tmp_path: Path) -> None:
    backup = tmp_path / "b.db"
    back_up(SqliteFile(store), backup, ignore)
    with sqlite3.connect(backup) as connection:
        connection.execute("DROP TRIGGER records_no_UPDATE")
        connection.execute("UPDATE records SET note = 'changed' WHERE record_seq = 1")
    connection.close()
    before = store.read_bytes()
    with pytest.raises(SchemaUnavailable, match="damaged"):
        restore(backup, store, replace=True, progress=ignore)
    other = tmp_path / "other.db"
    other.write_bytes(b"nothing of ours" * 300)
    with pytest.raises(SchemaUnavailable):
        restore(other, store, replace=True, progress=ignore)
    with pytest.raises(DatabaseMissing):
        restore(tmp_path / "nowhere.db", store, replace=True, progress=ignore)
    assert store.read_bytes() == before
    assert not list(tmp_path.glob("*before-restore*"))


def test_a_database_too_damaged_to_lock_can_be_replaced(store: Path, tmp_path: Path) -> None:
    back_up(SqliteFile(store), tmp_path / "b.db", ignore)
    store.write_bytes(b"\0" * 5000)
    assert restore(tmp_path / "b.db", store, replace=True, progress=ignore).checked.ok
    assert look(store).ok
