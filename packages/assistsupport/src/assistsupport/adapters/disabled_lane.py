"""The policy lane of a consumer whose enrichment is switched off: it answers at once and knows nobody."""

from concurrent.futures import Future

from assistsupport.core.breaker import Breaker, describe_breaker
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, IntegrationStatus, ReloadOutcome
from assistsupport.core.policy_question import PolicyOutcome, PolicyQuestion, outcome_fallback
from assistsupport.ports import Clock

_DETAIL = "enrichment is switched off"


class DisabledLane:
    """A `PolicyLane` without a producer, a thread or a repository."""

    def __init__(self, clock: Clock) -> None:
        """Keep the clock, for the time of a reload that was asked for.

        Args:
            clock: The time of day.
        """
        self._clock = clock

    def begin(self, question: PolicyQuestion, deadline_s: float) -> Future[PolicyOutcome]:
        """Return a future that is done: feature-disabled."""
        future: Future[PolicyOutcome] = Future()
        future.set_result(outcome_fallback(question, FallbackReason.FEATURE_DISABLED, _DETAIL))
        return future

    def status(self) -> IntegrationStatus:
        """Return the state disabled."""
        return IntegrationStatus(
            state=IntegrationState.DISABLED,
            reason=FallbackReason.FEATURE_DISABLED,
            detail=_DETAIL,
            checked_at=None,
            breaker=describe_breaker(Breaker()),
            governance=None,
            pin=None,
            last_reload=None,
            drift=(),
            in_flight=0,
        )

    def reload(self) -> ReloadOutcome:
        """Refuse: there is no governance to read."""
        at = self._clock.now()
        return ReloadOutcome(outcome="refused", commit=None, reason=_DETAIL, at=at, elapsed_ms=0.0)

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
