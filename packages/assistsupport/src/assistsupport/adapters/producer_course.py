"""The run of one pin: its binding, its last preflight, its circuit breaker.

Everything that learns from replies lives here and dies with the pin, so a swap starts with a clean slate and
a late failure under the old pin cannot hurt the new one. Changed on the loop thread only; other threads read
single attributes, each of which is immutable.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog

from assistsupport.adapters.producer_binding import Binding
from assistsupport.adapters.producer_transport import ProducerTransport
from assistsupport.core.breaker import (
    Breaker,
    BreakerSettings,
    Refused,
    Vital,
    admit,
    calculate_vital,
    record,
)
from assistsupport.core.context_package import AnsweredQuestion
from assistsupport.core.fallback import TransportFault
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, calculate_state, calculate_state_reason
from assistsupport.core.policy_question import PolicyQuestion
from assistsupport.core.producer_reply import Refusal, refuse_transport

_T = TypeVar("_T")
_log = structlog.get_logger("assistsupport.producer")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one preflight.

    Args:
        state: The state that it leaves behind.
        refusal: What was wrong; None exactly when ready.
        at: When it ended, aware UTC.
    """

    state: IntegrationState
    refusal: Refusal | None
    at: datetime

    def refuse(self) -> Refusal | None:
        """Return what every question gets in this state; None when ready."""
        reason = calculate_state_reason(self.state)
        if reason is None or self.refusal is None:
            return None
        return Refusal(reason=reason, detail=f"preflight: {self.refusal.detail}")


class Course:
    """One pin under way."""

    def __init__(
        self,
        binding: Binding,
        transport: ProducerTransport,
        *,
        settings: BreakerSettings,
        now: Callable[[], datetime],
        on_drift: Callable[[tuple[str, ...]], None],
        on_unwell: Callable[[], None],
    ) -> None:
        """Begin unchecked, with a closed breaker.

        Args:
            binding: The pin.
            transport: The connections to ask over.
            settings: The breaker's threshold and times.
            now: The time of day, aware UTC.
            on_drift: Told what replies have beyond their contract.
            on_unwell: Told when a question failed in a way that speaks against the producer.
        """
        self.binding = binding
        self.breaker = Breaker()
        self.check: Check | None = None
        self._transport = transport
        self._settings = settings
        self._now = now
        self._on_drift = on_drift
        self._on_unwell = on_unwell
        self._checked = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Tell whether the last preflight passed."""
        return self.check is not None and self.check.state is IntegrationState.READY

    async def preflight(self, timeout_s: float) -> Check:
        """Check the producer within a time limit, keep the result and return it."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        refusal = await _run_in_time(deadline, lambda: self.binding.preflight(self._transport))
        reason = None if refusal is None else refusal.reason
        self.check = Check(state=calculate_state(reason), refusal=refusal, at=self._now())
        self._checked.set()
        if refusal is not None:
            self._on_drift(refusal.drift)
        return self.check

    async def ask(self, question: PolicyQuestion, deadline: float) -> AnsweredQuestion | Refusal:
        """Ask within a deadline, unless the state or the breaker says no at once.

        Args:
            question: What to ask.
            deadline: On the loop's clock, in seconds; covers waiting for the very first preflight too.

        Returns:
            The answer, or why there is none.
        """
        if not self._checked.is_set():
            late = await _run_in_time(deadline, self._wait_for_check)
            if late is not None:
                return late
        refusal = self.check.refuse() if self.check else None
        return refusal or await self._ask_admitted(question, deadline)

    async def _ask_admitted(self, question: PolicyQuestion, deadline: float) -> AnsweredQuestion | Refusal:
        admission = admit(self.breaker, time.monotonic())
        if isinstance(admission, Refused):
            detail = "circuit breaker open after repeated failures"
            return Refusal(reason=admission.cause, detail=detail)
        self.breaker = admission.breaker
        result = await _run_in_time(deadline, lambda: self.binding.ask(self._transport, question))
        self._learn(admission.epoch, result)
        return result

    def _learn(self, epoch: int, result: AnsweredQuestion | Refusal) -> None:
        reason = result.reason if isinstance(result, Refusal) else None
        self.breaker = record(
            self.breaker, epoch=epoch, reason=reason, now=time.monotonic(), settings=self._settings
        )
        self._on_drift(result.drift)
        if calculate_vital(reason) is Vital.UNWELL:
            self._on_unwell()

    async def _wait_for_check(self) -> None:
        await self._checked.wait()


async def _run_in_time(deadline: float, work: Callable[[], Awaitable[_T]]) -> _T | Refusal:
    """Run to the end, to the deadline, or to a defect of our own; the last two become refusals."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work()
    except TimeoutError:
        return refuse_transport(TransportFault.DEADLINE, "the deadline passed before the reply was complete")
    except Exception as exc:  # noqa: BLE001 - our own defect must cost one answer, never a draft
        return refuse_defect(exc)


def refuse_defect(exc: Exception) -> Refusal:
    """Log a defect of our own and return its refusal, which names the type only."""
    _log.error("defect in the producer client", exc_info=exc)
    return Refusal(reason=FallbackReason.ADAPTER_ERROR, detail=f"defect in the client ({type(exc).__name__})")
