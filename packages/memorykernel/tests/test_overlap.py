"""What a conflict check reads: the constraints that share a question with a scope, and their groups."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memorykernel.core.evidence import PolicyEvidence
from memorykernel.core.record import ConstraintContent, MembershipContent, Scope
from memorykernel.core.request import AddConstraintV4, AddMembership, read_request
from memorykernel.core.scope_pattern import matches
from memorykernel.core.vocabulary import Effect, Match
from memorykernel.wiring import Kernel

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


def read(kernel: Kernel, scope: Scope, effect: Effect | None = None, limit: int = 10_000) -> PolicyEvidence:
    def job(transaction: Any) -> PolicyEvidence:
        evidence: PolicyEvidence = transaction.read_overlapping(scope, effect=effect, limit=limit)
        return evidence

    return kernel.asking.memory.write(job, now_us=0)


def constraints(evidence: PolicyEvidence) -> list[ConstraintContent]:
    return [each.content for each in evidence.candidates if isinstance(each.content, ConstraintContent)]


@settings(max_examples=60)
@given(actor=st.sampled_from(PATTERNS), resource=st.sampled_from(PATTERNS))
def test_every_constraint_that_shares_a_question_is_read(
    kernel: Kernel, actor: tuple[str, Match], resource: tuple[str, Match]
) -> None:
    scope = make_scope(actor, resource)
    found = {each.scope for each in constraints(read(kernel, scope))}
    every = {
        each.scope for each in constraints(read(kernel, make_scope(("*", Match.EXACT), ("*", Match.EXACT))))
    }
    assert len(every) == len(PATTERNS) ** 2
    assert {each for each in every if shares_a_question(scope, each)} <= found <= every


def test_what_cannot_share_a_question_is_left_out(kernel: Kernel) -> None:
    found = constraints(read(kernel, make_scope(("eve", Match.EXACT), ("docs/it/", Match.PREFIX))))
    assert {each.scope.actor for each in found} == {"eve", "*"}
    assert {each.scope.resource for each in found} == {"*", "docs/", "docs/it/"}


def test_only_the_effect_that_was_asked_for_and_at_most_so_many_the_newest_first(kernel: Kernel) -> None:
    everything = make_scope(("*", Match.EXACT), ("*", Match.EXACT))
    assert {each.effect for each in constraints(read(kernel, everything, Effect.DENY))} == {Effect.DENY}
    both = constraints(read(kernel, everything))
    assert len(both) == len(constraints(read(kernel, everything, Effect.ALLOW))) + len(
        constraints(read(kernel, everything, Effect.DENY))
    )
    newest = constraints(read(kernel, everything, limit=2))
    assert {each.scope.resource for each in newest} == {"staff", "papers"}


def test_the_members_of_every_group_that_is_named_come_with_them(kernel: Kernel) -> None:
    evidence = read(kernel, make_scope(("staff", Match.GROUP), ("ada", Match.EXACT)))
    members = {each.content for each in evidence.candidates if isinstance(each.content, MembershipContent)}
    assert {(each.field, each.group) for each in members} == {
        ("actor", "staff"),
        ("actor", "papers"),
        ("resource", "papers"),
        ("resource", "staff"),
    }


def test_a_write_that_is_refused_leaves_nothing(kernel: Kernel, tmp_path: Path) -> None:
    before = kernel.check_integrity().memory_head

    def job(transaction: Any) -> None:
        transaction.read_overlapping(make_scope(("*", Match.EXACT), ("*", Match.EXACT)), effect=None, limit=1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kernel.asking.memory.write(job, now_us=0)
    assert kernel.check_integrity().memory_head == before
