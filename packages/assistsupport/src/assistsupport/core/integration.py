"""How the integration with the producer stands: its state, and the records that `status` shows.

Ready means that the preflight of the pin now running passed. Every other state answers questions at
once with that state's own reason, so a ticket never pays for a producer that is known to be unwell.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec
from contracts.core.pin import Pin

from assistsupport.core.fallback_reason import FallbackReason

_R = FallbackReason


class IntegrationState(StrEnum):
    """The closed set of states of the wire contract, section 4."""

    READY = "ready"
    DISABLED = "disabled"
    OFFLINE = "offline"
    SCHEMA_UNAVAILABLE = "schema-unavailable"
    VERSION_MISMATCH = "version-mismatch"
    MALFORMED_PAYLOAD = "malformed-payload"
    DEGRADED = "degraded"


_STATE_BY_REASON = {
    _R.FEATURE_DISABLED: IntegrationState.DISABLED,
    _R.OFFLINE: IntegrationState.OFFLINE,
    _R.SCHEMA_UNAVAILABLE: IntegrationState.SCHEMA_UNAVAILABLE,
    _R.VERSION_MISMATCH: IntegrationState.VERSION_MISMATCH,
    _R.MALFORMED_PAYLOAD: IntegrationState.MALFORMED_PAYLOAD,
}

_REASON_BY_STATE = {
    IntegrationState.DISABLED: _R.FEATURE_DISABLED,
    IntegrationState.OFFLINE: _R.OFFLINE,
    IntegrationState.SCHEMA_UNAVAILABLE: _R.SCHEMA_UNAVAILABLE,
    IntegrationState.VERSION_MISMATCH: _R.VERSION_MISMATCH,
    IntegrationState.MALFORMED_PAYLOAD: _R.MALFORMED_PAYLOAD,
    IntegrationState.DEGRADED: _R.DEGRADED,
}


def calculate_state(reason: FallbackReason | None) -> IntegrationState:
    """Return the state that a preflight ending with `reason` leaves behind. Pure.

    Args:
        reason: What the preflight's failed request came to; None when both requests were fine.

    Returns:
        The state of the same name where there is one, else degraded: the producer is there, but not
        fit for use (it times out, resets, or answers with an error of its own).
    """
    if reason is None:
        return IntegrationState.READY
    return _STATE_BY_REASON.get(reason, IntegrationState.DEGRADED)


def calculate_state_reason(state: IntegrationState) -> FallbackReason | None:
    """Return the reason that a state gives every question asked in it; None when ready. Pure."""
    return _REASON_BY_STATE.get(state)


class BreakerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The circuit breaker as `status` shows it.

    Args:
        state: closed, open or half-open.
        failures: Failures in a row, from 0.
        reason: The failure that opened it; None while closed.
    """

    state: Literal["closed", "open", "half-open"]
    failures: int
    reason: FallbackReason | None


class GovernanceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pin comes from.

    Args:
        repository: The repository as it was given.
        ref: The ref that is followed.
        commit: The commit now running; None before the first readable one.
    """

    repository: str
    ref: str
    commit: str | None


class ReloadOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload came to.

    Args:
        outcome: swapped (another commit runs now), unchanged, or refused (the old one keeps running).
        commit: The commit that runs after it; None when none ever did.
        reason: Why it was refused, one line; None otherwise.
        at: When it ended, aware UTC.
        elapsed_ms: How long it took, in milliseconds.
    """

    outcome: Literal["swapped", "unchanged", "refused"]
    commit: str | None
    reason: str | None
    at: datetime
    elapsed_ms: float


class IntegrationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable snapshot of the policy lane.

    Args:
        state: The state of the pin now running.
        reason: What the last preflight failed with; None when ready or not yet checked.
        detail: One line about the reason.
        checked_at: When the last preflight ended, aware UTC; None before the first.
        breaker: The circuit breaker of the pin now running.
        governance: Repository, ref and commit.
        pin: The pin now running; None when governance was never readable.
        last_reload: The newest reload, by request or by the poll; None before the first.
        drift: What the producer does beyond its contract without breaking a reply, in order of first
            sight (unknown error codes, codes with another status); bounded.
        in_flight: Questions that have no outcome yet.
    """

    state: IntegrationState
    reason: FallbackReason | None
    detail: str | None
    checked_at: datetime | None
    breaker: BreakerStatus
    governance: GovernanceStatus | None
    pin: Pin | None
    last_reload: ReloadOutcome | None
    drift: tuple[str, ...]
    in_flight: int
