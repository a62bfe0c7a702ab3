"""What `log verify` and `log head` say of logs that prove nothing or end in something else."""

from __future__ import annotations

import pytest

from packages.cutover.tests.cli.world import World


@pytest.mark.parametrize("command", ["verify", "head"])
def test_a_folder_that_is_no_program_has_no_log(world: World, command: str) -> None:
    (world.folder / "cutover.toml").unlink()
    ran = world.run("log", command)
    assert (ran.code, f"{world.folder}/cutover.toml cannot be read" in ran.err) == (2, True)
    assert ran.out == ""


@pytest.mark.parametrize("command", ["verify", "head"])
@pytest.mark.parametrize("content", [None, b""])
def test_a_log_without_entries_decides_nothing(world: World, command: str, content: bytes | None) -> None:
    if content is not None:
        (world.folder / "log").mkdir(exist_ok=True)
        (world.folder / "log" / "entries.jsonl").write_bytes(content)
    ran = world.run("log", command)
    assert ran.code == 3
    assert f"the log of {world.folder} is empty; expected 'cutover open' first" in ran.err


def test_a_log_verifies_without_the_program_beside_it(opened: World) -> None:
    (opened.folder / "cutover.toml").unlink()
    assert opened.did("log", "verify", "--json").document["torn_bytes"] == 0


def test_a_final_newline_that_was_changed_names_the_last_entry(prepared: World) -> None:
    path = prepared.folder / "log" / "entries.jsonl"
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    length = len(path.read_bytes().splitlines()[-1])
    ran = prepared.run("log", "verify", "--json")
    assert (ran.code, ran.document["size"], ran.document["torn_bytes"]) == (1, 2, length)
    assert "entry 2 of the decision log does not verify" in ran.err
    assert "bytes after entry 1 are no complete entry (a torn write or an edit)" in ran.err


def test_bytes_after_the_last_entry_are_found(prepared: World) -> None:
    with (prepared.folder / "log" / "entries.jsonl").open("ab") as log:
        log.write(b"garbage")
    ran = prepared.run("log", "verify")
    assert (ran.code, "7 bytes after entry 2 are no complete entry" in ran.err) == (1, True)


def test_bytes_that_are_no_entry_at_all_are_damage_and_not_an_empty_log(world: World) -> None:
    (world.folder / "log").mkdir(exist_ok=True)
    (world.folder / "log" / "entries.jsonl").write_bytes(b"garbage")
    ran = world.run("log", "verify")
    assert (ran.code, "7 bytes after the start of the file" in ran.err) == (1, True)
