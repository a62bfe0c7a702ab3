"""The benchmark harness: limits are measured, verdicts computed, one failure does not hide the others."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.__main__ import build_document, render_table, run_all
from benchmarks.limit import Limits, measure_limits
from benchmarks.report import Row, RowRefused, Verdict, calculate_ratio, describe_verdict, judge, read_row

LIMITS = Limits(fdatasync_ms=0.2, loopback_ms=0.05, update_ref_ms=3.0)


class Fake:
    """A benchmark that returns what it is told to."""

    def __init__(self, *rows: dict[str, object]) -> None:
        self.rows = list(rows)

    def run(self, data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
        return self.rows


class Broken:
    """A benchmark that cannot run."""

    def run(self, data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
        raise OSError("no such engine")


def row(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "name": "ask, 1k records, p95",
        "value": 0.4,
        "unit": "ms",
        "limit": {"fdatasync_ms": 0.15, "loopback_ms": 0.05},
        "ratio": 2.0,
        "goal": "<= 0.5 ms",
    }
    return base | changes


def test_the_limits_of_a_machine_are_positive_medians(tmp_path: Path) -> None:
    limits = measure_limits(tmp_path, samples=5, git_samples=2)
    assert limits.fdatasync_ms > 0
    assert limits.loopback_ms > 0
    assert limits.update_ref_ms > limits.loopback_ms, "a process start costs more than a byte"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.MET),
        ({"value": 0.5}, Verdict.MET),
        ({"value": 0.6, "goal": "<= 0.3 ms"}, Verdict.MISSED),
        ({"value": 0.4, "goal": "<= 0.3 ms"}, Verdict.AT_LIMIT),
        ({"value": 400, "unit": "us", "goal": "<= 0.3 ms"}, Verdict.AT_LIMIT),
        ({"value": 0.6, "goal": "<= 0.3 ms", "limit": {}}, Verdict.MISSED),
        ({"value": 31, "unit": "drafts/s", "goal": 30, "limit": {}}, Verdict.MET),
        ({"value": 29, "unit": "drafts/s", "goal": ">= 30", "limit": {"peak": 60}}, Verdict.MISSED),
        ({"value": 1, "unit": "lost", "goal": "= 0", "limit": {"sent": 9}}, Verdict.MISSED),
        ({"goal": None}, Verdict.NO_GOAL),
    ],
)
def test_a_verdict_follows_from_value_goal_and_limits(changes: dict[str, object], verdict: Verdict) -> None:
    assert judge(read_row(row(**changes))) is verdict


def test_a_missed_goal_says_how_far_off_it_is() -> None:
    assert describe_verdict(read_row(row(value=1.0, limit={}))) == "missed, 2x off"


def test_a_missing_ratio_is_value_over_the_sum_of_the_limits() -> None:
    assert calculate_ratio(read_row(row(ratio=None))) == pytest.approx(2.0)
    assert calculate_ratio(read_row(row(ratio=None, limit={}))) is None


@pytest.mark.parametrize(
    "changes",
    [{"goal": "soon"}, {"goal": "<= 5 parrots"}, {"value": "fast"}, {"limit": {"fdatasync_ms": None}}],
)
def test_a_row_that_cannot_be_judged_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RowRefused):
        read_row(row(**changes))


def test_one_benchmark_that_fails_does_not_hide_the_others() -> None:
    progress = Console(file=io.StringIO())
    results = run_all(
        {"broken": Broken(), "mistyped": Fake({"name": "x"}), "fake": Fake(row())},
        data_dir=None,
        quick=True,
        progress=progress,
    )
    assert [(result.name, len(result.rows)) for result in results] == [
        ("broken", 0),
        ("mistyped", 0),
        ("fake", 1),
    ]
    document = build_document(LIMITS, results, quick=True)
    assert set(document["failed"]) == {"broken", "mistyped"}  # type: ignore[call-overload]  # a document of dicts
    assert document["rows"][0]["verdict"] == "met"  # type: ignore[index]  # as above


def test_the_table_shows_value_limits_ratio_goal_and_verdict() -> None:
    shown = io.StringIO()
    results = run_all(
        {"fake": Fake(row(), row(name="stop", value=30.0, limit={}, ratio=None, goal="<= 10 ms"))},
        data_dir=None,
        quick=True,
        progress=Console(file=io.StringIO()),
    )
    render_table(results, LIMITS, Console(file=shown, width=160))
    lines = shown.getvalue().splitlines()
    first = next(line for line in lines if line.startswith("ask"))
    for cell in ("0.4 ms", "fdatasync_ms 0.15", "2.00", "<= 0.5 ms", "met"):
        assert cell in first
    assert "missed, 3x off" in next(line for line in lines if line.startswith("stop"))
    assert "fdatasync of 4 KiB 0.200 ms" in shown.getvalue()


def test_rows_survive_as_records() -> None:
    assert read_row(row()) == Row(
        name="ask, 1k records, p95",
        value=0.4,
        unit="ms",
        limit={"fdatasync_ms": 0.15, "loopback_ms": 0.05},
        ratio=2.0,
        goal="<= 0.5 ms",
    )
