"""Small universes whose rules nearly all match one question, so that most writes come close to a conflict.

What `test_conflict.deal` makes is random, and most of it lies apart. Here a question is dealt first and then
scopes that match it, two and two of them as specific as each other: exact values, prefixes inside prefixes,
two groups of one field and `*`, in each field against each. Who is a member of what, since when and until
when, is dealt too, and any of the records can be the one that is written last; it may supersede others. In
every fourth universe the write is a link instead.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, Final

import msgspec
from memorykernel.core.evidence import Candidate
from memorykernel.core.record import ConstraintContent, MembershipContent
from memorykernel.core.scope_pattern import Keys, Specificity, encode_scope, list_keys, measure_keys
from memorykernel.core.vocabulary import Authority, Effect, Field, Match, TruthStatus

from packages.memorykernel.tests.core_v4.small_world import SECOND, Universe, make_membership, make_rule

VALUES: Final = {
    Field.ACTOR: ("ann", "ops/x", "ops/night/y"),
    Field.ACTION: ("run", "use"),
    # The prefixes are as long as those of the actors: so scopes with different ones can be as specific.
    Field.RESOURCE: ("pen", "usb/x", "usb/store/y"),
}
GROUPS: Final = {
    Field.ACTOR: ("staff", "night"),
    Field.ACTION: ("tools", "verbs"),
    Field.RESOURCE: ("gear", "stock"),
}
_MATCHES: Final = {"=": Match.EXACT, "*": Match.EXACT, "^": Match.PREFIX, "@": Match.GROUP}
_FRESH: Final = "new"


def deal_crossing(seed: int) -> tuple[Universe, Universe]:
    """A universe, and the same with one more record or link."""
    dice = random.Random(seed)
    most = dice.choice([1, 1, 4])
    asked, beside = _deal_questions(dice)
    rules = _deal_rules(dice, asked, beside, most)
    memberships = _deal_memberships(dice, rules, asked, most)
    last = dice.choice([rules[:2], rules[:2], memberships or rules, rules])
    new = dice.choice(last)
    there = [each for each in (*rules, *memberships) if each is not new]
    dice.shuffle(there)
    if dice.random() < 0.15:
        # A new version of something, the same in all but its standing and perhaps its effect.
        new = _deal_version(dice, dice.choice(there), most)
    links = _deal_links(dice, len(there))
    if seed % 4 == 3:
        return _deal_link(dice, (*there, new), links)
    retired = _choose_retired(dice, there, new)
    added = tuple((len(there), old) for old in retired)
    return Universe(tuple(there), links), Universe((*there, new), (*links, *added))


def list_values(universe: Universe) -> dict[Field, list[str]]:
    """Per field every value that is named, and a fresh one for each prefix and for everything else."""
    found: dict[Field, set[str]] = {field: {_FRESH} for field in Field}
    for each in universe.records:
        if isinstance(each.content, MembershipContent):
            found[each.content.field].add(each.content.member)
        elif isinstance(each.content, ConstraintContent):
            for field, key in zip(Field, encode_scope(each.content.scope), strict=True):
                if key[0] in "=^":
                    found[field].add(key[1:] if key[0] == "=" else f"{key[1:]}{_FRESH}")
    return {field: sorted(found[field]) for field in Field}


def _deal_questions(dice: random.Random) -> tuple[Keys, Keys]:
    """The question that most rules match, and one that is another in one field."""
    actor, action, resource = (dice.choice((*values, values[-1])) for values in VALUES.values())
    place = dice.randrange(len(VALUES))
    other = [actor, action, resource]
    other[place] = dice.choice(list(VALUES.values())[place])
    return (actor, action, resource), (other[0], other[1], other[2])


def _deal_rules(dice: random.Random, asked: Keys, beside: Keys, most: int) -> list[Candidate]:
    """Two rules that oppose each other, and perhaps more: above them, below them, or beside."""
    dealt = [*_deal_pair(dice, asked)]
    dealt += [
        dice.choice([*_deal_pair(dice, dice.choice([asked, beside]))])
        for _ in range(dice.choice([0, 0, 1, 1, 2]))
    ]
    if dice.random() < 0.4:
        dealt += _deal_pair(dice, beside)
    numbers = dice.sample(range(1000), len(dealt))
    return [
        make_rule(number, effect=effect, **_decode(scope), **_deal_standing(dice, most))
        for number, (scope, effect) in zip(numbers, dealt, strict=True)
    ]


def _deal_pair(dice: random.Random, asked: Keys) -> Iterator[tuple[Keys, Effect]]:
    as_specific = _list_scopes(asked)
    one = dice.choice([scope for scopes in as_specific.values() for scope in scopes])
    yield one, Effect.ALLOW
    yield dice.choice(as_specific[measure_keys(one)]), Effect.DENY


def _deal_memberships(dice: random.Random, rules: list[Candidate], asked: Keys, most: int) -> list[Candidate]:
    """The value of the question in most groups that are named, and others in some."""
    named = {
        (place, key[1:])
        for each in rules
        if isinstance(each.content, ConstraintContent)
        for place, key in enumerate(encode_scope(each.content.scope))
        if key[0] == "@"
    }
    dealt = [(place, group, asked[place]) for place, group in sorted(named) if dice.random() < 0.9]
    for place, group in sorted(named):
        if dice.random() < 0.4:
            dealt.append((place, group, dice.choice(VALUES[list(Field)[place]])))
    return [
        make_membership(2000 + number, list(Field)[place], group, member, **_deal_standing(dice, most))
        for number, (place, group, member) in enumerate(dealt)
    ]


def _deal_standing(dice: random.Random, most: int) -> dict[str, Any]:
    begin = dice.randint(1, most)
    ends = dice.random() < (0.3 if most > 1 else 0.1)
    return {
        "effective_at_us": begin * SECOND,
        "expires_at_us": (begin + dice.randint(1, 3)) * SECOND if ends else None,
        "authority": Authority.AUTHORITATIVE if dice.random() < 0.9 else Authority.NOTE,
        "truth_status": dice.choice(
            [*[TruthStatus.ASSERTED] * 18, TruthStatus.OBSERVED, TruthStatus.RETRACTED]
        ),
    }


def _deal_version(dice: random.Random, of: Candidate, most: int) -> Candidate:
    content = of.content
    if isinstance(content, ConstraintContent) and dice.random() < 0.5:
        content = msgspec.structs.replace(content, effect=dice.choice(list(Effect)))
    made = (
        make_membership(3000, Field.ACTOR, "", "")
        if isinstance(content, MembershipContent)
        else make_rule(3000)
    )
    return msgspec.structs.replace(made, content=content, **_deal_standing(dice, most))


def _choose_retired(dice: random.Random, there: list[Candidate], new: Candidate) -> list[int]:
    like = [n for n, each in enumerate(there) if _is_like(each, new)]
    if like and dice.random() < 0.5:
        return like[:1]
    return dice.sample(range(len(there)), min(len(there), dice.choice([0, 0, 0, 1, 1, 2])))


def _is_like(one: Candidate, other: Candidate) -> bool:
    mine, yours = one.content, other.content
    if isinstance(mine, ConstraintContent) and isinstance(yours, ConstraintContent):
        return mine.scope == yours.scope
    return mine == yours


def _deal_links(dice: random.Random, count: int) -> tuple[tuple[int, int], ...]:
    if count < 2 or dice.random() < 0.8:
        return ()
    new, old = dice.sample(range(count), 2)
    return ((new, old),)


def _deal_link(
    dice: random.Random, records: tuple[Candidate, ...], links: tuple[tuple[int, int], ...]
) -> tuple[Universe, Universe]:
    pairs = [(new, old) for new in range(len(records)) for old in range(len(records)) if new != old]
    free = [(new, old) for new, old in pairs if not {(new, old), (old, new)} & set(links)]
    like = [(new, old) for new, old in free if _is_like(records[new], records[old])]
    added = dice.choice(like if like and dice.random() < 0.3 else free)
    return Universe(records, links), Universe(records, (*links, added))


@cache
def _list_scopes(asked: Keys) -> dict[Specificity, list[Keys]]:
    """The scopes that can match a question, by how specific they are."""
    found: defaultdict[Specificity, list[Keys]] = defaultdict(list)
    options = [list_keys(value, GROUPS[field]) for field, value in zip(Field, asked, strict=True)]
    for actor, action, resource in product(*options):
        found[measure_keys((actor, action, resource))].append((actor, action, resource))
    return dict(found)


def _decode(keys: Keys) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for field, key in zip(Field, keys, strict=True):
        scope |= {field.value: key[1:] or key, f"{field}_match": _MATCHES[key[0]]}
    return scope
