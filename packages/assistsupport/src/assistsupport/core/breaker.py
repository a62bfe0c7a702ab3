"""A circuit breaker as a value: state in, state out, with the time as an argument.

After `threshold` failures in a row it opens and refuses questions at once, with the reason of the
failure that opened it. When it has been open long enough it lets one question through (half-open): an
answer closes it, a failure opens it again for twice as long, up to a ceiling.

Invariants: a verdict counts only in the epoch that admitted its question, so a late failure cannot
reopen what has closed since; in half-open exactly one question is out at a time.
"""

import math
from enum import StrEnum

import msgspec

from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import BreakerStatus

_R = FallbackReason

#: Replies that show a producer at work: the question was refused, the producer is well.
_WELL = frozenset({_R.VALIDATION_ERROR, _R.CONTEXT_NOT_FOUND, _R.WRITE_CONFLICT, _R.EMPTY_CONTEXT})
#: What says nothing about the producer at all.
_SILENT = frozenset({_R.ADAPTER_ERROR, _R.FEATURE_DISABLED})


class Vital(StrEnum):
    """What one outcome says about the producer."""

    WELL = "well"
    UNWELL = "unwell"
    SILENT = "silent"


def calculate_vital(reason: FallbackReason | None) -> Vital:
    """Return what an outcome says about the producer; None stands for an applied answer. Pure."""
    if reason is None or reason in _WELL:
        return Vital.WELL
    return Vital.SILENT if reason in _SILENT else Vital.UNWELL


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When to open, and for how long.

    Args:
        threshold: Failures in a row that open it, at least 1.
        open_s: How long it stays open the first time, in seconds.
        open_max_s: The ceiling of the doubling, in seconds.
    """

    threshold: int = 5
    open_s: float = 0.25
    open_max_s: float = 1.0


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one breaker. Start with `Breaker()`: closed, no failure seen.

    Args:
        failures: Failures in a row while closed; kept while open.
        cause: The failure that opened it; None exactly when closed.
        retry_at: When the next question may go through, on the caller's monotonic clock.
        reopened: How often in a row the one question of half-open failed.
        probing: The one question of half-open is out.
        epoch: Grows with every change of state and every question of half-open.
    """

    failures: int = 0
    cause: FallbackReason | None = None
    retry_at: float = 0.0
    reopened: int = 0
    probing: bool = False
    epoch: int = 0


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """The question may go out; report its end with this epoch."""

    breaker: Breaker
    epoch: int


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The question may not go out; it falls back with this reason."""

    cause: FallbackReason


def admit(breaker: Breaker, now: float) -> Admitted | Refused:
    """Decide whether a question may go out. Pure.

    Args:
        breaker: The state now.
        now: Seconds on the same monotonic clock as every other call.

    Returns:
        Admitted with the state to keep, or Refused with the reason of the failure that opened it.
    """
    if breaker.cause is None:
        return Admitted(breaker=breaker, epoch=breaker.epoch)
    if breaker.probing or now < breaker.retry_at:
        return Refused(cause=breaker.cause)
    probing = msgspec.structs.replace(breaker, probing=True, epoch=breaker.epoch + 1)
    return Admitted(breaker=probing, epoch=probing.epoch)


def record(
    breaker: Breaker,
    *,
    epoch: int,
    reason: FallbackReason | None,
    now: float,
    settings: BreakerSettings,
) -> Breaker:
    """Return the state after an admitted question ended. Pure; a verdict of an older epoch changes nothing.

    Args:
        breaker: The state now.
        epoch: The epoch that `admit` gave the question.
        reason: Its fallback reason; None when it was answered.
        now: Seconds on the same monotonic clock as `admit`.
        settings: Threshold and times.

    Returns:
        The state to keep.
    """
    if epoch != breaker.epoch:
        return breaker
    vital = calculate_vital(reason)
    if reason is None or vital is Vital.WELL:
        return _closed(breaker)
    if vital is Vital.SILENT:
        return msgspec.structs.replace(breaker, probing=False)
    if breaker.cause is not None:
        return _opened(breaker, reason, breaker.reopened + 1, now, settings)
    failing = msgspec.structs.replace(breaker, failures=breaker.failures + 1)
    return failing if failing.failures < settings.threshold else _opened(failing, reason, 0, now, settings)


def describe_breaker(breaker: Breaker) -> BreakerStatus:
    """Return the breaker as `status` shows it. Pure."""
    if breaker.cause is None:
        return BreakerStatus(state="closed", failures=breaker.failures, reason=None)
    return BreakerStatus(
        state="half-open" if breaker.probing else "open", failures=breaker.failures, reason=breaker.cause
    )


def _closed(breaker: Breaker) -> Breaker:
    if breaker.cause is None:
        return breaker if breaker.failures == 0 else msgspec.structs.replace(breaker, failures=0)
    return Breaker(epoch=breaker.epoch + 1)


def _opened(
    breaker: Breaker, cause: FallbackReason, reopened: int, now: float, settings: BreakerSettings
) -> Breaker:
    # The exponent is bounded so that a producer that is down for a week cannot overflow a float.
    wait_s = min(math.ldexp(settings.open_s, min(reopened, 16)), settings.open_max_s)
    return msgspec.structs.replace(
        breaker,
        cause=cause,
        retry_at=now + wait_s,
        reopened=reopened,
        probing=False,
        epoch=breaker.epoch + 1,
    )
