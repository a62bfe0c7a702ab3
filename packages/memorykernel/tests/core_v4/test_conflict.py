"""The conflict check against enumeration: every question of a small universe, before and after a write."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import msgspec
import pytest
from memorykernel.core.conflict import Conflict, Conflicts, find_conflicts
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.instant import parse_instant
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, MembershipContent
from memorykernel.core.vocabulary import Authority, Effect, Field, Match, TruthStatus
from memorykernel.core.write_check import check_write

from packages.memorykernel.tests.core_v4.naive_spec import spec_answer, spec_conflicts, spec_instants
from packages.memorykernel.tests.core_v4.small_world import (
    PATTERNS,
    SECOND,
    Universe,
    ask,
    make_membership,
    make_rule,
)

Pair = frozenset[str]
Values = Mapping[Field, Iterable[str]]
CHOICES = {**PATTERNS, Field.ACTOR: (*PATTERNS[Field.ACTOR], ("night", Match.GROUP))}
ALL = {
    Field.ACTOR: ("ann", "eve", "ops/", "ops/x", "ops/night/", "ops/night/eve", "ops/night/x", "x"),
    Field.ACTION: ("use", "run", "x"),
    Field.RESOURCE: ("usb", "disk:x", "x"),
}
"""Every value that the universes name, and a fresh one for each field and prefix."""


def deal_scope(dice: random.Random) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for field, choices in CHOICES.items():
        value, match = dice.choice(choices)
        scope |= {field.value: value, f"{field}_match": match}
    return scope


def deal_rule(dice: random.Random, number: int, scopes: list[dict[str, Any]], *, most: int) -> Candidate:
    scope = dice.choice(scopes) if dice.random() < 0.7 else deal_scope(dice)
    return make_rule(number, effect=dice.choice(list(Effect)), **scope, **deal_life(dice, most))


def deal_life(dice: random.Random, most: int) -> dict[str, Any]:
    begin = dice.randint(1, most)
    return {
        "effective_at_us": begin * SECOND,
        "expires_at_us": dice.choice([None, None, (begin + dice.randint(1, 3)) * SECOND]),
        "authority": dice.choice([Authority.AUTHORITATIVE, Authority.AUTHORITATIVE, Authority.NOTE]),
        "truth_status": TruthStatus.ASSERTED if dice.random() < 0.9 else TruthStatus.RETRACTED,
    }


def deal_membership(dice: random.Random, number: int, *, most: int) -> Candidate:
    field, group, member = dice.choice(
        [
            *((Field.ACTOR, "staff", each) for each in ("ann", "eve", "ops/x", "ops/night/eve")),
            *((Field.ACTOR, "night", each) for each in ("eve", "ops/x", "ops/night/eve")),
            (Field.ACTION, "tools", "use"),
            (Field.ACTION, "tools", "run"),
        ]
    )
    return make_membership(number, field, group, member, **deal_life(dice, most))


def deal(seed: int) -> tuple[Universe, Universe]:
    """A universe, and the same with one more record that may supersede some."""
    dice = random.Random(seed)
    most = dice.choice([1, 4])
    scopes = [deal_scope(dice) for _ in range(dice.randint(1, 2))]
    numbers = dice.sample(range(900), dice.randint(1, 5))
    records = [deal_rule(dice, number, scopes, most=most) for number in numbers]
    records += [deal_membership(dice, 900 + n, most=most) for n in range(dice.randint(0, 3))]
    links = [(1, 0)] if len(numbers) > 1 and dice.random() < 0.2 else []
    new = deal_membership(dice, 5000, most=most)
    if dice.random() < 0.8:
        new = deal_rule(dice, 5000, scopes, most=most)
    retired = dice.sample(range(len(records)), dice.choice([0, 0, 0, 1, 2]) % (len(records) + 1))
    added = [(len(records), old) for old in retired]
    return Universe(tuple(records), tuple(links)), Universe((*records, new), (*links, *added))


def enumerate_pairs(before: Universe, after: Universe, values: Values = ALL) -> set[Pair]:
    """Every pair of rules that decides some question against each other that had no conflict."""
    effects = {
        record.memory_version_id: record.content.effect
        for record in after.records
        if isinstance(record.content, ConstraintContent)
    }
    found: set[Pair] = set()
    for actor, action, resource in product(*values.values()):
        for instant in spec_instants(after):
            question = to_question(actor, action, resource, instant)
            answer = spec_answer(after, question)
            if answer.result == "inconclusive" and answer.decided and not spec_conflicts(before, question):
                found |= {
                    frozenset((one, other))
                    for one in answer.decided
                    for other in answer.decided
                    if effects[one] != effects[other]
                }
    return found


def to_question(actor: str, action: str, resource: str, as_of_us: int) -> PolicyQuestion:
    question = ask(actor=actor, action=action, resource=resource)
    return msgspec.structs.replace(question, as_of_us=as_of_us)


def check_pairs(found: Conflicts, before: Universe, after: Universe, values: Values = ALL) -> int:
    """Compare what was found, all of it unless `truncated`, with enumeration; how many pairs."""
    for each in found.conflicts:
        check_witness(each, before, after)
    pairs = {frozenset((each.memory_version_id, each.opposes)) for each in found.conflicts}
    assert len(pairs) == len(found.conflicts)
    expected = enumerate_pairs(before, after, values)
    assert pairs <= expected
    assert found.truncated or pairs == expected, expected - pairs
    return len(pairs)


def compare(seed: int) -> int:
    before, after = deal(seed)
    found = find_conflicts(before.evidence(), after.evidence(), max_conflicts=99)
    assert not found.truncated
    pairs = check_pairs(found, before, after)
    new = after.records[-1]
    retired = [after.records[old].memory_version_id for _, old in after.links[len(before.links) :]]
    assert check_write(new, retired, before.evidence(), max_conflicts=99) == found
    shuffled = find_conflicts(
        before.evidence(random.Random(seed)), after.evidence(random.Random(seed + 1)), max_conflicts=99
    )
    assert shuffled == found
    return pairs


def check_witness(conflict: Conflict, before: Universe, after: Universe) -> None:
    witness = conflict.witness
    instant = parse_instant(witness.as_of, field="as_of")
    question = to_question(witness.actor, witness.action, witness.resource, instant)
    assert spec_conflicts(after, question)
    assert not spec_conflicts(before, question)
    assert {conflict.memory_version_id, conflict.opposes} <= spec_answer(after, question).decided
    assert parse_instant(conflict.from_, field="from") <= instant
    assert conflict.until is None or instant < parse_instant(conflict.until, field="until")
    overlap = make_rule(1, **msgspec.structs.asdict(conflict.overlap))
    members = tuple(each for each in after.records if isinstance(each.content, MembershipContent))
    inside = Universe((overlap, *members))
    assert spec_answer(inside, question).selected == [overlap.memory_version_id]


@pytest.mark.parametrize("block", range(4))
def test_a_conflict_is_reported_exactly_when_a_question_has_become_one(block: int) -> None:
    found = [compare(seed) for seed in range(10_000 + block * 500, 10_500 + block * 500)]
    assert sum(each > 0 for each in found) > 25


def check(new: Candidate, *records: Candidate, supersedes: tuple[str, ...] = ()) -> tuple[Conflict, ...]:
    return check_write(new, supersedes, Universe(records).evidence()).conflicts


def test_a_conflict_says_where_and_when_and_shows_a_question() -> None:
    there = make_rule(
        1, effect=Effect.ALLOW, actor="ops/", actor_match=Match.PREFIX, expires_at_us=9 * SECOND
    )
    new = make_rule(2, actor="ops/", actor_match=Match.PREFIX, effective_at_us=3 * SECOND)
    (conflict,) = check(new, there)
    assert msgspec.to_builtins(conflict) == {
        "memory_version_id": there.memory_version_id,
        "effect": "allow",
        "opposes": new.memory_version_id,
        "overlap": {
            "actor": "ops/",
            "actor_match": "prefix",
            "action": "use",
            "action_match": "exact",
            "resource": "usb",
            "resource_match": "exact",
        },
        "from": "1970-01-01T00:00:03Z",
        "until": "1970-01-01T00:00:09Z",
        "witness": {
            "actor": "ops/other",
            "action": "use",
            "resource": "usb",
            "as_of": "1970-01-01T00:00:03Z",
        },
    }


def test_groups_meet_where_they_share_a_member() -> None:
    there = make_rule(1, effect=Effect.ALLOW, actor="staff", actor_match=Match.GROUP)
    new = make_rule(2, actor="guests", actor_match=Match.GROUP)
    apart = (
        make_membership(3, Field.ACTOR, "staff", "ann"),
        make_membership(4, Field.ACTOR, "guests", "bob"),
    )
    assert check(new, there, *apart) == ()
    (conflict,) = check(new, there, *apart, make_membership(5, Field.ACTOR, "guests", "ann"))
    assert (conflict.witness.actor, conflict.overlap.actor) == ("ann", "ann")


def test_a_rule_that_is_shadowed_wherever_it_applies_is_in_no_conflict() -> None:
    there, new = make_rule(1, effect=Effect.ALLOW, actor="*"), make_rule(2, actor="*")
    assert len(check(new, there)) == 1
    shadow = make_rule(3, actor="*", truth_status=TruthStatus.OBSERVED)
    assert check(new, there, shadow) == ()


def test_superseding_a_rule_can_bring_a_conflict_of_others_forward() -> None:
    allows, denies = make_rule(1, effect=Effect.ALLOW, actor="*"), make_rule(2, actor="*")
    shadow = make_rule(3, actor="*", truth_status=TruthStatus.OBSERVED)
    new = make_rule(4, actor="bob")
    (conflict,) = check(new, allows, denies, shadow, supersedes=(shadow.memory_version_id,))
    assert {conflict.memory_version_id, conflict.opposes} == {
        allows.memory_version_id,
        denies.memory_version_id,
    }


def test_retiring_the_rule_of_a_group_brings_a_conflict_forward_for_its_members() -> None:
    allows, denies = make_rule(1, effect=Effect.ALLOW, actor="*"), make_rule(2, actor="*")
    of_staff = make_rule(3, actor="staff", actor_match=Match.GROUP)
    member = make_membership(4, Field.ACTOR, "staff", "ann")
    new = make_rule(5, actor="bob")
    (conflict,) = check(new, allows, denies, of_staff, member, supersedes=(of_staff.memory_version_id,))
    assert conflict.witness.actor == "ann"


def test_a_question_that_had_a_conflict_has_no_new_one() -> None:
    lower = (make_rule(1, effect=Effect.ALLOW, actor="*"), make_rule(2, actor="*"))
    higher = (
        make_rule(3, effect=Effect.ALLOW, actor="staff", actor_match=Match.GROUP),
        make_rule(4, actor="staff", actor_match=Match.GROUP),
    )
    both = find_conflicts(Universe(lower).evidence(), Universe((*lower, *higher)).evidence())
    assert both.conflicts == ()
    member = make_membership(5, Field.ACTOR, "staff", "ann")
    assert check(member, *lower, *higher) == ()
    (conflict,) = check(member, *higher)
    assert conflict.witness.actor == "ann"


def test_a_check_is_bounded_and_says_when_it_has_not_seen_everything() -> None:
    many = tuple(make_rule(n, effect=Effect.ALLOW) for n in range(30))
    evidence = Universe(many).evidence()
    new = make_rule(99)
    some = check_write(new, (), evidence)
    assert (len(some.conflicts), some.truncated) == (20, True)
    none = check_write(new, (), evidence, max_steps=3)
    assert (none.conflicts, none.truncated) == ((), True)
    empty = PolicyEvidence(head="", candidates=(), supersessions=())
    assert check_write(new, (), empty) == msgspec.structs.replace(none, truncated=False)
