"""The short form of the campaign: every flipped bit is found and located, or has no effect."""

from __future__ import annotations

import pytest

from benchmarks.campaigns.__main__ import discover
from benchmarks.campaigns.bit_flips import run


def test_the_campaign_is_offered() -> None:
    assert "bit-flips" in discover()
    assert "outcome" not in discover()


def test_three_hundred_flips_are_found_or_have_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(300, seed=11)
    numbers = outcome.numbers
    with capsys.disabled():
        shown = {name: numbers[name] for name in ("found", "located", "without effect")}
        print(
            f"\nbit flips: seed 11, count 300, {shown}, wrong {len(outcome.wrong)}, {outcome.seconds:.1f} s"
        )
    assert outcome.wrong == ()
    assert numbers["found"] == numbers["located"]
    assert numbers["found"] + numbers["without effect"] == outcome.count
    assert numbers["found"] > 100
