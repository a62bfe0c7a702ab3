"""What a campaign comes to."""

from __future__ import annotations

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a campaign.

    Attributes:
        campaign: Its name.
        seed: Where chance began.
        count: How many cases were run.
        numbers: What was counted, by name.
        wrong: The cases that were not right, described; empty is what is required.
        seconds: How long it took.
    """

    campaign: str
    seed: int
    count: int
    numbers: dict[str, int]
    wrong: tuple[str, ...]
    seconds: float
