"""Earlier states of a store: found by time and by head, and read as they were."""

from __future__ import annotations

from typing import Any

import pytest
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import MembershipContent
from memorykernel.core.request import AddConstraintV4, AddLink, AddMembership, AskV4, read_request
from memorykernel.core.vocabulary import RecordType
from memorykernel.errors import InvalidRequest, MistypedField
from memorykernel.wiring import Kernel

ASKED = PolicyQuestion(text="?", actor="ada", action="read", resource="docs/hr/pay.pdf", as_of_us=0)


@pytest.fixture
def kernel(world: Any) -> Kernel:
    opened: Kernel = world.open()
    return opened


def scope(**changes: str) -> dict[str, str]:
    return {"actor": "*", "action": "*", "resource": "*", **changes}


def add_rule(kernel: Kernel, kit: Any, **changes: Any) -> str:
    body = kit.constraint() | scope() | changes
    return kernel.remembering.add_record(read_request(body, AddConstraintV4, strict=True)).memory_version_id


def add_member(kernel: Kernel, kit: Any, member: str, group: str) -> str:
    body = kit.constraint() | {"field": "actor", "member": member, "group": group}
    body = {key: body[key] for key in body if key not in ("actor", "action", "resource", "effect")}
    return kernel.remembering.add_record(read_request(body, AddMembership, strict=True)).memory_version_id


def found(kernel: Kernel, *, patterns: bool = True, at: int | str | None = None) -> set[str]:
    memory = kernel.asking.memory
    known = None if at is None else memory.find_snapshot(at)
    evidence = memory.read_policy_evidence(ASKED, patterns=patterns, known=known)
    return {each.memory_version_id for each in evidence.candidates}


def head(kernel: Kernel) -> str:
    return kernel.asking.memory.read_policy_evidence(ASKED).head


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        ({}, True),
        ({"actor": "ada"}, True),
        ({"actor": "bob"}, False),
        ({"resource": "docs/", "resource_match": "prefix"}, True),
        ({"resource": "docs/hr/", "resource_match": "prefix", "actor": "ada", "action": "read"}, True),
        ({"resource": "docs/it/", "resource_match": "prefix"}, False),
        ({"resource": "docs/"}, False),
        ({"actor": "staff", "actor_match": "group"}, True),
        ({"actor": "guests", "actor_match": "group"}, False),
        ({"actor": "staff"}, False),
    ],
)
def test_a_rule_is_found_by_value_prefix_and_group(
    kernel: Kernel, kit: Any, fields: dict[str, str], is_found: bool
) -> None:
    member = add_member(kernel, kit, "ada", "staff")
    add_member(kernel, kit, "bob", "guests")
    rule = add_rule(kernel, kit, **fields)
    assert found(kernel) == ({rule, member} if is_found else {member})


def test_older_rulesets_do_not_see_prefixes_and_groups(kernel: Kernel, kit: Any) -> None:
    add_member(kernel, kit, "ada", "staff")
    add_rule(kernel, kit, actor="ada", actor_match="group")
    add_rule(kernel, kit, resource="docs/hr/", resource_match="prefix")
    literal = add_rule(kernel, kit, actor="ada")
    assert found(kernel, patterns=False) == {literal}


def test_rules_that_were_there_before_the_schema_are_found_by_key(world: Any, kit: Any) -> None:
    old = world.open("v1", schema_version=2)
    rules = {
        kit.add(old, kit.constraint("ada", action="read", resource=each)) for each in ("*", "docs/hr/pay.pdf")
    }
    kit.add(old, kit.constraint("bob"))
    kernel = world.open()
    assert found(kernel) == rules
    assert kernel.check_integrity().ok


def test_a_membership_reads_back_as_it_was_written(kernel: Kernel, kit: Any) -> None:
    add_member(kernel, kit, "ada", "staff")
    evidence = kernel.asking.memory.read_every_record((RecordType.MEMBERSHIP,))
    content = MembershipContent(field="actor", group="staff", member="ada")  # type: ignore[arg-type]  # equal as text
    assert [each.content for each in evidence.candidates] == [content]


def test_an_expiry_reads_back_and_must_come_after_the_beginning(kernel: Kernel, kit: Any) -> None:
    add_rule(kernel, kit, effective_at="2026-01-01T00:00:00Z", expires_at="2026-01-02T00:00:00Z")
    (rule,) = kernel.asking.memory.read_policy_evidence(ASKED, patterns=True).candidates
    assert rule.expires_at_us == rule.effective_at_us + 86_400_000_000
    with pytest.raises(InvalidRequest, match="'expires_at' is not after effective_at"):
        add_rule(kernel, kit, effective_at="2026-01-01T00:00:00Z", expires_at="2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"resource": "docs", "resource_match": "prefix"}, "is no prefix"),
        ({"resource": "a/" * 33, "resource_match": "prefix"}, "is too deep"),
        ({"actor": "*", "actor_match": "group"}, "is no group"),
    ],
)
def test_a_scope_that_could_never_match_is_refused(
    kernel: Kernel, kit: Any, fields: dict[str, str], reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        add_rule(kernel, kit, **fields)


def test_a_name_that_no_store_can_look_up_is_refused(kernel: Kernel, kit: Any) -> None:
    with pytest.raises(InvalidRequest, match="holds U\\+0000"):
        add_rule(kernel, kit, actor="a\0b")
    with pytest.raises(InvalidRequest, match="holds U\\+0000"):
        add_member(kernel, kit, "a\0b", "staff")
    asked = AskV4(text="?", actor="a\0b", action="read", resource="r")
    with pytest.raises(InvalidRequest, match="holds U\\+0000"):
        kernel.asking.ask(asked)


def test_what_names_no_state_is_told_both_ways_to_name_one(kernel: Kernel) -> None:
    asked = AskV4(text="?", actor="a", action="read", resource="r", as_known_at="yesterday")
    with pytest.raises(MistypedField, match=r"'as_known_at' .* 2026-02-08T13:19:53Z or txn_<64 digits>"):
        kernel.asking.ask(asked)


def test_every_earlier_state_is_read_as_it_was(world: Any, kit: Any) -> None:
    kernel = world.open()
    states = [(world.clock.us, head(kernel), found(kernel))]
    for number in range(4):
        world.clock.us += 1_000
        add_rule(kernel, kit, note=str(number))
        states.append((world.clock.us, head(kernel), found(kernel)))
    for at_us, at_head, expected in states:
        assert (
            found(kernel, at=at_us) == found(kernel, at=at_us + 999) == found(kernel, at=at_head) == expected
        )
        known = kernel.asking.memory.find_snapshot(at_head)
        assert known is not None
        assert known.head == at_head


def test_a_link_that_came_later_supersedes_nothing_before(world: Any, kit: Any) -> None:
    kernel = world.open()
    old, new = add_rule(kernel, kit), add_rule(kernel, kit)
    before = head(kernel)
    body: dict[str, Any] = {"from": new, "to": old, "relation": "supersedes", "writer": "w"}
    kernel.remembering.add_link(read_request(body | {"justification": "j"}, AddLink, strict=True))
    memory = kernel.asking.memory
    known = memory.find_snapshot(before)
    assert memory.read_policy_evidence(ASKED, patterns=True, known=known).supersessions == ()
    assert len(memory.read_policy_evidence(ASKED, patterns=True).supersessions) == 1


def test_an_unknown_head_is_no_state(kernel: Kernel, kit: Any) -> None:
    add_rule(kernel, kit)
    assert kernel.asking.memory.find_snapshot("ab" * 32) is None


def test_a_clock_that_goes_back_does_not_reorder_what_was_known(world: Any, kit: Any) -> None:
    kernel = world.open()
    first = add_rule(kernel, kit)
    at = world.clock.us
    world.clock.us -= 3_600_000_000
    second = add_rule(kernel, kit)
    assert found(kernel, at=at) == {first, second}
    assert found(kernel, at=at - 1) == set()
    assert kernel.check_integrity().ok


def test_what_was_recorded_before_there_were_times_is_always_known(world: Any, kit: Any) -> None:
    old = world.open("v1", schema_version=2)
    rule = kit.add(old, kit.constraint("*", action="*", resource="*"))
    kernel = world.open()
    later = add_rule(kernel, kit)
    assert found(kernel, at=0) == {rule}
    assert found(kernel, at=world.clock.us) == {rule, later}


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE constraint_scopes SET actor_key = '=eve'", "keys in the index are not those of the record"),
        ("DELETE FROM constraint_scopes", "keys in the index are not those of the record"),
        ("UPDATE memberships SET member = 'eve'", "keys in the index are not those of the record"),
        (
            "UPDATE records SET matching = 'prefix,exact,exact' WHERE effect IS NOT NULL",
            "content is not what was written",
        ),
        ("UPDATE records SET expires_at_us = 7", "content is not what was written"),
        ("UPDATE records SET member = 'eve' WHERE member IS NOT NULL", "content is not what was written"),
        (
            "UPDATE memory_chain SET recorded_at_us = recorded_at_us + 1 WHERE entry_seq = 2",
            "head does not follow",
        ),
        ("UPDATE memory_chain SET recorded_at_us = NULL WHERE entry_seq = 2", "recorded before the entry"),
    ],
)
def test_damage_to_what_schema_4_added_is_found(
    world: Any, kernel: Kernel, kit: Any, statement: str, finding: str
) -> None:
    add_member(kernel, kit, "ada", "staff")
    add_rule(kernel, kit, actor="staff", actor_match="group")
    assert kernel.check_integrity().ok
    world.stranger.tamper(statement)
    report = kernel.check_integrity()
    assert not report.ok
    assert any(finding in damage.finding for damage in report.damage), report.damage
