"""What a script reads: JSON on standard output and nothing else there, with `--json` or without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from memorykernel import open_kernel
from memorykernel.core.release import default_release


@pytest.fixture
def db(tmp_path: Path, kit: Any) -> Path:
    path = tmp_path / "memory.db"
    kernel = open_kernel(path, default_release())
    kernel.schema_care.migrate(dry_run=False)
    kit.add(kernel, kit.constraint())
    kernel.file.close()
    return path


def test_every_step_of_moving_data_prints_one_json_document(db: Path, tmp_path: Path, mk: Any) -> None:
    bundle, backup = tmp_path / "memory.tar", tmp_path / "backup.db"
    for option in ([], ["--json"]):
        documents = [
            mk("db", "migrate", "--db", tmp_path / "new.db", *option),
            mk("export", "--db", db, "-o", bundle, *option),
            mk("import", bundle, "--db", tmp_path / "copy.db", *option),
            mk("import", bundle, "--db", db, *option),
            mk("backup", backup, "--db", db, *option),
            mk("restore", backup, "--db", tmp_path / "restored.db", *option),
            mk("verify", "--db", db, *option),
        ]
        for ran in documents:
            assert ran.code == 0, ran.err
            assert json.loads(ran.out)["contract_version"] == "cli.v1"
        for made in (bundle, backup, *(tmp_path / f"{name}.db" for name in ("new", "copy", "restored"))):
            made.unlink()


def test_an_export_to_standard_output_tells_what_it_was_on_standard_error(
    db: Path, tmp_path: Path, mk: Any
) -> None:
    bundle = tmp_path / "piped.tar"

    ran = mk("export", "--json", "--db", db, stdout=bundle)

    told = json.loads(ran.err)
    assert (ran.code, told["file"], told["signed"], told["encrypted"]) == (0, "-", False, False)
    assert mk("import", bundle, "--db", tmp_path / "copy.db").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ["db", "schema-version"],
        ["db", "integrity-check"],
        ["query", "ask", "--text", "q", "--actor", "a", "--action", "b", "--resource", "c"],
    ],
)
def test_commands_take_json_that_print_it_anyway(command: list[str], db: Path, mk: Any) -> None:
    plain, asked_for = mk(*command, "--db", db), mk(*command, "--db", db, "--json")

    assert plain.code == asked_for.code == 0
    assert json.loads(asked_for.out).keys() == json.loads(plain.out).keys()
