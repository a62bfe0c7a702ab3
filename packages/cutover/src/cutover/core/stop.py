"""What stops a move: the rules for one exchange with an open release, and for one draft.

Deterministic: the first breach stops; only deadlines are counted, because one slow reply breaks no
contract. Each rule returns the reason in one line, or None.
Source: cutover-program, "Stop conditions" 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from contracts.core.envelope import Breach


class Failure(StrEnum):
    """Why no complete reply came from a release."""

    REFUSED = "refused"
    RESET = "reset"
    CUT = "cut"
    GARBAGE = "garbage"
    TOO_LARGE = "too-large"
    TIMEOUT = "timeout"


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one request sent to an open release.

    Args:
        release_tag: Which release.
        route: Method and path template, as `POST /v1/query/ask`.
        status: Of a complete reply; None when there was none.
        breaches: Ways in which a complete reply breaks the pinned policy.
        failure: Why there was no complete reply; None when there was.
    """

    release_tag: str
    route: str
    status: int | None = None
    breaches: Sequence[Breach] = ()
    failure: Failure | None = None

    @property
    def is_breaking(self) -> bool:
        """Whether the reply may not reach the client."""
        return bool(self.breaches) or self.failure is not None


def check_exchange(exchange: Exchange, *, timeouts: int, max_timeouts: int) -> str | None:
    """Return why this exchange stops a move to its release, or None. Pure.

    Args:
        exchange: What came back.
        timeouts: How many deadlines this release has missed since its route was opened, this one included.
        max_timeouts: With how many it is over.
    """
    where = f"{exchange.release_tag} {exchange.route}"
    if exchange.breaches:
        first = exchange.breaches[0]
        return f"{where} answered {exchange.status} with {first.code} at {first.field}: {first.detail}"
    if exchange.failure is Failure.TIMEOUT:
        return f"{where} missed its deadline {timeouts} times" if timeouts >= max_timeouts else None
    return f"{where} gave no complete reply: {exchange.failure}" if exchange.failure else None


class DraftSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One draft as its reader got it.

    Args:
        delivered: A complete draft came.
        elapsed_s: Seconds from request to complete reply, or to giving up.
        sha256: Of the draft as received; None when none came.
        reference_sha256: Of the same ticket's draft with enrichment off.
    """

    ticket_id: str
    delivered: bool
    elapsed_s: float
    sha256: str | None
    reference_sha256: str


def check_draft(draft: DraftSeen, *, deadline_s: float) -> str | None:
    """Return why this draft is a fallback regression, or None. Pure; bytes come before time."""
    if not draft.delivered or draft.sha256 is None:
        return f"the draft of {draft.ticket_id} was not delivered"
    if draft.sha256 != draft.reference_sha256:
        return f"the draft of {draft.ticket_id} differs from the one made with enrichment off"
    if draft.elapsed_s > deadline_s:
        return f"the draft of {draft.ticket_id} took {draft.elapsed_s:.3f} s, expected at most {deadline_s} s"
    return None
