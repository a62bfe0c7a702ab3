"""The short form of the campaign: same bytes in any order, process, hash seed and store."""

from __future__ import annotations

from benchmarks.campaigns import determinism
from benchmarks.campaigns.digests import Rules


def test_the_bytes_are_the_same_everywhere() -> None:
    outcome = determinism.run(400, seed=11)
    assert outcome.wrong == ()
    assert outcome.numbers["by rulesets, 3 processes"] == 320
    assert outcome.numbers["by stores, 2 x 2 processes"] == 80


def test_processes_that_do_not_agree_are_noticed() -> None:
    lines = determinism.run_processes([Rules(seed=1, count=50), Rules(seed=2, count=50)])
    assert len(lines) == 50
    assert sum(one != other for one, other in lines) > 40
