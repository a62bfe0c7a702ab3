"""Steers the policy lane: which pin runs, whether its producer is fit, and when another pin takes over.

Runs on the loop thread. Three kinds of work, each doing one thing:
- the check keeps the running pin's preflight fresh, seldom while it passes and often while it does not, and
  at once when a question failed;
- the follower notices that the governance ref has moved;
- an adoption preflights the pin of another commit and swaps only when that passes.

The newest reading of the ref wins: a reload that finds an older adoption still waiting for a slow producer
ends it. The way back of a cutover must not queue behind the way forward.
"""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

import msgspec
import structlog

from assistsupport.adapters.governance_reader import GovernanceReader, Reading
from assistsupport.adapters.producer_binding import Binding
from assistsupport.adapters.producer_course import Course
from assistsupport.adapters.producer_transport import ProducerTransport
from assistsupport.core.breaker import BreakerSettings
from assistsupport.core.governance import GovernanceCommit
from assistsupport.core.integration import ReloadOutcome
from assistsupport.errors import GovernanceUnreadable

_MAX_DRIFT: Final = 16
#: While the producer is unfit a hanging preflight is given up early, so that recovery is seen soon.
_UNFIT_TIMEOUT_S: Final = 1.0
_SUPERSEDED: Final = "superseded by a newer reload"

_log = structlog.get_logger("assistsupport.producer")


class LaneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often the lane looks, in seconds.

    Args:
        fit_s: Between preflights while they pass.
        unfit_s: After the first preflight that fails; doubles with each further one.
        unfit_max_s: The ceiling of that doubling.
        poll_s: Between looks at the governance ref.
        breaker: The circuit breaker's threshold and times.
    """

    fit_s: float = 15.0
    unfit_s: float = 0.25
    unfit_max_s: float = 0.5
    poll_s: float = 1.0
    breaker: BreakerSettings = BreakerSettings()


class ProducerPilot:
    """Holds the running course and replaces it.

    Other threads read `course`, `last_reload`, `trouble` and `drift`; each is replaced, never changed.
    """

    def __init__(
        self,
        reader: GovernanceReader,
        transport: ProducerTransport,
        *,
        now: Callable[[], datetime],
        settings: LaneSettings,
        base_url: str | None,
    ) -> None:
        """Prepare; nothing runs before `fly`.

        Args:
            reader: Reads the governance ref, in order.
            transport: The connections that every course shares.
            now: The time of day, aware UTC.
            settings: How often to look.
            base_url: Overrides every pin's base URL; None to use the pin's.
        """
        self.course: Course | None = None
        self.last_reload: ReloadOutcome | None = None
        self.trouble: str | None = None
        self.drift: tuple[str, ...] = ()
        self._reader = reader
        self._transport = transport
        self._now = now
        self._settings = settings
        self._base_url = base_url
        self._opened = asyncio.Event()
        self._nudge = asyncio.Event()
        self._trial: asyncio.Task[bool] | None = None
        self._newest = 0
        self._ended = asyncio.Event()
        self._ended.set()

    async def fly(self) -> None:
        """Open with what the ref names now, then check and follow until cancelled."""
        await self._open()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_checked())
            group.create_task(self._follow())

    async def wait_for_course(self) -> Course | None:
        """Wait until governance was read once; None when it could not be."""
        await self._opened.wait()
        return self.course

    async def adopt(self, reading: Reading) -> ReloadOutcome:
        """Make the commit of a reading the running one, if its preflight passes.

        Args:
            reading: What the ref said. When a newer reading overtakes it, the newer one decides: this one
                is refused, unless both found the same commit.

        Returns:
            swapped, unchanged or refused.
        """
        if reading.number < self._newest:
            return await self._yield_to_newer(reading)
        self._newest = reading.number
        ended = self._ended = asyncio.Event()
        if self._trial is not None:
            self._trial.cancel()
        try:
            return await self._adopt_newest(reading)
        finally:
            ended.set()

    def conclude(
        self, reading: Reading, outcome: Literal["swapped", "unchanged", "refused"], reason: str | None
    ) -> ReloadOutcome:
        """Return what a reading came to, and keep it unless a newer one has said its word."""
        ended = ReloadOutcome(
            outcome=outcome,
            commit=self.course.binding.governance.commit if self.course else None,
            reason=reason,
            at=self._now(),
            elapsed_ms=(time.monotonic() - reading.begun) * 1000,
        )
        last = self.last_reload
        if last is None or (outcome, reason) != (last.outcome, last.reason):
            _log.info("governance reload", outcome=outcome, commit=ended.commit, reason=reason)
        if reading.number >= self._newest:
            self.last_reload = ended
        return ended

    async def _open(self) -> None:
        """Install the first commit without a trial: there is nothing before it that could keep running."""
        reading = await asyncio.get_running_loop().run_in_executor(None, self._reader.read)
        self._newest = max(self._newest, reading.number)
        if isinstance(reading.governance, GovernanceUnreadable):
            self.trouble = str(reading.governance)
            self.conclude(reading, "refused", self.trouble)
        elif self.course is None:
            self.course = self._start_course(reading.governance)
        self._opened.set()

    async def _adopt_newest(self, reading: Reading) -> ReloadOutcome:
        if isinstance(reading.governance, GovernanceUnreadable):
            self.trouble = str(reading.governance)
            return self.conclude(reading, "refused", self.trouble)
        if self._runs(reading.governance):
            self._nudge.set()
            return self.conclude(reading, "unchanged", None)
        return await self._try(reading, reading.governance)

    async def _yield_to_newer(self, reading: Reading) -> ReloadOutcome:
        """Wait until no newer adoption is under way, then say what it meant for this one."""
        while not (newer := self._ended).is_set():
            await newer.wait()
        if isinstance(reading.governance, GovernanceCommit) and self._runs(reading.governance):
            return self.conclude(reading, "swapped", None)
        return self.conclude(reading, "refused", _SUPERSEDED)

    def _runs(self, governance: GovernanceCommit) -> bool:
        return self.course is not None and self.course.binding.governance.commit == governance.commit

    async def _try(self, reading: Reading, governance: GovernanceCommit) -> ReloadOutcome:
        course = self._start_course(governance)
        trial = asyncio.get_running_loop().create_task(_passes(course))
        self._trial = trial
        try:
            is_fit = await trial
        except asyncio.CancelledError:
            if reading.number == self._newest:
                raise  # the lane is closing; no newer reading has ended this trial
            is_fit = False
        finally:
            if self._trial is trial:
                self._trial = None
        # A newer reading may also have come after the trial had ended, too late to cancel it.
        if reading.number < self._newest:
            return await self._yield_to_newer(reading)
        # Without a course there is nothing that could keep running: an unfit pin is better than none.
        if not is_fit and self.course is not None:
            return self.conclude(reading, "refused", _describe_failure(course))
        self.course, self.trouble = course, None
        self._nudge.set()
        return self.conclude(reading, "swapped", None)

    async def _keep_checked(self) -> None:
        misses = 0
        while True:
            self._nudge.clear()
            course = self.course
            if course is not None:
                await self._check(course)
                misses = 0 if course.is_ready else misses + 1
            await self._wait_for_nudge(self._calculate_pause_s(misses))

    async def _check(self, course: Course) -> None:
        was_fit = course.is_ready or course.check is None
        limit_s = course.binding.timeout_s
        check = await course.preflight(limit_s if was_fit else min(limit_s, _UNFIT_TIMEOUT_S))
        if was_fit != course.is_ready:
            detail = check.refusal.detail if check.refusal else None
            _log.info("integration changed", state=check.state.value, detail=detail)

    def _calculate_pause_s(self, misses: int) -> float:
        if misses == 0:
            return self._settings.fit_s
        return min(math.ldexp(self._settings.unfit_s, min(misses - 1, 16)), self._settings.unfit_max_s)

    async def _wait_for_nudge(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._nudge.wait()
        except TimeoutError:
            return

    async def _follow(self) -> None:
        """Adopt what the ref names whenever that is not what runs; a reload on request is the fast way."""
        while True:
            await asyncio.sleep(self._settings.poll_s)
            reading = await asyncio.get_running_loop().run_in_executor(
                None, self._reader.read_unless, self._find_settled_commit()
            )
            # A reload on request that is under way knows more than the poll does.
            if reading is not None and self._trial is None:
                await self.adopt(reading)

    def _find_settled_commit(self) -> str | None:
        """Return the running commit; None while the last reload was refused, so that every poll retries."""
        if self.course is None or (self.last_reload and self.last_reload.outcome == "refused"):
            return None
        return self.course.binding.governance.commit

    def _start_course(self, governance: GovernanceCommit) -> Course:
        return Course(
            Binding.bind(governance, self._base_url),
            self._transport,
            settings=self._settings.breaker,
            now=self._now,
            on_drift=self._note_drift,
            on_unwell=self._nudge.set,
        )

    def _note_drift(self, drift: tuple[str, ...]) -> None:
        new = tuple(line for line in drift if line not in self.drift)
        if new and len(self.drift) < _MAX_DRIFT:
            _log.warning("the producer drifts from its contract", drift=list(new))
            self.drift = (*self.drift, *new)[:_MAX_DRIFT]


async def _passes(course: Course) -> bool:
    await course.preflight(course.binding.timeout_s)
    return course.is_ready


def _describe_failure(course: Course) -> str:
    refusal = course.check.refusal if course.check else None
    detail = f"{refusal.reason.value}: {refusal.detail}" if refusal else "no result"
    return f"preflight of {course.binding.governance.pin.release_tag} failed, {detail}"
