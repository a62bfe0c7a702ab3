"""Where a program stands and what comes next, after every phase and every way of being stopped."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from cutover.core.entry import Operation, Scope, StepIntended, StopCondition
from cutover.core.key import Party
from cutover.core.phase import Phase, calculate_next_step, calculate_phase

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase


def state_of(log: GoodCase) -> tuple[Phase, str, str]:
    step = calculate_next_step(log.case())
    return calculate_phase(log.log.entries), step.command, str(step.by)


@pytest.mark.parametrize(
    ("until", "phase", "command", "by"),
    [
        ("open", Phase.OPENED, "handoff", "producer"),
        ("hand-off", Phase.HANDED_OFF, "prepare", "consumer"),
        ("prepare", Phase.PREPARED, "verify --as producer", "producer"),
        ("verify", Phase.VERIFIED, "decide --scope rehearsal", "executor"),
        ("decide-rehearsal", Phase.VERIFIED, "approve --scope rehearsal", "consumer"),
        ("approve-rehearsal", Phase.REHEARSAL_AUTHORIZED, "rehearse", "executor"),
        ("rehearse", Phase.REHEARSED, "drill", "executor"),
        ("drill", Phase.DRILLED, "checkpoint", "consumer"),
        ("checkpoint", Phase.CHECKPOINTED, "decide --scope execution", "executor"),
        ("decide-execution", Phase.CHECKPOINTED, "approve --scope execution", "consumer"),
        ("approve-execution", Phase.EXECUTION_AUTHORIZED, "execute", "executor"),
        ("execute", Phase.STABLE, "complete", "executor"),
        ("complete", Phase.COMPLETE, "", "nobody"),
    ],
)
def test_the_straight_way(until: str, phase: Phase, command: str, by: str) -> None:
    assert state_of(GoodCase().run(until=until)) == (phase, command, by)


def test_an_empty_log_is_unopened() -> None:
    assert state_of(GoodCase()) == (Phase.UNOPENED, "open", "producer")


def test_the_second_approval_is_the_other_partys() -> None:
    log = GoodCase().run(until="decide-execution")
    log.approve(Scope.EXECUTION, "consumer")
    assert state_of(log)[1:] == ("approve --scope execution", "producer")


@pytest.mark.parametrize(
    ("step", "phase"),
    [
        ("start-target", Phase.EXECUTING),
        ("run-suites", Phase.EXECUTING),
        ("stabilize", Phase.STABLE),
    ],
)
def test_a_switch_under_way(step: str, phase: Phase) -> None:
    log = GoodCase().run(until="approve-execution")
    log.execute(until=step)
    assert calculate_phase(log.log.entries) is phase


def test_a_watch_under_way() -> None:
    log = GoodCase().run(until="approve-execution")
    log.execute(until="run-suites")
    log.add(StepIntended(operation=Operation.FORWARD, attempt=1, step="stabilize"), "executor")
    assert state_of(log) == (Phase.WATCHING, "execute", "executor")


def test_an_interrupted_drill_is_brought_back() -> None:
    log = GoodCase().run(until="rehearse")
    log.add(StepIntended(operation=Operation.DRILL, attempt=1, step="start-target"), "executor")
    assert state_of(log) == (Phase.DRILLING, "execute", "executor")


def test_a_stop_returns_and_rolls_back() -> None:
    log = GoodCase().run(until="approve-execution")
    log.execute(until="reload-consumer")
    log.stop(StopCondition.CONTRACT_MISMATCH, "an envelope broke the policy")
    assert state_of(log) == (Phase.RETURNING, "execute", "executor")
    log.restore(Operation.ABORT)
    assert state_of(log) == (Phase.ROLLED_BACK, "prepare", "consumer")
    assert "an envelope broke the policy" in calculate_next_step(log.case()).why
    log.prepare()
    assert calculate_phase(log.log.entries) is Phase.PREPARED


def test_a_stop_with_nothing_moving_waits_for_somebody_to_begin_anew() -> None:
    log = GoodCase().run(until="approve-execution")
    log.stop(StopCondition.MANUAL, "not today")
    assert state_of(log)[0] is Phase.STOPPED
    log.decide(Scope.EXECUTION)
    assert state_of(log)[0] is not Phase.STOPPED


def test_a_new_hand_off_begins_again() -> None:
    log = GoodCase().run(until="checkpoint")
    log.hand_off()
    assert state_of(log) == (Phase.HANDED_OFF, "prepare", "consumer")


@pytest.mark.parametrize(
    ("gate", "command", "by"),
    [
        ("trio", "verify --as consumer", "consumer"),
        ("envelope", "verify --as executor", "executor"),
        ("fallback", "verify --as consumer", "consumer"),
    ],
)
def test_missing_evidence_names_who_must_look(gate: str, command: str, by: str) -> None:
    log = GoodCase({gate: None}).run(until="drill")
    assert state_of(log)[1:] == (command, by)


def test_a_moved_tag_needs_a_new_hand_off() -> None:
    moved = msgspec.structs.replace(good.make_evidence()["runtime-target"], tag_object=good.sha("moved"))
    log = GoodCase({"runtime-target": moved}).run(until="verify")
    assert state_of(log)[1:] == ("handoff", "producer")


def test_a_warning_needs_a_waiver_of_both() -> None:
    child = msgspec.structs.replace(
        good.make_evidence()["runtime-target"], resolved_commit=good.sha("child"), changed_paths=("docs/a",)
    )
    log = GoodCase({"runtime-target": child}).run(until="verify")
    command = "waive --gate runtime-target --reason-code metadata-only-descendant"
    assert state_of(log)[1:] == (command, "producer and consumer")


def test_an_unresolved_role_names_the_role_and_its_party() -> None:
    log = GoodCase()
    log.open(roles=[role for role in good.ROLES if role != "consumer-rollback-owner"])
    log.hand_off()
    log.prepare()
    log.verify()
    assert state_of(log)[1:] == ("bind --role consumer-rollback-owner", "consumer")


def test_a_holder_who_did_not_acknowledge_must() -> None:
    log = GoodCase()
    log.open(roles=[role for role in good.ROLES if role != "decision-log-owner"])
    log.bind("decision-log-owner", Party.CONSUMER, acknowledge=False)
    log.hand_off()
    log.prepare()
    log.verify()
    assert state_of(log)[1:] == ("acknowledge --role decision-log-owner", "holder")


def test_an_expired_decision_is_decided_again_after_new_checkpoints() -> None:
    log = GoodCase().run(until="approve-execution")
    late = log.case(now=log.now + timedelta(minutes=59))
    assert calculate_next_step(late).command == "execute"
    log.stop(StopCondition.MANUAL, "pause")
    log.decide(Scope.EXECUTION)
    assert state_of(log)[1] == "checkpoint"
