"""The conflict check against enumeration: small universes, every question of each, before and after a write.

One case is what the tests call `compare(seed)`: the pairs found are exactly those that enumeration finds,
each has a witness that decides, and neither the order of the evidence nor the caller changes what is found.
Then the universe is written to a store, and what a check reads of it must lead to the same pairs; with the
narrow bounds of every third one, to no others, and to all unless it says `truncated`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from memorykernel import default_release, open_kernel
from memorykernel.ports import Memory

from benchmarks.campaigns.outcome import Outcome
from packages.memorykernel.tests.conflict_worlds import NARROW, WIDE, compare_in_store
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
            found.append(compare(number))
            compare_in_store(memory, number, WIDE if number % 3 else NARROW)
        except AssertionError as error:
            wrong.append(f"universe {number}: {error}")
    return found, wrong
