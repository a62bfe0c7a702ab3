"""The first routes: opened once, again when the process moved, never without a program or a process."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
from cutover.adapters.clock import SystemClock
from cutover.adapters.file_log import FileLog
from cutover.core.entry import Completed, RouteOpened, RoutePointed
from cutover.core.route import calculate_routes
from cutover.errors import Refused
from cutover.service.baseline import lead_to_baseline
from cutover.service.station import RunningRelease

from packages.cutover.tests.move import V2, Move

RUNNING = RunningRelease(
    release_tag="v0.3.2",
    url="http://127.0.0.1:1",
    address="http://127.0.0.1:2",
    pid=1,
    command=("mk",),
    tree_id="0" * 40,
    folder="run/releases/v0.3.2",
)


def _lead(move: Move, running: RunningRelease | None = RUNNING) -> bool:
    def find(tag: str) -> RunningRelease:
        if running is None:
            raise Refused(f"{tag} is not running here")
        return running

    return lead_to_baseline(move.program, move.log, move.signer, find)


@pytest.fixture
def move(tmp_path: Path) -> Move:
    return Move(tmp_path)


def test_traffic_is_led_to_the_baseline_once(move: Move) -> None:
    assert _lead(move)
    assert not _lead(move)
    table = calculate_routes(move.log.read().entries)
    assert (table.contracts[V2].address, table.active) == (RUNNING.address, V2)


def test_a_process_that_moved_gets_its_route_again(move: Move) -> None:
    _lead(move)
    assert _lead(move, msgspec.structs.replace(RUNNING, address="http://127.0.0.1:3"))
    assert len(move.bodies(RouteOpened)) == 2
    assert len(move.bodies(RoutePointed)) == 1


def test_an_open_route_stays_while_its_process_is_down(move: Move) -> None:
    _lead(move)
    assert not _lead(move, None)


def test_without_a_process_there_is_no_first_route(move: Move) -> None:
    with pytest.raises(Refused, match="is not running here"):
        _lead(move, None)
    assert move.bodies(RouteOpened) == []


def test_after_completion_nothing_is_led_back(move: Move) -> None:
    move.add(Completed(release_tag="v0.4.0", commit_sha="0" * 40, governance_commit="0" * 40, posture="GO"))
    assert not _lead(move)


def test_a_program_that_is_not_open_has_no_routes(move: Move, tmp_path: Path) -> None:
    def never(tag: str) -> NoReturn:
        raise AssertionError(tag)

    empty = FileLog(tmp_path / "empty.jsonl", SystemClock())
    with pytest.raises(Refused, match="not open yet"):
        lead_to_baseline(move.program, empty, move.signer, never)
