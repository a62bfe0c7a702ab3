"""The watch: what can stop a move while it is under way, seen from the executor.

The gateway watches every reply (contract-mismatch) by itself. Here are the other three of the record:
drafts, roles and suites; and a stop that somebody signed. Whoever sees a breach first appends `Stopped`;
the gateway, which follows the log, then takes everything back. The first breach decides.
Source: cutover-program, "Stop conditions".
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

from cutover.core.entry import Operation, Restored, StopCondition, Stopped
from cutover.core.role import check_roles
from cutover.core.stop import check_draft
from cutover.errors import ReleaseUnreachable
from cutover.service.draft_probe import DraftProbe, ProbedDraft
from cutover.service.restore import restore
from cutover.service.station import Executor

TICK_S = 0.05
RESTORE_TIMEOUT_S = 30.0
SEE_TIMEOUT_S = 60.0
T = TypeVar("T")


class MoveStopped(Exception):
    """Ends whatever was being done because somebody said stop."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(stopped.reason)
        self.stopped = stopped


class Watch:
    """Looks at everything that can stop one attempt.

    Args:
        executor: Ports.
        probe: A started draft probe.
        since: Log size when the attempt began; stops before it belong to an earlier attempt.
        roles: Whether roles are watched (they are in an execution; a drill moves back by itself).
    """

    def __init__(self, executor: Executor, probe: DraftProbe, *, since: int, roles: bool) -> None:
        self._executor = executor
        self._probe = probe
        self._since = since
        self._roles = roles
        self.drafts: list[ProbedDraft] = []

    def tick(self) -> None:
        """Look once.

        Raises:
            MoveStopped: When a stop stands in the log, whoever appended it.
        """
        self._check_drafts()
        if self._roles:
            self._check_roles()
        stopped = self.find_stop()
        if stopped is not None:
            raise MoveStopped(stopped)

    def find_stop(self) -> Stopped | None:
        """Return the first stop since the attempt began."""
        entries = self._executor.log.read().entries
        found = (entry.body for entry in entries[self._since :] if isinstance(entry.body, Stopped))
        return next(found, None)

    def stop(self, condition: StopCondition, reason: str) -> None:
        """Append a stop and wake the gateway."""
        self._executor.narrate(f"stop: {condition}: {reason}")
        self._executor.log.append(
            Stopped(condition=condition, reason=reason, observed_at=self._executor.clock.now()),
            self._executor.signer,
        )
        try:
            self._executor.gateway.refresh()
        except ReleaseUnreachable:
            self._executor.narrate("the gateway does not answer; the executor takes everything back itself")

    def during(self, task: Callable[[], T]) -> T:
        """Do something slow while looking.

        Raises:
            MoveStopped: As soon as a stop is seen; the task is left to end by itself.
        """
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="watched")
        future = pool.submit(task)
        try:
            return self._until(future)
        finally:
            pool.shutdown(wait=False)

    def wait(self, seconds: float) -> None:
        """Look for `seconds`.

        Raises:
            MoveStopped: As soon as a stop is seen.
        """
        end = self._executor.clock.monotonic() + seconds
        while self._executor.clock.monotonic() < end:
            self.tick()
            self._executor.clock.pause(TICK_S)

    def see_drafts(self, count: int, *, stoppable: bool = True) -> list[ProbedDraft]:
        """Look until `count` drafts were begun and settled; return them.

        Args:
            stoppable: False after a stop, when only counting is left to do.

        Raises:
            MoveStopped: As soon as a stop is seen (if stoppable).
            ReleaseUnreachable: When the consumer does not draft them in time.
        """
        deadline = self._executor.clock.monotonic() + SEE_TIMEOUT_S
        start = len(self.drafts) + 1  # the draft in flight began before
        while len(self.drafts) < start + count:
            if stoppable:
                self.tick()
            else:
                self.drafts += self._probe.drain()
            if self._executor.clock.monotonic() > deadline:
                raise ReleaseUnreachable(
                    f"fewer than {count} drafts in {SEE_TIMEOUT_S:.0f} s; is the consumer up?"
                )
            self._executor.clock.pause(TICK_S)
        return self.drafts[start:]

    def await_restored(self, operation: Operation, attempt: int) -> Restored:
        """Return the measured way back; take it ourselves when the gateway does not answer.

        Raises:
            ReleaseUnreachable: When nothing came back in time; the log says how far it got.
        """
        deadline = self._executor.clock.monotonic() + RESTORE_TIMEOUT_S
        while self._executor.clock.monotonic() < deadline:
            self.drafts += self._probe.drain()
            found = find_restored(self._executor, operation, attempt, self._since)
            if found is not None:
                return found
            try:
                self._executor.gateway.refresh()
            except ReleaseUnreachable:
                restore(self._executor)
                continue
            self._executor.clock.pause(TICK_S)
        raise ReleaseUnreachable("the way back did not end in time; run 'cutover execute' again to finish it")

    def _until(self, future: Future[T]) -> T:
        while True:
            self.tick()
            try:
                return future.result(timeout=TICK_S)
            except NotYet:
                if future.done():
                    raise

    def _check_drafts(self) -> None:
        fresh = self._probe.drain()
        self.drafts += fresh
        deadline = self._executor.program.thresholds.draft_deadline_s
        for draft in fresh:
            breach = check_draft(draft.seen, deadline_s=deadline)
            if breach is not None and self.find_stop() is None:
                self.stop(StopCondition.FALLBACK_REGRESSION, breach)

    def _check_roles(self) -> None:
        case = self._executor.read_case()
        problems = check_roles(case.program, case.entries, case.now)
        if problems and self.find_stop() is None:
            self.stop(StopCondition.ROLLBACK_OWNER_AMBIGUITY, problems[0])


def find_restored(executor: Executor, operation: Operation, attempt: int, since: int) -> Restored | None:
    """Return the entry that ends this attempt's way back, if it is there."""
    for entry in executor.log.read().entries[since:]:
        body = entry.body
        if isinstance(body, Restored) and (body.operation, body.attempt) == (operation, attempt):
            return body
    return None
