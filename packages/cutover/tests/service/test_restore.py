"""The way back: idempotent, resumable from any step, taken by one at a time, loud when it cannot go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cutover.core.entry import (
    Entry,
    EntryBody,
    Observed,
    Operation,
    Restored,
    RouteClosed,
    RoutePointed,
    StepDone,
    StepIntended,
)
from cutover.core.log import VerifiedLog
from cutover.core.route import calculate_routes
from cutover.core.switch import ForwardStep, ReturnStep
from cutover.errors import LogError, ReleaseUnreachable, RepositoryError
from cutover.ports import GatewayControl, GatewayStats, LogStore, Unless
from cutover.service.restore import RELOAD_TRIES, restore, take_back
from cutover.web.gateway.keeper import GatewayStation
from securesystemslib.signer import Signer

from packages.cutover.tests.move import AUTHOR, LIVE_REF, V2, V3, Move

MOVES = (Operation.DRILL, Operation.FORWARD)


class QuietTraffic:
    """Traffic with so many requests at risk, whose baseline answers at once or never."""

    def __init__(self, *, at_risk: int = 0, answers: bool = True) -> None:
        self.at_risk, self.answers, self.applied = at_risk, answers, 0

    def apply_routes(self) -> int:
        self.applied += 1
        return self.at_risk

    def await_baseline_reply(self, since: datetime, timeout_s: float) -> datetime | None:
        return max(since, datetime.now(UTC)) if self.answers else None

    def counts(self) -> Mapping[str, int]:
        return {"enriched": 10 + 2 * self.applied}


@pytest.fixture(params=MOVES)
def operation(request: pytest.FixtureRequest) -> Operation:
    return Operation(request.param)


@pytest.fixture
def move(tmp_path: Path, operation: Operation) -> Move:
    move = Move(tmp_path)
    move.open_baseline()
    move.forward(operation)
    return move


def assert_on_baseline(move: Move, operation: Operation, commit: str) -> None:
    table = calculate_routes(move.log.read().entries)
    assert list(table.contracts) == [V2]
    assert table.active == V2
    assert move.live() == commit == move.consumer.commit
    assert move.state() is None
    (restored,) = move.bodies(Restored)
    assert isinstance(restored, Restored)
    assert restored.operation is (Operation.DRILL if operation is Operation.DRILL else Operation.ABORT)


def test_nothing_is_taken_back_when_nobody_said_stop(move: Move, operation: Operation) -> None:
    before = move.log.read().head
    assert take_back(move.station(), QuietTraffic()) is None
    assert move.log.read().head == before
    assert move.live() == move.repin(operation).forward_commit


def test_a_stop_takes_route_ref_and_consumer_back_in_that_order(move: Move, operation: Operation) -> None:
    stopped = move.stop()
    restored = take_back(move.station(), QuietTraffic(at_risk=3))
    assert_on_baseline(move, operation, move.repin(operation).inverse_commit)
    assert restored is not None
    assert restored.requests_at_risk == 3
    assert restored.counts == {"enriched": 4}
    assert restored.t_first_baseline_reply is not None
    times = [stopped.observed_at, restored.t_decided, restored.t_routed, restored.t_first_baseline_reply]
    assert times == sorted(times)
    steps = [b for b in move.bodies(StepDone) if isinstance(b, StepDone) and b.step in set(ReturnStep)]
    assert [body.step for body in steps] == list(ReturnStep)


def test_every_step_is_intended_before_it_is_done(move: Move) -> None:
    move.stop()
    take_back(move.station(), QuietTraffic())
    kinds = [type(entry.body).__name__ for entry in move.log.read().entries]
    tail = kinds[kinds.index("Stopped") :]
    assert tail == [
        "Stopped",
        *("StepIntended", "RouteClosed", "StepDone"),
        *("StepIntended", "StepDone") * 3,
        "Restored",
    ]


def test_taking_back_twice_is_taking_back_once(move: Move) -> None:
    move.stop()
    assert take_back(move.station(), QuietTraffic()) is not None
    head = move.log.read().head
    assert take_back(move.station(), QuietTraffic()) is None
    assert move.log.read().head == head


def test_of_two_that_come_at_once_one_takes_it_and_the_other_finds_nothing_to_do(
    move: Move, operation: Operation
) -> None:
    move.stop()
    with ThreadPoolExecutor(4) as pool:
        stations = [move.station() for _ in range(4)]
        results = list(pool.map(lambda station: take_back(station, QuietTraffic()), stations))
    assert sum(result is not None for result in results) == 1
    assert_on_baseline(move, operation, move.repin(operation).inverse_commit)
    assert move.consumer.reloads == 1


HUNG = """
import sys, time
from pathlib import Path
from cutover.service.turn import take_turn
with take_turn(Path(sys.argv[1])):
    print("taken", flush=True)
    time.sleep(600)
"""


@contextmanager
def hanging(folder: Path) -> Iterator[None]:
    """Let another process take its turn and not come back."""
    with subprocess.Popen((sys.executable, "-c", HUNG, str(folder)), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


def test_whoever_hangs_with_the_turn_does_not_hold_up_the_way_back(move: Move, operation: Operation) -> None:
    move.stop()
    with hanging(move.folder):
        assert take_back(move.station(), QuietTraffic(), turn_patience_s=0.05) is not None
    assert_on_baseline(move, operation, move.repin(operation).inverse_commit)


def test_what_the_hung_one_does_late_moves_nothing(tmp_path: Path, operation: Operation) -> None:
    """It was about to move the ref; after the way back its swap fails and its step begins no move."""
    move = Move(tmp_path)
    move.open_baseline()
    move.forward(operation, until=ForwardStep.OPEN_TARGET)
    repin = move.repin(operation)
    move.stop()
    with hanging(move.folder):
        assert take_back(move.station(), QuietTraffic(), turn_patience_s=0.05) is not None
    assert not move.origin.compare_and_swap(LIVE_REF, repin.forward_commit, repin.base_commit)
    move.add(StepIntended(operation=operation, attempt=1, step=ForwardStep.MOVE_REF))
    assert_on_baseline(move, operation, repin.inverse_commit)


class DeadlyLog:
    """A log in front of which the process is killed once it has appended so many entries."""

    def __init__(self, log: LogStore, lives: int) -> None:
        self._log, self._lives = log, lives

    def read(self) -> VerifiedLog:
        return self._log.read()

    def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
        if self._lives == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._lives -= 1
        return self._log.append(body, *signers, unless=unless)


def die_on_the_way(move: Move, *, appended: int) -> None:
    """Take the way back in a child process that is killed after so many entries."""
    child = os.fork()
    if child == 0:
        station = move.station()
        try:
            deadly = replace(station, log=DeadlyLog(station.log, appended))
            take_back(deadly, QuietTraffic(), reply_timeout_s=0.0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("appended", range(10))
def test_killed_at_any_step_the_next_one_finishes_exactly_on_the_baseline(
    move: Move, operation: Operation, appended: int
) -> None:
    move.stop()
    die_on_the_way(move, appended=appended)
    move.consumer.commit = "what the dead process told it is not known here"
    assert take_back(move.station(), QuietTraffic()) is not None
    assert move.state() is None
    assert move.live() == move.repin(operation).inverse_commit
    table = calculate_routes(move.log.read().entries)
    assert (list(table.contracts), table.active) == ([V2], V2)
    assert len(move.bodies(Restored)) == 1
    assert len(move.bodies(RouteClosed)) == 1
    done = [b.step for b in move.bodies(StepDone) if isinstance(b, StepDone)]
    assert [step for step in done if step in set(ReturnStep)] == list(ReturnStep)


def test_killed_again_and_again_it_still_ends(move: Move, operation: Operation) -> None:
    move.stop()
    for _ in range(9):
        die_on_the_way(move, appended=1)
        if move.state() is None:
            break
    take_back(move.station(), QuietTraffic())
    assert move.state() is None
    assert move.live() == move.repin(operation).inverse_commit


@pytest.mark.parametrize("until", [step for step in ForwardStep if step != ForwardStep.STABILIZE])
def test_a_stop_at_any_step_of_the_way_forward_is_taken_back(
    tmp_path: Path, operation: Operation, until: ForwardStep
) -> None:
    move = Move(tmp_path)
    move.open_baseline()
    move.forward(operation, until=until)
    repin = move.repin(operation)
    was_moved = move.live() == repin.forward_commit
    move.stop()
    take_back(move.station(), QuietTraffic())
    assert_on_baseline(move, operation, repin.inverse_commit if was_moved else repin.base_commit)


def test_a_ref_that_somebody_else_moved_stops_the_way_back_loudly_and_is_written_once(
    move: Move, operation: Operation
) -> None:
    foreign = move.origin.commit_files(
        move.repin(operation).forward_commit, {"pin.json": b"x"}, "Mine", AUTHOR, datetime.now(UTC)
    )
    move.origin.compare_and_swap(LIVE_REF, foreign, move.live())
    move.stop()
    for _ in range(3):
        with pytest.raises(RepositoryError, match="somebody else moved it"):
            take_back(move.station(), QuietTraffic())
    assert move.live() == foreign
    assert move.state() is not None
    assert V3 not in calculate_routes(move.log.read().entries).contracts
    (seen,) = move.bodies(Observed)
    assert isinstance(seen, Observed)
    assert seen.facts == {"ref": LIVE_REF, "commit": foreign}


def test_once_the_foreign_move_is_undone_the_way_back_ends(move: Move, operation: Operation) -> None:
    repin = move.repin(operation)
    foreign = move.origin.commit_files(repin.forward_commit, {"x": b"x"}, "x", AUTHOR, datetime.now(UTC))
    move.origin.compare_and_swap(LIVE_REF, foreign, repin.forward_commit)
    move.stop()
    with pytest.raises(RepositoryError):
        take_back(move.station(), QuietTraffic())
    move.origin.compare_and_swap(LIVE_REF, repin.inverse_commit, foreign)
    take_back(move.station(), QuietTraffic())
    assert_on_baseline(move, operation, repin.inverse_commit)


def test_a_consumer_that_fails_to_reload_is_asked_again(move: Move, operation: Operation) -> None:
    move.consumer.failures = RELOAD_TRIES - 1
    move.stop()
    take_back(move.station(), QuietTraffic())
    assert_on_baseline(move, operation, move.repin(operation).inverse_commit)


def test_a_dead_consumer_does_not_hold_up_the_way_back(move: Move, operation: Operation) -> None:
    move.consumer.failures = 99
    move.stop()
    assert take_back(move.station(), QuietTraffic()) is not None
    assert move.consumer.reloads == RELOAD_TRIES
    assert move.live() == move.repin(operation).inverse_commit
    facts = [b.facts for b in move.bodies(StepDone) if isinstance(b, StepDone)]
    assert {"failed": "release: the consumer does not answer", "tries": str(RELOAD_TRIES)} in facts


def test_a_consumer_that_hangs_is_asked_once(move: Move, operation: Operation) -> None:
    """Each try would take as long again as the first."""
    move.consumer.failures, move.consumer.failure = 99, "timeout"
    move.stop()
    assert take_back(move.station(), QuietTraffic()) is not None
    assert move.consumer.reloads == 1
    assert move.live() == move.repin(operation).inverse_commit


def test_no_answer_of_the_baseline_is_said_and_not_invented(move: Move) -> None:
    move.stop()
    restored = take_back(move.station(), QuietTraffic(answers=False), reply_timeout_s=0.0)
    assert restored is not None
    assert restored.t_first_baseline_reply is None


def test_the_pointer_goes_back_to_the_baseline(move: Move, operation: Operation) -> None:
    move.add(RoutePointed(service_contract=V3))
    move.stop()
    take_back(move.station(), QuietTraffic())
    assert_on_baseline(move, operation, move.repin(operation).inverse_commit)


def test_when_both_releases_speak_one_contract_it_leads_back_to_the_baseline(tmp_path: Path) -> None:
    move = Move(tmp_path)
    target = msgspec.structs.replace(move.program.target, service_contract_version=V2)
    move.program = msgspec.structs.replace(move.program, target=target)
    move.open_baseline()
    move.forward(Operation.FORWARD)
    move.open_route(V2, target.release_tag, "http://127.0.0.1:2")
    move.stop()
    take_back(move.station(), QuietTraffic())
    assert calculate_routes(move.log.read().entries).is_open(V2, move.program.baseline.release_tag)


def test_without_room_for_the_log_nothing_is_moved(move: Move, operation: Operation) -> None:
    move.stop()

    class FullLog(DeadlyLog):
        def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
            raise LogError("the decision log cannot be written: no space left on device")

    station = move.station()
    traffic = QuietTraffic()
    with pytest.raises(LogError):
        take_back(replace(station, log=FullLog(station.log, 0)), traffic)
    assert traffic.applied == 0
    assert move.live() == move.repin(operation).forward_commit
    take_back(station, traffic)
    assert_on_baseline(move, operation, move.repin(operation).inverse_commit)


class StandInGateway:
    """A control endpoint: dead, or with these counts."""

    def __init__(self, stats: GatewayStats | None) -> None:
        self._stats = stats

    def stats(self) -> GatewayStats:
        if self._stats is None:
            raise ReleaseUnreachable("no gateway runs here")
        return self._stats

    def refresh(self) -> GatewayStats:
        return self.stats()


@dataclass(frozen=True, kw_only=True)
class Executing(GatewayStation):
    """An executor, as the way back sees one."""

    gateway: GatewayControl


def executing(move: Move, stats: GatewayStats | None) -> Executing:
    station = move.station()
    ports = {name.name: getattr(station, name.name) for name in fields(station)}
    return Executing(gateway=StandInGateway(stats), **ports)


def test_an_executor_takes_back_what_a_dead_gateway_does_not(move: Move, operation: Operation) -> None:
    move.stop()
    restored = restore(executing(move, None))
    assert restored is not None
    assert restored.t_first_baseline_reply is None
    assert_on_baseline(move, operation, move.repin(operation).inverse_commit)


def test_an_executor_measures_by_what_the_gateway_says(move: Move) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    move.stop()
    stats = GatewayStats(
        served={},
        withheld={"v0.4.0": 1},
        gateway_made={"route-closed": 2},
        in_flight={"v0.4.0": 4},
        first_reply_after={"v0.3.2": later},
        routes={},
        log_size=1,
    )
    restored = restore(executing(move, stats))
    assert restored is not None
    assert restored.requests_at_risk == 4
    assert restored.t_first_baseline_reply == later
    assert restored.counts == {"gateway-made/route-closed": 0, "withheld": 0}
