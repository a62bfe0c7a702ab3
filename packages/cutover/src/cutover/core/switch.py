"""Where a move of traffic stands, read from the entries: steps intended, done, stopped, taken back.

A move is one attempt of a drill or of the execution. It begins with its first `StepIntended`, and ends
with `Restored` (a drill always, an execution when it was stopped) or with `Completed`. Between the two it
is *in progress*, and a `Stopped` by anybody sends it back. The way back of a drill is written as DRILL,
that of an execution as ABORT, both with the attempt's number.
Source: cutover-program, "Switch", "Order" and "The decision log".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from cutover.core.entry import (
    Completed,
    Entry,
    Operation,
    Prepared,
    Repin,
    Restored,
    StepDone,
    StepIntended,
    Stopped,
)


class ForwardStep(StrEnum):
    """The steps to the target, in order; a drill takes the first four."""

    START_TARGET = "start-target"
    OPEN_TARGET = "open-target"
    MOVE_REF = "move-ref"
    RELOAD_CONSUMER = "reload-consumer"
    VERIFY_TRIO = "verify-trio"
    RUN_SUITES = "run-suites"
    STABILIZE = "stabilize"


class ReturnStep(StrEnum):
    """The steps back to the baseline, in order."""

    CLOSE_TARGET = "close-target"
    MOVE_REF_BACK = "move-ref-back"
    RELOAD_CONSUMER_BACK = "reload-consumer-back"
    FIRST_BASELINE_REPLY = "first-baseline-reply"


class StopSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The first stop of a move: the entry's index and time, and what it says."""

    entry: Entry
    stopped: Stopped


class OperationState(msgspec.Struct, frozen=True, kw_only=True):
    """A move in progress.

    Args:
        operation: DRILL or FORWARD.
        attempt: From 1, per operation.
        since: Index of the entry that began it.
        live_ref: Full ref that the consumer reads.
        repin: The pair of commits that it moves over; as prepared when it began.
        intended: Steps that were intended, each once, in the order of first intent.
        done: Step -> facts of its newest `StepDone`.
        stop: The first stop since it began.
    """

    operation: Operation
    attempt: int
    since: int
    live_ref: str
    repin: Repin
    intended: tuple[str, ...] = ()
    done: Mapping[str, Mapping[str, str]] = {}
    stop: StopSeen | None = None

    @property
    def return_operation(self) -> Operation:
        """The operation that its way back is written as."""
        return Operation.DRILL if self.operation is Operation.DRILL else Operation.ABORT

    @property
    def is_returning(self) -> bool:
        """Whether it was stopped, so that only the way back is open."""
        return self.stop is not None or any(step in self.intended for step in ReturnStep)

    def is_done(self, step: str) -> bool:
        """Say whether a step was seen to hold."""
        return step in self.done


_MOVES = (Operation.DRILL, Operation.FORWARD)


def calculate_operation(entries: Iterable[Entry]) -> OperationState | None:
    """Return the move in progress after `entries` (oldest first), or None. Pure.

    A step without anything prepared before it moves nothing and begins nothing; neither does a step of an
    attempt that has ended, written late by somebody who hung while it was taken back.
    """
    prepared: Prepared | None = None
    state: OperationState | None = None
    ended: set[tuple[Operation, int]] = set()
    for entry in entries:
        if isinstance(entry.body, Prepared):
            prepared = entry.body
        if state is None:
            state = _begin(entry, prepared)
            if state is not None and (state.operation, state.attempt) in ended:
                state = None
        elif _ends(entry, state):
            ended.add((state.operation, state.attempt))
            state = None
            continue
        if state is not None:
            state = _follow(entry, state)
    return state


def _begin(entry: Entry, prepared: Prepared | None) -> OperationState | None:
    body = entry.body
    if prepared is None or not isinstance(body, StepIntended) or body.operation not in _MOVES:
        return None
    return OperationState(
        operation=body.operation,
        attempt=body.attempt,
        since=entry.index,
        live_ref=prepared.live_ref,
        repin=prepared.drill if body.operation is Operation.DRILL else prepared.execution,
    )


def _ends(entry: Entry, state: OperationState) -> bool:
    match entry.body:
        case Restored(operation=operation, attempt=attempt):
            return (operation, attempt) == (state.return_operation, state.attempt)
        case Completed():
            return state.operation is Operation.FORWARD
        case _:
            return False


def _follow(entry: Entry, state: OperationState) -> OperationState:
    operations = (state.operation, state.return_operation)
    match entry.body:
        case StepIntended(operation=op, attempt=attempt, step=step):
            if op in operations and attempt == state.attempt and step not in state.intended:
                return msgspec.structs.replace(state, intended=(*state.intended, step))
        case StepDone(operation=op, attempt=attempt, step=step, facts=facts):
            if op in operations and attempt == state.attempt:
                return msgspec.structs.replace(state, done={**state.done, step: facts})
        case Stopped() as stopped if state.stop is None:
            return msgspec.structs.replace(state, stop=StopSeen(entry=entry, stopped=stopped))
        case _:
            pass
    return state


def next_attempt(entries: Iterable[Entry], operation: Operation) -> int:
    """Return the number of the next attempt of an operation, from 1. Pure."""
    bodies = (entry.body for entry in entries)
    return 1 + max(
        (b.attempt for b in bodies if isinstance(b, StepIntended) and b.operation is operation), default=0
    )


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen by looking, before deciding how to go on.

    Args:
        live_commit: Where the live ref is on the consumer's origin; None when it is gone.
        target_answers: Whether the target's process answers.
    """

    live_commit: str | None
    target_answers: bool


class Resume(StrEnum):
    """How to go on after an interruption."""

    FINISH = "finish"
    RETURN = "return"
    NOTHING = "nothing"


class ResumeDecision(msgspec.Struct, frozen=True, kw_only=True):
    """How to go on, and why, in one line."""

    resume: Resume
    reason: str


def decide_resume(state: OperationState | None, world: World, *, authorized: bool) -> ResumeDecision:
    """Decide how a new executor goes on. Pure. The first row that fits decides:

    1. no move in progress                           -> nothing
    2. stopped, or the way back was begun            -> return
    3. a drill                                       -> return: what it proves needs an unbroken watch
    4. the live ref is on neither of its two commits -> return, which says so aloud and moves no ref
    5. every step done, ref on forward               -> nothing: it waits for `complete` or a stop
    6. the decision authorizes it no longer          -> return
    7. the target does not answer                    -> return
    8. else                                          -> finish, from the first step not done; suites and
       stabilization that were cut short start anew

    Args:
        state: From `calculate_operation`.
        world: What was seen.
        authorized: Whether the decision that the move rests on is still in force.
    """
    if state is None:
        return _decision(Resume.NOTHING, "no move is in progress")
    if state.is_returning:
        reason = state.stop.stopped.reason if state.stop else "the way back was begun"
        return _decision(Resume.RETURN, f"it was stopped: {reason}")
    if state.operation is Operation.DRILL:
        return _decision(Resume.RETURN, "a drill that was interrupted proves nothing")
    if world.live_commit not in (state.repin.base_commit, state.repin.forward_commit):
        return _decision(Resume.RETURN, f"{state.live_ref} is at {world.live_commit}, which is not ours")
    if world.live_commit == state.repin.forward_commit and all(state.is_done(step) for step in ForwardStep):
        return _decision(Resume.NOTHING, "every step is done; it waits for 'cutover complete'")
    if not authorized:
        return _decision(Resume.RETURN, "the decision no longer authorizes it")
    if not world.target_answers:
        return _decision(Resume.RETURN, "the target does not answer")
    return _decision(Resume.FINISH, f"authorized, and done so far: {', '.join(state.done) or 'nothing'}")


def _decision(resume: Resume, reason: str) -> ResumeDecision:
    return ResumeDecision(resume=resume, reason=reason)
