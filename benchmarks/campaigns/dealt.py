"""Small worlds dealt by a seeded generator: what the tests' strategies draw, a hundred times as fast.

Values are few, so that rules meet, tie, expire and supersede each other in most worlds. Ids are dealt at
random, so that no order can hide in them.
"""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec
from memorykernel.core.evidence import Candidate
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import SummaryContent
from memorykernel.core.vocabulary import Authority, Effect, Field, RecordType, SummaryType, TruthStatus

from packages.memorykernel.tests.core_v4 import small_world as v4
from packages.memorykernel.tests.core_v4.test_recall_v3 import WORDS, make_summary
from packages.memorykernel.tests.test_policy_rulesets import Universe as PublishedUniverse
from packages.memorykernel.tests.test_policy_rulesets import make_record

_LONG: Final = 70
"""More records than a package shows; one world in `_RARE` has as many."""

_RARE: Final = 50


def deal_published(dice: random.Random) -> PublishedUniverse:
    """A world of ordering.v1 and ordering.v2, about `test_policy_rulesets.QUESTION`."""
    numbers = _deal_numbers(dice)
    return PublishedUniverse(tuple(_deal_record(dice, n) for n in numbers), _deal_links(dice, len(numbers)))


def deal_universe(dice: random.Random) -> v4.Universe:
    """A world of ordering.v3: rules with patterns, groups and lifetimes, and memberships."""
    numbers = _deal_numbers(dice, most=16)
    made = tuple(_deal_rule(dice, n) if dice.random() < 0.7 else _deal_membership(dice, n) for n in numbers)
    return v4.Universe(made, _deal_links(dice, len(numbers)))


def deal_summaries(dice: random.Random) -> v4.Universe:
    """A world of recall-ordering.v3."""
    numbers = _deal_numbers(dice)
    made = tuple(
        make_summary(
            number,
            " ".join(dice.choices(WORDS, k=dice.randint(1, 4))),
            record_type=RecordType(dice.choice(list(SummaryType))),
            **_deal_standing(dice),
        )
        for number in numbers
    )
    return v4.Universe(made, _deal_links(dice, len(numbers)))


def deal_question(dice: random.Random) -> PolicyQuestion:
    """A question that the worlds of `deal_universe` are about."""
    return v4.ask(
        dice.randint(0, 13),
        actor=dice.choice(v4.ACTORS),
        action=dice.choice(("use", "use", "buy")),
        resource=dice.choice(("usb", "disk:1", "disk:")),
    )


def _deal_numbers(dice: random.Random, *, most: int = 9) -> list[int]:
    return dice.sample(range(1000), _LONG if dice.randrange(_RARE) == 0 else dice.randint(0, most))


def _deal_links(dice: random.Random, count: int) -> tuple[tuple[int, int], ...]:
    """Who supersedes whom, by position, without cycles."""
    if count < 2:
        return ()
    pairs = [dice.sample(range(count), 2) for _ in range(dice.randint(0, 5))]
    return tuple(dict.fromkeys((max(pair), min(pair)) for pair in pairs))


def _deal_record(dice: random.Random, number: int) -> Candidate:
    changes: dict[str, Any] = {
        "actor": dice.choice(("ann", "ann", "*", "bob")),
        "action": dice.choice(("use", "use", "*", "buy")),
        "resource": dice.choice(("usb", "usb", "*")),
        "effect": dice.choice(list(Effect)),
        "truth_status": dice.choice(list(TruthStatus)),
        "authority": dice.choice(list(Authority)),
        "confidence": dice.choice((None, 0.0, 0.5, 0.9, 1.0)),
        "created_at_us": dice.randint(0, 3) * v4.SECOND,
        "effective_at_us": dice.randint(3, 6) * v4.SECOND,
    }
    made = make_record(number, **changes)
    if dice.randrange(8):
        return made
    summary = SummaryContent(summary="a decision")
    return msgspec.structs.replace(made, record_type=RecordType.DECISION, content=summary)


def _deal_standing(dice: random.Random) -> dict[str, Any]:
    begin = dice.randint(1, 8)
    end = dice.choice((None, None, begin + dice.randint(1, 5)))
    return {
        "effective_at_us": begin * v4.SECOND,
        "expires_at_us": None if end is None else end * v4.SECOND,
        "truth_status": dice.choice((TruthStatus.ASSERTED, *TruthStatus)),
        "authority": dice.choice(list(Authority)),
        "confidence": dice.choice((None, None, 0.5, 0.9)),
        "created_at_us": dice.randint(0, 3) * v4.SECOND,
    }


def _deal_rule(dice: random.Random, number: int) -> Candidate:
    scope: dict[str, Any] = {}
    for field, choices in v4.PATTERNS.items():
        value, match = dice.choice(choices)
        scope |= {field.value: value, f"{field}_match": match}
    return v4.make_rule(number, effect=dice.choice(list(Effect)), **scope, **_deal_standing(dice))


def _deal_membership(dice: random.Random, number: int) -> Candidate:
    memberships = [(Field.ACTOR, "staff", actor) for actor in v4.ACTORS]
    field, group, member = dice.choice(
        [*memberships, (Field.ACTION, "tools", "use"), (Field.ACTION, "staff", "use")]
    )
    return v4.make_membership(number, field, group, member, **_deal_standing(dice))
