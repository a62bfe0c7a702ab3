"""One attempt of a drill or an execution: its steps forward, its stop, and the wait for its way back.

Invariants: a step is intended durably before its act and written after it was seen to hold; nothing of it
is done or written once somebody said stop, because each act that moves something takes a turn and looks
first. The first stop decides; whoever appended it.
Source: cutover-program, "Switch" and "Stop conditions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cutover.core.entry import (
    Entry,
    Operation,
    Repin,
    Restored,
    RouteOpened,
    StepDone,
    StepIntended,
    StopCondition,
    Stopped,
)
from cutover.core.switch import next_attempt
from cutover.errors import LogConflict, ReleaseUnreachable
from cutover.service.restore import restore
from cutover.service.station import Executor
from cutover.service.turn import take_turn

LOOK_S = 0.05
RESTORE_TIMEOUT_S = 30.0
WITNESS_S = 0.25
"""How long a failed step waits for the stop of a gateway that may have seen the cause."""


class MoveStopped(Exception):
    """Ends whatever was being done because somebody said stop."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(stopped.reason)
        self.stopped = stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt.

    Args:
        executor: Ports.
        operation: DRILL or FORWARD.
        number: Counts from 1 per operation.
        since: Log size before its first entry; stops before it belong to earlier attempts.
        repin: The pair of commits it moves over.
        live_ref: The ref that the running consumer reads.
    """

    executor: Executor
    operation: Operation
    number: int
    since: int
    repin: Repin
    live_ref: str

    @property
    def return_operation(self) -> Operation:
        """The operation that its way back is written as."""
        return Operation.DRILL if self.operation is Operation.DRILL else Operation.ABORT

    def find_stop(self) -> Stopped | None:
        """Return the first stop since it began."""
        entries = self.executor.log.read().entries
        found = (entry.body for entry in entries[self.since :] if isinstance(entry.body, Stopped))
        return next(found, None)

    def find_restored(self) -> Restored | None:
        """Return what its way back measured, once it has ended."""
        mine = (self.return_operation, self.number)
        for entry in self.executor.log.read().entries[self.since :]:
            body = entry.body
            if isinstance(body, Restored) and (body.operation, body.attempt) == mine:
                return body
        return None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the way back out for one act.

        Raises:
            MoveStopped: When somebody said stop; nothing may be moved forward any more.
        """
        with take_turn(self.executor.folder):
            stopped = self.find_stop()
            if stopped is not None:
                raise MoveStopped(stopped)
            yield

    def step(self, name: str, act: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        """Write the intent durably, act (idempotently), write what was seen.

        The act is not in a turn: it takes one for what it moves, and may look for as long as it must.

        Raises:
            MoveStopped: When somebody said stop before or meanwhile.
        """
        ex, operation, number = self.executor, self.operation, self.number
        with self.turn():
            self.append(StepIntended(operation=operation, attempt=number, step=name))
        facts = dict(act())
        with self.turn():
            self.append(StepDone(operation=operation, attempt=number, step=name, facts=facts))
        ex.narrate(f"{operation} {name}: " + ", ".join(f"{key} {value}" for key, value in facts.items()))
        return facts

    def append(self, body: StepIntended | StepDone | RouteOpened) -> None:
        """Append what moves or reports this attempt; a stop comes before it or after, never unseen.

        Raises:
            MoveStopped: When somebody said stop; nothing was appended.
        """
        try:
            self.executor.log.append(body, self.executor.signer, unless=self._find_reason)
        except LogConflict:
            stopped = self.find_stop()
            if stopped is None:
                raise
            raise MoveStopped(stopped) from None

    def _find_reason(self, entries: Sequence[Entry]) -> str | None:
        stops = (e.body.reason for e in entries[self.since :] if isinstance(e.body, Stopped))
        return next(stops, None)

    def stop(self, condition: StopCondition, reason: str) -> None:
        """Say stop, unless somebody did, and wake the gateway."""
        ex = self.executor
        if self.find_stop() is None:
            ex.narrate(f"stop: {condition}: {reason}")
            observed = ex.clock.now()
            ex.log.append(Stopped(condition=condition, reason=reason, observed_at=observed), ex.signer)
        if not self._wake_gateway():
            ex.narrate("the gateway does not answer; the executor takes everything back itself")

    def fail(self, reason: str) -> None:
        """Say stop because a step could not be taken; a gateway that saw why may say so first."""
        clock = self.executor.clock
        until = clock.monotonic() + WITNESS_S
        while self.find_stop() is None and clock.monotonic() < until:
            clock.pause(LOOK_S)
        self.stop(StopCondition.SUITE_FAILURE, reason)

    def await_restored(self, look: Callable[[], object] = lambda: None) -> Restored:
        """Return the measured way back; take it ourselves when the gateway does not answer.

        Args:
            look: Called while waiting.

        Raises:
            RepositoryError: When we take it and the live ref is on nobody's commit.
            ReleaseUnreachable: When nothing came back in time; the log says how far it got.
        """
        clock = self.executor.clock
        deadline = clock.monotonic() + RESTORE_TIMEOUT_S
        while clock.monotonic() < deadline:
            look()
            found = self.find_restored()
            if found is not None:
                return found
            if not self._wake_gateway() and (taken := restore(self.executor)) is not None:
                return taken
            clock.pause(LOOK_S)
        raise ReleaseUnreachable("the way back did not end in time; run 'cutover execute' again to finish it")

    def _wake_gateway(self) -> bool:
        try:
            self.executor.gateway.refresh()
        except ReleaseUnreachable:
            return False
        return True


def begin_attempt(executor: Executor, operation: Operation, repin: Repin, live_ref: str) -> Attempt:
    """Return the next attempt of an operation; appends nothing."""
    entries = executor.log.read().entries
    return Attempt(
        executor=executor,
        operation=operation,
        number=next_attempt(entries, operation),
        since=len(entries),
        repin=repin,
        live_ref=live_ref,
    )
