"""Which records count, under the v2 rulesets: in effect, not retracted, not superseded.

The law (wire contracts, section 2, points 1 and 4):
- A record is in effect when its effective_at is not later than as_of. That it was recorded by the
  snapshot holds for whatever the evidence contains.
- A link supersedes when its maker is in effect, is not retracted, has at least the authority of its
  target and is not the target itself. A link that does not is named, and changes nothing.

A superseded maker still supersedes: in an acyclic graph the chain above it ends in an active record
of at least its authority, so the target is superseded by an active record, directly or through the
records between. Thus one step of links decides, and a replaced rule does not come back when its
replacement is replaced. The store refuses links that close a cycle; should a damaged store hold one, all its
members are superseded, and the answer tends to inconclusive, never to a wrong effect.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from memorykernel.core.evidence import Candidate, Supersession
from memorykernel.core.vocabulary import AUTHORITY_RANK, TruthStatus

MAX_NEAREST_MISSES: Final = 20
"""How many excluded items an answer holds at most (wire contracts, section 2, point 6)."""

_MAX_NAMED: Final = 3
"""How many powerless links one item names at most: an answer stays small whatever is linked."""


class Exclusion(StrEnum):
    """Why a record does not count; the values are the names in the ordering trace."""

    NOT_IN_EFFECT = "not in effect"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a record counts, and every reason worth telling."""

    exclusion: Exclusion | None
    reasons: tuple[str, ...]


Claims = Mapping[str, tuple[Supersession, ...]]


def group_claims(claims: Iterable[Supersession]) -> Claims:
    """Collect supersession claims by the version they are about, each once, in the order of their makers."""
    grouped: defaultdict[str, list[Supersession]] = defaultdict(list)
    for claim in sorted(set(claims), key=lambda each: each.superseder_id):
        grouped[claim.superseded_id].append(claim)
    return {superseded_id: tuple(made) for superseded_id, made in grouped.items()}


def judge_standing(candidate: Candidate, claims: Claims, as_of_us: int) -> Standing:
    """Say whether a record counts at a time.

    Args:
        candidate: The record.
        claims: From `group_claims`.
        as_of_us: The time that the question is asked for.
    """
    if candidate.effective_at_us > as_of_us:
        return Standing(exclusion=Exclusion.NOT_IN_EFFECT, reasons=("effective_at is later than as_of",))
    if candidate.truth_status is TruthStatus.RETRACTED:
        return Standing(exclusion=Exclusion.RETRACTED, reasons=("truth_status is retracted",))
    made = claims.get(candidate.memory_version_id, ())
    for claim in made:
        if _find_weakness(claim, candidate, as_of_us) is None:
            reason = f"record is superseded by {claim.superseder_id}"
            return Standing(exclusion=Exclusion.SUPERSEDED, reasons=(reason,))
    return Standing(exclusion=None, reasons=_explain_powerless(made, candidate, as_of_us))


def describe_exclusions(counts: Mapping[Exclusion, int]) -> str:
    """The trace line that counts the records which do not count, reason by reason."""
    counted = ", ".join(f"{exclusion} {counts.get(exclusion, 0)}" for exclusion in Exclusion)
    return f"exclude: {counted}"


def count_exclusions(standings: Iterable[Standing]) -> Counter[Exclusion]:
    """How many records do not count, by reason."""
    return Counter(each.exclusion for each in standings if each.exclusion is not None)


def _find_weakness(claim: Supersession, target: Candidate, as_of_us: int) -> str | None:
    if claim.superseder_id == target.memory_version_id:
        return "it is the record itself"
    if claim.effective_at_us > as_of_us:
        return "it is not in effect at as_of"
    if claim.truth_status is TruthStatus.RETRACTED:
        return "it is retracted"
    if AUTHORITY_RANK[claim.authority] < AUTHORITY_RANK[target.authority]:
        return f"authority {claim.authority} is below {target.authority}"
    return None


def _explain_powerless(made: tuple[Supersession, ...], target: Candidate, as_of_us: int) -> tuple[str, ...]:
    named = tuple(
        f"not superseded by {claim.superseder_id}: {_find_weakness(claim, target, as_of_us)}"
        for claim in made[:_MAX_NAMED]
    )
    more = len(made) - len(named)
    return (*named, f"not superseded by {more} more") if more else named
