"""Each thing that a conflict check reads: a small universe in which it errs without.

Every one is also enumerated, so that what is expected here is what the contract says. Random universes are in
`test_overlap`; the bounds of these tell apart what a wider read would make good.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from memorykernel.core.evidence import Candidate
from memorykernel.core.vocabulary import Effect, Field, Match, TruthStatus
from memorykernel.ports import Memory
from memorykernel.service.conflict_check import ConflictCheck

from packages.memorykernel.tests.conflict_worlds import WIDE, compare_in_store
from packages.memorykernel.tests.core_v4.small_world import (
    SECOND,
    Universe,
    make_membership,
    make_rule,
)
from packages.memorykernel.tests.crossing_worlds import list_values

FOUND, NOTHING, HIDDEN = (1, False), (0, False), (0, True)
TWO_RULES = replace(WIDE, max_rules=2)
ANN, BOB = ("ann", Match.EXACT), ("bob", Match.EXACT)
STAFF, NIGHT = ("staff", Match.GROUP), ("night", Match.GROUP)
ANYONE, ANYTHING = ("*", Match.EXACT), ("*", Match.EXACT)


@pytest.fixture
def memory(world: Any) -> Memory:
    found: Memory = world.open().asking.memory
    return found


def rule(
    number: int,
    effect: str,
    actor: tuple[str, Match],
    action: tuple[str, Match] = ("use", Match.EXACT),
    **more: Any,
) -> Candidate:
    scope = {"actor": actor[0], "actor_match": actor[1], "action": action[0], "action_match": action[1]}
    return make_rule(number, effect=Effect(effect), **scope, **more)


def pair(number: int, actor: tuple[str, Match], **more: Any) -> list[Candidate]:
    return [rule(number, "allow", actor, **more), rule(number + 1, "deny", actor, **more)]


def member(number: int, group: str, name: str, field: Field = Field.ACTOR, **more: Any) -> Candidate:
    return make_membership(number, field, group, name, **more)


def add(
    memory: Memory, there: list[Candidate], new: Candidate, *old: int, check: ConflictCheck = WIDE
) -> tuple[int, bool]:
    """Write a record that supersedes those at some places."""
    links = tuple((len(there), each) for each in old)
    write = Universe(tuple(there)), Universe((*there, new), links)
    return compare_in_store(memory, write, list_values(write[1]), check)


def test_two_groups_of_one_field_meet_in_a_member_that_one_has_and_the_other_gets(memory: Memory) -> None:
    there = [rule(1, "allow", STAFF), rule(2, "deny", NIGHT), member(3, "night", "ann")]
    assert add(memory, there, member(4, "staff", "ann")) == FOUND
    assert add(memory, there, member(4, "staff", "bob")) == NOTHING
    assert add(memory, there, member(4, "night", "ann")) == NOTHING


def test_two_groups_of_one_field_meet_in_a_rule_that_is_added_to_one(memory: Memory) -> None:
    shared = [member(3, "night", "ann"), member(4, "staff", "ann"), member(5, "staff", "bob")]
    assert add(memory, [rule(1, "allow", STAFF), *shared], rule(2, "deny", NIGHT)) == FOUND
    assert add(memory, [rule(1, "allow", STAFF), *shared[::2]], rule(2, "deny", NIGHT)) == NOTHING
    passing = [member(3, "night", "ann", expires_at_us=5 * SECOND), shared[1]]
    late = rule(2, "deny", NIGHT, effective_at_us=5 * SECOND)
    assert add(memory, [rule(1, "allow", STAFF), *passing], late) == NOTHING


def test_a_membership_is_compared_with_what_was_decided_below_all_at_once(memory: Memory) -> None:
    """Else each round asks for one member of the other group, and finds it undecided already."""
    lower, papers = [], []
    for number in range(12):
        name = f"paper {number:02}"
        papers.append(member(500 + number, "papers", name, Field.RESOURCE))
        lower += pair(10 + 2 * number, ANYONE, action=ANYTHING, resource=name)
    higher = pair(100, STAFF, resource="papers", resource_match=Match.GROUP)
    two_rounds = replace(WIDE, max_rounds=2)
    new = member(900, "staff", "ann")
    assert add(memory, [*higher, *papers, *lower[2:]], new, check=two_rounds) == FOUND
    assert add(memory, [*higher, *papers, *lower], new, check=two_rounds) == NOTHING


def test_a_membership_is_in_no_conflict_where_there_was_one_below_that_is_asked_for_late(
    memory: Memory,
) -> None:
    there = [*pair(1, ANYONE), *pair(3, STAFF)]
    assert add(memory, there, member(5, "staff", "ann"), check=TWO_RULES) == HIDDEN
    assert add(memory, there[2:], member(5, "staff", "ann"), check=TWO_RULES) == FOUND


def test_what_is_superseded_is_known_though_newer_rules_fill_what_is_read(memory: Memory) -> None:
    elsewhere = rule(9, "allow", BOB, ("run", Match.EXACT))
    of_ann = [rule(1, "allow", ANN), *pair(2, ANYONE)]
    assert add(memory, of_ann, elsewhere, 0, check=TWO_RULES) == (1, True)
    of_staff = [rule(1, "allow", STAFF), *pair(2, ANYONE), member(4, "staff", "ann")]
    assert add(memory, of_staff, elsewhere, 3, check=TWO_RULES) == (1, True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, NOTHING),
        ({"expires_at_us": 9 * SECOND}, FOUND),
        ({"truth_status": TruthStatus.SPECULATIVE}, FOUND),
        ({"truth_status": TruthStatus.RETRACTED}, NOTHING),
    ],
    ids=["as good", "ends", "less sure", "without power"],
)
def test_a_new_version_uncovers_what_it_does_not_decide(
    memory: Memory, changes: dict[str, Any], expected: tuple[int, bool]
) -> None:
    there = [rule(1, "deny", ANN), *pair(2, ANN, truth_status=TruthStatus.INFERRED)]
    new = msgspec.structs.replace(rule(9, "deny", ANN), **changes)
    assert add(memory, there, new, 0) == expected


def test_a_version_of_a_membership_or_of_another_scope_uncovers_too(memory: Memory) -> None:
    of_staff = [rule(1, "allow", STAFF), *pair(2, ANYONE), member(4, "staff", "ann")]
    assert add(memory, of_staff, member(9, "staff", "ann"), 3) == NOTHING
    assert add(memory, of_staff, member(9, "staff", "ann", expires_at_us=9 * SECOND), 3) == FOUND
    assert add(memory, of_staff, member(9, "staff", "bob"), 3) == FOUND
    of_ann = [rule(1, "allow", ANN), *pair(2, ANYONE)]
    assert add(memory, of_ann, rule(9, "allow", ANN, ("run", Match.EXACT)), 0) == FOUND


def test_a_link_uncovers_what_its_maker_no_longer_decides(memory: Memory) -> None:
    records = (
        rule(1, "allow", ANN),
        *pair(2, ANYONE),
        rule(9, "allow", ANN),
        rule(10, "deny", BOB, ("run", Match.EXACT), effective_at_us=5 * SECOND),
    )
    ended = ((4, 3),)
    for before, expected in (((), NOTHING), (ended, FOUND)):
        write = Universe(records, before), Universe(records, (*before, (3, 0)))
        assert compare_in_store(memory, write, list_values(write[1])) == expected


def test_what_a_rule_uncovers_it_may_decide_itself_by_a_membership(memory: Memory) -> None:
    there = [*pair(1, ANYONE, action=ANYTHING), rule(3, "allow", STAFF), member(4, "staff", "ann")]
    new = rule(9, "deny", NIGHT, ANYTHING)
    assert add(memory, there, new, 2) == FOUND
    assert add(memory, [*there, member(5, "night", "ann")], new, 2) == NOTHING


def test_every_witness_is_asked_about_before_it_is_reported(memory: Memory) -> None:
    members = [member(20 + n, "staff", name) for n, name in enumerate(("ann", "bob", "eve"))]
    there = [rule(1, "allow", STAFF), rule(2, "allow", ANN), rule(3, "allow", BOB), *members]
    new = rule(9, "deny", STAFF)
    assert add(memory, there, new) == FOUND
    assert add(memory, there[:-1], new) == NOTHING
    assert add(memory, there[:-1], new, check=replace(WIDE, max_rounds=1)) == HIDDEN


def test_prefixes_that_lie_in_each_other_cross_in_two_fields(memory: Memory) -> None:
    def crossed(number: int, effect: str, actor: str, resource: str) -> Candidate:
        return rule(number, effect, (actor, Match.PREFIX), resource=resource, resource_match=Match.PREFIX)

    inner = crossed(1, "allow", "ops/night/", "usb/")
    assert add(memory, [inner], crossed(2, "deny", "ops/", "usb/store/")) == FOUND
    assert add(memory, [inner], crossed(2, "deny", "ops/", "usb/")) == NOTHING
    assert add(memory, [inner], crossed(2, "deny", "ops/", "pen/store/")) == NOTHING
