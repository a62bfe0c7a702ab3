"""A whole file is verified, in one process or several, and damage is told with table, row and id."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.sqlite_verify import VerifyReport, verify
from memorykernel.core.stored_record import KeptRequest


def check(path: Path, *, jobs: int = 1, answers: bool = True) -> VerifyReport:
    return verify(path, answers=answers, jobs=jobs, progress=lambda done, total: None)


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


def damage(scene: Any, *statements: str) -> VerifyReport:
    with scene.kernel.file.writing(durable=True) as connection:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, made in triggers:
            connection.execute(made)
    return check(scene.kernel.file.path)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_whole_file_is_verified(scene: Any, jobs: int) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(
        scene.kernel.file.path,
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
        ("UPDATE answers SET package = CAST('{}' AS BLOB) WHERE answer_seq = 4", "answers", 4),
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
        ("UPDATE request_keys SET reply = CAST('[]' AS BLOB)", "request_keys", None),
        ("UPDATE schema_migrations SET applied_at = '2026' WHERE version = 2", "schema_migrations", None),
        ("DELETE FROM record_terms WHERE record_seq = 2", "record_terms", 2),
        ("UPDATE constraint_scopes SET actor_key = '=eve' WHERE record_seq = 1", "constraint_scopes", 1),
        ("DROP INDEX answers_by_id", "sqlite_schema", None),
    ],
)
def test_damage_is_located(scene: Any, statement: str, table: str, row: int | None) -> None:
    report = damage(scene, statement)
    assert not report.ok
    assert (table, row) in {(each.table, each.row) for each in report.damage}, report.damage


def test_a_forged_answer_with_a_forged_chain_is_found_by_replaying_it(scene: Any) -> None:
    forged = "UPDATE answers SET package = CAST(replace(package, '\"rank\":1', '\"rank\":2') AS BLOB)"
    assert any("not what its rules give" in each.finding for each in damage(scene, forged).damage)
    without = check(scene.kernel.file.path, answers=False)
    assert without.replayed == 0
    assert all("rules" not in each.finding for each in without.damage)


def test_old_answers_that_do_not_tell_their_question_are_counted(stage: Any) -> None:
    old = stage("v1", schema_version=2, name="old.db")
    old.ask()
    assert check(old.kernel.file.path).not_replayable == 1
    new = stage("v3", name="old.db")
    new.ask()
    report = check(new.kernel.file.path)
    assert (report.ok, report.replayed, report.not_replayable) == (True, 1, 1)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(4080)])
def test_what_is_no_database_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    report = check(path)
    assert not report.ok
    assert {each.table for each in report.damage} <= {"file", "header"}


@pytest.mark.parametrize("offset", [18, 20, 47, 59, 71, 80])
def test_a_changed_header_is_found(scene: Any, offset: int) -> None:
    path = scene.kernel.file.path
    scene.kernel.file.close()
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    assert {each.table for each in check(path).damage} & {"header", "file"}


def test_the_command_says_yes_and_no(scene: Any, run_mk: Any) -> None:
    path = scene.kernel.file.path
    done = run_mk("verify", "--db", path, "--jobs", "2", "--json")
    assert (done.returncode, '"ok": true' in done.stdout) == (0, True), done.stderr
    assert "verifying:" in done.stderr
    damage(scene, "UPDATE records SET note = 'x' WHERE record_seq = 3")
    done = run_mk("verify", "--db", path, "--jobs", "1")
    assert (done.returncode, '"table": "records"' in done.stdout) == (1, True)


def test_the_commands_replay_prove_and_check(scene: Any, run_mk: Any, tmp_path: Path) -> None:
    path, package = scene.kernel.file.path, scene.ask()
    name, proof = package["context_package_id"], tmp_path / "proof.json"
    assert run_mk("replay", name, "--db", path, "--json").returncode == 0
    assert run_mk("proof", name, "-o", proof, "--db", path).returncode == 0
    done = run_mk("proof", "check", proof)
    assert (done.returncode, '"holds": true' in done.stdout) == (0, True)
    proof.write_bytes(proof.read_bytes().replace(b"allow", b"deny") + b" ")
    assert run_mk("proof", "check", proof).returncode == (1 if b"deny" in proof.read_bytes() else 0)
    assert run_mk("proof", "check").returncode == 2
    assert run_mk("replay", "cpkg_0", "--db", path).returncode == 1
