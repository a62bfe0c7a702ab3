"""The groups that a question's values are members of, and when.

A membership is a record like any other: it counts when it is in effect, not expired, not retracted and not
superseded. Groups have no members that are groups: what a group means can be read off its memberships.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from memorykernel.core.activity_v2 import Claims
from memorykernel.core.activity_v3 import Span, StandingV3, find_span, judge_standing_v3
from memorykernel.core.cursor import page_key
from memorykernel.core.evidence import Candidate
from memorykernel.core.package_bounds import excerpt
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import MembershipContent
from memorykernel.core.scope_pattern import Keys, list_keys
from memorykernel.core.validity import join_spans, meet_spans
from memorykernel.core.vocabulary import Field


class Place(NamedTuple):
    """A group in a field; the same name in another field is another group."""

    field: Field
    group: str


class _Judged(NamedTuple):
    candidate: Candidate
    standing: StandingV3


class Memberships:
    """The memberships of one question's actor, action and resource.

    Args:
        question: The question.
        candidates: Records of any type; those that say nothing about the question's values are left out.
        claims: From `activity_v2.group_claims`.
    """

    def __init__(self, question: PolicyQuestion, candidates: Iterable[Candidate], claims: Claims) -> None:
        self._values = ask_values(question)
        self.as_of_us = question.as_of_us
        self._claims = claims
        found: defaultdict[Place, list[_Judged]] = defaultdict(list)
        for each in candidates:
            content = each.content
            if isinstance(content, MembershipContent) and content.member == self._values[content.field]:
                standing = judge_standing_v3(each, claims, question.as_of_us)
                found[Place(content.field, content.group)].append(_Judged(each, standing))
        for judged in found.values():
            # Those that count first, then by precedence: the first speaks for the group.
            judged.sort(key=lambda one: (one.standing.exclusion is not None, page_key(one.candidate, (0, 0))))
        self._found: Mapping[Place, list[_Judged]] = found
        self._spans: dict[tuple[Place, ...], tuple[Span, ...]] = {}

    def records(self) -> list[Candidate]:
        """Every membership of the question's values, whether it counts or not."""
        return [each.candidate for judged in self._found.values() for each in judged]

    def list_keys(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """Per field the keys of all patterns that match, through whatever membership."""
        groups: dict[Field, list[str]] = {field: [] for field in Field}
        for place in self._found:
            groups[place.field].append(place.group)
        actor, action, resource = (
            frozenset(list_keys(value, groups[field])) for field, value in self._values.items()
        )
        return actor, action, resource

    def counts(self, place: Place) -> bool:
        """Say whether a membership of the group counts when the question is asked."""
        return any(each.standing.exclusion is None for each in self._found.get(place, ())[:1])

    def explain(self, place: Place) -> str:
        """Why the question's value is, or is not, counted as a member of a group it has a record of."""
        speaker, standing = self._found[place][0]
        named = f"{place.field} is a member of '{excerpt(place.group)}' by {speaker.memory_version_id}"
        if standing.exclusion is None:
            return named
        return f"membership does not count: {named}: {standing.exclusion}"

    def find_spans(self, places: tuple[Place, ...]) -> tuple[Span, ...]:
        """The time during which the question's values are members of all the groups, one or more."""
        if places not in self._spans:
            if len(places) == 1:
                spans = (find_span(each.candidate, self._claims) for each in self._found[places[0]])
                self._spans[places] = join_spans(span for span in spans if span is not None)
            else:
                rest = self.find_spans(places[1:])
                self._spans[places] = meet_spans(self.find_spans(places[:1]), rest)
        return self._spans[places]


def ask_values(question: PolicyQuestion) -> dict[Field, str]:
    """The values of a question, in the order of the fields."""
    return {
        Field.ACTOR: question.actor,
        Field.ACTION: question.action,
        Field.RESOURCE: question.resource,
    }


def list_places(keys: Keys) -> tuple[Place, ...]:
    """The groups that an encoded scope names."""
    if not any(key[0] == "@" for key in keys):
        return ()
    return tuple(Place(field, key[1:]) for field, key in zip(Field, keys, strict=True) if key[0] == "@")
