"""Simulated power cuts: of what was written since the last sync any part is there, down to single sectors.

A recording VFS notes every write and sync of a server's store under load, and where among them each write and
answer was acknowledged. The disk is then made as a cut at a random step may leave it, and opened.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from memorykernel.adapters.system import SystemClock
from memorykernel.core.release import default_release
from memorykernel.wiring import Durability

from benchmarks.campaigns.outcome import Outcome
from packages.memorykernel.tests.durability import recording_vfs
from packages.memorykernel.tests.durability.test_power_cut import CUTS, _cut, _record

_COMMON: Final[dict[str, Any]] = {
    "version": 1,
    "writer": "w",
    "justification": "j",
    "source_uri": "file:///p",
    "evidence": [],
    "truth_status": "asserted",
    "authority": "note",
    "supersedes": [],
    "contradicts": [],
}


def _constraint(actor: str) -> dict[str, Any]:
    return {**_COMMON, "actor": actor, "action": "use", "resource": "usb_drive", "effect": "deny"}


def _ask(text: str) -> dict[str, Any]:
    return {"text": text, "actor": "user", "action": "use", "resource": "usb_drive"}


_KIT: Final = SimpleNamespace(release=default_release, clock=SystemClock, constraint=_constraint, ask=_ask)
"""What the recording needs of the tests' kit."""


def run(count: int, seed: int) -> Outcome:
    """Cut the power so many times, rounded up to whole recordings."""
    begun = time.perf_counter()
    wrong: list[str] = []
    recordings = -(-count // CUTS)
    acknowledged = 0
    for number in range(recordings):
        with tempfile.TemporaryDirectory(prefix="power-cuts-") as folder:
            journal = _record(recording_vfs, Path(folder) / "memory.db", _KIT, Durability.FULL)
            lost, damaged, there = _cut(journal, Path(folder), seed * 1_000_000 + number)
        acknowledged += there
        if lost or damaged:
            wrong.append(f"recording {number} of seed {seed}: {lost} lost, {damaged} damaged")
    return Outcome(
        campaign="power-cuts",
        seed=seed,
        count=recordings * CUTS,
        numbers={"recordings": recordings, "acknowledged before a cut, summed": acknowledged},
        wrong=tuple(wrong),
        seconds=time.perf_counter() - begun,
    )
