"""The parts of the decision record: plain values, ready to be shown.

Source: cutover-program, "The decision record".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from cutover.core.decision import GateResult


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Signature(_Part, frozen=True, kw_only=True):
    """Whose key signed, and when."""

    name: str
    party: str
    keyid: str
    at: datetime


class OutcomeLine(_Part, frozen=True, kw_only=True):
    """One of the two decisions; `outcome` is NOT DECIDED when nobody computed it."""

    title: str
    outcome: str
    digest: str
    decided_at: datetime | None
    expires_at: datetime | None
    recomputes: bool | None
    approvals: tuple[Signature, ...]
    reasons: tuple[str, ...]


class WindowLine(_Part, frozen=True, kw_only=True):
    """What may be switched to, when, and what a rollback returns to."""

    target: Mapping[str, str]
    rollback_target: Mapping[str, str]
    not_before: datetime
    opens_at: datetime
    closes_at: datetime
    notice_days: float
    overlap_days: float


class RoleLine(_Part, frozen=True, kw_only=True):
    """A role and who holds it; `problem` says why it is not resolved."""

    title: str
    party: str
    holder: str
    contact: str
    keyid: str
    acknowledged_at: datetime | None
    problem: str | None


class InputLine(_Part, frozen=True, kw_only=True):
    """Something the decision rests on, by digest."""

    name: str
    digest: str
    by: Signature


class MoveLine(_Part, frozen=True, kw_only=True):
    """A way back, measured; times in milliseconds since the stop was observed.

    Args:
        decided_ms, routed_ms, first_baseline_reply_ms: None when no applied answer was seen again.
    """

    operation: str
    attempt: int
    condition: str
    reason: str
    observed_at: datetime
    decided_ms: float
    routed_ms: float
    first_baseline_reply_ms: float | None
    requests_at_risk: int
    counts: Mapping[str, int]


class CompletionLine(_Part, frozen=True, kw_only=True):
    """One sentence of the completion evidence, and whether the log shows it."""

    text: str
    is_shown: bool
    fact: str


class StopLine(_Part, frozen=True, kw_only=True):
    """A stop that was said."""

    condition: str
    reason: str
    observed_at: datetime
    by: Signature


class Record(_Part, frozen=True, kw_only=True):
    """The decision record."""

    program: str
    phase_name: str
    scope: str
    owner: str
    updated_at: datetime | None
    outcomes: tuple[OutcomeLine, ...]
    window: WindowLine
    roles: tuple[RoleLine, ...]
    inputs: tuple[InputLine, ...]
    gates_of: str
    gates: tuple[GateResult, ...]
    stops: tuple[StopLine, ...]
    moves: tuple[MoveLine, ...]
    completion: tuple[CompletionLine, ...]
    status: str
    phase: str
    posture: str
    why: tuple[str, ...]
    log_size: int
    log_head: str
