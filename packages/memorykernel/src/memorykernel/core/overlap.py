"""Where the rules are that can stand against a rule, as ranges of keys that an index finds.

Two rules conflict only with equal precedence, and precedence begins with specificity. So what can oppose a
rule has one of a few shapes: a `*` of all fields is opposed by such a `*` only, however many rules it
overlaps with. In each field a shape either has a few keys, which are listed, or a range of them.

A group meets what its members are, so the key of a group leaves its field open here; which members two rules
share is asked for separately, and only for rules that could conflict: see `list_meetings`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Final, NamedTuple

import msgspec

from memorykernel.core.evidence import Candidate, Supersession
from memorykernel.core.rule_book import FIELDS
from memorykernel.core.scope_pattern import (
    ANY_KEY,
    Keys,
    Specificity,
    list_keys,
    measure_keys,
)
from memorykernel.core.vocabulary import Authority, Effect, Field, TruthStatus

_MARKS: Final = "=^@*"
_ONE: Final = 2
_LAST: Final = chr(0x10FFFF)

Order = tuple[int, int, int]
_ORDERS: Final[tuple[Order, ...]] = ((0, 1, 2), (1, 2, 0), (2, 0, 1))

Value = tuple[Field, str]
Groups = Mapping[Value, Collection[str]]
"""The groups that values are members of; a value that is missing has none."""


class KeyRange(NamedTuple):
    """Keys from `low` to `high`, both of them included; a reader leaves out what is too much."""

    low: str
    high: str


Box = tuple[KeyRange, KeyRange, KeyRange]
"""Ranges of the keys of the three fields."""

_Shape = tuple[str, str, str]
_SHAPES: Final[Sequence[tuple[_Shape, Specificity]]] = sorted(
    (
        (
            (actor, action, resource),
            Specificity(measure_keys((actor, action, resource)).level, int("^" in every)),
        )
        for every in product(_MARKS, repeat=len(FIELDS))
        for actor, action, resource in (every,)
    ),
    key=lambda each: (-each[1].level, each[0]),
)
"""The shapes of scopes by their marks, the most specific first, with 1 for the length of any prefixes."""

_OPEN: Final = {
    **{each: [KeyRange(each, chr(ord(each) + 1))] for each in "=^@"},
    ANY_KEY: [KeyRange(ANY_KEY, ANY_KEY)],
}
EVERY_KEY: Final = KeyRange(ANY_KEY, "_")


class Standing(NamedTuple):
    """What a rule's precedence and effect consist of; nothing else tells rules apart."""

    effect: Effect
    authority: Authority
    truth_status: TruthStatus
    confidence: float
    specificity: Specificity


class Meeting(NamedTuple):
    """Members of a group that are asked for: those in a range, or those that another group has too."""

    field: Field
    group: str
    members: KeyRange
    other_group: str | None = None


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """What was read: records with every claim that targets them, and whether a bound left something out."""

    candidates: tuple[Candidate, ...]
    supersessions: tuple[Supersession, ...]
    is_cut: bool


@cache
def shapes_of(specificity: Specificity) -> tuple[_Shape, ...]:
    """The shapes of the scopes that are as specific."""
    wanted = Specificity(specificity.level, int(specificity.prefix_length > 0))
    return tuple(shape for shape, found in _SHAPES if found == wanted)


@cache
def shapes_between(least: int, most: int) -> tuple[_Shape, ...]:
    """The shapes of the scopes of some levels."""
    return tuple(shape for shape, found in _SHAPES if least <= found.level <= most)


def list_boxes(keys: Keys, groups: Groups, shapes: Iterable[_Shape]) -> Iterator[Box]:
    """Where the rules are that can match a question which a scope matches too.

    Args:
        keys: The scope's. groups: Those of the values that it names exactly.
        shapes: Of the rules, in this order.
    """
    options = [
        _list_ranges(key, groups.get((field, key[1:]), ())) for field, key in zip(FIELDS, keys, strict=True)
    ]
    for actor, action, resource in shapes:
        yield from product(options[0][actor], options[1][action], options[2][resource])


def list_exact_values(keys: Keys) -> list[Value]:
    """The values that a scope names exactly: those whose groups matter."""
    return [(field, key[1:]) for field, key in zip(FIELDS, keys, strict=True) if key[0] == "="]


def is_inside(keys: Keys, box: Box) -> bool:
    """Say whether keys lie in the ranges."""
    return all(low <= key <= high for key, (low, high) in zip(keys, box, strict=True))


def choose_order(box: Box) -> tuple[Order, int]:
    """In which order of the fields an index finds a box best, and how many of them lead with one key.

    Every order is a rotation: (0, 1, 2), (1, 2, 0) or (2, 0, 1).
    """
    return _choose_order(_narrowness(box[0]), _narrowness(box[1]), _narrowness(box[2]))


@cache
def _choose_order(*narrowness: int) -> tuple[Order, int]:
    order = max(_ORDERS, key=lambda order: [narrowness[each] for each in order])
    pinned = (place for place, each in enumerate(order) if narrowness[each] < _ONE)
    return order, next(pinned, len(order))


def list_meetings(one: Keys, other: Keys) -> Iterator[Meeting]:
    """The memberships that say whether two scopes meet in fields where one of them names a group."""
    for field, mine, yours in zip(FIELDS, one, other, strict=True):
        if "@" not in (mine[0], yours[0]):
            continue
        group, met = (mine, yours) if mine[0] == "@" else (yours, mine)
        if met[0] == "@" and met != group:
            first, second = sorted((group[1:], met[1:]))
            yield Meeting(field, first, KeyRange("", _LAST), second)
        elif met[0] == "=":
            yield Meeting(field, group[1:], KeyRange(met[1:], met[1:]))
        elif met[0] == "^":
            yield Meeting(field, group[1:], KeyRange(met[1:], _beyond(met[1:])))
        else:
            yield Meeting(field, group[1:], KeyRange("", _LAST))


def _list_ranges(key: str, groups: Collection[str]) -> dict[str, list[KeyRange]]:
    """By mark, where the keys are that can meet a key."""
    mark, value = key[0], key[1:]
    ranges = dict(_OPEN)
    if mark == "=":
        met = list_keys(value, groups)
        ranges |= {each: [KeyRange(found, found) for found in met if found[0] == each] for each in "=^@"}
    elif mark == "^":
        ranges["="] = [KeyRange(f"={value}", f"={_beyond(value)}")]
        above = (each for each in list_keys(value) if each[0] == "^" and each != key)
        ranges["^"] = [*(KeyRange(each, each) for each in above), KeyRange(key, f"^{_beyond(value)}")]
    return ranges


def _beyond(prefix: str) -> str:
    """The next text that begins with no value of the prefix, which ends with an ASCII character."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _narrowness(keys: KeyRange) -> int:
    if keys.low == keys.high:
        return _ONE
    return 1 if len(keys.low) > 1 else 0
