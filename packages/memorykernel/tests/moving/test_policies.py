"""Policies from files: previewed, idempotent, in one transaction, and refused with a line number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from memorykernel import default_release
from memorykernel.adapters.policy_document import parse_csv, parse_yaml
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.core.policy_file import read_policies
from memorykernel.core.stored_record import StoredRecord
from memorykernel.errors import MemoryKernelError, PolicyFileInvalid
from memorykernel.service.policies import PolicyReport
from memorykernel.wiring import Kernel, import_policies, open_kernel

RULES = """
set: helpdesk
defaults: {writer: policy-team, justification: approved}
rules:
  - key: usb
    actor: {group: staff}
    action: use
    resource: {prefix: devices/usb/}
    effect: deny
  - {key: print, actor: '*', action: print, resource: printer, effect: allow, note: "no"}
groups:
  staff: {field: actor, members: [alice, bob]}
"""


@dataclass
class Clock:
    us: int = 1_770_556_793_500_000

    def now_us(self) -> int:
        self.us += 1_000_000
        return self.us


@dataclass
class Desk:
    """A store and a file of policies."""

    kernel: Kernel
    path: Path

    def bring(self, text: str, *, apply: bool = True, prune: bool = False) -> PolicyReport:
        self.path.write_text(text)
        return import_policies(self.kernel, self.path, name=None, apply=apply, prune=prune)

    def newest(self, report: PolicyReport, key: str) -> StoredRecord:
        (found,) = (each for each in report.changes if each.key == key)
        assert found.memory_version_id is not None
        memory = self.kernel.remembering.memory
        assert isinstance(memory, SqliteMemory)
        record = memory.load_record(found.memory_version_id)
        assert record is not None
        return record


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    kernel = open_kernel(tmp_path / "p.db", default_release(), clock=Clock())
    kernel.schema_care.migrate(dry_run=False)
    return Desk(kernel, tmp_path / "policies.yaml")


def count(report: PolicyReport) -> dict[str, int]:
    return {action: number for action, number in report.counts.items() if number}


def test_a_preview_writes_nothing_and_says_what_the_import_does(desk: Desk) -> None:
    preview = desk.bring(RULES, apply=False)
    assert (preview.applied, count(preview)) == (False, {"add": 4})
    applied = desk.bring(RULES)
    assert (applied.applied, count(applied)) == (True, {"add": 4})
    assert [each.key for each in preview.changes] == [each.key for each in applied.changes]


def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    desk.bring(RULES)
    head = desk.kernel.check_integrity().memory_head
    again = desk.bring(RULES)
    assert (count(again), again.changes) == ({"keep": 4}, ())
    assert desk.kernel.check_integrity().memory_head == head


def test_a_changed_rule_is_a_new_version_of_the_same_memory(desk: Desk) -> None:
    first = desk.newest(desk.bring(RULES), "usb").record
    report = desk.bring(RULES.replace("deny", "allow"))
    assert count(report) == {"change": 1, "keep": 3}
    second = desk.newest(report, "usb").record
    assert (second.memory_id, second.version) == (first.memory_id, 2)
    assert second.supersedes == (first.memory_version_id,)


def test_a_removed_rule_stays_until_it_is_pruned_once(desk: Desk) -> None:
    desk.bring(RULES)
    fewer = RULES.replace(", bob", "")
    assert count(desk.bring(fewer)) == {"keep": 3, "stale": 1}
    pruned = desk.bring(fewer, prune=True)
    assert count(pruned) == {"keep": 3, "remove": 1}
    ended = desk.newest(pruned, "member actor:staff:bob").record
    assert ended.supersedes
    assert ended.expires_at is not None
    assert count(desk.bring(fewer, prune=True)) == {"keep": 3}
    assert count(desk.bring(RULES)) == {"keep": 3, "change": 1}


def test_conflicts_between_the_rules_of_a_file_are_shown_with_a_witness(desk: Desk) -> None:
    more = RULES.replace(
        "groups:", "  - {key: other, actor: '*', action: print, resource: printer, effect: deny}\ngroups:"
    )
    preview = desk.bring(more, apply=False)
    (found,) = preview.conflicts
    assert (found.key, found.conflict.witness.resource) == ("other", "printer")


def test_one_bad_entry_keeps_all_others_out(desk: Desk) -> None:
    head = desk.kernel.check_integrity().memory_head
    with pytest.raises(PolicyFileInvalid, match="line 5: field 'resource' is no prefix"):
        desk.bring(RULES.replace("devices/usb/", "devices-usb"))
    assert desk.kernel.check_integrity().memory_head == head


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [", "line 1"),
        ("rules:\n  - actor: a\n    actor: b\n", "line 3: the key 'actor' comes twice"),
        ("rules:\n  - &x {actor: a}\n  - *x\n", "line 3: aliases"),
        (
            "rules:\n  - {actor: a, action: b, resource: c, effect: deny}\n",
            "line 2: field 'writer' is missing",
        ),
        (
            "rules:\n  - {actor: a, action: b, resource: c, effect: maybe, writer: w, justification: j}",
            "line 2",
        ),
        ("rules:\n  - {actor: {like: x}}\n", "line 2: field 'actor' is no pattern"),
        ("rules:\n  - {actr: a}\n", "line 2: a rule has no field 'actr'"),
        ("rulez: []\n", "line 1: 'rulez' is unknown"),
        ("rules: 3\n", "line 1: is no list"),
        ("a: " + "[" * 3000, "YAML"),
        ("rules:\n  - !!python/object/apply:os.system [ls]\n", "line 2: is no mapping"),
    ],
)
def test_yaml_is_refused_with_the_line(text: str, message: str) -> None:
    with pytest.raises(PolicyFileInvalid, match=message):
        read_policies(parse_yaml(text), "name", "file:name")


def test_csv_says_the_same_as_yaml(desk: Desk) -> None:
    desk.bring(RULES)
    header = (
        "key,actor,actor_match,action,resource,resource_match,effect,note,writer,justification,source_uri\n"
    )
    rules = (
        "usb,staff,group,use,devices/usb/,prefix,deny,,policy-team,approved,file:policies.yaml\n"
        "print,*,,print,printer,,allow,no,policy-team,approved,file:policies.yaml\n"
    )
    desk.path = desk.path.with_name("helpdesk.csv")
    assert count(desk.bring(header + rules)) == {"keep": 2, "stale": 2}
    desk.path = desk.path.with_name("members.csv")
    members = "group,member,writer,justification\nstaff,alice,w,j\n"
    assert count(desk.bring(members)) == {"add": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: is no header"),
        ("actor,actor\n", "line 1: is no header"),
        ("actor,action\na\n", "line 2: has 1 fields, expected 2"),
        ('actor,note\n"two\nlines",x\na\n', "line 4: has 1 fields"),
        ("actor,actor_match\na,like\n", "line 2: field 'actor_match' is 'like'"),
    ],
)
def test_csv_is_refused_with_the_line(text: str, message: str) -> None:
    with pytest.raises(MemoryKernelError, match=message):
        parse_csv(text)


def test_a_change_that_would_have_no_effect_is_refused(desk: Desk) -> None:
    desk.bring(RULES)
    with pytest.raises(PolicyFileInvalid, match="line 5: the change would have no effect"):
        desk.bring(RULES.replace("{writer", "{authority: note, writer"))
