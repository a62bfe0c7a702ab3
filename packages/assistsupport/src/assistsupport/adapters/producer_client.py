"""The policy lane: questions from any thread, answered on one event loop thread.

The synchronous service begins a question and goes on with its draft; waiting is this thread's work. Whatever
the producer, the network or a defect of our own does, a question ends as an outcome in its future, within its
deadline, and nothing is ever raised at the caller.
"""

import asyncio
import contextlib
import math
import threading
import time
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Final

import msgspec
import structlog
import uvloop

from assistsupport.adapters.governance_reader import GovernanceReader, Reading
from assistsupport.adapters.producer_course import Course, refuse_defect
from assistsupport.adapters.producer_pilot import LaneSettings, ProducerPilot
from assistsupport.adapters.producer_transport import ProducerTransport
from assistsupport.core.breaker import Breaker, describe_breaker
from assistsupport.core.context_package import AnsweredQuestion
from assistsupport.core.fallback import TransportFault
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, IntegrationStatus, ReloadOutcome
from assistsupport.core.policy_question import PolicyOutcome, PolicyQuestion, PolicyStatus
from assistsupport.core.producer_reply import Refusal, refuse_transport
from assistsupport.ports import Clock, GovernanceSource

MAX_DEADLINE_S: Final = 30.0
#: A reload is bounded by git's limit and the longest timeout that a pin may have; this is beyond both.
_RELOAD_LIMIT_S: Final = 40.0
_CLOSE_LIMIT_S: Final = 5.0
_CLOSED: Final = Refusal(reason=FallbackReason.ADAPTER_ERROR, detail="the producer client is not running")

_log = structlog.get_logger("assistsupport.producer")


class _Asked(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A question on its way; `course` is the pin that it began under, None before there is one."""

    question: PolicyQuestion
    future: Future[PolicyOutcome]
    begun: float
    deadline: float
    course: Course | None


class ProducerClient:
    """A `PolicyLane` over HTTP; the one place through which AssistSupport reaches the producer."""

    def __init__(
        self,
        source: GovernanceSource,
        clock: Clock,
        *,
        base_url: str | None = None,
        settings: LaneSettings | None = None,
    ) -> None:
        """Prepare; nothing runs and nothing is read before `start`.

        Args:
            source: The governance ref to follow.
            clock: The time of day.
            base_url: Overrides every pin's base URL, already verified; None to use the pin's.
            settings: How often to look; the defaults suit a loopback producer.
        """
        self._source = source
        self._reader = GovernanceReader(source)
        self._transport = ProducerTransport()
        self._pilot = ProducerPilot(
            self._reader,
            self._transport,
            now=clock.now,
            settings=settings or LaneSettings(),
            base_url=base_url,
        )
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="producer-client", daemon=True)
        self._stop = asyncio.Event()
        self._open: dict[Future[PolicyOutcome], _Asked] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloads: set[Future[ReloadOutcome]] = set()
        self._closed = False

    def start(self) -> None:
        """Start the loop thread; see `PolicyLane.start`."""
        self._thread.start()

    def close(self) -> None:
        """Stop the loop thread and settle what is open; see `PolicyLane.close`."""
        if self._closed:
            return
        self._closed = True
        if self._thread.ident is None:
            self._loop.close()
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_CLOSE_LIMIT_S)
        self._settle_rest()

    def begin(self, question: PolicyQuestion, deadline_s: float) -> Future[PolicyOutcome]:
        """Ask without waiting; see `PolicyLane.begin`. Callbacks of the future run on the loop thread."""
        future: Future[PolicyOutcome] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        begun = time.monotonic()
        course = self._pilot.course
        deadline = begun + _bound_deadline_s(deadline_s)
        asked = _Asked(question=question, future=future, begun=begun, deadline=deadline, course=course)
        self._open[future] = asked
        try:
            self._send_off(asked)
        except Exception as exc:  # noqa: BLE001 - the promise is that a question never raises
            self._settle(asked, _CLOSED if self._loop.is_closed() else refuse_defect(exc))
        return future

    def status(self) -> IntegrationStatus:
        """Return a snapshot; see `PolicyLane.status`."""
        pilot = self._pilot
        course = pilot.course
        check = course.check if course else None
        refusal = check.refusal if check else _calculate_unchecked(pilot)
        governance = course.binding.governance if course else None
        commit = governance.commit if governance else None
        return IntegrationStatus(
            state=check.state if check else IntegrationState.DEGRADED,
            reason=refusal.reason if refusal else None,
            detail=refusal.detail if refusal else None,
            checked_at=check.at if check else None,
            breaker=describe_breaker(course.breaker if course else Breaker()),
            governance=msgspec.structs.replace(self._source.describe(), commit=commit),
            pin=governance.pin if governance else None,
            last_reload=pilot.last_reload,
            drift=pilot.drift,
            in_flight=len(self._open),
        )

    def reload(self) -> ReloadOutcome:
        """Read the ref anew, preflight, swap; see `PolicyLane.reload`."""
        reading = self._reader.read()
        if self._closed or self._thread.ident is None:
            return self._pilot.conclude(reading, "refused", _CLOSED.detail)
        adoption = self._pilot.adopt(reading)
        try:
            reload = asyncio.run_coroutine_threadsafe(adoption, self._loop)
        except RuntimeError:  # the loop was closed a moment ago
            adoption.close()
            return self._pilot.conclude(reading, "refused", _CLOSED.detail)
        return self._await_reload(reading, reload)

    def _await_reload(self, reading: Reading, reload: Future[ReloadOutcome]) -> ReloadOutcome:
        self._reloads.add(reload)
        try:
            return reload.result(_RELOAD_LIMIT_S)
        except CancelledError:
            return self._pilot.conclude(reading, "refused", _CLOSED.detail)
        except Exception as exc:  # noqa: BLE001 - the promise is that a reload never raises
            return self._pilot.conclude(reading, "refused", refuse_defect(exc).detail)
        finally:
            self._reloads.discard(reload)

    def _send_off(self, asked: _Asked) -> None:
        """Hand a question to the loop, unless the state answers it here and now."""
        check = asked.course.check if asked.course else None
        refusal = check.refuse() if check else None
        if self._closed or self._thread.ident is None:
            self._settle(asked, _CLOSED)
        elif refusal is not None:
            self._settle(asked, refusal)
        else:
            self._loop.call_soon_threadsafe(self._launch, asked)

    def _launch(self, asked: _Asked) -> None:
        task = self._loop.create_task(self._answer(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, asked: _Asked) -> None:
        try:
            course = asked.course or await self._wait_for_course(asked.deadline)
            if isinstance(course, Refusal):
                self._settle(asked, course)
            else:
                asked = msgspec.structs.replace(asked, course=course)
                self._settle(asked, await course.ask(asked.question, asked.deadline))
        except asyncio.CancelledError:
            self._settle(asked, _CLOSED)
            raise
        except Exception as exc:  # noqa: BLE001 - our own defect must cost one answer, never a draft
            self._settle(asked, refuse_defect(exc))

    async def _wait_for_course(self, deadline: float) -> Course | Refusal:
        """Wait for the first reading of governance, which a question at start-up can be ahead of."""
        try:
            async with asyncio.timeout_at(deadline):
                course = await self._pilot.wait_for_course()
        except TimeoutError:
            return refuse_transport(TransportFault.DEADLINE, "the deadline passed before governance was read")
        trouble = self._pilot.trouble or "governance was not read"
        return course or Refusal(reason=FallbackReason.DEGRADED, detail=trouble)

    def _settle(self, asked: _Asked, result: AnsweredQuestion | Refusal) -> None:
        self._open.pop(asked.future, None)
        with contextlib.suppress(InvalidStateError):  # settled by close, a moment before
            asked.future.set_result(_build_outcome(asked, result))

    def _settle_rest(self) -> None:
        for asked in list(self._open.values()):
            self._settle(asked, _CLOSED)
        for reload in list(self._reloads):
            reload.cancel()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        finally:
            self._settle_rest()

    async def _live(self) -> None:
        flight = self._loop.create_task(self._pilot.fly())
        stop = self._loop.create_task(self._stop.wait())
        await asyncio.wait({flight, stop}, return_when=asyncio.FIRST_COMPLETED)
        ends = {flight, stop, *self._tasks}
        for task in ends:
            task.cancel()
        for end in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(end, Exception):
                _log.error("the producer client ended by a defect", exc_info=end)
        await self._transport.close()


def _bound_deadline_s(deadline_s: float) -> float:
    return min(max(deadline_s, 0.0), MAX_DEADLINE_S) if math.isfinite(deadline_s) else MAX_DEADLINE_S


def _build_outcome(asked: _Asked, result: AnsweredQuestion | Refusal) -> PolicyOutcome:
    governance = asked.course.binding.governance if asked.course else None
    answered = result if isinstance(result, AnsweredQuestion) else None
    refused = result if isinstance(result, Refusal) else None
    return PolicyOutcome(
        status=PolicyStatus.APPLIED if answered else PolicyStatus.FALLBACK,
        question=asked.question,
        answer=answered.answer if answered else None,
        reason=refused.reason if refused else None,
        detail=refused.detail if refused else None,
        service_contract_version=governance.pin.expected_service_contract_version if governance else None,
        release_tag=governance.pin.release_tag if governance else None,
        governance_commit=governance.commit if governance else None,
        ruleset_version=answered.ruleset_version if answered else None,
        snapshot_id=answered.snapshot_id if answered else None,
        context_package_id=answered.context_package_id if answered else None,
        deciding_items=answered.deciding_items if answered else (),
        elapsed_ms=(time.monotonic() - asked.begun) * 1000,
    )


def _calculate_unchecked(pilot: ProducerPilot) -> Refusal:
    return Refusal(reason=FallbackReason.DEGRADED, detail=pilot.trouble or "not checked yet")
