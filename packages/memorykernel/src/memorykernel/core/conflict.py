"""Which questions a write would make undecidable: conflicts, each with a question that proves it.

A conflict is reported exactly when some question had no conflict before the write and has one after it, under
ordering.v3: two rules of opposite effect and equal precedence decide it, and no rule above them. A rule that
is shadowed wherever it meets another is in no conflict with it. The write may add rules and
memberships and may supersede others, which can bring forward a conflict between rules that were there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from memorykernel.core.activity_v3 import FOREVER, Span
from memorykernel.core.evidence import PolicyEvidence
from memorykernel.core.instant import format_instant
from memorykernel.core.membership import list_places
from memorykernel.core.question_search import Books, Budget, Search, make_box
from memorykernel.core.record import Scope
from memorykernel.core.rule_book import FIELDS, BookRule, RuleBook, can_meet
from memorykernel.core.scope_pattern import ANY_KEY, Keys
from memorykernel.core.validity import meet_spans
from memorykernel.core.vocabulary import Effect, Match

MAX_CONFLICTS: Final = 20
"""How many conflicts a check reports at most."""

MAX_STEPS: Final = 200_000
"""How long a check searches: values tried, times the rules left; a second or less."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A question that the write makes inconclusive; `as_of` as RFC 3339."""

    actor: str
    action: str
    resource: str
    as_of: str


class Conflict(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Two rules that would contradict each other.

    Attributes:
        memory_version_id: The rule that is there already.
        effect: Its effect.
        opposes: The rule that it contradicts: what is written, or another one that the write uncovers.
        overlap: A scope inside both scopes.
        from_, until: The time during which both count by themselves; until is None for ever.
        witness: A question that had no conflict before, and has this one after.
    """

    memory_version_id: str
    effect: Effect
    opposes: str
    overlap: Scope
    from_: str
    until: str | None
    witness: Witness


class Conflicts(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found; `truncated` when there may be more."""

    conflicts: tuple[Conflict, ...]
    truncated: bool


def find_conflicts(
    before: PolicyEvidence,
    after: PolicyEvidence,
    *,
    max_conflicts: int = MAX_CONFLICTS,
    max_steps: int = MAX_STEPS,
) -> Conflicts:
    """Compare two states of the store.

    Pure and deterministic; complete unless `truncated`.

    Args:
        before: Every constraint, of either effect, that can match a question that the write is about; the
            memberships of all groups that these name; the supersessions of both.
        after: The same with what the write adds: see `write_check`.
        max_conflicts: How many to report.
        max_steps: How long to search.
    """
    check = _Check(Books(RuleBook(before), RuleBook(after)), Budget(max_steps))
    found: list[Conflict] = []
    for conflict in check.run():
        if len(found) == max_conflicts:
            return Conflicts(conflicts=tuple(found), truncated=True)
        found.append(conflict)
    return Conflicts(conflicts=tuple(found), truncated=check.budget.is_spent)


class _Check:
    def __init__(self, books: Books, budget: Budget) -> None:
        self.budget = budget
        self._books = books
        self._rules = sorted(books.after.rules.values(), key=lambda each: each.key)
        self._changed = {
            version_id
            for version_id in books.before.rules.keys() | books.after.rules.keys()
            if _span_of(books.before, version_id) != _span_of(books.after, version_id)
        }
        before, after = books.before.list_memberships(), books.after.list_memberships()
        everyone = before.keys() | after.keys()
        self._moved = sorted(each for each in everyone if before.get(each) != after.get(each))

    def run(self) -> Iterator[Conflict]:
        done = set()
        for one, other, region in self._list_pairs():
            if self.budget.is_spent:
                return
            pair = frozenset((one.version_id, other.version_id))
            if pair in done:
                continue
            conflict = self._examine(one, other, region)
            if conflict is not None:
                done.add(pair)
                yield conflict

    def _list_pairs(self) -> Iterator[tuple[BookRule, BookRule, Keys]]:
        """Pairs that could decide a question of a region in which something changed."""
        for version_id in sorted(self._changed):
            if new := self._books.after.rules.get(version_id):
                for other in self._list_opponents(new):
                    yield new, other, new.keys
            if old := self._books.before.rules.get(version_id):
                yield from self._list_pairs_in(old.keys)
        for place, member in self._moved:
            actor, action, resource = (f"={member}" if each is place.field else ANY_KEY for each in FIELDS)
            yield from self._list_pairs_in((actor, action, resource))

    def _list_opponents(self, rule: BookRule) -> Iterator[BookRule]:
        for other in self._rules:
            if _oppose(rule, other) and self.budget.spend() and can_meet(rule.keys, other.keys):
                yield other

    def _list_pairs_in(self, region: Keys) -> Iterator[tuple[BookRule, BookRule, Keys]]:
        for one in self._rules:
            if one.effect is Effect.ALLOW and can_meet(one.keys, region):
                for other in self._list_opponents(one):
                    if can_meet(other.keys, region):
                        yield one, other, region

    def _examine(self, one: BookRule, other: BookRule, region: Keys) -> Conflict | None:
        windows = meet_spans((one.span,), (other.span,))
        if not windows or not self.budget.spend(len(self._rules)):
            return None
        # A group of the region may have lost the members that matter: leave it out, and look at more.
        narrowed = tuple(ANY_KEY if key[0] == "@" else key for key in region)
        box_keys = (one.keys, other.keys, (narrowed[0], narrowed[1], narrowed[2]))
        scopes = tuple(dict.fromkeys(box_keys))
        relevant = [each for each in self._list_relevant(one, other) if _meets_all(each, scopes)]
        search = Search(
            self._books,
            sorted({each.version_id for each in relevant}),
            make_box(*box_keys),
            one.precedence,
            self.budget,
        )
        for instant in self._list_instants(windows[0], relevant):
            values = search.find(instant)
            if values is not None:
                return self._describe(one, other, windows[0], values, instant)
            if not self.budget.spend(1 + len(relevant)):
                return None
        return None

    def _list_relevant(self, one: BookRule, other: BookRule) -> Iterator[BookRule]:
        """Rules that could decide instead of the two, in either state."""
        lower_too = self._moved or {one.version_id, other.version_id} <= self._changed
        for book in self._books:
            for each in book.rules.values():
                if lower_too or each.precedence <= one.precedence:
                    yield each

    def _list_instants(self, window: Span, relevant: list[BookRule]) -> list[int]:
        """The instants of a window at which something begins or ends, its start among them."""
        spans = [each.span for each in relevant]
        places = {place for each in relevant for place in list_places(each.keys)}
        for book in self._books:
            spans += [span for place in places for span in book.list_spans(place)]
        edges = {edge for span in spans for edge in span}
        return sorted({window.start, *(each for each in edges if window.start < each < window.end)})

    def _describe(self, one: BookRule, other: BookRule, window: Span, values: Keys, instant: int) -> Conflict:
        there, opposes = (one, other) if other.version_id in self._changed else (other, one)
        actor, action, resource = values
        return Conflict(
            memory_version_id=there.version_id,
            effect=there.effect,
            opposes=opposes.version_id,
            overlap=_overlap(one, other, values),
            from_=format_instant(window.start),
            until=None if window.end == FOREVER else format_instant(window.end),
            witness=Witness(actor=actor, action=action, resource=resource, as_of=format_instant(instant)),
        )


def _span_of(book: RuleBook, version_id: str) -> Span | None:
    rule = book.rules.get(version_id)
    return None if rule is None else rule.span


def _oppose(one: BookRule, other: BookRule) -> bool:
    return one.effect is not other.effect and one.precedence == other.precedence


def _meets_all(rule: BookRule, scopes: tuple[Keys, ...]) -> bool:
    keys = rule.keys
    for scope in scopes:  # noqa: SIM110  # asked more often than anything else: a loop costs half of all()
        if not can_meet(keys, scope):
            return False
    return True


def _overlap(one: BookRule, other: BookRule, values: Keys) -> Scope:
    """The narrower pattern of each field; where neither is known to be, the value of the witness."""
    met = [
        _narrower(mine[1:], yours[1:], value)
        for mine, yours, value in zip(
            one.content.scope.patterns(), other.content.scope.patterns(), values, strict=True
        )
    ]
    (actor, actor_match), (action, action_match), (resource, resource_match) = met
    return Scope(
        actor=actor,
        action=action,
        resource=resource,
        actor_match=actor_match,
        action_match=action_match,
        resource_match=resource_match,
    )


def _narrower(mine: tuple[str, Match], yours: tuple[str, Match], value: str) -> tuple[str, Match]:
    anything = ("*", Match.EXACT)
    if mine in (anything, yours):
        return yours
    if yours == anything:
        return mine
    if mine[1] is yours[1] is Match.PREFIX:
        return max(mine, yours, key=lambda each: len(each[0]))
    return value, Match.EXACT
