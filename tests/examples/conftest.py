"""The example program as data, and its repositories as trees (without git)."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contracts.documents import load_openapi

Document = dict[str, Any]
LayTree = Callable[[str, str], Path]
PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "service-v3"
SHA_PLACEHOLDER = re.compile(rb"\{\{sha:(\d\d)\}\}")


def read_lines(path: Path) -> list[Document]:
    """Read a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def program() -> Path:
    """The example's folder."""
    return PROGRAM


@pytest.fixture(scope="session")
def policies() -> list[Document]:
    """Every line of policies.jsonl."""
    return read_lines(PROGRAM / "policies.jsonl")


@pytest.fixture(scope="session")
def questions() -> list[Document]:
    """Every line of questions.jsonl."""
    return read_lines(PROGRAM / "questions.jsonl")


@pytest.fixture(scope="session")
def rules() -> list[Document]:
    """The answer difference rules."""
    loaded: list[Document] = json.loads((PROGRAM / "answer-difference-rules.json").read_bytes())
    return loaded


@pytest.fixture(scope="session")
def tickets() -> list[Document]:
    """Every labelled ticket of the consumer."""
    files = sorted((PROGRAM / "consumer").glob("*/tickets/*.jsonl"))
    return [ticket for file in files for ticket in read_lines(file)]


@pytest.fixture(scope="session")
def lay_tree(tmp_path_factory: pytest.TempPathFactory) -> LayTree:
    """Build the tree of one commit of a repository in the making: `lay_tree("producer", "05-v0.4.0")`."""

    def lay(party: str, last_folder: str) -> Path:
        tree = tmp_path_factory.mktemp(f"{party}-{last_folder}")
        for commit in tomllib.loads((PROGRAM / party / "commits.toml").read_text("utf-8"))["commit"]:
            source = PROGRAM / party / commit["folder"]
            shutil.copytree(source, tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            if "openapi" in commit:
                (tree / "openapi.yaml").write_bytes(load_openapi(commit["openapi"]))
            if commit["folder"] == last_folder:
                break
        for path in tree.rglob("*"):
            if path.is_file():
                path.write_bytes(SHA_PLACEHOLDER.sub(lambda match: match[1] * 20, path.read_bytes()))
        return tree

    return lay
