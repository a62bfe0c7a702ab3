"""One key stops; an ordered way back waits until it is back; neither makes sense at the wrong time."""

from __future__ import annotations

from pathlib import Path

import pytest
from cutover.core.entry import Completed, Operation, StopCondition, Stopped
from cutover.core.switch import ForwardStep
from cutover.errors import Refused
from cutover.service.stop import check_roll_back, roll_back, stop

from packages.cutover.tests.move import Move
from packages.cutover.tests.service.moving import FakeGateway, make_executor


@pytest.fixture
def move(tmp_path: Path) -> Move:
    return Move(tmp_path)


@pytest.mark.parametrize("signer", ["producer", "consumer", "executor"])
def test_any_one_key_stops_a_move_and_wakes_the_gateway(move: Move, signer: str) -> None:
    move.forward(Operation.FORWARD)
    gateway = FakeGateway(move)
    entry, noticed = stop(make_executor(move, gateway, signer), gateway, reason=" smoke ")
    assert isinstance(entry.body, Stopped)
    assert (entry.body.condition, entry.body.reason) == (StopCondition.MANUAL, "smoke")
    assert (noticed, gateway.refreshed) == (True, 1)
    state = move.state()
    assert state is not None
    assert state.is_returning


def test_a_stop_stands_without_a_gateway(move: Move) -> None:
    move.forward(Operation.DRILL)
    gateway = FakeGateway(move, is_up=False)
    _, noticed = stop(make_executor(move, gateway), gateway, reason="smoke")
    assert not noticed
    assert len(move.bodies(Stopped)) == 1


def test_a_move_is_stopped_once(move: Move) -> None:
    move.forward(Operation.FORWARD)
    move.stop()
    gateway = FakeGateway(move)
    with pytest.raises(Refused, match="on its way back already"):
        stop(make_executor(move, gateway), gateway, reason="smoke")


@pytest.mark.parametrize("reason", ["", " ", "two\nlines"])
def test_a_stop_has_a_reason_of_one_line(move: Move, reason: str) -> None:
    move.forward(Operation.FORWARD)
    gateway = FakeGateway(move)
    with pytest.raises(Refused, match="a reason of one line"):
        stop(make_executor(move, gateway), gateway, reason=reason)
    assert move.bodies(Stopped) == []


def test_without_a_move_there_is_nothing_to_stop(move: Move) -> None:
    gateway = FakeGateway(move)
    with pytest.raises(Refused, match="nothing is in progress"):
        stop(make_executor(move, gateway), gateway, reason="smoke")


def test_a_rollback_returns_when_traffic_is_back(move: Move) -> None:
    move.forward(Operation.FORWARD, until=ForwardStep.STABILIZE)
    gateway = FakeGateway(move, takes_back=True)
    restored = roll_back(make_executor(move, gateway), gateway, reason="second thoughts")
    assert (restored.operation, restored.attempt) == (Operation.ABORT, 1)
    assert move.state() is None


def test_a_drill_is_not_rolled_back(move: Move) -> None:
    move.forward(Operation.DRILL)
    gateway = FakeGateway(move)
    for refuse in (lambda s: roll_back(s, gateway, reason="x"), check_roll_back):
        with pytest.raises(Refused, match="it comes back by itself"):
            refuse(make_executor(move, gateway))


def test_after_completion_there_is_no_way_back(move: Move) -> None:
    move.forward(Operation.FORWARD, until=ForwardStep.STABILIZE)
    body = Completed(release_tag="v0.4.0", commit_sha="0" * 40, governance_commit="0" * 40, posture="GO")
    move.add(body)
    gateway = FakeGateway(move)
    with pytest.raises(Refused, match="the point of no return"):
        roll_back(make_executor(move, gateway), gateway, reason="second thoughts")


def test_a_dry_run_names_the_commit_and_changes_nothing(move: Move) -> None:
    move.forward(Operation.FORWARD)
    size = move.log.read().head.size
    state = check_roll_back(make_executor(move, FakeGateway(move)))
    assert state.repin == move.prepared.execution
    assert move.log.read().head.size == size
