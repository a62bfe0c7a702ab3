"""`mk` as a process: JSON on stdout, one line on stderr, exit codes that are a contract."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Protocol

import pytest
from contracts.documents import load_fixture
from memorykernel import Kernel
from memorykernel.wiring import read_version


class Mk(Protocol):
    """Runs `mk` with arguments."""

    def __call__(self, *arguments: object) -> CompletedProcess[str]: ...


WRITE = ("--writer", "w", "--justification", "j", "--source-uri", "file:///p", "--authority", "authoritative")
SCOPE = ("--actor", "user", "--action", "use", "--resource", "usb_drive")
ASK = ("--text", "Am I allowed to use a USB drive?", *SCOPE)


@pytest.fixture
def run(run_mk: Mk) -> Mk:
    return run_mk


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "memory.db"
    with Kernel.open(path, create=True):
        return path


def shape(value: Any) -> Any:
    """The keys in their order, and the types below them."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def assert_refused(done: CompletedProcess[str], exit_code: int, says: str) -> None:
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_policy_is_remembered_asked_for_and_found_again(run: Mk, db: Path) -> None:
    added = run("memory", "add", "constraint", "--db", db, *SCOPE, "--effect", "deny", *WRITE)
    record = json.loads(added.stdout)
    assert next(iter(record)) == "contract_version"
    asked = run("query", "ask", "--db", db, *ASK)
    answer = json.loads(asked.stdout)
    assert (answer["answer"]["result"], asked.returncode) == ("deny", 0)
    assert answer["selected_items"][0]["memory_version_id"] == record["memory_version_id"]
    shown = run("context", "show", answer["context_package_id"], "--db", db)
    assert shown.stdout == asked.stdout


def test_answers_have_the_published_shape(run: Mk, db: Path, release_folders: dict[str, Path]) -> None:
    release = ("--release", release_folders["v0.3.2"])
    run("memory", "add", "constraint", "--db", db, *SCOPE, "--effect", "deny", *WRITE, "--confidence", 0.9)
    answer = json.loads(run("query", "ask", "--db", db, *ASK, *release).stdout)
    published = json.loads(load_fixture("query-ask.golden.json"))
    for package in (answer, published):
        for item in package["selected_items"]:
            item["confidence"] = item["why"]["rule_scores"]["confidence"] = 0.9
    assert shape(answer) == shape(published)
    assert answer["answer"] == published["answer"]
    assert answer["ordering_trace"] == published["ordering_trace"]
    assert answer["selected_items"][0]["why"] == published["selected_items"][0]["why"]
    assert answer["determinism"]["tie_breakers"] == published["determinism"]["tie_breakers"]


def test_an_empty_database_has_the_published_schema_version(
    run: Mk, tmp_path: Path, release_folders: dict[str, Path]
) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    done = run("db", "schema-version", "--db", empty, "--release", release_folders["v0.3.2"])
    published = json.loads(load_fixture("db-schema-version.golden.json"))
    assert list(json.loads(done.stdout).items()) == list(published.items())


@pytest.mark.parametrize(("effect", "exit_code"), [("allow", 0), ("deny", 1), (None, 3)])
def test_exit_codes_of_answers(run: Mk, db: Path, effect: str | None, exit_code: int) -> None:
    if effect is not None:
        run("memory", "add", "constraint", "--db", db, *SCOPE, "--effect", effect, *WRITE)
    assert run("query", "ask", "--db", db, *ASK, "--exit-code").returncode == exit_code
    assert run("--db", db, "query", "ask", *ASK).returncode == 0


@pytest.mark.parametrize("record_type", ["decision", "preference", "event", "outcome"])
def test_every_kind_of_summary_is_remembered_and_recalled(run: Mk, db: Path, record_type: str) -> None:
    options = ("--evidence", "a", "--evidence", "b", "--truth-status", "inferred", "--confidence", 0.7)
    added = run("memory", "add", record_type, "--db", db, "--summary", "about usb", *WRITE, *options)
    record = json.loads(added.stdout)
    assert record["payload"] == {"record_type": record_type, "payload": {"summary": "about usb"}}
    assert record["provenance"]["evidence"] == ["a", "b"]
    recalled = run("query", "recall", "--db", db, "--text", "USB?", "--record-type", record_type)
    selected = json.loads(recalled.stdout)["selected_items"]
    assert [item["memory_version_id"] for item in selected] == [record["memory_version_id"]]


def test_links_are_made_and_cycles_are_a_no(run: Mk, db: Path) -> None:
    ids = [
        json.loads(run("memory", "add", "event", "--db", db, "--summary", "s", *WRITE).stdout)[
            "memory_version_id"
        ]
        for _ in range(2)
    ]
    said = ("--writer", "w", "--justification", "j", "--relation", "supersedes", "--db", db)
    linked = run("memory", "link", "--from", ids[1], "--to", ids[0], *said)
    assert json.loads(linked.stdout)["from_memory_version_id"] == ids[1]
    assert_refused(run("memory", "link", "--from", ids[0], "--to", ids[1], *said), 1, "a cycle is refused")


@pytest.mark.parametrize(
    "command",
    [
        ("query", "ask", *ASK),
        ("query", "recall", "--text", "x"),
        ("context", "show", "cpkg_x"),
        ("db", "schema-version"),
        ("db", "integrity-check"),
        ("memory", "add", "event", "--summary", "s", *WRITE),
    ],
)
def test_a_mistyped_path_is_an_error_and_never_a_new_database(
    run: Mk, tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert_refused(run(*command, "--db", tmp_path / "typo.db"), 2, "there is no database at")
    assert list(tmp_path.iterdir()) == []


def test_migrate_says_that_it_creates_the_file(run: Mk, tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    dry = run("db", "migrate", "--db", path, "--dry-run")
    assert "does not exist" in dry.stderr
    assert not path.exists()
    made = run("db", "migrate", "--db", path)
    assert "does not exist: creating it" in made.stderr
    assert json.loads(made.stdout)["after_version"] == 4


@pytest.mark.parametrize("command", [("db", "migrate"), ("db", "migrate", "--dry-run"), ("serve",)])
def test_a_file_that_cannot_be_created_is_not_announced(
    run: Mk, tmp_path: Path, command: tuple[str, ...]
) -> None:
    missing = tmp_path / "dir"
    lost = run(*command, "--db", missing / "x.db")
    assert_refused(lost, 2, f"there is no folder '{missing}'; create it")
    assert_refused(run(*command, "--db", tmp_path), 2, f"'{tmp_path}' is a folder; name a file")
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_printed_alone(run: Mk) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, read_version() + "\n", "")


def test_help_speaks_english(run: Mk) -> None:
    said = run("memory", "add", "--help").stdout
    assert "Remember an event." in said
    assert "Remember a decision." in said


def test_refusals_are_one_line_with_a_remedy(
    run: Mk, db: Path, tmp_path: Path, release_folders: dict[str, Path]
) -> None:
    event = ("memory", "add", "event", "--db", db, "--summary", "s", *WRITE)
    assert_refused(run("query", "ask", *ASK), 2, "no database is named; add --db FILE")
    assert_refused(run(*event, "--created-at", "noon"), 2, "expected RFC 3339 in UTC")
    assert_refused(run(*event, "--version", 0), 2, "count versions from 1")
    assert_refused(run("context", "show", "cpkg_x", "--db", db), 1, "no context package has this id")
    assert_refused(run("query", "ask", "--db", db, *ASK, "--release", tmp_path), 2, "export the whole tag")
    old = tmp_path / "old.db"
    run("db", "migrate", "--db", old, "--release", release_folders["v0.3.2"])
    assert_refused(run("query", "ask", "--db", old, *ASK), 3, "run 'mk db migrate'")
    not_a_database = tmp_path / "text.db"
    not_a_database.write_text("hello" * 500)
    assert_refused(run("query", "ask", "--db", not_a_database, *ASK), 3, "cannot be read")


def test_a_wrong_call_is_a_usage_error(run: Mk, db: Path) -> None:
    for wrong in (("fly",), ("query", "ask", "--db", db), ("memory", "add", "rumor")):
        done = run(*wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr


def test_integrity_check_says_yes_and_locates_what_is_altered(run: Mk, db: Path) -> None:
    added = run("memory", "add", "constraint", "--db", db, *SCOPE, "--effect", "deny", *WRITE)
    version_id = json.loads(added.stdout)["memory_version_id"]
    fine = run("db", "integrity-check", "--db", db)
    assert (fine.returncode, json.loads(fine.stdout)["ok"]) == (0, True)
    with sqlite3.connect(db) as connection:
        connection.execute("DROP TRIGGER records_no_UPDATE")
        connection.execute("UPDATE records SET effect = 'allow'")
    connection.close()
    damaged = run("db", "integrity-check", "--db", db)
    assert damaged.returncode == 1
    assert json.loads(damaged.stdout)["damage"] == [
        {"table": "records", "row": 1, "id": version_id, "finding": "content is not what was written"}
    ]
    assert "restore the file from a copy" in damaged.stderr
