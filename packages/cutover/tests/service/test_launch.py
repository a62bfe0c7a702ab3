"""Placeholders and exports: what is declared is what is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from cutover.errors import CommandFailed
from cutover.service.launch import export_tree, fill_placeholders

from packages.cutover.tests.service.fakes import FakeRepository


def test_placeholders_are_filled_in_one_pass() -> None:
    values = {"port": "1", "data": "{port}"}
    assert fill_placeholders(("run", "--port={port}", "{data}/{data}"), values) == (
        "run",
        "--port=1",
        "{port}/{port}",
    )


@pytest.mark.parametrize("argument", ["{unknown}", "{", "}", "{0}", "{port.real}", "{port[x]}", "{port!z}"])
def test_what_cannot_be_filled_in_is_refused(argument: str) -> None:
    with pytest.raises(CommandFailed, match="run names a placeholder that has no value here"):
        fill_placeholders(("run", argument), {"port": "1"})


def test_an_export_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "left-over").touch()
    folder = export_tree(FakeRepository(tmp_path / "refs"), "c", tmp_path / "tree")
    assert list(folder.iterdir()) == []
