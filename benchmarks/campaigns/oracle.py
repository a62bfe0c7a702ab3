"""Random worlds, each answered by every ruleset and by the naive specification of the tests: they must agree.

The specifications were written from the contract's text, have loops where the resolvers have keys, and share
no code with them. A case is one world and one question under one ruleset; each ruleset gets `count` of them.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from memorykernel.core.context_package import ContextPackage
from memorykernel.core.ordering_v1 import resolve_policy_v1
from memorykernel.core.ordering_v2 import resolve_policy_v2
from memorykernel.core.ordering_v3 import resolve_policy_v3
from memorykernel.core.recall_ordering_v3 import resolve_recall_v3
from memorykernel.core.recall_search import BOUNDS

from benchmarks.campaigns.dealt import deal_published, deal_question, deal_summaries, deal_universe
from benchmarks.campaigns.outcome import Outcome
from packages.memorykernel.tests.core_v4.naive_recall import spec_pages
from packages.memorykernel.tests.core_v4.naive_spec import spec_answer
from packages.memorykernel.tests.core_v4.small_world import SECOND
from packages.memorykernel.tests.core_v4.test_ordering_v3 import compare_validity
from packages.memorykernel.tests.core_v4.test_recall_v3 import SMALL, TEXT, evidence, recall
from packages.memorykernel.tests.test_policy_rulesets import QUESTION, spec_v1, spec_v2

Said = tuple[str, list[str], list[str]]
"""Result, selected ids in order, excluded ids in order."""

_SELECTED, _EXCLUDED = 50, 20
"""How many of each a package of a later ruleset shows; those of ordering.v1 show all."""


def run(count: int, seed: int) -> Outcome:
    """Compare so many worlds for each ruleset."""
    begun = time.perf_counter()
    wrong: list[str] = []
    results: Counter[str] = Counter()
    for ruleset, compare in COMPARE.items():
        for number in range(count):
            case = f"{seed}/{ruleset}/{number}"
            said, expected = compare(random.Random(case))
            results[f"{ruleset}: {said[0]}"] += 1
            if said != expected:
                wrong.append(f"{case}: expected {expected}, got {said}")
    return Outcome(
        campaign="oracle",
        seed=seed,
        count=count,
        numbers={"cases": count * len(COMPARE), **dict(sorted(results.items()))},
        wrong=tuple(wrong),
        seconds=time.perf_counter() - begun,
    )


def _compare_v1(dice: random.Random) -> tuple[Said, Said]:
    universe = deal_published(dice)
    result, selected, excluded = spec_v1(universe)
    package = resolve_policy_v1(QUESTION, universe.evidence())
    return _read(package), (result, selected, [each for each, _ in excluded])


def _compare_v2(dice: random.Random) -> tuple[Said, Said]:
    universe = deal_published(dice)
    return _read(resolve_policy_v2(QUESTION, universe.evidence())), _bound(*spec_v2(universe))


def _compare_v3(dice: random.Random) -> tuple[Said, Said]:
    universe, question = deal_universe(dice), deal_question(dice)
    spec = spec_answer(universe, question)
    said = _read(resolve_policy_v3(question, universe.evidence()))
    expected = _bound(spec.result, spec.selected, [each for each, _ in spec.excluded])
    try:
        compare_validity(universe, question)
    except AssertionError:
        return said, ("another holds_until", *expected[1:])
    return said, expected


def _compare_recall_v3(dice: random.Random) -> tuple[Said, Said]:
    """All pages: of a search that finds everything, or of one that is cut wherever it can be."""
    universe, as_of_us = deal_summaries(dice), dice.randint(0, 12) * SECOND
    bounds = dice.choice((BOUNDS, SMALL))
    shown = evidence(universe, bounds=bounds, as_of_us=as_of_us)
    said: Said = ("inconclusive", [], [])
    expected: Said = ("inconclusive", [], [])
    cursor: str | None = None
    for page in spec_pages(universe, TEXT, as_of_us, bounds):
        package = resolve_recall_v3(recall(as_of_us=as_of_us, cursor=cursor), shown, bounds)
        said = _join(said, _read(package))
        expected = _join(expected, _bound("inconclusive", page.selected, [each for each, _ in page.excluded]))
        cursor = package.next_cursor or None
        if (cursor is None) != (page.last is None):
            return said, ("another number of pages", *expected[1:])
    return said, expected


def _join(before: Said, page: Said) -> Said:
    return page[0], [*before[1], *page[1]], [*before[2], *page[2]]


def _read(package: ContextPackage) -> Said:
    items = package.selected_items, package.excluded_items
    selected, excluded = ([item.memory_version_id for item in each] for each in items)
    return package.answer.result, selected, excluded


def _bound(result: str, selected: list[str], excluded: list[str]) -> Said:
    # What does not fit among the selected is shown behind what is excluded by a reason of its own.
    return result, selected[:_SELECTED], excluded[:_EXCLUDED]


COMPARE: Final[dict[str, Callable[[random.Random], tuple[Said, Said]]]] = {
    "ordering.v1": _compare_v1,
    "ordering.v2": _compare_v2,
    "ordering.v3": _compare_v3,
    "recall-ordering.v3": _compare_recall_v3,
}
"""What gives the answer and the specification's, by ruleset."""
