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

from cutover.core.entry import Restored, StopCondition
from cutover.core.role import check_roles
from cutover.core.stop import check_draft
from cutover.errors import ReleaseUnreachable
from cutover.service.attempt import LOOK_S, Attempt, MoveStopped
from cutover.service.draft_probe import DraftProbe, ProbedDraft

SEE_TIMEOUT_S = 60.0
T = TypeVar("T")


class Watch:
    """Looks at everything that can stop one attempt.

    Args:
        attempt: In progress.
        probe: A started draft probe.
        roles: Whether roles are watched (they are in an execution; a drill moves back by itself).
    """

    def __init__(self, attempt: Attempt, probe: DraftProbe, *, roles: bool) -> None:
        self._attempt = attempt
        self._executor = attempt.executor
        self._probe = probe
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
        stopped = self._attempt.find_stop()
        if stopped is not None:
            raise MoveStopped(stopped)

    def during(self, task: Callable[[], T]) -> T:
        """Do something slow while looking.

        Raises:
            MoveStopped: As soon as a stop is seen; the task is left to end by itself, and moves nothing
                any more because every step forward looks for a stop first.
        """
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="watched")
        try:
            return self._until(pool.submit(task))
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
            self._executor.clock.pause(LOOK_S)

    def see_drafts(self, count: int, *, stoppable: bool = True) -> list[ProbedDraft]:
        """Look until `count` drafts were begun and settled; return them.

        Args:
            count: At least 1.
            stoppable: False after a stop, when only counting is left to do.

        Raises:
            MoveStopped: As soon as a stop is seen (if stoppable).
            ReleaseUnreachable: When the consumer does not draft them in time.
        """
        deadline = self._executor.clock.monotonic() + SEE_TIMEOUT_S
        look = self.tick if stoppable else self.keep_drafts
        look()
        start = len(self.drafts) + 1  # the draft in flight began before
        while len(self.drafts) < start + count:
            if self._executor.clock.monotonic() > deadline:
                raise ReleaseUnreachable(
                    f"fewer than {count} drafts in {SEE_TIMEOUT_S:.0f} s; is the consumer up?"
                )
            self._executor.clock.pause(LOOK_S)
            look()
        return self.drafts[start:]

    def await_restored(self) -> Restored:
        """Return the measured way back, keeping drafts meanwhile; see `Attempt.await_restored`."""
        return self._attempt.await_restored(self.keep_drafts)

    def keep_drafts(self) -> list[ProbedDraft]:
        """Take over what the probe saw since the last look; return it."""
        fresh = self._probe.drain()
        self.drafts += fresh
        return fresh

    def _until(self, future: Future[T]) -> T:
        while True:
            self.tick()
            try:
                return future.result(timeout=LOOK_S)
            except NotYet:
                if future.done():  # the task itself ran into a timeout
                    raise

    def _check_drafts(self) -> None:
        deadline_s = self._executor.program.thresholds.draft_deadline_s
        for draft in self.keep_drafts():
            breach = check_draft(draft.seen, deadline_s=deadline_s)
            if breach is not None:
                self._attempt.stop(StopCondition.FALLBACK_REGRESSION, breach)

    def _check_roles(self) -> None:
        case = self._executor.read_case()
        problems = check_roles(case.program, case.entries, case.now)
        if problems:
            self._attempt.stop(StopCondition.ROLLBACK_OWNER_AMBIGUITY, problems[0])
