"""The switch: refused without a GO, stopped by any breach, and after a kill finished or taken back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from cutover.core.entry import (
    Completed,
    Entry,
    EntryBody,
    Observed,
    Operation,
    Restored,
    RouteOpened,
    StepDone,
    StepIntended,
    StopCondition,
    Stopped,
)
from cutover.core.log import VerifiedLog
from cutover.core.switch import ForwardStep
from cutover.errors import CutoverError, LogError, Refused, ReleaseUnreachable, RepositoryError
from cutover.ports import LogStore, Unless
from cutover.service.execute import Execution, execute
from cutover.service.turn import be_the_executor
from securesystemslib.signer import Signer

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase
from packages.cutover.tests.service.fakes import LIVE_REF, TARGET_URL, V2, V3, FakeWorld

BOTH = {V2: good.BASELINE_TAG, V3: good.TARGET_TAG}


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="approve-execution")


def assert_on_target(world: FakeWorld) -> None:
    assert world.live() == world.consumer.governance_commit() == good.FORWARD
    assert world.routes() == BOTH
    state = world.state()
    assert state is not None
    assert all(state.is_done(step) for step in ForwardStep)


def assert_on_baseline(world: FakeWorld) -> None:
    assert world.live() in (good.DRILL_INVERSE, good.INVERSE)
    if not world.consumer.dead:
        assert world.consumer.governance_commit() == world.live()
    assert world.routes() == {V2: good.BASELINE_TAG}
    assert world.state() is None


def assert_returned(world: FakeWorld, execution: Execution, condition: StopCondition, reason: str) -> None:
    assert execution.ended == "returned"
    assert execution.stopped is not None
    assert (execution.stopped.condition, reason in execution.stopped.reason) == (condition, True)
    assert execution.restored is not None
    assert execution.restored.operation is Operation.ABORT
    assert_on_baseline(world)


def at_step(world: FakeWorld, step: str, act: Callable[[], object]) -> None:
    """Do something once, with the first draft that is asked for after a step was done."""
    fired = False

    def look() -> None:
        nonlocal fired
        if not fired and step in steps_done(world):
            fired = True
            act()

    world.consumer.on_draft = look


def steps_done(world: FakeWorld) -> list[str]:
    """Return the steps of the execution that were done, in order."""
    done = (body for body in world.bodies(StepDone) if isinstance(body, StepDone))
    return [body.step for body in done if body.operation is Operation.FORWARD]


def test_it_ends_stable_on_the_target_with_every_step_done_in_order(world: FakeWorld) -> None:
    execution = execute(world.executor)
    assert (execution.ended, execution.resumed, execution.stopped) == ("stable", False, None)
    assert execution.counts["drafts"] == execution.counts["applied"] > 0
    assert execution.counts["lost"] == execution.counts["altered"] == 0
    assert_on_target(world)
    mine = [b for b in world.bodies(StepIntended) if isinstance(b, StepIntended)]
    assert [b.step for b in mine if b.operation is Operation.FORWARD] == list(ForwardStep)


def test_the_suites_run_against_the_gateway(world: FakeWorld) -> None:
    execute(world.executor)
    (command,) = world.launcher.commands
    assert command[:2] == ("python3", "checks/run.py")


@pytest.mark.parametrize(
    ("until", "reason"),
    [("open", "nothing is prepared"), ("approve-rehearsal", "no switch"), ("decide-execution", "no switch")],
)
def test_without_an_authorized_decision_nothing_is_moved(tmp_path: Path, until: str, reason: str) -> None:
    world = FakeWorld(tmp_path, until=until)
    head = world.log.read().head
    with pytest.raises(Refused, match=reason):
        execute(world.executor)
    assert world.log.read().head == head


def test_a_decision_that_has_expired_authorizes_nothing(world: FakeWorld) -> None:
    world.clock.pause(2 * world.program.thresholds.decision_valid_s)
    with pytest.raises(Refused, match="no switch without an authorized decision"):
        execute(world.executor)


def test_what_expires_while_it_gets_ready_authorizes_nothing(world: FakeWorld) -> None:
    head, live = world.log.read().head, world.live()
    world.consumer.on_draft = lambda: world.clock.pause(2 * world.program.thresholds.decision_valid_s)
    with pytest.raises(Refused, match="no switch without an authorized decision"):
        execute(world.executor)
    assert (world.log.read().head, world.live()) == (head, live)


def test_a_live_ref_that_moved_refuses_before_anything_is_written(world: FakeWorld) -> None:
    world.consumer_origin.put(LIVE_REF, good.LIVE)
    head = world.log.read().head
    with pytest.raises(Refused, match="the switch starts at"):
        execute(world.executor)
    assert world.log.read().head == head


def test_a_moved_tag_another_process_or_a_dead_consumer_refuses_before_anything_is_written(
    world: FakeWorld,
) -> None:
    head = world.log.read().head
    tag = world.producer_origin.tags[good.TARGET_TAG]
    world.producer_origin.tags[good.TARGET_TAG] = msgspec.structs.replace(tag, tag_object=good.sha("other"))
    with pytest.raises(RepositoryError, match="was moved since the hand-off"):
        execute(world.executor)
    world.producer_origin.tags[good.TARGET_TAG] = tag
    world.http.put(f"{TARGET_URL}/v1/openapi", body=b"another document")
    with pytest.raises(ReleaseUnreachable, match="does not serve the OpenAPI document"):
        execute(world.executor)
    world.start_target()
    world.consumer.dead = True
    with pytest.raises(ReleaseUnreachable, match="the consumer does not answer"):
        execute(world.executor)
    assert world.log.read().head == head


def test_a_second_executor_is_kept_out(world: FakeWorld) -> None:
    with be_the_executor(world.folder), pytest.raises(Refused, match="another executor is at work"):
        execute(world.executor)


def test_after_it_ended_stable_there_is_nothing_to_do(world: FakeWorld) -> None:
    execute(world.executor)
    with pytest.raises(Refused, match="waits for 'cutover complete'"):
        execute(world.executor)
    assert_on_target(world)


def test_after_completion_it_is_refused(world: FakeWorld) -> None:
    execute(world.executor)
    world.add(
        Completed(
            release_tag=good.TARGET_TAG,
            commit_sha=good.TARGET_COMMIT,
            governance_commit=good.FORWARD,
            posture="GO",
        )
    )
    with pytest.raises(Refused, match="no switch without an authorized decision"):
        execute(world.executor)


def test_after_a_stop_the_same_decision_authorizes_no_second_attempt(world: FakeWorld) -> None:
    world.launcher.exit_code = 1
    execute(world.executor)
    world.launcher.exit_code = 0
    with pytest.raises(Refused, match="no switch without an authorized decision"):
        execute(world.executor)


# -- every stop ------------------------------------------------------------------------------------


def test_a_suite_that_fails_stops_it_and_is_not_done(world: FakeWorld) -> None:
    world.launcher.failed, world.launcher.exit_code = 2, 1
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.SUITE_FAILURE, "governance exited 1 with 2 failed tests")
    assert steps_done(world)[-1] == ForwardStep.VERIFY_TRIO


@pytest.mark.parametrize("report", [b"", b"{", b'{"passed": 0, "failed": 0}'])
def test_a_suite_that_executed_nothing_stops_it(world: FakeWorld, report: bytes) -> None:
    world.launcher.report = report
    assert_returned(world, execute(world.executor), StopCondition.SUITE_FAILURE, "without executing a test")


def test_a_live_trio_that_does_not_agree_stops_it(world: FakeWorld) -> None:
    path = world.program.consumer.manifest_path
    world.consumer_origin.blobs[good.INVERSE, path] = b"not what was there before"
    assert_returned(world, execute(world.executor), StopCondition.SUITE_FAILURE, "verify-trio")


def test_a_lost_draft_stops_it(world: FakeWorld) -> None:
    at_step(world, ForwardStep.RUN_SUITES, lambda: setattr(world.consumer, "lose", True))
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.FALLBACK_REGRESSION, "was not delivered")
    assert execution.counts["lost"] >= 1


def test_an_altered_draft_stops_it(world: FakeWorld) -> None:
    at_step(world, ForwardStep.RELOAD_CONSUMER, lambda: setattr(world.consumer, "alter", True))
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.FALLBACK_REGRESSION, "differs from the one made")
    assert execution.counts["altered"] >= 1


def test_a_late_draft_stops_it(world: FakeWorld) -> None:
    at_step(world, ForwardStep.RUN_SUITES, lambda: setattr(world.consumer, "slow_s", 1.5))
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.FALLBACK_REGRESSION, "took 1.500 s")


def test_a_second_rollback_owner_stops_it(world: FakeWorld) -> None:
    def bind() -> None:
        case = GoodCase(program=world.program)
        case.add = lambda body, *names, at=None: world.add(body, signer=names[0])  # type: ignore[method-assign]
        case.bind("consumer-rollback-owner", good.ROLES["consumer-rollback-owner"], holder="a second owner")  # type: ignore[arg-type]

    at_step(world, ForwardStep.RUN_SUITES, bind)
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.ROLLBACK_OWNER_AMBIGUITY, "consumer-rollback-owner")


@pytest.mark.parametrize("step", ForwardStep)
def test_a_stop_of_somebody_else_at_any_step_takes_it_back(world: FakeWorld, step: ForwardStep) -> None:
    def stop() -> None:
        now = world.clock.now()
        world.add(
            Stopped(condition=StopCondition.MANUAL, reason="I say so", observed_at=now), signer="producer"
        )

    at_step(world, step, stop)
    if step is ForwardStep.STABILIZE:
        execution = execute(world.executor)
        assert execution.ended == "stable"  # it was over; what comes now is the gateway's
        return
    assert_returned(world, execute(world.executor), StopCondition.MANUAL, "I say so")


def test_the_first_stop_decides(world: FakeWorld) -> None:
    def stop() -> None:
        for condition in (StopCondition.CONTRACT_MISMATCH, StopCondition.MANUAL):
            now = world.clock.now()
            world.add(Stopped(condition=condition, reason=condition, observed_at=now))

    at_step(world, ForwardStep.RELOAD_CONSUMER, stop)
    assert_returned(world, execute(world.executor), StopCondition.CONTRACT_MISMATCH, "contract-mismatch")


def test_a_consumer_that_refuses_the_new_pin_takes_it_back(world: FakeWorld) -> None:
    world.consumer.reload_error = Refused("the consumer refused its new pin")
    at_return(world, lambda: setattr(world.consumer, "reload_error", None))
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.SUITE_FAILURE, "the consumer refused its new pin")


def at_return(world: FakeWorld, act: Callable[[], object]) -> None:
    """Do something when a stop of this move stands in the log and before the way back is taken."""

    def look() -> None:
        state = world.state()
        if state is not None and state.stop is not None:
            act()

    world.gateway.on_refresh = look


def test_a_gateway_that_saw_the_cause_says_it_before_the_failed_step_does(world: FakeWorld) -> None:
    breach = Stopped(
        condition=StopCondition.CONTRACT_MISMATCH, reason="it broke", observed_at=world.clock.now()
    )

    def refuse() -> None:
        world.consumer.on_reload = lambda: None
        world.add(breach)
        raise ReleaseUnreachable("the consumer answered 409")

    world.consumer.on_reload = refuse
    assert_returned(world, execute(world.executor), StopCondition.CONTRACT_MISMATCH, "it broke")


def test_a_ref_that_somebody_else_moves_meanwhile_is_left_and_said_aloud(world: FakeWorld) -> None:
    world.consumer_origin.blobs[good.sha("foreign"), "x"] = b"x"
    stopped = Stopped(condition=StopCondition.MANUAL, reason="enough", observed_at=world.clock.now())

    def move_and_stop() -> None:
        world.consumer_origin.put(LIVE_REF, good.sha("foreign"))
        world.add(stopped, signer="producer")

    at_step(world, ForwardStep.RELOAD_CONSUMER, move_and_stop)
    with pytest.raises(RepositoryError, match="somebody else moved it"):
        execute(world.executor)
    assert world.live() == good.sha("foreign")
    assert V3 not in world.routes()
    state = world.state()
    assert state is not None
    assert state.is_returning


def test_with_a_dead_gateway_the_executor_takes_everything_back_itself(world: FakeWorld) -> None:
    at_step(world, ForwardStep.RELOAD_CONSUMER, lambda: setattr(world.gateway, "dead", True))
    at_step_then_lose = world.consumer.on_draft

    def look() -> None:
        at_step_then_lose()
        world.consumer.alter = world.gateway.dead

    world.consumer.on_draft = look
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.FALLBACK_REGRESSION, "differs")
    assert "the gateway does not answer; the executor takes everything back itself" in world.narrated


def test_a_gateway_that_dies_before_the_route_is_applied_takes_it_back(world: FakeWorld) -> None:
    world.gateway.dead = True
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.SUITE_FAILURE, "the gateway does not answer")


def test_an_idle_gateway_is_not_waited_for_without_end(world: FakeWorld) -> None:
    world.launcher.exit_code = 1
    world.gateway.idle = True
    with pytest.raises(ReleaseUnreachable, match="the way back did not end in time"):
        execute(world.executor)
    world.gateway.idle = False
    execution = execute(world.executor)
    assert execution.resumed
    assert_returned(world, execution, StopCondition.SUITE_FAILURE, "governance exited 1")


def test_an_interrupt_at_the_keyboard_takes_it_back(world: FakeWorld) -> None:
    def interrupt() -> None:
        world.launcher.on_run = lambda: None
        raise KeyboardInterrupt

    world.launcher.on_run = interrupt
    assert_returned(world, execute(world.executor), StopCondition.MANUAL, "interrupted at the keyboard")


def test_a_defect_is_stopped_and_then_shown(world: FakeWorld) -> None:
    def break_down() -> None:
        world.launcher.on_run = lambda: None
        raise ZeroDivisionError("a defect")

    world.launcher.on_run = break_down
    with pytest.raises(ZeroDivisionError):
        execute(world.executor)
    assert_on_baseline(world)
    (stopped,) = world.bodies(Stopped)[-1:]
    assert isinstance(stopped, Stopped)
    assert "a defect" in stopped.reason


def test_a_probe_that_breaks_stops_it(world: FakeWorld) -> None:
    def break_down() -> None:
        raise ZeroDivisionError("the probe broke")

    at_step(world, ForwardStep.RELOAD_CONSUMER, break_down)
    with pytest.raises(ZeroDivisionError, match="the probe broke"):
        execute(world.executor)
    assert_on_baseline(world)


# -- killed ----------------------------------------------------------------------------------------


class DeadlyLog:
    """A log whose process is killed before, or right after, it has appended so many entries."""

    def __init__(self, log: LogStore, lives: int, *, after: bool) -> None:
        self._log, self._lives, self._after = log, lives, after

    def read(self) -> VerifiedLog:
        return self._log.read()

    def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
        self._lives -= 1
        if self._lives < 0 and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        entry = self._log.append(body, *signers, unless=unless)
        if self._lives < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return entry


def die(world: FakeWorld, run: Callable[[object], object], *, appended: int, after: bool) -> None:
    """Run an executor in a child process that is killed at one of its entries."""
    child = os.fork()
    if child == 0:
        try:
            executor = world.executor
            run(replace(executor, log=DeadlyLog(executor.log, appended, after=after)))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it ended before it was killed"
    assert os.WTERMSIG(status) == signal.SIGKILL


ENTRIES = 2 * len(ForwardStep) + 1
"""Two for each step, and the opened route."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("appended", range(ENTRIES))
def test_killed_at_any_entry_the_next_executor_finishes_and_says_so(
    world: FakeWorld, appended: int, after: bool
) -> None:
    die(world, execute, appended=appended, after=after)  # type: ignore[arg-type]  # it takes an executor
    began = world.state() is not None
    if appended == ENTRIES - 1 and after:
        with pytest.raises(Refused, match="every step is done"):
            execute(world.executor)
    else:
        execution = execute(world.executor)
        assert (execution.ended, execution.resumed, execution.attempt) == ("stable", began, 1)
    assert_on_target(world)
    assert any("found an interrupted forward: " in line for line in world.narrated) == began
    assert len(world.bodies(RouteOpened)) == 4  # two of the drill, the baseline's, and the target's once


@pytest.mark.parametrize("appended", range(1, ENTRIES, 2))
def test_killed_at_any_entry_and_no_longer_authorized_the_next_executor_returns(
    world: FakeWorld, appended: int
) -> None:
    die(world, execute, appended=appended, after=False)  # type: ignore[arg-type]  # it takes an executor
    world.clock.pause(2 * world.program.thresholds.decision_valid_s)
    execution = execute(world.executor)
    assert execution.resumed
    assert_returned(world, execution, StopCondition.MANUAL, "the decision no longer authorizes it")
    assert any("found an interrupted forward: return" in line for line in world.narrated)


def dies_after_the_ref_moved(world: FakeWorld) -> None:
    die(world, execute, appended=6, after=False)  # type: ignore[arg-type]  # it takes an executor
    assert world.live() == good.FORWARD


def test_killed_and_the_target_gone_the_next_executor_returns(world: FakeWorld) -> None:
    dies_after_the_ref_moved(world)
    del world.http.replies[f"{TARGET_URL}/v1/health"]
    assert_returned(world, execute(world.executor), StopCondition.MANUAL, "the target does not answer")


def test_killed_and_the_consumer_gone_the_next_executor_returns_without_it(world: FakeWorld) -> None:
    dies_after_the_ref_moved(world)
    world.consumer.dead = True
    execution = execute(world.executor)
    assert_returned(world, execution, StopCondition.MANUAL, "it cannot be finished: the consumer")
    assert execution.counts["drafts"] == 0


def test_killed_and_the_gateway_gone_the_next_executor_returns_by_itself(world: FakeWorld) -> None:
    dies_after_the_ref_moved(world)
    world.gateway.dead = True
    execution = execute(world.executor)
    assert execution.ended == "returned"
    assert_on_baseline(world)


def test_killed_after_a_stop_the_next_executor_returns(world: FakeWorld) -> None:
    dies_after_the_ref_moved(world)
    now = world.clock.now()
    world.add(Stopped(condition=StopCondition.MANUAL, reason="enough", observed_at=now), signer="consumer")
    assert_returned(world, execute(world.executor), StopCondition.MANUAL, "enough")
    assert len(world.bodies(Stopped)) == 2  # the drill's way back, and this one


def test_what_the_world_showed_is_written_before_it_is_judged(world: FakeWorld) -> None:
    dies_after_the_ref_moved(world)
    execute(world.executor)
    (seen,) = [b for b in world.bodies(Observed) if isinstance(b, Observed) and b.subject == "world"]
    assert seen.facts == {
        "live_ref": good.FORWARD,
        "consumer": good.DRILL_INVERSE,
        "routes": f"{V2}={good.BASELINE_TAG} {V3}={good.TARGET_TAG}",
        "target": "answers",
    }


def test_with_a_full_disk_it_ends_with_an_error_and_the_next_one_goes_on(world: FakeWorld) -> None:
    class FullLog(DeadlyLog):
        def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
            if self._lives == 0:
                raise LogError("the decision log cannot be written: no space left on device")
            self._lives -= 1
            return self._log.append(body, *signers, unless=unless)

    executor = world.executor
    with pytest.raises(CutoverError, match="no space left"):
        execute(replace(executor, log=FullLog(executor.log, 4, after=False)))
    execution = execute(world.executor)
    assert (execution.ended, execution.resumed) == ("stable", True)
    assert_on_target(world)
    assert not [
        b for b in world.bodies(Restored) if isinstance(b, Restored) and b.operation is Operation.ABORT
    ]
