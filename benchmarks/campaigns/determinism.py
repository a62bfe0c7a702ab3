"""The same evidence gives the same bytes: in any order, process, hash seed and store.

Four of five cases are small worlds answered by a ruleset, in three processes: as dealt, and twice with the
evidence shuffled and another `PYTHONHASHSEED`. The fifth is a question to SQLite and to PostgreSQL after the
same writes, with stored answers read back, in two processes with hash seeds of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.campaigns.digests import Rules, Stores
from benchmarks.campaigns.outcome import Outcome
from packages.memorykernel.tests.postgres_cluster import running_cluster
from packages.memorykernel.tests.store_worlds import QUESTIONS_PER_WORLD, WORLDS_PER_STORE

_CHECKOUT: Final = Path(__file__).parents[2]
_SHARE: Final = 5
_HASH_SEEDS: Final = ("0", "1", "4294967295")


def run(count: int, seed: int) -> Outcome:
    """Compare so many cases."""
    begun = time.perf_counter()
    stored = count // _SHARE
    rules = compare_rules(count - stored, seed)
    stores = compare_in_stores(stored, seed) if stored else []
    return Outcome(
        campaign="determinism",
        seed=seed,
        count=count,
        numbers={
            "by rulesets, 3 processes": count - stored,
            "by stores, 2 x 2 processes": stored,
            "differing": len(rules) + len(stores),
        },
        wrong=tuple(rules + stores),
        seconds=time.perf_counter() - begun,
    )


def compare_rules(count: int, seed: int) -> list[str]:
    """The cases of which two processes give other bytes."""
    shuffles = (None, 1, 2)
    lines = run_processes([Rules(seed=seed, count=count, shuffle=each) for each in shuffles])
    short = [] if len(lines) == count else [f"expected {count} cases, got {len(lines)}"]
    return short + [f"{seed}/{number}: {each}" for number, each in enumerate(lines) if len(set(each)) != 1]


def compare_in_stores(count: int, seed: int) -> list[str]:
    """What differs between stores or between processes."""
    databases = -(-count // (QUESTIONS_PER_WORLD * WORLDS_PER_STORE))
    with running_cluster() as server:
        schemas = [tuple(server.make_schema() for _ in range(databases)) for _ in range(2)]
        lines = run_processes([Stores(seed=seed, count=count, schemas=each) for each in schemas])
    differing = [said for each in lines for said in each if said is None or said.startswith("differs")]
    return [f"{seed}: {each}" for each in lines if len(set(each)) != 1] + [str(each) for each in differing]


def run_processes(jobs: Sequence[Rules | Stores]) -> list[tuple[str | None, ...]]:
    """Run each job in a process with a hash seed of its own; what they say, line beside line."""
    with tempfile.TemporaryDirectory(prefix="determinism-") as folder:
        outputs = [Path(folder) / str(number) for number in range(len(jobs))]
        started = [
            _start(job, output, hash_seed)
            for job, output, hash_seed in zip(jobs, outputs, _HASH_SEEDS, strict=False)
        ]
        codes = [process.wait() for process in started]
        if any(codes):
            raise RuntimeError(f"expected every process to end with 0, got {codes}")
        return list(zip_longest(*(output.read_text().splitlines() for output in outputs)))


def _start(job: Rules | Stores, output: Path, hash_seed: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.campaigns.digests"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=file, env=environment, cwd=_CHECKOUT
        )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(job))
    process.stdin.close()
    return process
