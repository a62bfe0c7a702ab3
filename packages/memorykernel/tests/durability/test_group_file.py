"""Group commit on a file that another process holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from memorykernel import MemoryKernelError, open_kernel
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_group import SqliteGroup
from memorykernel.core.request import Ask, read_request


def ask(kit: Any, number: int) -> Ask:
    return read_request(kit.ask(text=f"question {number}?"), Ask, strict=True)


def error_of(act: Callable[[], object]) -> MemoryKernelError | None:
    try:
        act()
    except MemoryKernelError as error:
        return error
    return None


def test_a_locked_database_fails_the_whole_group(tmp_path: Path, kit: Any) -> None:
    plain = open_kernel(tmp_path / "memory.db", kit.release(), clock=kit.clock())
    plain.schema_care.migrate(dry_run=False)
    package = plain.asking.ask(ask(kit, 0))
    plain.file.close()
    group = SqliteGroup(tmp_path / "memory.db", busy_timeout_ms=50)
    kernel = open_kernel(tmp_path / "memory.db", kit.release(), clock=kit.clock())
    stored = SqliteAnswers(group).list_policy_answers(after=0, limit=1)[0]
    assert stored.asked is not None
    with closing(sqlite3.connect(tmp_path / "memory.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        tickets = [group.begin_answer(f"cpkg_{number}", package, stored.asked) for number in range(3)]
        errors = [error_of(ticket.wait) for ticket in tickets]
        other.rollback()
    kept = group.begin_answer("cpkg_9", package, stored.asked).wait()
    group.close()
    kernel.file.close()

    assert [error and error.code for error in errors] == ["query_failed"] * 3
    assert all(error is not None and "held the database" in error.message for error in errors)
    assert kept == package
