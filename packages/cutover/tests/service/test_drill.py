"""The drill: needs its authorization, ends on the baseline whatever happens, and shows what it saw."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cutover.core.entry import Entry, EntryBody, Operation, Restored, StepDone, StopCondition, Stopped
from cutover.core.evidence import Answers, Drill
from cutover.core.gate.answers import AnswersGate
from cutover.core.gate.drill import DrillGate
from cutover.core.gate.judgement import judge
from cutover.core.log import VerifiedLog
from cutover.core.outcome import Outcome
from cutover.core.switch import ForwardStep
from cutover.errors import Refused, ReleaseUnreachable
from cutover.ports import LogStore, Unless
from cutover.service.collect.drill import NOT_KNOWN, Leg
from cutover.service.drill import drill
from cutover.service.execute import execute
from securesystemslib.signer import Signer

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.service.fakes import LIVE_REF, V2, FakeWorld


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="approve-rehearsal")


def assert_on_baseline(world: FakeWorld, commit: str = good.DRILL_INVERSE) -> None:
    assert world.live() == commit
    assert world.routes() == {V2: good.BASELINE_TAG}
    assert world.state() is None


def read_answers(world: FakeWorld) -> Answers:
    case = world.executor.read_case()
    found = case.newest_evidence("answers")
    assert found is not None
    return case.read(found[1].digest, Answers)


def on_target(world: FakeWorld, act: Callable[[], object]) -> None:
    """Do something once, with the first draft after the consumer was reloaded."""
    fired = False

    def look() -> None:
        nonlocal fired
        done = [b for b in world.bodies(StepDone) if isinstance(b, StepDone)]
        if not fired and any(b.step == ForwardStep.RELOAD_CONSUMER for b in done):
            fired = True
            act()

    world.consumer.on_draft = look


def test_there_and_back_under_traffic_passes_both_gates(world: FakeWorld) -> None:
    evidence = drill(world.executor)
    assert_on_baseline(world)
    assert evidence.authorized
    assert evidence.drafts >= evidence.min_drafts
    assert (evidence.lost, evidence.altered, evidence.breaking_replies_delivered) == (0, 0, 0)
    case = world.executor.read_case()
    assert judge(DrillGate(), case).verdict.outcome is Outcome.PASSED
    assert judge(AnswersGate(), case).verdict.outcome is Outcome.PASSED


def test_it_comes_back_by_a_planned_stop(world: FakeWorld) -> None:
    drill(world.executor)
    (stopped,) = world.bodies(Stopped)
    assert isinstance(stopped, Stopped)
    assert stopped.condition is StopCondition.DRILL_RETURN
    (restored,) = world.bodies(Restored)
    assert isinstance(restored, Restored)
    assert (restored.operation, restored.attempt) == (Operation.DRILL, 1)


def test_drafts_are_counted_on_the_release_that_was_to_answer_them(world: FakeWorld) -> None:
    drill(world.executor)
    answers = read_answers(world)
    count = world.program.thresholds.min_drill_drafts
    assert answers.baseline.asked >= 2 * count
    assert answers.target.asked >= count
    assert (answers.baseline.applied, answers.target.applied) == (
        answers.baseline.asked,
        answers.target.asked,
    )


def test_a_target_that_answers_nobody_fails_answers_but_not_the_way_back(world: FakeWorld) -> None:
    on_target(world, lambda: setattr(world.consumer, "policy", ("fallback", "validation-error")))
    drill(world.executor)
    assert_on_baseline(world)
    answers = read_answers(world)
    assert answers.target.applied == 0
    assert answers.target.fallback["validation-error"] == answers.target.asked
    assert AnswersGate().check(answers).reason_code == "answers-not-applied"


def test_replies_that_the_gateway_withheld_are_counted(world: FakeWorld) -> None:
    on_target(world, lambda: world.gateway.withheld.update({good.TARGET_TAG: 3}))
    world.gateway.withheld[good.BASELINE_TAG] = 7  # from before: not of this drill
    drill(world.executor)
    answers = read_answers(world)
    assert answers.baseline.gateway_made == 0
    assert answers.target.gateway_made in (0, 3)  # the look before may already have seen them


def test_a_breaking_reply_that_was_delivered_fails_the_gate(world: FakeWorld) -> None:
    on_target(world, lambda: setattr(world.consumer, "policy", ("fallback", "malformed-payload")))
    evidence = drill(world.executor)
    assert evidence.breaking_replies_delivered > 0
    assert DrillGate().check(evidence).reason_code == "breaking-reply-delivered"


@pytest.mark.parametrize(
    ("until", "reason"),
    [("prepare", "no drill without an authorized rehearsal"), ("decide-rehearsal", "no drill without")],
)
def test_without_authorization_nothing_is_moved(tmp_path: Path, until: str, reason: str) -> None:
    world = FakeWorld(tmp_path, until=until)
    head = world.log.read().head
    with pytest.raises(Refused, match=reason):
        drill(world.executor)
    assert world.log.read().head == head


def test_a_live_ref_elsewhere_refuses(world: FakeWorld) -> None:
    world.consumer_origin.put(LIVE_REF, good.INVERSE)
    with pytest.raises(Refused, match="the drill starts at"):
        drill(world.executor)


def test_during_a_move_it_refuses(tmp_path: Path) -> None:
    world = FakeWorld(tmp_path, until="approve-execution")
    execute(world.executor)
    with pytest.raises(Refused, match="a forward is in progress"):
        drill(world.executor)


def test_a_target_that_is_not_there_refuses_before_anything_is_written(world: FakeWorld) -> None:
    head = world.log.read().head
    world.http.replies.clear()
    with pytest.raises(ReleaseUnreachable):
        drill(world.executor)
    assert world.log.read().head == head


def assert_failed(world: FakeWorld, evidence: Drill, condition: StopCondition, reason_code: str) -> None:
    assert evidence.drafts == 0
    first = world.bodies(Stopped)[0]
    assert isinstance(first, Stopped)
    assert first.condition is condition
    assert judge(DrillGate(), world.executor.read_case()).verdict.reason_code == reason_code


def test_a_draft_that_is_altered_stops_it_and_fails_the_gate(world: FakeWorld) -> None:
    on_target(world, lambda: setattr(world.consumer, "alter", True))
    evidence = drill(world.executor)
    assert evidence.altered > 0
    assert_on_baseline(world)
    assert_failed(world, evidence, StopCondition.FALLBACK_REGRESSION, "drill-without-traffic")


def test_a_stop_before_the_planned_one_means_that_the_target_was_not_seen_through(world: FakeWorld) -> None:
    def stop() -> None:
        now = world.clock.now()
        world.add(
            Stopped(condition=StopCondition.MANUAL, reason="enough", observed_at=now), signer="consumer"
        )

    on_target(world, stop)
    evidence = drill(world.executor)
    assert_on_baseline(world)
    assert_failed(world, evidence, StopCondition.MANUAL, "drill-without-traffic")


def test_a_draft_that_is_altered_before_anything_moved_is_stopped_too(world: FakeWorld) -> None:
    world.consumer.alter = True
    evidence = drill(world.executor)
    assert_on_baseline(world, good.LIVE)
    assert_failed(world, evidence, StopCondition.FALLBACK_REGRESSION, "drill-without-traffic")


def test_a_step_that_cannot_be_taken_leads_back(world: FakeWorld) -> None:
    world.consumer.reload_error = Refused("the consumer refused its new pin")

    def heal() -> None:
        if world.bodies(Stopped):
            world.consumer.reload_error = None

    world.gateway.on_refresh = heal
    evidence = drill(world.executor)
    assert_on_baseline(world)
    assert_failed(world, evidence, StopCondition.SUITE_FAILURE, "drill-without-traffic")


def test_an_interrupt_at_the_keyboard_leads_back(world: FakeWorld) -> None:
    def interrupt() -> None:
        world.consumer.on_reload = lambda: None
        raise KeyboardInterrupt

    world.consumer.on_reload = interrupt
    evidence = drill(world.executor)
    assert_on_baseline(world)
    assert_failed(world, evidence, StopCondition.MANUAL, "drill-without-traffic")


def test_a_defect_leads_back_and_is_shown(world: FakeWorld) -> None:
    def break_down() -> None:
        world.consumer.on_reload = lambda: None
        raise ZeroDivisionError("a defect")

    world.consumer.on_reload = break_down
    with pytest.raises(ZeroDivisionError):
        drill(world.executor)
    assert_on_baseline(world)


def test_missing_probes_are_waited_for_and_then_said(world: FakeWorld) -> None:
    world.probes_write = False
    evidence = drill(world.executor)
    assert evidence.probes == ()
    assert DrillGate().check(evidence).reason_code == "probe-missing"


def test_a_dead_gateway_makes_counts_unknown_and_no_gate_accepts_them(world: FakeWorld) -> None:
    on_target(world, lambda: setattr(world.gateway, "dead", True))
    world.probes_write = False
    drill(world.executor)
    assert_on_baseline(world)
    answers = read_answers(world)
    assert NOT_KNOWN in (answers.baseline.gateway_made, answers.target.gateway_made)
    assert AnswersGate().check(answers).outcome is not Outcome.PASSED


def test_legs_add_up_and_what_is_unknown_stays_unknown() -> None:
    assert (Leg(withheld=1) + Leg(withheld=2)).withheld == 3
    assert (Leg(withheld=None) + Leg(withheld=2)).withheld is None


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


@pytest.mark.parametrize("appended", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_killed_at_any_entry_the_next_executor_takes_it_back(world: FakeWorld, appended: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            executor = world.executor
            drill(replace(executor, log=DeadlyLog(executor.log, appended)))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    with pytest.raises(Refused, match="'cutover execute' finishes or takes back"):
        drill(world.executor)
    execution = execute(world.executor)
    assert (execution.ended, execution.resumed) == ("returned", True)
    assert execution.restored is not None
    assert execution.restored.operation is Operation.DRILL
    assert_on_baseline(world, good.DRILL_INVERSE if appended > 5 else good.LIVE)
