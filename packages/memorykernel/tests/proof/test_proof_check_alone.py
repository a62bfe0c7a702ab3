"""The checker runs from a bare Python, away from everything of ours."""

from __future__ import annotations

import ast
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.cli import proof_check
from memorykernel.cli.proof_check import encode
from msgspec import json as msgspec_json


@pytest.fixture
def document(stage: Any, proof_kit: Any) -> bytes:
    scene = stage()
    proof_kit.fill(scene, random.Random(6), 18, v3=True)
    made: bytes = scene.prove(scene.ask())
    return made


def run_alone(folder: Path, document: bytes) -> subprocess.CompletedProcess[str]:
    checker = folder / "copied.py"
    shutil.copy(proof_check.__file__, checker)
    (folder / "proof.json").write_bytes(document)
    command = [sys.executable, "-I", "-S", str(checker), "proof.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_copied_checker_says_yes_and_no(tmp_path: Path, document: bytes) -> None:
    done = run_alone(tmp_path, document)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["holds"] is True
    done = run_alone(tmp_path, document.replace(b'"actor":"ada"', b'"actor":"adb"', 1))
    assert done.returncode == 1
    assert json.loads(done.stdout)["holds"] is False


def test_a_copied_checker_says_that_there_is_nothing_to_read(tmp_path: Path, document: bytes) -> None:
    checker = shutil.copy(proof_check.__file__, tmp_path)
    for arguments in ([], [str(tmp_path / "none.json")]):
        command = [sys.executable, "-I", "-S", checker, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 3
        assert done.stderr.startswith("error: no proof can be read")


def test_a_refused_file_is_not_printed(tmp_path: Path) -> None:
    done = run_alone(tmp_path, b"SQLite format 3\0" + b"secret \xff" * 1000)
    assert done.returncode == 1
    assert "secret" not in done.stdout
    assert "cannot be read: UnicodeDecodeError" in json.loads(done.stdout)["because"]


def test_the_checker_imports_the_standard_library_only() -> None:
    tree = ast.parse(Path(proof_check.__file__).read_text())
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


@given(
    st.recursive(
        st.none() | st.integers(-(2**62), 2**62) | st.floats(0, 1) | st.floats(1e-7, 1e-3) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_the_checker_writes_json_as_the_rules_do(value: Any) -> None:
    assert encode(value).encode() == msgspec_json.encode(value)
