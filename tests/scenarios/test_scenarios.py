"""Every way in which a cutover must be refused or come back, and the next program, for `make scenarios`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cutover.demo.scenario import SCENARIOS

CUTOVER = Path(sys.executable).parent / "cutover"
pytestmark = pytest.mark.scenarios


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenarios") / "prepared"
    subprocess.run([str(CUTOVER), "demo", "--prepare-only", "--keep", str(folder)], check=True, timeout=180)
    return folder


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenario_ends_as_it_must(name: str, prepared: Path, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    ended = subprocess.run(
        [
            str(CUTOVER), "demo", "--scenario", name, "--json",
            "--prepared", str(prepared), "--keep", str(tmp_path / "kept"),
        ],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    result = json.loads(ended.stdout)
    assert (result["outcome"], scenario.reason in result["reason"]) == (scenario.expects, True), result[
        "reason"
    ]
    assert_record(result, scenario.expects)
    if result["traffic"] is not None and name != "fallback-regression":
        assert (result["traffic"]["lost"], result["traffic"]["altered"]) == (0, 0)
        assert result["traffic"]["breaking"] == 0


def assert_record(result: dict[str, object], expects: str) -> None:
    if expects == "rolled-back":
        times = result["way_back_ms"]
        assert isinstance(times, dict)
        assert times["abort"]["first reply"] > 0
    record = Path(str(result["record"])).read_text("utf-8")
    assert "## Stop Conditions" in record
    assert "**COMPLETE**" not in record


def test_the_program_to_service_v4_completes_without_a_changed_answer(tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(CUTOVER), "demo", "--example", "service-v4", "--json", "--keep", str(tmp_path / "kept")],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["outcome"] == "completed"
    traffic = result["traffic"]
    assert (traffic["lost"], traffic["altered"], traffic["breaking"]) == (0, 0, 0)
    record = Path(result["record"]).read_text("utf-8")
    assert "v0.5.0" in record
    assert "service.v4" in record
