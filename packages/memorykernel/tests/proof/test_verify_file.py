"""What only a file can be: no database at all, with another header, with another seal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.verification import VerifyReport
from memorykernel.wiring import verify_store


def check(path: Path) -> VerifyReport:
    return verify_store(path, answers=True, jobs=1, progress=lambda done, total: None)


def test_a_changed_ledger_is_found(stage: Any) -> None:
    scene = stage()
    scene.stranger.tamper("UPDATE schema_migrations SET applied_at = '2026' WHERE version = 2")
    assert ("schema_migrations", None) in {
        (each.table, each.row) for each in check(scene.kernel.file.path).damage
    }


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(4080)])
def test_what_is_no_database_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    report = check(path)
    assert not report.ok
    assert {each.table for each in report.damage} <= {"file", "header"}


@pytest.mark.parametrize("offset", [18, 20, 47, 59, 71, 80])
def test_a_changed_header_is_found(stage: Any, offset: int) -> None:
    scene = stage()
    path = scene.kernel.file.path
    scene.kernel.file.close()
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    assert {each.table for each in check(path).damage} & {"header", "file"}
