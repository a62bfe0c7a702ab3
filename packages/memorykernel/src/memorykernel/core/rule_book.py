"""All rules and memberships of an evidence, each with the time during which it counts.

A resolver judges the records for one question; a book is about every question at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from memorykernel.core.activity_v2 import group_claims
from memorykernel.core.activity_v3 import Span, find_span
from memorykernel.core.cursor import PageKey, page_key
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.membership import Place
from memorykernel.core.record import ConstraintContent, MembershipContent
from memorykernel.core.scope_pattern import ANY_KEY, Keys, encode_scope, list_keys, measure_keys
from memorykernel.core.validity import Precedence, join_spans
from memorykernel.core.vocabulary import Effect, Field

FIELDS = tuple(Field)


class BookRule(NamedTuple):
    """A constraint that counts at some time."""

    key: PageKey
    candidate: Candidate
    content: ConstraintContent
    keys: Keys
    span: Span

    @property
    def version_id(self) -> str:
        """Its memory_version_id."""
        return self.candidate.memory_version_id

    @property
    def precedence(self) -> Precedence:
        """What decides; the smallest does."""
        return self.key[:5]

    @property
    def effect(self) -> Effect:
        """What it says."""
        return self.content.effect


class RuleBook:
    """The rules and memberships of one state of the store.

    Args:
        evidence: Constraints, memberships and the supersessions of both; other records mean nothing.
    """

    def __init__(self, evidence: PolicyEvidence) -> None:
        claims = group_claims(evidence.supersessions)
        self.rules: dict[str, BookRule] = {}
        found: defaultdict[Place, defaultdict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
        for each in evidence.candidates:
            span, content = find_span(each, claims), each.content
            if span is None:
                continue
            if isinstance(content, ConstraintContent):
                keys = encode_scope(content.scope)
                key = page_key(each, measure_keys(keys))
                rule = BookRule(key, each, content, keys, span)
                self.rules[each.memory_version_id] = rule
            elif isinstance(content, MembershipContent):
                found[Place(content.field, content.group)][content.member].append(span)
        self._members: Mapping[Place, Mapping[str, tuple[Span, ...]]] = {
            place: {member: join_spans(spans) for member, spans in members.items()}
            for place, members in found.items()
        }
        self._groups: defaultdict[tuple[Field, str], list[str]] = defaultdict(list)
        for place, members in self._members.items():
            for member in members:
                self._groups[place.field, member].append(place.group)

    def list_memberships(self) -> dict[tuple[Place, str], tuple[Span, ...]]:
        """Who is a member of what, and when."""
        return {
            (place, member): spans
            for place, members in self._members.items()
            for member, spans in members.items()
        }

    def list_members(self, place: Place) -> tuple[str, ...]:
        """Everyone who is a member at some time, sorted."""
        return tuple(sorted(self._members.get(place, ())))

    def list_spans(self, place: Place) -> Iterator[Span]:
        """The times at which somebody begins or ceases to be a member."""
        for spans in self._members.get(place, {}).values():
            yield from spans

    def read_value(self, field: Field, value: str, instant_us: int) -> frozenset[str]:
        """The keys of all patterns that match a question's value at a time."""
        groups = [
            group
            for group in self._groups.get((field, value), ())
            if any(start <= instant_us < end for start, end in self._members[Place(field, group)][value])
        ]
        return frozenset(list_keys(value, groups))


def can_meet(one: Keys, other: Keys) -> bool:
    """Say whether two scopes can match the same question; a group can meet everything."""
    return _can_meet(one[0], other[0]) and _can_meet(one[1], other[1]) and _can_meet(one[2], other[2])


def _can_meet(one: str, other: str) -> bool:
    if one in (other, ANY_KEY) or other == ANY_KEY or one[0] == "@" or other[0] == "@":
        return True
    if one[0] == other[0] == "^":
        return one[1:].startswith(other[1:]) or other[1:].startswith(one[1:])
    if "^" in (one[0], other[0]):
        prefix, exact = (one[1:], other[1:]) if one[0] == "^" else (other[1:], one[1:])
        return exact.startswith(prefix)
    return False
