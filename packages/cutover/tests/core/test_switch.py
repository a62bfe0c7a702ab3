from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cutover.core.entry import (
    Completed,
    Entry,
    EntryBody,
    Observed,
    Operation,
    Prepared,
    Repin,
    Restored,
    StepDone,
    StepIntended,
    StopCondition,
    Stopped,
)
from cutover.core.key import KeyKind, PublicKey
from cutover.core.switch import (
    ForwardStep,
    OperationState,
    Resume,
    ReturnStep,
    World,
    calculate_operation,
    decide_resume,
    next_attempt,
)

NOBODY = PublicKey(keyid="0" * 64, public="0" * 64, kind=KeyKind.EXECUTOR, party=None, name="nobody")
NOW = datetime(2026, 2, 8, tzinfo=UTC)
DRILL, FORWARD, ABORT = Operation.DRILL, Operation.FORWARD, Operation.ABORT


def repin(letter: str) -> Repin:
    return Repin(
        base_commit=f"{letter}-base",
        forward_ref="refs/x",
        forward_commit=f"{letter}-forward",
        inverse_ref="refs/y",
        inverse_commit=f"{letter}-inverse",
    )


PREPARED = Prepared(live_ref="refs/heads/main", drill=repin("drill"), execution=repin("execution"))
STOPPED = Stopped(condition=StopCondition.MANUAL, reason="somebody said stop", observed_at=NOW)
COMPLETED = Completed(release_tag="v0.4.0", commit_sha="c", governance_commit="g", posture="GO")


def intended(operation: Operation, step: str, attempt: int = 1) -> StepIntended:
    return StepIntended(operation=operation, attempt=attempt, step=step)


def done(operation: Operation, step: str, attempt: int = 1) -> StepDone:
    return StepDone(operation=operation, attempt=attempt, step=step, facts={"seen": step})


def taken(operation: Operation, *steps: str) -> list[EntryBody]:
    return [body for step in steps for body in (intended(operation, step), done(operation, step))]


def restored(operation: Operation, attempt: int = 1) -> Restored:
    return Restored(
        operation=operation,
        attempt=attempt,
        t_observed=NOW,
        t_decided=NOW,
        t_routed=NOW,
        t_first_baseline_reply=None,
        requests_at_risk=0,
        counts={},
    )


def entries(*bodies: EntryBody) -> list[Entry]:
    return [Entry(index=i, time=NOW, body=b, signers=(NOBODY,), leaf="") for i, b in enumerate(bodies)]


def state_of(*bodies: EntryBody) -> OperationState:
    state = calculate_operation(entries(PREPARED, *bodies))
    assert state is not None
    return state


def test_nothing_is_in_progress_until_a_step_is_intended() -> None:
    assert calculate_operation(entries(PREPARED, STOPPED)) is None
    assert calculate_operation(entries()) is None


@pytest.mark.parametrize(("operation", "letter"), [(DRILL, "drill"), (FORWARD, "execution")])
def test_a_move_takes_its_own_pair_of_commits(operation: Operation, letter: str) -> None:
    state = state_of(intended(operation, "start-target"))
    assert (state.operation, state.attempt, state.since) == (operation, 1, 1)
    assert state.repin == repin(letter)
    assert state.live_ref == "refs/heads/main"


def test_a_later_preparation_does_not_change_a_move_in_progress() -> None:
    later = Prepared(live_ref="refs/heads/other", drill=repin("x"), execution=repin("y"))
    assert state_of(intended(DRILL, "move-ref"), later).repin == repin("drill")


def test_a_step_with_nothing_prepared_moves_nothing() -> None:
    assert calculate_operation(entries(intended(FORWARD, "move-ref"))) is None


def test_steps_are_collected_with_what_was_seen() -> None:
    state = state_of(*taken(FORWARD, "start-target"), intended(FORWARD, "open-target"))
    assert state.intended == ("start-target", "open-target")
    assert state.done == {"start-target": {"seen": "start-target"}}
    assert not state.is_returning


def test_steps_of_another_attempt_are_not_counted() -> None:
    assert state_of(intended(DRILL, "start-target", 2), done(DRILL, "open-target", 1)).done == {}


def test_the_first_stop_is_the_one_that_counts() -> None:
    second = Stopped(condition=StopCondition.SUITE_FAILURE, reason="later", observed_at=NOW)
    state = state_of(intended(FORWARD, "start-target"), STOPPED, second)
    assert state.stop is not None
    assert state.stop.stopped == STOPPED
    assert state.stop.entry.index == 2
    assert state.is_returning


@pytest.mark.parametrize(
    ("operation", "end"), [(DRILL, restored(DRILL)), (FORWARD, restored(ABORT)), (FORWARD, COMPLETED)]
)
def test_a_move_ends(operation: Operation, end: EntryBody) -> None:
    begun: list[EntryBody] = [PREPARED, intended(operation, "start-target")]
    assert calculate_operation(entries(*begun, end)) is None
    assert calculate_operation(entries(*begun, end, Observed(subject="world", facts={}))) is None
    again = calculate_operation(entries(*begun, end, intended(operation, "start-target", 2)))
    assert again is not None
    assert (again.attempt, again.since, again.stop) == (2, 3, None)


@pytest.mark.parametrize(
    ("operation", "not_its_end"),
    [
        (FORWARD, restored(DRILL)),
        (FORWARD, restored(ABORT, 2)),
        (DRILL, restored(ABORT)),
        (DRILL, COMPLETED),
    ],
)
def test_another_move_s_end_does_not_end_it(operation: Operation, not_its_end: EntryBody) -> None:
    assert state_of(intended(operation, "start-target"), not_its_end).operation is operation


def test_the_way_back_of_an_execution_is_written_as_abort() -> None:
    state = state_of(intended(FORWARD, "move-ref"), *taken(ABORT, "close-target"))
    assert state.return_operation is ABORT
    assert state.is_done(ReturnStep.CLOSE_TARGET)
    assert state.is_returning
    assert state_of(intended(DRILL, "move-ref")).return_operation is DRILL


def test_attempts_count_from_one_per_operation() -> None:
    log = entries(intended(DRILL, "x", 1), intended(DRILL, "x", 2), intended(FORWARD, "x", 1))
    assert next_attempt(log, DRILL) == 3
    assert next_attempt(log, FORWARD) == 2
    assert next_attempt([], FORWARD) == 1


ON_BASE = World(live_commit="execution-base", target_answers=True)
ON_FORWARD = World(live_commit="execution-forward", target_answers=True)
BEGUN = (intended(FORWARD, "start-target"),)
ALL_DONE = tuple(taken(FORWARD, *ForwardStep))


@pytest.mark.parametrize(
    ("bodies", "world", "authorized", "resume", "reason"),
    [
        (BEGUN, ON_BASE, True, Resume.FINISH, "authorized, and done so far: nothing"),
        (taken(FORWARD, "start-target"), ON_FORWARD, True, Resume.FINISH, "done so far: start-target"),
        ((*BEGUN, STOPPED), ON_BASE, True, Resume.RETURN, "somebody said stop"),
        ((*BEGUN, intended(ABORT, "close-target")), ON_BASE, True, Resume.RETURN, "way back was begun"),
        ((intended(DRILL, "move-ref"),), ON_BASE, True, Resume.RETURN, "proves nothing"),
        (BEGUN, World(live_commit="x", target_answers=True), True, Resume.RETURN, "is not ours"),
        (BEGUN, World(live_commit=None, target_answers=True), True, Resume.RETURN, "is not ours"),
        (ALL_DONE, ON_FORWARD, False, Resume.NOTHING, "waits for 'cutover complete'"),
        (ALL_DONE, ON_BASE, False, Resume.RETURN, "no longer authorizes"),
        (BEGUN, ON_BASE, False, Resume.RETURN, "no longer authorizes"),
        (
            BEGUN,
            World(live_commit="execution-base", target_answers=False),
            True,
            Resume.RETURN,
            "does not answer",
        ),
    ],
)
def test_how_an_interrupted_move_goes_on(
    bodies: tuple[EntryBody, ...], world: World, authorized: bool, resume: Resume, reason: str
) -> None:
    decision = decide_resume(state_of(*bodies), world, authorized=authorized)
    assert decision.resume is resume
    assert reason in decision.reason


def test_without_a_move_there_is_nothing_to_resume() -> None:
    assert decide_resume(None, ON_BASE, authorized=True).resume is Resume.NOTHING
