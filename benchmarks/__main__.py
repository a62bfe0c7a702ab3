"""`python -m benchmarks`: this run's limits first, then every benchmark, one after the other.

Results on stdout as a table (or JSON), progress on stderr, everything in `build/bench.json`. Speeds are
goals: a missed one is shown with how far off it is and does not fail the run. A benchmark that could not
run does: exit 1.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec
import typer
from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.limit import Limits, load_limits
from benchmarks.report import Row, calculate_ratio, describe_verdict, read_row, sum_limits

OUTPUT: Final = Path("build/bench.json")
_PIPED_WIDTH: Final = 240
_NOT_BENCHMARKS: Final = frozenset({"__main__", "limit", "report"})


class Benchmark(Protocol):
    """What a module of this folder offers."""

    def run(self, data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
        """Measure and return rows; see `benchmarks.report`."""
        ...


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one benchmark came to.

    Args:
        rows: Its rows; empty when it failed.
        seconds: How long it took.
        error: Why it could not run; None when it did.
    """

    name: str
    rows: tuple[Row, ...]
    seconds: float
    error: str | None = None


def discover() -> list[str]:
    """Return the names of the benchmarks of this folder, sorted."""
    modules = pkgutil.iter_modules(benchmarks.__path__)
    return sorted({module.name for module in modules if not module.ispkg} - _NOT_BENCHMARKS)


def load(names: list[str]) -> dict[str, Benchmark]:
    """Import benchmarks by name, in the order given."""
    return {name: importlib.import_module(f"benchmarks.{name}") for name in names}


def run_all(
    modules: Mapping[str, Benchmark], *, data_dir: Path | None, quick: bool, progress: Console
) -> list[Result]:
    """Run benchmarks one after the other; one that fails does not end the others."""
    results = []
    for number, (name, module) in enumerate(modules.items(), start=1):
        progress.print(f"[{number}/{len(modules)}] {name} ...", markup=False, highlight=False)
        results.append(_run_one(name, module, data_dir, quick))
        done = results[-1]
        progress.print(
            f"[{number}/{len(modules)}] {name}: {done.error or f'{len(done.rows)} values'}, "
            f"{done.seconds:.1f} s",
            markup=False,
            highlight=False,
        )
    return results


def _run_one(name: str, module: Benchmark, data_dir: Path | None, quick: bool) -> Result:
    begun = time.perf_counter()
    try:
        rows = tuple(map(read_row, module.run(data_dir, quick)))
    except Exception as exc:  # noqa: BLE001 - the others still have something to say
        error = f"{type(exc).__name__}: {exc}"
        return Result(name=name, rows=(), seconds=time.perf_counter() - begun, error=error)
    return Result(name=name, rows=rows, seconds=time.perf_counter() - begun)


def build_document(limits: Limits, results: list[Result], *, quick: bool) -> dict[str, object]:
    """Return what `build/bench.json` holds: the machine, the limits, and rows with their verdicts."""
    rows = [
        {
            "benchmark": result.name,
            **msgspec.to_builtins(row),
            "limit_sum": sum_limits(row),
            "ratio": calculate_ratio(row),
            "verdict": describe_verdict(row),
        }
        for result in results
        for row in result.rows
    ]
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "limits": msgspec.to_builtins(limits),
        "rows": rows,
        "failed": {result.name: result.error for result in results if result.error},
    }


def render_table(results: list[Result], limits: Limits, console: Console) -> None:
    """Print the rows with value, limit, ratio, goal and verdict."""
    table = Table(title="benchmarks", title_justify="left", box=None, pad_edge=False)
    for heading, justify in (("what", "left"), ("value", "right"), ("limits", "left"), ("ratio", "right")):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    table.add_column("goal")
    table.add_column("verdict")
    for row in (row for result in results for row in result.rows):
        table.add_row(*_cells(row))
    console.print(table)
    console.print(
        f"this run: fdatasync of 4 KiB {limits.fdatasync_ms:.3f} ms, loopback round trip "
        f"{limits.loopback_ms:.3f} ms, git update-ref {limits.update_ref_ms:.2f} ms (medians)",
        highlight=False,
    )
    for result in results:
        if result.error:
            console.print(f"{result.name} could not run: {result.error}", markup=False, highlight=False)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = calculate_ratio(row)
    made_of = ", ".join(f"{name} {value:.4g}" for name, value in row.limit.items())
    return (
        row.name,
        f"{row.value:.4g} {row.unit}",
        made_of or "-",
        "-" if ratio is None else f"{ratio:.2f}",
        "-" if row.goal is None else str(row.goal),
        describe_verdict(row),
    )


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer samples; to see that all runs.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Run this benchmark only; repeatable.")] = None,
    data: Annotated[Path | None, typer.Option(help="Collections to search in, if there are any.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document instead of the table.")] = False,
) -> None:
    """Measure the limits of this machine, then run the benchmarks."""
    found = discover()
    if unknown := set(only or ()) - set(found):
        raise typer.BadParameter(f"no benchmark {', '.join(sorted(unknown))}, expected {', '.join(found)}")
    progress = Console(stderr=True)
    progress.print("measuring this run's limits ...", highlight=False)
    limits = load_limits()
    results = run_all(load(only or found), data_dir=data, quick=quick, progress=progress)
    document = msgspec.json.format(
        msgspec.json.encode(build_document(limits, results, quick=quick)), indent=2
    )
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(document + b"\n")
    if as_json:
        sys.stdout.write(document.decode() + "\n")
    else:
        render_table(results, limits, Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH))
        progress.print(f"written to {OUTPUT}", highlight=False)
    raise typer.Exit(code=1 if any(result.error for result in results) else 0)


if __name__ == "__main__":
    typer.run(bench)
