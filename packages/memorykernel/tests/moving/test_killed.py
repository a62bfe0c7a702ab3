"""Killed while it merges or restores: there is the old state or the new one, whole, and a repetition works.

A process dies either in front of an act on the file system (renaming, linking, opening a database), or in the
middle of a write: with a limit on the size of files and the signal's own effect, the kernel kills the process
whose write would go beyond. Neither gives it a chance to tidy up.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.sqlite_backup import back_up, restore
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.adapters.sqlite_memory import SqliteMemory

ACTS = frozenset(("os.link", "os.rename", "os.remove", "sqlite3.connect", "fcntl.flock"))
KILLED = (-signal.SIGKILL, -signal.SIGXFSZ)

Job = Callable[[], object]


def die_before_act(number: int) -> None:
    """Let this process die in front of act of this number."""
    left = number

    def count(event: str, _: object) -> None:
        nonlocal left
        if event in ACTS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def die_beyond(size: int) -> None:
    """Let this process die in the write that would make a file larger."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def run_mortal(job: Job, prepare: Callable[[int], None], bound: int) -> bool:
    """Do something in a process that may die of it; whether it was done."""

    def live() -> None:
        prepare(bound)
        job()

    process = get_context("fork").Process(target=live)
    process.start()
    process.join(60)
    assert process.exitcode in (0, *KILLED)
    return process.exitcode == 0


def look(path: Path) -> tuple[str, int]:
    """The head and the number of records of a file, which must be in order."""
    file = SqliteFile(path)
    try:
        report = check_integrity(file)
    finally:
        file.close()
    assert report.ok, report.damage
    return report.memory_head, report.records


def ignore(left: int, total: int) -> None:
    """Nobody watches."""


def list_bounds(prepare: Callable[[int], None]) -> range:
    return range(40) if prepare is die_before_act else range(0, 400_000, 16_411)


@pytest.fixture
def pristine(tmp_path: Path, filled: Any, record: Any) -> Path:
    """A database with a record that no bundle and no backup of these tests has; nobody has it open."""
    file = SqliteFile(filled(tmp_path / "pristine.db", 3))
    SqliteMemory(file).add_record(record(9_000), now_us=1)
    file.close()
    return file.path


@pytest.mark.parametrize(("prepare", "least"), [(die_before_act, 1), (die_beyond, 5)])
def test_a_merge(
    prepare: Callable[[int], None],
    least: int,
    pristine: Path,
    tmp_path: Path,
    filled: Any,
    exported: Any,
    moving: Any,
    archive: Any,
) -> None:
    bundle = tmp_path / "bundle.tar"
    bundle.write_bytes(exported(filled(tmp_path / "source.db", 80)))
    before, deaths = look(pristine), 0
    for bound in list_bounds(prepare):
        db = tmp_path / f"memory-{bound}.db"
        shutil.copy(pristine, db)
        if run_mortal(lambda db=db: moving(db).take_over(archive(bundle)), prepare, bound):  # type: ignore[misc]  # bound now
            break
        deaths += 1
        found = look(db)
        assert found == before or found[1] == 81, bound
        moving(db).take_over(archive(bundle))
        assert look(db)[1] == 81

    assert deaths >= least
    assert look(db)[1] == 81


@pytest.mark.parametrize(("prepare", "least"), [(die_before_act, 8), (die_beyond, 5)])
def test_a_restore(
    prepare: Callable[[int], None], least: int, pristine: Path, tmp_path: Path, filled: Any
) -> None:
    backup = tmp_path / "backup.db"
    back_up(SqliteFile(filled(tmp_path / "source.db", 80)), backup, ignore)
    before, wanted, deaths = look(pristine), look(backup), 0
    for bound in list_bounds(prepare):
        folder = tmp_path / f"at-{bound}"
        folder.mkdir()
        db = folder / "memory.db"
        shutil.copy(pristine, db)
        if run_mortal(lambda db=db: restore(backup, db, replace=True, progress=ignore), prepare, bound):  # type: ignore[misc]  # bound now
            break
        deaths += 1
        found = look(db)
        assert found in (before, wanted), bound
        kept = [look(each) for each in folder.glob("*.before-restore-*") if each.suffix[-1].isdigit()]
        assert before in (found, *kept), bound
        restore(backup, db, replace=True, progress=ignore)
        assert look(db) == wanted
        assert not list(folder.glob(".*"))

    assert deaths >= least
    assert look(db) == wanted == look(backup)
