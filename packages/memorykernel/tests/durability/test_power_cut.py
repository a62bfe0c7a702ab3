"""Simulated power cuts: whatever part of the unsynced writes is there, all that was acknowledged is."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from memorykernel import open_kernel
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.core.request import AddConstraint, Ask, read_request
from memorykernel.wiring import Durability, Kernel

CUTS = 60


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_power_cut_loses_nothing_acknowledged(
    recording: ModuleType, tmp_path: Path, kit: Any, seed: int
) -> None:
    journal = _record(recording, tmp_path / "memory.db", kit, Durability.FULL)

    lost, damaged, acknowledged = _cut(journal, tmp_path, seed)

    assert acknowledged > 0
    assert (lost, damaged) == (0, 0)


def test_the_simulation_sees_what_is_lost_without_fsync(
    recording: ModuleType, tmp_path: Path, kit: Any
) -> None:
    journal = _record(recording, tmp_path / "memory.db", kit, Durability.NORMAL)

    lost, damaged, _ = _cut(journal, tmp_path, 4)

    assert lost > 0
    assert damaged == 0


def test_a_failing_fsync_fails_the_group_and_keeps_nothing_of_it(
    recording: ModuleType, tmp_path: Path, kit: Any
) -> None:
    path = tmp_path / "memory.db"
    failing = False
    vfs = recording.RecordingVfs(recording.Journal(), fail_sync=lambda _: failing)
    try:
        kernel = open_kernel(path, kit.release(), clock=kit.clock(), durability=Durability.FULL)
        kernel.schema_care.migrate(dry_run=False)
        kernel.asking.ask(_question(kit, 0))
        failing = True
        tickets = [kernel.asking.begin_ask(_question(kit, number)) for number in range(1, 6)]
        errors = [_error_of(ticket.wait) for ticket in tickets]
        failing = False
        kernel.asking.ask(_question(kit, 6))
        kernel.file.close()
    finally:
        vfs.close()

    assert errors == ["query_failed"] * 5
    assert _count_answers(path) == 2


def _record(recording: ModuleType, path: Path, kit: Any, durability: Durability) -> Any:
    """Ask and write through a group, noting each acknowledgement where it happened among the disk's steps."""
    journal = recording.Journal()
    vfs = recording.RecordingVfs(journal)
    try:
        kernel = open_kernel(path, kit.release(), clock=kit.clock(), durability=durability)
        kernel.schema_care.migrate(dry_run=False)
        tickets = [_begin(kernel, kit, number, journal) for number in range(300)]
        for ticket in tickets:
            ticket.wait()
        kernel.file.close()
    finally:
        vfs.close()
    return journal


def _begin(kernel: Kernel, kit: Any, number: int, journal: Any) -> Any:
    assert kernel.writes is not None
    ticket: Any
    if number % 10 == 0:
        body = read_request(kit.constraint(actor=f"actor-{number}"), AddConstraint, strict=True)
        ticket = kernel.writes.begin_write(lambda: kernel.remembering.add_record(body).memory_version_id)
    else:
        ticket = kernel.asking.begin_ask(_question(kit, number))
    ticket.when_done(lambda done: journal.say(_name(done.result)))
    if number % 7 == 0:
        ticket.wait()
    return ticket


def _question(kit: Any, number: int) -> Ask:
    return read_request(kit.ask(text=f"question {number}?"), Ask, strict=True)


def _name(result: bytes | str) -> str:
    """The id of what was acknowledged: a record's, or that at the beginning of an answer."""
    return result if isinstance(result, str) else result.decode().split('"', 4)[3]


def _cut(journal: Any, folder: Path, seed: int) -> tuple[int, int, int]:
    """Cut the power at random places: acknowledged ids that were lost, damaged files, acknowledged ids."""
    chance = random.Random(seed)
    first = min(at for at, _ in journal.moments)
    lost = damaged = acknowledged = 0
    for number in range(CUTS):
        cut = chance.randrange(first, len(journal.steps) + 1)
        disk = folder / f"disk-{number}"
        disk.mkdir()
        journal.restore(cut, disk, chance)
        expected = set(journal.said_before(cut))
        kept, is_sound = _inspect(disk / "memory.db")
        acknowledged += len(expected)
        lost += len(expected - kept)
        damaged += not is_sound
    return lost, damaged, acknowledged


def _inspect(path: Path) -> tuple[set[str], bool]:
    from memorykernel.adapters.sqlite_file import SqliteFile

    with sqlite3.connect(path) as connection:
        kept = {row[0] for row in connection.execute("SELECT context_package_id FROM answers")}
        kept |= {row[0] for row in connection.execute("SELECT memory_version_id FROM records")}
    connection.close()
    file = SqliteFile(path)
    report = check_integrity(file)
    file.close()
    return kept, report.ok


def _count_answers(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count = connection.execute("SELECT count(*) FROM answers").fetchone()[0]
    connection.close()
    return int(count)


def _error_of(act: Callable[[], object]) -> str | None:
    from memorykernel import MemoryKernelError

    try:
        act()
    except MemoryKernelError as error:
        return error.code
    return None
