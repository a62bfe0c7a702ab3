"""One whole cutover, as `make run` plays it: real processes, real git, real traffic."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CUTOVER = Path(sys.executable).parent / "cutover"


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CUTOVER), *arguments], cwd=cwd, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo") / "kept"
    ended = run("demo", "--keep", str(folder), "--json")
    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return folder, result


pytestmark = pytest.mark.demo


def test_it_ends_go_and_complete(kept: tuple[Path, dict[str, Any]]) -> None:
    _, result = kept
    assert result["outcome"] == "completed"
    assert result["decisions"] == {"rehearsal": "GO", "execution": "GO"}


def test_nothing_is_lost_altered_or_broken_under_traffic(kept: tuple[Path, dict[str, Any]]) -> None:
    traffic = kept[1]["traffic"]
    assert traffic["drafts"] > 500
    assert (traffic["lost"], traffic["altered"], traffic["breaking"]) == (0, 0, 0)
    assert set(traffic["applied_by"]) == {"v0.3.2", "v0.4.0"}


def test_nearly_every_policy_question_is_applied_in_every_part(kept: tuple[Path, dict[str, Any]]) -> None:
    shares = {share["part"]: share["applied"] / share["asked"] for share in kept[1]["shares"]}
    assert {"before the drill", "during the drill", "after the switch"} <= set(shares)
    assert min(shares.values()) >= 0.99, shares


def test_the_drill_measured_the_way_back(kept: tuple[Path, dict[str, Any]]) -> None:
    times = kept[1]["way_back_ms"]["drill"]
    assert 0 < times["decided"] <= times["routed"] <= times["first reply"]


def test_status_record_and_log_work_without_the_processes(kept: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = kept
    status = run("status", "--json", cwd=folder)
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["phase"] == "complete"
    assert run("log", "verify", cwd=folder).returncode == 0
    assert run("record", "--verify", cwd=folder).returncode == 0


def test_the_record_has_the_sections_of_february(kept: tuple[Path, dict[str, Any]]) -> None:
    record = (kept[0] / "record.md").read_text("utf-8")
    for section in (
        "Decision Scope",
        "Decision Outcome",
        "Approved Runtime Cutover Window",
        "Ownership (Named Roles)",
        "Decision Inputs",
        "Stop Conditions",
        "Runtime Cutover Completion Evidence",
        "Status",
    ):
        assert f"## {section}" in record


@pytest.mark.parametrize("where", [0.0, 0.1, 0.37, 0.5, 0.73, 0.999])
def test_one_changed_byte_of_the_log_is_found_and_its_entry_named(
    kept: tuple[Path, dict[str, Any]], tmp_path: Path, where: float
) -> None:
    folder, _ = kept
    path = folder / "log" / "entries.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines()
    number = len(lines) // 2
    start = sum(len(line) + 1 for line in lines[:number])
    at = start + int(where * (len(lines[number]) - 1))
    changed = bytearray(whole)
    changed[at] ^= 0x01
    try:
        path.write_bytes(changed)
        ended = run("log", "verify", cwd=folder)
    finally:
        path.write_bytes(whole)
    assert ended.returncode == 1
    assert f"entry {number}" in ended.stdout + ended.stderr


def test_a_hand_edited_record_is_an_error(kept: tuple[Path, dict[str, Any]]) -> None:
    path = kept[0] / "record.md"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole.replace(b"GO", b"NO-GO", 1))
        assert run("record", "--verify", cwd=kept[0]).returncode == 1
    finally:
        path.write_bytes(whole)
