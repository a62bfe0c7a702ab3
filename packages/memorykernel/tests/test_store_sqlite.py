"""What only the SQLite store does: files, plans, locks, and bytes altered on the disk."""

from __future__ import annotations

import sqlite3
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_evidence import PATTERN_SQL, POLICY_SQL, RECALL_SQL
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_overlap import COMMON_SQL, MEMBERS_SQL, find_keys
from memorykernel.adapters.sqlite_postings import SEARCH_SQL, bind_question
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.core.overlap import KeyRange
from memorykernel.core.question import PolicyQuestion, RecallQuestion
from memorykernel.core.recall_ordering_v3 import plan_search
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.errors import (
    DatabaseMissing,
    MigrationFailed,
    QueryFailed,
    SchemaUnavailable,
    Stopped,
)
from memorykernel.service.attempt import Attempt
from memorykernel.wiring import Kernel


def plan(kernel: Kernel, sql: str, values: dict[str, str] | list[str]) -> list[str]:
    assert isinstance(kernel.file, SqliteFile)
    with kernel.file.reading() as connection:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def test_a_missing_file_is_at_version_0_and_looking_creates_nothing(world: Any) -> None:
    kernel = world.open(migrate=False)
    status = kernel.schema_care.load_status()
    assert (status.current_version, status.target_version, status.pending_versions) == (0, 4, (1, 2, 3, 4))
    assert kernel.schema_care.migrate(dry_run=True).after_version is None
    assert not world.path.exists()


def test_an_empty_file_is_at_version_0_and_stays_empty_when_looked_at(world: Any) -> None:
    world.path.touch()
    assert world.open(migrate=False).schema_care.load_status().current_version == 0
    assert world.path.read_bytes() == b""


def test_a_file_of_another_program_is_left_alone(world: Any) -> None:
    with sqlite3.connect(world.path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = world.path.read_bytes()
    with pytest.raises(SchemaUnavailable, match="database of another program"):
        world.open()
    assert world.path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(world: Any) -> None:
    world.path.write_bytes(b"not a database" * 100)
    with pytest.raises(SchemaUnavailable, match="cannot be read"):
        world.open(migrate=False).schema_care.load_status()


def test_a_migration_that_cannot_be_applied_says_so(tmp_path: Path) -> None:
    nowhere = SqliteSchema(SqliteFile(tmp_path / "missing" / "memory.db"), 3)
    with pytest.raises(MigrationFailed, match="was not applied"):
        nowhere.migrate(0)


ASKED = StoredQuestion(
    ruleset="ordering.v2",
    head="00" * 32,
    question=PolicyQuestion(text="?", actor="a", action="b", resource="c", as_of_us=0),
)


def test_a_writer_that_waits_too_long_says_so_and_readers_do_not_wait(world: Any, kit: Any) -> None:
    kernel = world.open()
    kit.add(kernel, kit.constraint())
    impatient = SqliteFile(world.path, busy_timeout_ms=1)
    with kernel.file.writing(durable=False):
        with pytest.raises(QueryFailed, match="another process has held the database for too long"):
            SqliteAnswers(impatient).store_answer("cpkg_x", b"{}", ASKED)
        with impatient.reading() as connection:
            assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)
    impatient.close()


def test_a_policy_question_scans_nothing(kernel: Kernel, kit: Any) -> None:
    kit.add(kernel, kit.constraint())
    steps = plan(kernel, POLICY_SQL, {"actor": "a", "action": "b", "resource": "c"})
    scope = "SEARCH r USING INDEX records_by_scope (actor=? AND action=? AND resource=?) LEFT-JOIN"
    assert scope in steps
    assert [step for step in steps if "SCAN" in step] == []


def test_a_question_with_patterns_scans_keys_and_hits_only(kernel: Kernel, kit: Any) -> None:
    kit.add(kernel, kit.constraint())
    steps = plan(
        kernel,
        PATTERN_SQL,
        dict.fromkeys(("actor", "action", "resource"), "a")
        | {f"{field}_keys": '["=a"]' for field in ("actor", "action", "resource")},
    )
    (keys,) = (step for step in steps if step.startswith("SEARCH constraint_scopes USING"))
    assert all(f"{field}_key=?" in keys for field in ("actor", "action", "resource"))
    assert any("SEARCH r USING INTEGER PRIMARY KEY" in step for step in steps)
    scanned = {step.split()[1] for step in steps if step.startswith("SCAN")}
    assert scanned <= {"json_each", "m", "actor_keys", "action_keys", "resource_keys"}


@pytest.mark.parametrize("open_fields", range(4))
def test_a_conflict_check_enters_an_index_at_one_place_and_sorts_nothing(
    kernel: Kernel, open_fields: int
) -> None:
    one, many = KeyRange("=a", "=a"), KeyRange("=", ">")
    for actor, action, resource in set(permutations([many] * open_fields + [one] * (3 - open_fields))):
        sql, values = find_keys((actor, action, resource))
        (step,) = plan(kernel, sql, [*values, "9"])
        assert step.startswith("SEARCH constraint_scopes USING"), step
        assert step.count("_key=?") == 3 - open_fields, step
        assert step.count("_key>? AND") == (open_fields > 0), step
    (step,) = plan(kernel, MEMBERS_SQL, ["actor", "staff", "a", "b", "9"])
    assert "memberships_by_group (field=? AND group_name=? AND member>? AND member<?)" in step
    steps = plan(kernel, COMMON_SQL, ["actor", "staff", "9", "guests", "9"])
    (looked_up,) = (each for each in steps if each.startswith("SEARCH b "))
    assert looked_up.count("=?") == 3
    assert not [each for each in steps if "TEMP B-TREE" in each or each.startswith("SCAN memberships")]


def test_a_recall_finds_records_by_their_words_without_scanning_them(kernel: Kernel, kit: Any) -> None:
    kit.add(kernel, kit.summary())
    steps = plan(kernel, RECALL_SQL, {"terms": '["usb"]', "record_types": '["decision"]'})
    assert any("SEARCH record_terms USING PRIMARY KEY (term=?)" in step for step in steps)
    assert any("SEARCH r USING INTEGER PRIMARY KEY" in step for step in steps)
    scanned = {step.split()[1] for step in steps if step.startswith("SCAN")}
    assert scanned <= {"json_each", "m"}


def test_a_bounded_recall_scans_only_what_it_has_found(kernel: Kernel, kit: Any) -> None:
    kit.add(kernel, kit.summary())
    question = RecallQuestion(text="usb drive", record_types=(), as_of_us=0)
    steps = plan(kernel, SEARCH_SQL, bind_question(plan_search(question), None))
    entered = {
        step.split(" USING ")[1] for step in steps if step.startswith(("SEARCH p ", "SEARCH postings "))
    }
    assert entered <= {
        "PRIMARY KEY (word=? AND slot=? AND rank>?)",
        "PRIMARY KEY (word=? AND slot=? AND rank>? AND rank<?)",
        "PRIMARY KEY (word=? AND slot>? AND slot<?)",
    }
    assert any("SEARCH o USING PRIMARY KEY (word=? AND slot=? AND rank=?" in step for step in steps)
    assert any("SEARCH r USING INTEGER PRIMARY KEY" in step for step in steps)
    scanned = {step.split()[1] for step in steps if step.startswith("SCAN")}
    assert not scanned & {"postings", "o", "r", "l", "records", "links"}


def test_any_altered_byte_of_a_record_is_located(world: Any, kit: Any) -> None:
    kernel = world.open()
    for number in range(20):
        kit.add(kernel, kit.summary(f"marker-{number:02d} of the memory"))
    kernel.file.close()
    intact = world.path.read_bytes()
    for number in (0, 7, 19):
        at = intact.index(b"marker-%02d" % number)
        for altered in (0x58, 0xFF):
            world.path.write_bytes(intact[: at + 3] + bytes([altered]) + intact[at + 4 :])
            report = kernel.check_integrity()
            located = [each for each in report.damage if each.table == "records"]
            assert [each.row for each in located] == [number + 1]
            kernel.file.close()


def test_nothing_reads_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissing, match="correct the path"), SqliteFile(tmp_path / "x.db").reading():
        pytest.fail("opened a file that does not exist")
    assert list(tmp_path.iterdir()) == []


def test_stopped_work_reads_nothing_more(kernel: Kernel) -> None:
    file = kernel.file
    assert isinstance(file, SqliteFile)
    attempt = Attempt()
    file.guard(attempt)
    with file.reading():
        attempt.stop()
    with pytest.raises(Stopped), file.reading():
        pytest.fail("went on reading for nobody")
    file.guard(None)
