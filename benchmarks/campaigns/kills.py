"""kill -9 at random points of a mixed load: what was acknowledged is there, whole, and the service is back.

Clients write constraints, memberships and links, and ask questions, some with a repeated request key, over
one or two worker processes. The server is killed with all its processes at a random point, now and then
before it is ready. The next one opens the same database, which must be sound and hold every acknowledged
record, link and answer, the answers byte for byte. It is the next to be killed; every 20 kills the
database is a new one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity

from benchmarks.campaigns.kills_load import Acknowledged, MixedLoad
from benchmarks.campaigns.outcome import Outcome

_CLIENTS: Final = 4
_KILLS_PER_DATABASE: Final = 20
_LONGEST_LOAD_S: Final = 0.6
_LONGEST_START_S: Final = 0.5
_SERVE: Final = (sys.executable, "-c", "from memorykernel.cli import main; main()", "serve")


def run(count: int, seed: int) -> Outcome:
    """Kill so many servers."""
    begun = time.perf_counter()
    tally = _Tally()
    for first in range(0, count, _KILLS_PER_DATABASE):
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            numbers = range(first, min(first + _KILLS_PER_DATABASE, count))
            _kill_again_and_again(Path(folder) / "memory.db", seed, numbers, tally)
    ready = sorted(tally.ready_s) or [0.0]
    return Outcome(
        campaign="kills",
        seed=seed,
        count=count,
        numbers={
            **dict(sorted(tally.counts.items())),
            "ready after a kill, p50 ms": round(ready[len(ready) // 2] * 1000),
            "ready after a kill, max ms": round(ready[-1] * 1000),
        },
        wrong=tuple(tally.wrong),
        seconds=time.perf_counter() - begun,
    )


class _Tally:
    """What came of the kills so far."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.ready_s: list[float] = []
        self.wrong: list[str] = []


class _Server:
    """`mk serve` with its workers, in a process group that is ours to kill."""

    def __init__(self, path: Path, workers: int) -> None:
        self.begun_s = time.perf_counter()
        options = ["--db", str(path), "--bind", "127.0.0.1:0", "--service-contract", "service.v4"]
        self.process = subprocess.Popen(
            [*_SERVE, *options, "--workers", str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_ready(self) -> tuple[str, float]:
        """Its address, and how long it took."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line)["url"].removeprefix("http://"), time.perf_counter() - self.begun_s

    def kill(self) -> None:
        """End every process of the group at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _kill_again_and_again(path: Path, seed: int, numbers: range, tally: _Tally) -> None:
    done = Acknowledged()
    for number in numbers:
        dice = random.Random(f"{seed}/{number}")
        _kill_once(path, dice, done, tally)
        tally.wrong += [f"kill {seed}/{number}: {each}" for each in inspect(path, done)]
    tally.counts.update(done.count())


def _kill_once(path: Path, dice: random.Random, done: Acknowledged, tally: _Tally) -> None:
    workers = dice.choice((1, 2))
    tally.counts[f"of {workers} worker(s)"] += 1
    server = _Server(path, workers)
    try:
        if dice.random() < 0.1:
            tally.counts["before ready or just after"] += 1
            time.sleep(dice.random() * _LONGEST_START_S)
            return
        address, seconds = server.wait_ready()
        tally.ready_s.append(seconds)
        load = MixedLoad(address, dice.random(), done, clients=_CLIENTS)
        time.sleep(dice.random() * _LONGEST_LOAD_S)
    finally:
        server.kill()
    load.join()
    tally.wrong += load.refused


def inspect(path: Path, done: Acknowledged) -> list[str]:
    """What of the acknowledged is not there, and what is damaged."""
    if not path.exists():
        return [] if not any(done.count().values()) else ["the database is gone"]
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        if "records" not in tables:
            return [] if not any(done.count().values()) else ["the tables are gone"]
        records = {row[0] for row in connection.execute("SELECT memory_version_id FROM records")}
        links = set(connection.execute("SELECT from_version_id, to_version_id, relation FROM links"))
        answers = dict(connection.execute("SELECT context_package_id, package FROM answers"))
    lost = [f"record {each} is lost" for each in done.records if each not in records]
    lost += [f"link {each} is lost" for each in done.links if each not in links]
    lost += [f"answer {key} is lost" for key in done.answers if key not in answers]
    lost += [f"answer {key} differs" for key, said in done.answers.items() if answers.get(key, said) != said]
    file = SqliteFile(path)
    report = check_integrity(file)
    file.close()
    return lost if report.ok else [*lost, f"integrity: {report}"]
