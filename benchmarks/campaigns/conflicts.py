"""The conflict check against enumeration: small universes, every question of each, before and after a write.

One case is what the tests call `compare(seed)`: the pairs found are exactly those that enumeration finds,
each has a witness that decides, and neither the order of the evidence nor the caller changes what is found.
"""

from __future__ import annotations

import time

from benchmarks.campaigns.outcome import Outcome
from packages.memorykernel.tests.core_v4.test_conflict import compare

_APART = 10_000_000
"""Between the universes of one seed and those of the next."""


def run(count: int, seed: int) -> Outcome:
    """Check so many writes."""
    begun = time.perf_counter()
    wrong: list[str] = []
    found: list[int] = []
    for number in range(seed * _APART, seed * _APART + count):
        try:
            found.append(compare(number))
        except AssertionError as error:
            wrong.append(f"universe {number}: {error}")
    return Outcome(
        campaign="conflicts",
        seed=seed,
        count=count,
        numbers={"writes with a conflict": sum(pairs > 0 for pairs in found), "pairs": sum(found)},
        wrong=tuple(wrong),
        seconds=time.perf_counter() - begun,
    )
