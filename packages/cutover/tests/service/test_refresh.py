"""The drill after completion: there and home, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cutover.core.entry import Completed, Operation, Prepared, Repin, RouteOpened, StepDone
from cutover.core.outcome import Outcome
from cutover.core.phase import calculate_next_step
from cutover.core.record import calculate_record
from cutover.core.refreshed_drill import check_refreshed_drill, judge_refreshed_drill
from cutover.errors import Refused, ReleaseUnreachable
from cutover.service.refresh import AWAY, HOME, drill_or_refresh, refresh_drill

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.move import LIVE_REF, V3
from packages.cutover.tests.service import fakes


def complete_world(folder: Path, *, prepared: bool = True) -> fakes.FakeWorld:
    """A program that is complete and stands on its execution's forward commit."""
    world = fakes.FakeWorld(folder, until="approve-execution")
    case = world.executor.read_case()
    found = case.newest(Prepared)
    assert found is not None
    refresh = Repin(
        base_commit=good.FORWARD,
        forward_ref="refs/cutover/x/inverse",
        forward_commit=good.INVERSE,
        inverse_ref="refs/cutover/x/refreshed",
        inverse_commit=fakes.HOME,
    )
    body = msgspec.structs.replace(found[1], live_ref=LIVE_REF, refresh=refresh if prepared else None)
    world.add(body, signer="consumer")
    route = RouteOpened(
        service_contract=V3, release_tag=good.TARGET_TAG, address=fakes.TARGET_URL, pid=None, command=(),
        tree_id=good.sha("tree"),
    )  # fmt: skip
    world.add(route)
    world.move_live(good.FORWARD)
    done = Completed(
        release_tag=good.TARGET_TAG,
        commit_sha=good.TARGET_COMMIT,
        governance_commit=good.FORWARD,
        posture="GO",
    )
    world.add(done)
    return world


@pytest.fixture
def world(tmp_path: Path) -> fakes.FakeWorld:
    return complete_world(tmp_path)


def test_it_goes_to_the_old_release_and_home_and_says_so(world: fakes.FakeWorld) -> None:
    seen = refresh_drill(world.executor)
    assert check_refreshed_drill(seen).outcome is Outcome.PASSED
    assert (world.live(), seen.ended_on_commit) == (fakes.HOME, fakes.HOME)
    assert seen.applied_away == seen.away > 0
    steps = [body.step for body in world.bodies(StepDone) if isinstance(body, StepDone)]
    assert steps[-2:] == [AWAY, HOME]
    assert judge_refreshed_drill(world.executor.read_case()).outcome is Outcome.PASSED


def test_after_completion_drill_means_this_one(world: fakes.FakeWorld) -> None:
    assert calculate_next_step(world.executor.read_case()).command == "drill"
    _, verdict = drill_or_refresh(world.executor)
    assert verdict.outcome is Outcome.PASSED
    assert calculate_next_step(world.executor.read_case()).command == ""


def test_the_record_shows_it_once_it_was_done(world: fakes.FakeWorld) -> None:
    def shown() -> bool:
        lines = calculate_record(world.executor.read_case()).completion
        return next(line.is_shown for line in lines if "refreshed" in line.text)

    assert not shown()
    refresh_drill(world.executor)
    assert shown()


def test_it_is_refused_before_completion(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not complete"):
        refresh_drill(fakes.FakeWorld(tmp_path, until="approve-execution").executor)


def test_it_is_refused_without_prepared_commits(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no commits were prepared"):
        refresh_drill(complete_world(tmp_path, prepared=False).executor)


def test_it_is_refused_from_anywhere_else(world: fakes.FakeWorld) -> None:
    world.move_live(good.LIVE)
    with pytest.raises(Refused, match="starts at"):
        refresh_drill(world.executor)


def test_it_is_refused_a_second_time(world: fakes.FakeWorld) -> None:
    refresh_drill(world.executor)
    with pytest.raises(Refused, match="refreshed already"):
        refresh_drill(world.executor)


def test_started_again_after_a_crash_it_goes_home(world: fakes.FakeWorld) -> None:
    world.move_live(good.INVERSE)
    assert check_refreshed_drill(refresh_drill(world.executor)).outcome is Outcome.PASSED
    assert world.live() == fakes.HOME


def test_a_consumer_that_does_not_go_away_is_brought_home_and_fails_it(world: fakes.FakeWorld) -> None:
    calls = iter([ReleaseUnreachable("no answer", kind="timeout")])

    def refuse_once() -> None:
        if (error := next(calls, None)) is not None:
            raise error

    world.consumer.on_reload = refuse_once
    seen = refresh_drill(world.executor)
    verdict = check_refreshed_drill(seen)
    assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "not-answered")
    assert world.live() == fakes.HOME


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ended_on_commit": "f" * 40}, "not-home"),
        ({"lost": 1}, "drafts"),
        ({"altered": 1}, "drafts"),
        ({"applied_away": 0}, "not-answered"),
        ({"applied_home": 0}, "not-answered"),
        ({"restore_s": None}, "too-slow"),
        ({"restore_s": 1e9}, "too-slow"),
    ],
)
def test_each_clause_can_say_no(world: fakes.FakeWorld, change: dict[str, object], code: str) -> None:
    seen = refresh_drill(world.executor)
    assert check_refreshed_drill(msgspec.structs.replace(seen, **change)).reason_code == code


def test_its_moves_do_not_count_as_a_move_in_progress(world: fakes.FakeWorld) -> None:
    refresh_drill(world.executor)
    assert world.state() is None
    moved = [b for b in world.bodies(StepDone) if isinstance(b, StepDone) and b.step in {AWAY, HOME}]
    assert {body.operation for body in moved} == {Operation.COMPLETE}
