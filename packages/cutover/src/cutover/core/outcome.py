"""Three-valued verdicts with a fourth for what needs a signature.

Only PASSED passes. Nothing considered is UNKNOWN, never PASSED.
Source: cutover-program, "Gates" and "Decision".
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What a gate says of its evidence."""

    PASSED = "PASSED"
    WARNED = "WARNED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class DecisionOutcome(StrEnum):
    """What a decision says: go, do not go, or cannot say yet."""

    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A gate's answer, with the reason a person reads and the code a machine compares.

    Args:
        outcome: PASSED, WARNED, FAILED or UNKNOWN.
        reason_code: Stable kebab-case name of the clause that decided; `passed` when all held.
        reason: One line for people, the fact first.
        evidence: sha256 hex digests of the evidence considered; empty only for UNKNOWN
            or for gates that judge the log's own entries.
    """

    outcome: Outcome
    reason_code: str
    reason: str
    evidence: tuple[str, ...] = ()


def passed(reason: str) -> Verdict:
    """Return PASSED with `reason`."""
    return Verdict(outcome=Outcome.PASSED, reason_code="passed", reason=reason)


def warned(reason_code: str, reason: str) -> Verdict:
    """Return WARNED: true, unusual, and in need of a waiver by both parties."""
    return Verdict(outcome=Outcome.WARNED, reason_code=reason_code, reason=reason)


def failed(reason_code: str, reason: str) -> Verdict:
    """Return FAILED on the clause named `reason_code`."""
    return Verdict(outcome=Outcome.FAILED, reason_code=reason_code, reason=reason)


def unknown(reason_code: str, reason: str) -> Verdict:
    """Return UNKNOWN: nothing was looked at, or it could not be understood."""
    return Verdict(outcome=Outcome.UNKNOWN, reason_code=reason_code, reason=reason)


def calculate_decision_outcome(outcomes: Iterable[Outcome]) -> DecisionOutcome:
    """Join gate outcomes: any FAILED is NO-GO; else any UNKNOWN or WARNED is HOLD; else GO.

    Pure; order does not matter. A waived WARNED must be handed in as PASSED. No outcome at all is HOLD.
    """
    seen = frozenset(outcomes)
    if Outcome.FAILED in seen:
        return DecisionOutcome.NO_GO
    return DecisionOutcome.GO if seen == {Outcome.PASSED} else DecisionOutcome.HOLD
