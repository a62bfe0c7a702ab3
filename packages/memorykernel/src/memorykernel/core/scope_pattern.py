"""Scopes with prefixes and groups: what they match, how they are found, and which is more specific.

A field of a scope is compared in one of four ways, from the most to the least specific:

    exact    the value itself
    prefix   a value that begins with it; a prefix ends with one of / : . and so names a whole level
    group    a value that is a member of the group when the question is asked
    any      an exact `*`

The key of a pattern is what a store looks it up by: a question of a few levels has a few keys a field, and
every constraint that can match it has one of them in each field.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from msgspec import UNSET

from memorykernel.core.record import Scope
from memorykernel.core.vocabulary import WILDCARD, Field, Match
from memorykernel.errors import InvalidRequest

LEVEL_ENDS: Final = "/:."
"""The characters that a prefix may end with."""

_LEVEL_END: Final = re.compile(f"[{re.escape(LEVEL_ENDS)}]")

MAX_LEVELS: Final = 32
"""How many levels of a value are looked up at most; a deeper one is found by its first 32."""

_LEVEL_BY_MARK: Final = {"=": 3, "^": 2, "@": 1, "*": 0}
MAX_LEVEL_SUM: Final = 9
"""The specificity of a scope that names all three fields exactly."""

ANY_KEY: Final = "*"


Keys = tuple[str, str, str]
"""The keys of a scope's three fields."""


class Specificity(NamedTuple):
    """How closely a scope fits; compared in this order.

    Attributes:
        level: The sum over the fields of exact 3, prefix 2, group 1, any 0.
        prefix_length: The characters of all prefixes: of two nested ones the longer is more specific.
    """

    level: int
    prefix_length: int


def encode_pattern(value: str, match: Match) -> str:
    """The key that a constraint's field is stored under."""
    if match is Match.EXACT:
        return _encode_exact(value)
    return f"^{value}" if match is Match.PREFIX else f"@{value}"


def list_keys(value: str, groups: Collection[str] = ()) -> tuple[str, ...]:
    """Every key whose pattern matches a question's value.

    Args:
        value: The question's actor, action or resource.
        groups: The groups that the value is a member of.
    """
    ends = [found.end() for found in _LEVEL_END.finditer(value)]
    prefixes = (f"^{value[:end]}" for end in ends[:MAX_LEVELS])
    return (ANY_KEY, f"={value}", *prefixes, *(f"@{group}" for group in sorted(groups)))


def matches(pattern: str, match: Match, value: str, groups: Collection[str]) -> bool:
    """Say whether a pattern matches a value that is a member of `groups`."""
    return encode_pattern(pattern, match) in list_keys(value, groups)


def measure_scope(scope: Scope) -> Specificity:
    """The specificity of a scope, whatever it matches.

    A question's own `*` does not make a `*` more specific: a scope is as specific as what it says.
    """
    return measure_keys(encode_scope(scope))


def encode_scope(scope: Scope) -> Keys:
    """The keys of a scope's fields, in their order."""
    if scope.actor_match is scope.action_match is scope.resource_match is UNSET:
        # Most scopes, and every one that is compared as a question is answered.
        return _encode_exact(scope.actor), _encode_exact(scope.action), _encode_exact(scope.resource)
    (_, actor, how_actor), (_, action, how_action), (_, resource, how_resource) = scope.patterns()
    return (
        encode_pattern(actor, how_actor),
        encode_pattern(action, how_action),
        encode_pattern(resource, how_resource),
    )


def measure_keys(keys: Keys) -> Specificity:
    """`measure_scope` of a scope that was encoded."""
    actor, action, resource = keys
    level = _LEVEL_BY_MARK[actor[0]] + _LEVEL_BY_MARK[action[0]] + _LEVEL_BY_MARK[resource[0]]
    return Specificity(level, sum([len(key) - 1 for key in keys if key[0] == "^"]))


def check_patterns(scope: Scope) -> None:
    """Refuse a scope that could never match, or not what its writer means.

    Raises:
        InvalidRequest: A prefix does not end with a level or is deeper than `MAX_LEVELS`; or `*` is a group.
    """
    for field, value, match in scope.patterns():
        if match is Match.PREFIX and value[-1:] not in LEVEL_ENDS:
            raise _refuse(field, f"is no prefix: expected it to end with one of {' '.join(LEVEL_ENDS)}")
        if match is Match.PREFIX and sum(value.count(end) for end in LEVEL_ENDS) > MAX_LEVELS:
            raise _refuse(field, f"is too deep: expected at most {MAX_LEVELS} levels")
        if match is Match.GROUP and value == WILDCARD:
            raise _refuse(field, "is no group: '*' matches everything, send it with an exact match")


def _encode_exact(value: str) -> str:
    return ANY_KEY if value == WILDCARD else f"={value}"


def _refuse(field: Field, reason: str) -> InvalidRequest:
    return InvalidRequest(f"field '{field}' {reason}", {"field": field.value})
