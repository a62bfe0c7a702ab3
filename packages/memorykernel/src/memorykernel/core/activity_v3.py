"""Which records count under the v3 rulesets: as under v2, and not expired.

The law of `activity_v2` holds, with two additions: a record counts from its effective_at up to, and not
including, its expires_at; and an expired superseder still supersedes, because supersession is about history
and expiry about effect. So a record counts during one span of time, or never: `find_span` gives it whole,
`judge_standing_v3` explains one instant of it, and both always agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from memorykernel.core.activity_v2 import Claims, judge_standing
from memorykernel.core.evidence import Candidate, Supersession
from memorykernel.core.vocabulary import AUTHORITY_RANK, TruthStatus

FOREVER: Final = 2**63 - 1
"""The end of what has no end; later than every instant that can be written."""


class ExclusionV3(StrEnum):
    """Why a record does not count; the values are the names in the trace and in `exclusions`."""

    NOT_IN_EFFECT = "not in effect"
    EXPIRED = "expired"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"
    NO_MEMBERSHIP = "membership does not count"


RECORD_EXCLUSIONS: Final = tuple(each for each in ExclusionV3 if each is not ExclusionV3.NO_MEMBERSHIP)
"""The reasons that lie in a record itself, which is all of them for a recall."""


class StandingV3(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a record counts, and every reason worth telling."""

    exclusion: ExclusionV3 | None
    reasons: tuple[str, ...]


_STANDS: Final = StandingV3(exclusion=None, reasons=())


class Span(NamedTuple):
    """The instants from `start` up to, and not including, `end`, in microseconds since 1970 UTC."""

    start: int
    end: int


def judge_standing_v3(candidate: Candidate, claims: Claims, as_of_us: int) -> StandingV3:
    """Say whether a record counts at a time, by itself: whether its scope matches is not asked.

    Args:
        candidate: The record.
        claims: From `activity_v2.group_claims`.
        as_of_us: The time that the question is asked for.
    """
    expires = candidate.expires_at_us
    if candidate.effective_at_us <= as_of_us:
        if expires is not None and expires <= as_of_us:
            return StandingV3(exclusion=ExclusionV3.EXPIRED, reasons=("expires_at is not later than as_of",))
        if candidate.memory_version_id not in claims and candidate.truth_status is not TruthStatus.RETRACTED:
            return _STANDS
    standing = judge_standing(candidate, claims, as_of_us)
    exclusion = None if standing.exclusion is None else ExclusionV3(standing.exclusion.value)
    return StandingV3(exclusion=exclusion, reasons=standing.reasons)


def find_span(candidate: Candidate, claims: Claims) -> Span | None:
    """The time during which a record counts by itself; None when it never does."""
    if candidate.truth_status is TruthStatus.RETRACTED:
        return None
    end = FOREVER if candidate.expires_at_us is None else candidate.expires_at_us
    for claim in claims.get(candidate.memory_version_id, ()):
        if has_power(claim, candidate):
            end = min(end, claim.effective_at_us)
    return Span(candidate.effective_at_us, end) if candidate.effective_at_us < end else None


def has_power(claim: Supersession, target: Candidate) -> bool:
    """Say whether a claim supersedes its target, once it is in effect."""
    return (
        claim.superseder_id != target.memory_version_id
        and claim.truth_status is not TruthStatus.RETRACTED
        and AUTHORITY_RANK[claim.authority] >= AUTHORITY_RANK[target.authority]
    )


def count_by_reason(
    exclusions: Iterable[ExclusionV3 | None], reasons: Iterable[ExclusionV3] = ExclusionV3
) -> dict[str, int]:
    """How many records do not count, with every reason of the ruleset named."""
    counts = {each.value: 0 for each in reasons}
    for exclusion in exclusions:
        if exclusion is not None:
            counts[exclusion.value] += 1
    return counts


def describe_counts(by_reason: Mapping[str, int]) -> str:
    """The trace line of `count_by_reason`."""
    return f"exclude: {', '.join(f'{reason} {count}' for reason, count in by_reason.items())}"
