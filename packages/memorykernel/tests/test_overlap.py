"""What a conflict check reads: the rules near a scope, and the members that can be witnesses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memorykernel.core.overlap import (
    Groups,
    KeyRange,
    Meeting,
    Overlap,
    Standing,
    list_boxes,
    list_exact_values,
    shapes_between,
    shapes_of,
)
from memorykernel.core.record import ConstraintContent, MembershipContent, Scope
from memorykernel.core.request import AddConstraintV4, AddMembership, read_request
from memorykernel.core.scope_pattern import MAX_LEVEL_SUM, Specificity, encode_scope, matches, measure_scope
from memorykernel.core.vocabulary import Authority, Effect, Field, Match, TruthStatus
from memorykernel.ports import Nearby
from memorykernel.wiring import Kernel

from packages.memorykernel.tests.conflict_worlds import compare_crossing

VALUES = ("ada", "docs/", "docs/hr/", "docs/hr/pay", "docs/it/", "eve")
PATTERNS = (
    *((value, Match.EXACT) for value in (*VALUES, "*")),
    *((value, Match.PREFIX) for value in VALUES if value.endswith("/")),
    ("staff", Match.GROUP),
    ("papers", Match.GROUP),
)
MEMBERS = (("staff", "ada"), ("papers", "docs/hr/pay"), ("papers", "ada"))
FIELDS = ("actor", "resource")


def make_scope(actor: tuple[str, Match], resource: tuple[str, Match]) -> Scope:
    return Scope(
        actor=actor[0], action="read", resource=resource[0], actor_match=actor[1], resource_match=resource[1]
    )


def shares_a_question(one: Scope, other: Scope) -> bool:
    """By trying every question of the universe."""
    return any(
        all(
            matches(
                value, match, asked[field], [group for group, member in MEMBERS if member == asked[field]]
            )
            for scope in (one, other)
            for field, value, match in scope.patterns()
        )
        for actor, resource in product(VALUES, VALUES)
        for asked in ({"actor": actor, "action": "read", "resource": resource},)
    )


@pytest.fixture
def kernel(world: Any, kit: Any) -> Kernel:
    """One constraint for each pair of patterns, of alternating effect; every group in both fields."""
    opened: Kernel = world.open()
    body = kit.constraint()
    for number, (actor, resource) in enumerate(product(PATTERNS, PATTERNS)):
        scope = {
            "actor": actor[0],
            "actor_match": actor[1],
            "resource": resource[0],
            "resource_match": resource[1],
        }
        effect = "allow" if number % 2 else "deny"
        rule = body | scope | {"action": "read", "effect": effect}
        opened.remembering.add_record(read_request(rule, AddConstraintV4, strict=True))
    common = {key: body[key] for key in body if key not in ("actor", "action", "resource", "effect")}
    for field, (group, member) in product(FIELDS, MEMBERS):
        membership = common | {"field": field, "group": group, "member": member}
        opened.remembering.add_record(read_request(membership, AddMembership, strict=True))
    return opened


def look(kernel: Kernel, job: Callable[[Nearby], Overlap]) -> Overlap:
    return kernel.asking.memory.look_around(job)


def find(kernel: Kernel, scope: Scope, *, max_keys: int = 10_000, limit: int = 10_000) -> Overlap:
    """Every rule near a scope, whatever its specificity."""

    def job(nearby: Nearby) -> Overlap:
        keys = encode_scope(scope)
        groups, is_cut = nearby.list_groups(list_exact_values(keys), limit=100)
        assert not is_cut
        boxes = list_boxes(keys, groups, shapes_between(0, MAX_LEVEL_SUM))
        return nearby.find_rules(boxes, None, max_keys=max_keys, limit=limit)

    return look(kernel, job)


def scopes(read: Overlap) -> list[Scope]:
    return [each.content.scope for each in read.candidates if isinstance(each.content, ConstraintContent)]


def members(
    kernel: Kernel, *meetings: Meeting, max_keys: int = 100, limit: int = 100
) -> tuple[set[str], bool]:
    read = look(kernel, lambda nearby: nearby.find_members(meetings, max_keys=max_keys, limit=limit))
    found = [each.content for each in read.candidates]
    return {
        f"{each.group} {each.member}" for each in found if isinstance(each, MembershipContent)
    }, read.is_cut


EVERYTHING = make_scope(("*", Match.EXACT), ("*", Match.EXACT))
STANDING = Standing(
    effect=Effect.DENY,
    authority=Authority.AUTHORITATIVE,
    truth_status=TruthStatus.ASSERTED,
    confidence=1.0,
    specificity=Specificity(0, 0),
)


@settings(max_examples=60)
@given(actor=st.sampled_from(PATTERNS), resource=st.sampled_from(PATTERNS))
def test_every_constraint_that_shares_a_question_is_found(
    kernel: Kernel, actor: tuple[str, Match], resource: tuple[str, Match]
) -> None:
    scope = make_scope(actor, resource)
    found, every = set(scopes(find(kernel, scope))), set(scopes(find(kernel, EVERYTHING)))
    assert len(every) == len(PATTERNS) ** 2
    assert {each for each in every if shares_a_question(scope, each)} <= found <= every


def test_what_cannot_share_a_question_is_left_out(kernel: Kernel) -> None:
    found = scopes(find(kernel, make_scope(("eve", Match.EXACT), ("docs/it/", Match.PREFIX))))
    assert {each.actor for each in found} == {"eve", "*"}
    assert {each.resource for each in found} - {"staff", "papers"} == {"*", "docs/", "docs/it/"}


@settings(max_examples=30)
@given(actor=st.sampled_from(PATTERNS), resource=st.sampled_from(PATTERNS), effect=st.sampled_from(Effect))
def test_rules_of_one_standing_are_those_that_nothing_but_the_scope_tells_apart(
    kernel: Kernel, actor: tuple[str, Match], resource: tuple[str, Match], effect: Effect
) -> None:
    scope = make_scope(actor, resource)
    standing = STANDING._replace(effect=effect, specificity=measure_scope(scope), confidence=0.5)

    def job(nearby: Nearby) -> Overlap:
        keys = encode_scope(scope)
        groups, _ = nearby.list_groups(list_exact_values(keys), limit=100)
        boxes = list_boxes(keys, groups, shapes_of(standing.specificity))
        return nearby.find_rules(boxes, standing, max_keys=10_000, limit=10_000)

    near = {
        (each.content.scope, each.effective_confidence)
        for each in find(kernel, scope).candidates
        if isinstance(each.content, ConstraintContent)
        and each.content.effect is effect
        and measure_scope(each.content.scope) == standing.specificity
    }
    wanted = {found for found, confidence in near if confidence == standing.confidence}
    assert set(scopes(look(kernel, job))) == wanted


def test_of_one_key_the_newest_are_read_and_what_is_left_out_is_told(kernel: Kernel, kit: Any) -> None:
    body = kit.constraint() | {"actor": "new", "action": "read", "resource": "new"}
    wrote = [
        kernel.remembering.add_record(read_request(body, AddConstraintV4, strict=True)).memory_version_id
        for _ in range(5)
    ]
    same = make_scope(("new", Match.EXACT), ("new", Match.EXACT))
    whole = find(kernel, same)
    assert not whole.is_cut
    for read in (find(kernel, same, limit=3), find(kernel, same, max_keys=3)):
        assert {each.memory_version_id for each in read.candidates} >= set(wrote[2:])
        assert not {each.memory_version_id for each in read.candidates} & {wrote[0]}
        assert read.is_cut


def test_groups_of_a_value_are_listed_up_to_a_bound(kernel: Kernel) -> None:
    value = (Field.ACTOR, "ada")

    def groups(limit: int) -> tuple[list[str], bool]:
        found: list[tuple[Groups, bool]] = []

        def job(nearby: Nearby) -> Overlap:
            found.append(nearby.list_groups([value, (Field.ACTION, "ada")], limit=limit))
            return Overlap(candidates=(), supersessions=(), is_cut=False)

        look(kernel, job)
        return sorted(found[0][0].get(value, ())), found[0][1]

    assert groups(2) == (["papers", "staff"], False)
    listed, is_cut = groups(1)
    assert (len(listed), is_cut) == (1, True)


def test_only_members_that_can_be_witnesses_are_read(kernel: Kernel) -> None:
    ada = Meeting(Field.ACTOR, "papers", KeyRange("ada", "ada"))
    assert members(kernel, ada) == ({"papers ada"}, False)
    docs = Meeting(Field.ACTOR, "papers", KeyRange("docs/", "docs0"))
    assert members(kernel, docs) == ({"papers docs/hr/pay"}, False)
    anyone = Meeting(Field.ACTOR, "papers", KeyRange("", "~"))
    assert members(kernel, anyone) == ({"papers ada", "papers docs/hr/pay"}, False)
    assert members(kernel, anyone, limit=1) == ({"papers ada"}, True)
    both = Meeting(Field.ACTOR, "papers", KeyRange("", "~"), "staff")
    assert members(kernel, both) == ({"papers ada", "staff ada"}, False)
    assert members(kernel, both, max_keys=1) == ({"papers ada", "staff ada"}, False)
    nobody = Meeting(Field.ACTOR, "papers", KeyRange("", "~"), "nobody")
    assert members(kernel, nobody) == (set(), False)


def test_of_two_large_groups_some_members_are_compared_and_that_is_told(kernel: Kernel, kit: Any) -> None:
    common = {
        key: value for key, value in kit.constraint().items() if key not in (*FIELDS, "action", "effect")
    }
    for number in range(3):
        for group in ("left", "right"):
            body = common | {"field": "actor", "group": group, "member": f"{group} {number}"}
            kernel.remembering.add_record(read_request(body, AddMembership, strict=True))
    apart = Meeting(Field.ACTOR, "left", KeyRange("", "~"), "right")
    assert members(kernel, apart, max_keys=3) == (set(), False)
    assert members(kernel, apart, max_keys=2) == (set(), True)


def test_what_is_left_out_hides_no_conflict_of_a_small_universe(world: Any) -> None:
    memory = world.open().asking.memory
    compared = [compare_crossing(memory, seed) for seed in range(300)]
    assert sum(pairs > 0 for pairs, _ in compared) > 30
    assert any(truncated for _, truncated in compared)
