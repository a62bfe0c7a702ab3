"""Whether a record has the power to supersede another, before it is written that it does.

Rulesets pass over a powerless link (`activity_v2`), so that published stores keep what they hold; service.v4
refuses to write one, because its writer means something that would not happen.
"""

from __future__ import annotations

from typing import Protocol

from memorykernel.core.vocabulary import AUTHORITY_RANK, Authority, TruthStatus
from memorykernel.errors import WriteConflict


class Ranked(Protocol):
    """What power depends on: records and candidates both have it."""

    @property
    def memory_version_id(self) -> str:
        """The version's id."""
        ...

    @property
    def authority(self) -> Authority:
        """How much the record's source binds."""
        ...

    @property
    def truth_status(self) -> TruthStatus:
        """How the writer came to hold the record true."""
        ...


def explain_refusal(new: Ranked, target: Ranked) -> str | None:
    """Say why a link from `new` to `target` would supersede nothing, at no time; None when it would.

    A maker that is not yet in effect, or has expired, is no reason: the first has power later, and
    the second has had it.
    """
    if new.memory_version_id == target.memory_version_id:
        return "a version cannot supersede itself"
    if new.truth_status is TruthStatus.RETRACTED:
        return f"{new.memory_version_id} is retracted, and what is retracted supersedes nothing"
    if AUTHORITY_RANK[new.authority] < AUTHORITY_RANK[target.authority]:
        return (
            f"{new.memory_version_id} has authority {new.authority},"
            f" which cannot supersede {target.memory_version_id} of authority {target.authority}"
        )
    return None


def require_power(new: Ranked, target: Ranked) -> None:
    """Refuse a link that would supersede nothing.

    Raises:
        WriteConflict: With the reason, and the target in its details.
    """
    reason = explain_refusal(new, target)
    if reason is not None:
        raise WriteConflict(
            f"{reason}; write it with at least the authority of its target, or link it as 'contradicts'",
            {"field": "supersedes", "memory_version_id": target.memory_version_id},
        )
