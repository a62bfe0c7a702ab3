"""`python -m benchmarks.campaigns NAME --count N --seed S`: run a campaign and print what came of it.

A campaign is a module of this folder with `run(count: int, seed: int) -> Outcome`; its name is the module's,
with hyphens. Exit code 0 when every case was right, 1 when one was not.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Annotated

import msgspec
import typer

import benchmarks.campaigns
from benchmarks.campaigns.outcome import Outcome

_NOT_CAMPAIGNS = frozenset(
    {
        "__main__",
        "dealt",
        "digests",
        "fuzz_mutations",
        "fuzz_odd",
        "fuzz_valid",
        "fuzz_wire",
        "kills_load",
        "outcome",
    }
)


_SHOWN = 20
"""How many of the cases that were wrong are printed; one cause can have thousands."""


def discover() -> list[str]:
    """The names of the campaigns of this folder, sorted."""
    found = {module.name for module in pkgutil.iter_modules(benchmarks.campaigns.__path__)}
    return sorted(name.replace("_", "-") for name in found - _NOT_CAMPAIGNS)


def campaign(
    name: Annotated[str, typer.Argument(help="Which one; 'list' prints their names.")],
    count: Annotated[int, typer.Option(min=1, help="How many cases.")] = 1000,
    seed: Annotated[int, typer.Option(help="Where chance begins.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run a campaign."""
    if name == "list":
        sys.stdout.write("".join(f"{each}\n" for each in discover()))
        return
    if name not in discover():
        raise typer.BadParameter(f"no campaign {name}, expected one of {', '.join(discover())}")
    module = importlib.import_module(f"benchmarks.campaigns.{name.replace('-', '_')}")
    outcome: Outcome = module.run(count, seed)
    if as_json:
        shown = {
            **msgspec.to_builtins(outcome),
            "wrong": len(outcome.wrong),
            "examples": outcome.wrong[:_SHOWN],
        }
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n")
    else:
        counts = {"seed": seed, "count": outcome.count, **outcome.numbers, "wrong": len(outcome.wrong)}
        sys.stdout.write("".join(f"{key:<28}{value:>12,}\n" for key, value in counts.items()))
        sys.stdout.write("".join(f"wrong: {each}\n" for each in outcome.wrong[:_SHOWN]))
    raise typer.Exit(code=1 if outcome.wrong else 0)


if __name__ == "__main__":
    typer.run(campaign)
