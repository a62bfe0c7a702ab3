"""A whole store is verified, in one process or several, and damage is told with table, row and id."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.verification import VerifyReport
from memorykernel.core.stored_record import KeptRequest
from memorykernel.wiring import verify_store


def check(scene: Any, *, jobs: int = 1, answers: bool = True) -> VerifyReport:
    location = scene.stranger.location
    return verify_store(location, answers=answers, jobs=jobs, progress=lambda done, total: None)


@pytest.fixture
def scene(stage: Any, proof_kit: Any) -> Any:
    made = stage()
    chance = random.Random(2)
    proof_kit.fill(made, chance, 20, v3=True)
    for _ in range(10):
        made.ask(**proof_kit.draw_question(chance))
    kept = KeptRequest(key="k", digest="ab" * 32, reply=b"{}")
    made.kernel.asking.memory.write(lambda transaction: transaction.keep_request(kept), now_us=1)
    return made


def damage(scene: Any, statement: str) -> VerifyReport:
    for text in ("{}", "[]"):
        statement = statement.replace(f"<{text}>", scene.stranger.spell_bytes(text))
    scene.stranger.tamper(statement)
    return check(scene)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_whole_store_is_verified(scene: Any, jobs: int) -> None:
    seen: list[tuple[int, int]] = []
    report = verify_store(
        scene.stranger.location,
        answers=True,
        jobs=jobs,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert report.ok, report.damage
    assert (report.records, report.replayed, report.not_replayable) == (20, report.answers, 0)
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("statement", "table", "row"),
    [
        ("UPDATE records SET note = 'x' WHERE record_seq = 3", "records", 3),
        ("UPDATE answers SET package = <{}> WHERE answer_seq = 4", "answers", 4),
        ("UPDATE answers SET question = 'x' WHERE answer_seq = 4", "answers", 4),
        ("UPDATE answers SET ruleset = 'ordering.v9' WHERE answer_seq = 4", "answers", 4),
        (
            "UPDATE memory_chain SET recorded_at_us = recorded_at_us + 1 WHERE entry_seq = 5",
            "memory_chain",
            5,
        ),
        ("UPDATE memory_chain SET kind = 'x' WHERE entry_seq = 0", "memory_chain", 0),
        ("DELETE FROM memory_chain WHERE entry_seq = 7", "memory_chain", 7),
        ("DELETE FROM answer_chain WHERE entry_seq = 2", "answers", 2),
        ("UPDATE answer_chain SET subject_seq = 1 WHERE entry_seq = 2", "answers", 1),
        ("UPDATE request_keys SET reply = <[]>", "request_keys", None),
        ("DELETE FROM record_terms WHERE record_seq = 2", "record_terms", 2),
        ("UPDATE constraint_scopes SET actor_key = '=eve' WHERE record_seq = 1", "constraint_scopes", 1),
    ],
)
def test_damage_is_located(scene: Any, statement: str, table: str, row: int | None) -> None:
    report = damage(scene, statement)
    assert not report.ok
    assert (table, row) in {(each.table, each.row) for each in report.damage}, report.damage


def test_a_missing_index_is_named(scene: Any) -> None:
    scene.stranger.run("DROP INDEX answers_by_id")
    found = {(each.table.removeprefix("sqlite_"), each.id) for each in check(scene).damage}
    assert ("schema", "answers_by_id") in found


def test_a_forged_answer_with_a_forged_chain_is_found_by_replaying_it(scene: Any) -> None:
    scene.stranger.replace_in_packages('"rank":1', '"rank":2')
    assert any("not what its rules give" in each.finding for each in check(scene).damage)
    without = check(scene, answers=False)
    assert without.replayed == 0
    assert all("rules" not in each.finding for each in without.damage)


def test_old_answers_that_do_not_tell_their_question_are_counted(stage: Any) -> None:
    old = stage("v1", schema_version=2, name="old.db")
    old.ask()
    assert check(old).not_replayable == 1
    new = stage("v3", name="old.db")
    new.ask()
    report = check(new)
    assert (report.ok, report.replayed, report.not_replayable) == (True, 1, 1)


def test_the_command_says_yes_and_no(scene: Any, run_mk: Any) -> None:
    path = scene.stranger.location
    done = run_mk("verify", "--db", path, "--jobs", "2", "--json")
    assert (done.returncode, '"ok": true' in done.stdout) == (0, True), done.stderr
    assert "verifying:" in done.stderr
    damage(scene, "UPDATE records SET note = 'x' WHERE record_seq = 3")
    done = run_mk("verify", "--db", path, "--jobs", "1")
    assert (done.returncode, '"table": "records"' in done.stdout) == (1, True)


def test_the_commands_replay_prove_and_check(scene: Any, run_mk: Any, tmp_path: Path) -> None:
    path, package = scene.stranger.location, scene.ask()
    name, proof = package["context_package_id"], tmp_path / "proof.json"
    assert run_mk("replay", name, "--db", path, "--json").returncode == 0
    assert run_mk("proof", name, "-o", proof, "--db", path).returncode == 0
    done = run_mk("proof", "check", proof)
    assert (done.returncode, '"holds": true' in done.stdout) == (0, True)
    proof.write_bytes(proof.read_bytes().replace(b"allow", b"deny") + b" ")
    assert run_mk("proof", "check", proof).returncode == (1 if b"deny" in proof.read_bytes() else 0)
    assert run_mk("proof", "check").returncode == 2
    assert run_mk("replay", "cpkg_0", "--db", path).returncode == 1
