"""The commands of service.v4, as processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

WHO = ("--writer", "w", "--justification", "j", "--source-uri", "s", "--authority", "authoritative")
SCOPE = ("--action", "use", "--resource", "usb")


class Mk:
    """`mk` on one database."""

    def __init__(self, run_mk: Any, path: Path) -> None:
        self._run = run_mk
        self._path = path

    def __call__(self, *arguments: object, expect: int = 0) -> Any:
        done = self._run("--db", self._path, *arguments)
        assert done.returncode == expect, done.stderr
        self.narrated = done.stderr
        return json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def mk(run_mk: Any, tmp_path: Path) -> Mk:
    made = Mk(run_mk, tmp_path / "m.db")
    made("db", "migrate")
    return made


def test_a_rule_a_group_and_what_they_answer(mk: Mk) -> None:
    rule = mk(
        "memory", "add", "constraint", "--actor", "staff", "--actor-match", "group", *SCOPE,
        "--effect", "deny", *WHO, "--key", "one", "--effective-at", "2020-01-01T00:00:00Z",
    )  # fmt: skip
    again = mk(
        "memory", "add", "constraint", "--actor", "staff", "--actor-match", "group", *SCOPE,
        "--effect", "deny", *WHO, "--key", "one", "--effective-at", "2020-01-01T00:00:00Z",
    )  # fmt: skip
    assert rule == again
    mk("memory", "add", "membership", "--field", "actor", "--group", "staff", "--member", "ann", *WHO)
    assert mk.narrated == ""
    story = mk("memory", "show", rule["memory_version_id"])
    assert story["record"]["payload"]["payload"]["scope"]["actor_match"] == "group"
    assert len(mk("memory", "lineage", rule["memory_id"])["versions"]) == 1
    question = ("--text", "t", "--actor", "ann", *SCOPE)
    answer = mk("query", "ask", *question)
    assert answer["answer"]["result"] == "deny"
    assert mk("explain", "counterfactual", answer["context_package_id"])["result"] == "deny"
    radius = mk("explain", "blast-radius", rule["memory_version_id"])
    assert [each["flips"] for each in radius["answers"]] == [True]
    compared = mk("explain", "compare", "--from-ruleset", "ordering.v2")
    assert [(each["before"], each["after"]) for each in compared["flips"]] == [("inconclusive", "deny")]
    then = mk("query", "ask", *question, "--as-known-at", story["snapshot_id"])
    assert then["answer"]["result"] == "inconclusive"
    older = mk("query", "ask", *question, "--service-contract", "service.v3")
    assert older["answer"]["result"] == "inconclusive"


def test_a_check_says_what_a_rule_would_contradict(mk: Mk) -> None:
    mk("memory", "add", "constraint", "--actor", "a", *SCOPE, "--effect", "deny", *WHO)
    about = ("memory", "check", "--actor", "a", *SCOPE, "--authority", "authoritative", "--effect")
    assert mk(*about, "deny")["conflicts"] == []
    assert len(mk(*about, "allow", expect=1)["conflicts"]) == 1
    assert "1 conflict" in mk.narrated
    mk(
        "memory", "add", "constraint", "--actor", "a", *SCOPE, "--effect", "allow", *WHO,
        "--expires-at", "2999-01-01T00:00:00Z",
    )  # fmt: skip
    assert "warning: in conflict since this write" in mk.narrated


def test_a_summary_ends_and_is_written_once_where_the_contract_knows_how(
    mk: Mk, release_folders: dict[str, Path]
) -> None:
    event = ("memory", "add", "event", "--summary", "the gateway is replaced", *WHO)
    ending = (*event, "--expires-at", "2999-01-01T00:00:00Z", "--key", "gateway")
    written = mk(*ending)
    assert written["expires_at"] == "2999-01-01T00:00:00Z"
    assert mk(*ending) == written
    older = ("--release", release_folders["v0.4.0"])
    mk(*ending, *older, expect=2)
    assert "expected service.v4" in mk.narrated
    assert "expires_at" not in mk(*event, *older)


def test_commands_that_say_no(mk: Mk) -> None:
    asked = ("--text", "t", "--actor", "a", *SCOPE, "--as-known-at", "2999-01-01T00:00:00Z")
    mk("query", "ask", *asked, "--service-contract", "service.v3", expect=2)
    assert "ask with --service-contract service.v4" in mk.narrated
    mk("serve", "--bind", "127.0.0.1:0", "--replica", "postgresql://nowhere/x", expect=2)
    assert "a replica goes with --db postgresql://... only" in mk.narrated
    mk("proof", "check", "nothing.json", expect=2)
    assert "there is no proof at 'nothing.json'" in mk.narrated
    unknown = "01J00000000000000000000000"
    mk("memory", "show", unknown, expect=2)
    mk("memory", "lineage", "x", expect=2)
    mk("explain", "counterfactual", "cpkg_none", expect=1)
    mk("explain", "compare", "--to-ruleset", "ordering.v9", expect=2)
    mk("query", "ask", "--text", "t", "--actor", "a", *SCOPE, "--as-known-at", "then", expect=2)
    mk("query", "recall", "--text", "t", "--cursor", "then", expect=2)
