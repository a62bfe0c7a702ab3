"""Export, import and export again, with links: records a second each way, and whether the bytes are the same.

The limit beside each rate is what Python's JSON and SHA-256 alone manage on the same lines in the same run.

An import of 20,000 lines or more runs in two processes: one parses, checks and hashes, the other one writes.
Of 100,000 records the first takes 1.6 s of processor time, the second 2.6 s, and both about 3 s, so that the
goal needs two free processors: 31,000 to 36,000 records a second on two that were shared with little else,
24,000 to 28,000 where neighbors took more. One process made 22,000. Of 300,000 it is 25,000 to 31,000.

What remains, by the processor time of stages: in the first process digests a fifth, heads an eighth, words
and scopes a fifth, decoding and checking lines a quarter, sending rows the rest; in the second one inserting
records and entries a quarter, the lists of recall-ordering.v3 and the index of words two fifths, the other
indexes a tenth, receiving rows the rest. After the last line only the writer works: a third of the time.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.request import AddConstraint, AddRecord, AddSummary
from memorykernel.core.vocabulary import Authority, Effect, SummaryType, TruthStatus
from memorykernel.wiring import import_file, open_moving, write_export

RECORDS: Final = 100_000
QUICK_RECORDS: Final = 5_000
GOAL_PER_S: Final = 30_000
_NOW_US: Final = 1_770_556_793_500_000


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure and return rows; see `benchmarks.report`."""
    del data_dir
    count = QUICK_RECORDS if quick else RECORDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder / "a.db", count)
        export_s = _export(folder / "a.db", folder / "a.tar")
        import_s = _import(folder / "a.tar", folder / "b.db")
        _export(folder / "b.db", folder / "b.tar")
        data = (folder / "a.tar").read_bytes()
        is_same = data == (folder / "b.tar").read_bytes()
        bare = count / _measure_bare(data)
    return [
        _row(f"export, {count:,} records with links", count / export_s, bare),
        _row(f"import, {count:,} records with links", count / import_s, bare),
        {
            "name": "export, import, export: differing bundles",
            "value": 0.0 if is_same else 1.0,
            "unit": "bundles",
            "limit": {},
            "ratio": None,
            "goal": "== 0",
        },
    ]


def _row(name: str, rate: float, bare: float) -> dict[str, object]:
    return {
        "name": name,
        "value": rate,
        "unit": "records/s",
        "limit": {"JSON and SHA-256 alone": bare},
        "ratio": rate / bare,
        "goal": f">= {GOAL_PER_S}",
    }


def _export(db: Path, target: Path) -> float:
    begin = time.perf_counter()
    write_export(open_moving(db), target, exported_at=None, sign_key=None, recipients=[])
    return time.perf_counter() - begin


def _import(bundle: Path, db: Path) -> float:
    begin = time.perf_counter()
    import_file(open_moving(db), bundle, verify_key=None, identity=None)
    return time.perf_counter() - begin


def _measure_bare(data: bytes) -> float:
    begin = time.perf_counter()
    hashlib.sha256(data).digest()
    for line in data.split(b"\n"):
        if line.startswith(b'{"kind"'):
            msgspec.json.decode(line)
    return time.perf_counter() - begin


def _fill(db: Path, count: int) -> None:
    file = SqliteFile(db)
    SqliteSchema(file, 4).migrate(_NOW_US)
    SqliteMemory(file).add_records(_make_records(count), now_us=_NOW_US)
    file.close()


def _make_records(count: int) -> Iterator[NewRecord]:
    chosen = random.Random(1)
    before: str | None = None
    for number in range(count):
        supersedes = (before,) if before is not None and number % 10 == 9 else ()
        version_id = f"01J{number:023d}"
        fresh = Fresh(memory_version_id=version_id, memory_id=f"01K{number:023d}", now_us=_NOW_US + number)
        yield admit_record(_make_request(number, chosen, supersedes), fresh)
        before = version_id


def _make_request(number: int, chosen: random.Random, supersedes: tuple[str, ...]) -> AddRecord:
    common = {
        "version": 1,
        "writer": "policy-team",
        "justification": "approved in the review",
        "source_uri": "file:///policies.md",
        "evidence": (),
        "truth_status": TruthStatus.ASSERTED,
        "authority": Authority.AUTHORITATIVE,
        "supersedes": supersedes,
        "contradicts": (),
    }
    if number % 2:
        scope = {
            "actor": f"user{number % 997}",
            "action": f"act{number % 31}",
            "resource": f"file{number % 1009}",
        }
        return msgspec.convert({**scope, "effect": Effect.DENY, **common}, AddConstraint)
    words = " ".join(f"word{chosen.randrange(2000)}" for _ in range(10))
    return msgspec.convert({"record_type": SummaryType.DECISION, "summary": words, **common}, AddSummary)
