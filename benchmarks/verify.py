"""What it takes to verify a store: every chain entry, row, index and stored answer, on all cores.

The store has 10,000 records, and answers by ordering.v3 of about eleven rules each. Beside it what a proof
takes: its bytes, to write it and to check it.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from memorykernel.adapters.sqlite_verify import verify
from memorykernel.cli.proof_check import check_proof
from memorykernel.core.release import Release
from memorykernel.wiring import Kernel, open_kernel, open_proving

from benchmarks.ask import _fill, _question

_RECORDS: Final = 10_000
_RELEASE: Final = Release(
    service_contract="service.v3",
    ruleset="ordering.v3",
    recall_ruleset="recall-ordering.v3",
    schema_version=4,
)


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Verify 100,000 stored answers (5,000 when quick), and prove some of them.

    Args:
        data_dir: Not used; the store is made here.
        quick: Fewer answers.
    """
    count = 5_000 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        path = Path(folder) / "memory.db"
        _fill(path, _RECORDS)
        kernel = open_kernel(path, _RELEASE)
        ids = [_ask(kernel, number) for number in range(count)]
        rows = _prove(kernel, ids[:: count // 50])
        kernel.file.close()
        begun = time.perf_counter()
        report = verify(path, answers=True, jobs=os.cpu_count() or 1, progress=lambda done, total: None)
        seconds = time.perf_counter() - begun
    if not report.ok or report.replayed != count:
        raise RuntimeError(f"expected {count} answers without damage, got {report}")
    name = f"verify {count:,} stored answers and everything else, {os.cpu_count()} processes"
    return [_row(name, seconds, "s", goal=None if quick else "<= 60 s"), *rows]


def _ask(kernel: Kernel, number: int) -> str:
    package: str = json.loads(kernel.asking.ask(_question(number, _RECORDS)))["context_package_id"]
    return package


def _prove(kernel: Kernel, ids: list[str]) -> list[dict[str, object]]:
    proving = open_proving(kernel)
    written, checked, sizes = [], [], []
    for each in ids:
        begun = time.perf_counter()
        document = proving.write(each)
        written.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        check_proof(document)
        checked.append(time.perf_counter() - begun)
        sizes.append(len(document))
    return [
        _row("proof of an answer, p50", statistics.median(sizes) / 1000, "KB"),
        _row("write the proof of an answer, p50", statistics.median(written) * 1000, "ms"),
        _row("check the proof of an answer, p50", statistics.median(checked) * 1000, "ms"),
    ]


def _row(name: str, value: float, unit: str, goal: str | None = None) -> dict[str, object]:
    return {"name": name, "value": value, "unit": unit, "limit": {}, "ratio": None, "goal": goal}
