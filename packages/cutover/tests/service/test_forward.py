"""The way forward: each step looks first, may be repeated, and never lands behind a way back."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from cutover.core.entry import (
    Operation,
    Prepared,
    RouteOpened,
    StepDone,
    StepIntended,
    StopCondition,
    Stopped,
)
from cutover.core.switch import ForwardStep
from cutover.errors import Refused, ReleaseUnreachable, RepositoryError
from cutover.service.attempt import Attempt, MoveStopped, begin_attempt
from cutover.service.execute import execute
from cutover.service.forward import begin, go_forward, move_ref, open_target, reload_consumer, see_target

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import make_signer
from packages.cutover.tests.service.fakes import LIVE_REF, TARGET_URL, V2, V3, FakeWorld


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="approve-execution")


@pytest.fixture
def attempt(world: FakeWorld) -> Attempt:
    found = world.executor.read_case().newest(Prepared)
    assert found is not None
    return begin_attempt(world.executor, Operation.FORWARD, found[1].execution, found[1].live_ref)


def say_stop(world: FakeWorld) -> None:
    stopped = Stopped(condition=StopCondition.MANUAL, reason="enough", observed_at=world.clock.now())
    world.add(stopped, signer="producer")


def test_all_steps_twice_are_all_steps_once(world: FakeWorld, attempt: Attempt) -> None:
    for _ in range(2):
        begin(attempt)
        go_forward(attempt)
    assert (world.live(), world.consumer.governance_commit()) == (good.FORWARD, good.FORWARD)
    assert len([b for b in world.bodies(RouteOpened) if getattr(b, "address", "") == TARGET_URL]) == 1


def test_a_step_is_intended_before_and_written_after(world: FakeWorld, attempt: Attempt) -> None:
    seen: list[type] = []

    def act() -> dict[str, str]:
        seen.append(type(world.log.read().entries[-1].body))
        return {"it": "holds"}

    attempt.step("a-step", act)
    assert seen == [StepIntended]
    last = world.log.read().entries[-1].body
    assert last == StepDone(operation=Operation.FORWARD, attempt=1, step="a-step", facts={"it": "holds"})


def test_a_step_that_raises_is_not_done(world: FakeWorld, attempt: Attempt) -> None:
    def act() -> dict[str, str]:
        raise ReleaseUnreachable("it does not hold")

    with pytest.raises(ReleaseUnreachable):
        attempt.step("a-step", act)
    assert isinstance(world.log.read().entries[-1].body, StepIntended)


def test_after_a_stop_no_step_is_intended_taken_or_written(world: FakeWorld, attempt: Attempt) -> None:
    begin(attempt)
    say_stop(world)
    head = world.log.read().head
    with pytest.raises(MoveStopped, match="enough"):
        go_forward(attempt)
    with pytest.raises(MoveStopped):
        move_ref(attempt)
    with pytest.raises(MoveStopped):
        open_target(attempt)
    assert world.log.read().head == head
    assert world.live() == good.DRILL_INVERSE


def test_a_stop_between_looking_and_writing_keeps_the_entry_out(world: FakeWorld, attempt: Attempt) -> None:
    """The stopper takes no turn: only the log itself can see that it came first."""
    say_stop(world)
    head = world.log.read().head
    opened = RouteOpened(
        service_contract=V3,
        release_tag=good.TARGET_TAG,
        address=TARGET_URL,
        pid=None,
        command=(),
        tree_id=good.sha("tree"),
    )
    step = StepDone(operation=Operation.FORWARD, attempt=1, step="a-step", facts={})
    for body in (opened, step):
        with pytest.raises(MoveStopped, match="enough"):
            attempt.append(body)
    assert world.log.read().head == head


def test_a_stop_of_an_earlier_attempt_does_not_count(world: FakeWorld, attempt: Attempt) -> None:
    assert any(isinstance(entry.body, Stopped) for entry in world.log.read().entries)  # the drill's
    assert attempt.find_stop() is None


def test_a_step_under_way_when_the_stop_came_is_left_without_effect(world: FakeWorld) -> None:
    """The worker hangs in the consumer's reload while everything is taken back, and wakes up afterwards."""
    release, hangs = threading.Event(), threading.Event()

    def hang() -> None:
        world.consumer.on_reload = lambda: None
        hangs.set()
        say_stop(world)
        assert release.wait(20.0)

    world.consumer.on_reload = hang
    execution = execute(world.executor)
    assert hangs.is_set()
    assert execution.ended == "returned"
    head, live = world.log.read().head, world.live()
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("watched"):
            thread.join(20.0)
    assert (world.log.read().head, world.live()) == (head, live)
    assert live == good.INVERSE
    assert world.routes() == {V2: good.BASELINE_TAG}
    assert world.state() is None


def test_a_tag_that_is_gone_or_moved_is_not_the_target(world: FakeWorld, attempt: Attempt) -> None:
    tag = world.producer_origin.tags.pop(good.TARGET_TAG)
    with pytest.raises(RepositoryError, match="was moved since the hand-off"):
        see_target(attempt)
    world.producer_origin.tags[good.TARGET_TAG] = msgspec.structs.replace(tag, tag_object=good.sha("x"))
    with pytest.raises(RepositoryError, match="was moved since the hand-off"):
        see_target(attempt)


def test_a_process_that_serves_another_document_is_not_the_target(world: FakeWorld, attempt: Attempt) -> None:
    world.http.put(f"{TARGET_URL}/v1/openapi", body=b"openapi v2")
    with pytest.raises(ReleaseUnreachable, match="does not serve the OpenAPI document"):
        see_target(attempt)


def test_a_target_that_nobody_started_is_refused(world: FakeWorld, attempt: Attempt) -> None:
    path = world.folder / "run" / "releases" / "v0.4.0.json"
    path.write_bytes(b"{}")
    with pytest.raises(Refused, match="is damaged"):
        see_target(attempt)
    path.unlink()
    with pytest.raises(Refused, match="is not running here"):
        see_target(attempt)


def test_a_target_that_was_started_anew_gets_its_route_anew(world: FakeWorld, attempt: Attempt) -> None:
    world.add(
        RouteOpened(
            service_contract=V3,
            release_tag=good.TARGET_TAG,
            address="http://127.0.0.1:3",
            pid=1,
            command=(),
            tree_id=good.sha("tree"),
        )
    )
    assert open_target(attempt) == {"route": f"{V3} -> {good.TARGET_TAG}"}
    newest = world.bodies(RouteOpened)[-1]
    assert isinstance(newest, RouteOpened)
    assert newest.address == TARGET_URL


def test_a_gateway_that_does_not_apply_the_route_is_an_error(world: FakeWorld, attempt: Attempt) -> None:
    stats = world.gateway.stats()
    world.gateway.stats = lambda: stats  # type: ignore[method-assign]  # it answers, and follows nothing
    with pytest.raises(ReleaseUnreachable, match=r"leads service\.v3 to nobody, expected v0\.4\.0"):
        open_target(attempt)


def test_a_ref_on_neither_commit_is_not_moved(world: FakeWorld, attempt: Attempt) -> None:
    world.consumer_origin.put(LIVE_REF, good.LIVE)
    with pytest.raises(RepositoryError, match="somebody moved it"):
        move_ref(attempt)
    assert world.live() == good.LIVE


def test_a_consumer_that_stays_elsewhere_is_an_error(attempt: Attempt) -> None:
    with pytest.raises(ReleaseUnreachable, match="the consumer runs on"):
        reload_consumer(attempt)


def test_attempts_are_counted_per_operation(world: FakeWorld, attempt: Attempt) -> None:
    drill = begin_attempt(world.executor, Operation.DRILL, attempt.repin, attempt.live_ref)
    assert (attempt.number, drill.number) == (1, 2)
    assert (attempt.return_operation, drill.return_operation) == (Operation.ABORT, Operation.DRILL)


def test_a_stop_is_said_once(world: FakeWorld, attempt: Attempt) -> None:
    begin(attempt)
    world.gateway.idle = True
    attempt.stop(StopCondition.MANUAL, "first")
    attempt.stop(StopCondition.SUITE_FAILURE, "second")
    attempt.fail("third")
    stopped = attempt.find_stop()
    assert stopped is not None
    assert stopped.reason == "first"
    assert sum(isinstance(entry.body, Stopped) for entry in world.log.read().entries[attempt.since :]) == 1


def test_the_first_step_moves_nothing(world: FakeWorld, attempt: Attempt) -> None:
    begin(attempt)
    assert world.live() == good.DRILL_INVERSE
    assert world.routes() == {V2: good.BASELINE_TAG}
    state = world.state()
    assert state is not None
    assert state.intended == (ForwardStep.START_TARGET,)
    assert make_signer("executor").public_key.keyid == world.log.read().entries[-1].signer.keyid
