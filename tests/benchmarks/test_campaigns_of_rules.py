"""Short forms of the campaigns about rules: every case is right, and a wrong resolver would be noticed."""

from __future__ import annotations

import random

import pytest

from benchmarks.campaigns import conflicts, oracle
from benchmarks.campaigns.__main__ import discover


def test_the_campaigns_are_offered_and_what_they_share_is_not() -> None:
    offered = {"bit-flips", "conflicts", "determinism", "fuzz", "kills", "oracle"}
    assert offered <= set(discover())
    assert not {"dealt", "digests", "fuzz-mutations", "fuzz-odd", "fuzz-valid", "fuzz-wire"} & set(discover())


def test_every_ruleset_answers_as_its_specification_says() -> None:
    outcome = oracle.run(400, seed=11)
    assert outcome.wrong == ()
    assert outcome.numbers["cases"] == 1600
    for ruleset in ("ordering.v1", "ordering.v2", "ordering.v3"):
        for result in ("allow", "deny", "inconclusive"):
            assert outcome.numbers[f"{ruleset}: {result}"] > 10


def test_a_resolver_that_answers_otherwise_is_noticed() -> None:
    """The worlds of ordering.v1, answered by ordering.v2."""
    differing = 0
    for number in range(100):
        said, _ = oracle.COMPARE["ordering.v2"](random.Random(number))
        _, expected = oracle.COMPARE["ordering.v1"](random.Random(number))
        differing += said != expected
    assert differing > 10


@pytest.mark.parametrize("seed", [11])
def test_conflicts_are_those_that_enumeration_finds(seed: int) -> None:
    outcome = conflicts.run(300, seed=seed)
    assert outcome.wrong == ()
    assert outcome.numbers["writes with a conflict"] > 5
