"""The conflict check against enumeration: small universes, every question of each, before and after a write.

One case is one universe. The pairs found are exactly those that enumeration finds, and each has a witness
that decides. Four of five are `crossing_worlds`, written to a store and taken back: what a check reads of it
must lead to the same pairs and never be `truncated`; with the narrow bounds of every third one, to no others,
and to all unless it says so. The fifth is random, and the search is shown everything, in several orders.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from memorykernel import default_release, open_kernel
from memorykernel.ports import Memory

from benchmarks.campaigns.outcome import Outcome
from packages.memorykernel.tests.conflict_worlds import compare_crossing
from packages.memorykernel.tests.core_v4.test_conflict import compare

_APART = 10_000_000
"""Between the universes of one seed and those of the next."""


def run(count: int, seed: int) -> Outcome:
    """Check so many writes."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="conflicts-") as folder:
        kernel = open_kernel(Path(folder) / "memory.db", default_release("service.v4"))
        kernel.schema_care.migrate(dry_run=False)
        found, wrong = _compare(kernel.asking.memory, range(seed * _APART, seed * _APART + count))
        kernel.file.close()
    return Outcome(
        campaign="conflicts",
        seed=seed,
        count=count,
        numbers={"writes with a conflict": sum(pairs > 0 for pairs in found), "pairs": sum(found)},
        wrong=tuple(wrong),
        seconds=time.perf_counter() - begun,
    )


def _compare(memory: Memory, numbers: range) -> tuple[list[int], list[str]]:
    wrong: list[str] = []
    found: list[int] = []
    for number in numbers:
        try:
            found.append(compare_crossing(memory, number)[0] if number % 5 else compare(number))
        except AssertionError as error:
            wrong.append(f"universe {number}: {error}")
    return found, wrong
