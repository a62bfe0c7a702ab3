"""`python -m benchmarks.campaigns.digests < JOB`: one process of the campaign `determinism`.

The job, JSON on standard input, says which cases and what is different about this process; what is printed,
a line for each case, must be the same in every process.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from memorykernel.core.context_package import ContextPackage, encode_package
from memorykernel.core.ordering_v1 import resolve_policy_v1
from memorykernel.core.ordering_v2 import resolve_policy_v2
from memorykernel.core.ordering_v3 import resolve_policy_v3
from memorykernel.core.recall_ordering_v2 import resolve_recall_v2
from memorykernel.core.recall_ordering_v3 import resolve_recall_v3

from benchmarks.campaigns.dealt import deal_published, deal_question, deal_summaries, deal_universe
from packages.memorykernel.tests.core_v4.test_recall_v3 import evidence, recall
from packages.memorykernel.tests.store_worlds import Location, compare_stores
from packages.memorykernel.tests.test_policy_rulesets import QUESTION

_KINDS = 5
_DIGEST_BYTES = 16


class Rules(msgspec.Struct, frozen=True, kw_only=True, tag="rules"):
    """Answers of the rulesets; the evidence in the order that it was dealt in, or in that of `shuffle`."""

    seed: int
    count: int
    shuffle: int | None = None

    def describe(self) -> Iterator[str]:
        """A digest of each answer."""
        for number in range(self.count):
            yield hashlib.blake2b(encode_package(self._answer(number)), digest_size=_DIGEST_BYTES).hexdigest()

    def _answer(self, number: int) -> ContextPackage:
        dice = random.Random(f"{self.seed}/{number}")
        order = None if self.shuffle is None else random.Random(f"{self.shuffle}/{number}")
        match number % _KINDS:
            case 0:
                return resolve_policy_v1(QUESTION, deal_published(dice).evidence(order))
            case 1:
                return resolve_policy_v2(QUESTION, deal_published(dice).evidence(order))
            case 2:
                universe = deal_universe(dice)
                return resolve_policy_v3(deal_question(dice), universe.evidence(order))
            case other:
                summaries = deal_summaries(dice)
                shown = evidence(summaries, seed=None if order is None else order.randrange(2**32))
                return (resolve_recall_v2 if other == 3 else resolve_recall_v3)(recall(), shown)


class Stores(msgspec.Struct, frozen=True, kw_only=True, tag="stores"):
    """Random worlds on SQLite and PostgreSQL beside each other; a schema for every database."""

    seed: int
    count: int
    schemas: tuple[str, ...]

    def describe(self) -> Iterator[str]:
        """What differs between the stores, if anything does, and a digest of everything that they gave."""
        schemas = iter(self.schemas)
        with tempfile.TemporaryDirectory(prefix="determinism-") as folder:

            def make_pair() -> tuple[Location, Location]:
                schema = next(schemas)
                return Path(folder) / f"{len(list(Path(folder).iterdir()))}.db", schema

            compared = compare_stores(make_pair, cases=self.count, seed=self.seed)
        yield from (f"differs: {each!r}" for each in compared.differing)
        yield f"{compared.cases} questions, {compared.writes} writes, sha256 {compared.digest}"


def main() -> None:
    """Do what standard input says."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Rules | Stores)
    for line in job.describe():
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
