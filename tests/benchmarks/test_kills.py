"""Short forms of the campaigns about sudden ends, and that a loss would be noticed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.campaigns import kills, power_cuts
from benchmarks.campaigns.bit_flips import make_database
from benchmarks.campaigns.kills_load import Acknowledged


def test_nothing_acknowledged_is_lost_by_kills() -> None:
    outcome = kills.run(4, seed=11)
    assert outcome.wrong == ()
    assert outcome.numbers["acknowledged answers"] > 0
    assert outcome.numbers["acknowledged records"] > 0


def test_what_is_lost_or_differs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    make_database(path)
    assert kills.inspect(path, Acknowledged()) == []
    claimed = Acknowledged(records=["r"], links=[("a", "b", "supersedes")], answers={"x": b"{}"})
    lost = kills.inspect(path, claimed)
    assert lost == ["record r is lost", "link ('a', 'b', 'supersedes') is lost", "answer x is lost"]
    path.write_bytes(path.read_bytes().replace(b"rule 7", b"rule 8", 1))
    assert any(each.startswith("integrity: ") for each in kills.inspect(path, Acknowledged()))
    assert kills.inspect(tmp_path / "none.db", claimed) == ["the database is gone"]


def test_power_cuts_lose_nothing_acknowledged() -> None:
    outcome = power_cuts.run(60, seed=11)
    assert outcome.wrong == ()
    assert outcome.numbers["acknowledged before a cut, summed"] > 0
