"""Looking for a question that two rules decide against each other, and that had an answer before.

The values of a field fall into classes that the rules cannot tell apart: each value that is named, each
prefix without what is named below it, and everything else. One value of each class is tried, a value that
nobody named first; after each field only the rules that still match are left, and values that leave the same
rules are tried once. So the search is exact and, where few rules meet, short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from memorykernel.core.membership import Place
from memorykernel.core.rule_book import FIELDS, BookRule, RuleBook
from memorykernel.core.scope_pattern import ANY_KEY, Keys
from memorykernel.core.validity import Precedence

_FRESH = "other"


class Budget:
    """How many steps may still be made; a search that runs out has not seen everything."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> bool:
        """Take steps; False when there are none left."""
        self._left -= steps
        return not self.is_spent

    @property
    def is_spent(self) -> bool:
        """Whether some step could not be made."""
        return self._left < 0


class Books(NamedTuple):
    """The two states that are compared."""

    before: RuleBook
    after: RuleBook


class _Entry(NamedTuple):
    """A rule that may match, and in which of the two states it does."""

    rule: BookRule
    before: bool
    after: bool


class Search:
    """One search: at an instant, among rules, inside a box.

    Args:
        books: The states before and after.
        relevant: The rules that can matter: memory_version_id and the rule, of both states.
        box: Per field the keys that the question must match after.
        precedence: That of the two rules; the box lies inside both.
        budget: Shared by all searches of one check.
    """

    def __init__(
        self,
        books: Books,
        relevant: Sequence[str],
        box: tuple[frozenset[str], ...],
        precedence: Precedence,
        budget: Budget,
    ) -> None:
        self._books = books
        self._relevant = relevant
        self._box = box
        self._precedence = precedence
        self._budget = budget

    def find(self, instant_us: int) -> Keys | None:
        """A question's actor, action and resource, or None when there is none or the budget is spent."""
        entries = tuple(self._list_entries(instant_us))
        return self._descend(instant_us, (), entries)

    def _list_entries(self, instant_us: int) -> Iterator[_Entry]:
        for version_id in self._relevant:
            before = self._books.before.rules.get(version_id)
            after = self._books.after.rules.get(version_id)
            counts_before = before is not None and before.span.start <= instant_us < before.span.end
            counts_after = after is not None and after.span.start <= instant_us < after.span.end
            rule = after or before
            if rule is not None and (counts_before or counts_after):
                yield _Entry(rule, counts_before, counts_after)

    def _descend(self, instant_us: int, values: tuple[str, ...], entries: tuple[_Entry, ...]) -> Keys | None:
        if len(values) == len(FIELDS):
            actor, action, resource = values
            begins = _find_conflict([each.rule for each in entries if each.after]) == self._precedence
            was = begins and _find_conflict([each.rule for each in entries if each.before]) is not None
            return (actor, action, resource) if begins and not was else None
        position, field, seen = len(values), FIELDS[len(values)], set()
        for value in self._list_values(position, entries):
            if not self._budget.spend(1 + len(entries)):
                return None
            keys_before = self._books.before.read_value(field, value, instant_us)
            keys_after = self._books.after.read_value(field, value, instant_us)
            if not self._box[position] <= keys_after:
                continue
            left = tuple(_narrow(entries, position, keys_before, keys_after))
            signature = tuple((each.rule.version_id, each.before, each.after) for each in left)
            if signature in seen:
                continue
            seen.add(signature)
            found = self._descend(instant_us, (*values, value), left)
            if found is not None or self._budget.is_spent:
                return found
        return None

    def _list_values(self, position: int, entries: Sequence[_Entry]) -> Iterator[str]:
        """Values of all classes inside the box, and perhaps some outside."""
        box, field = self._box[position], FIELDS[position]
        exact = [key[1:] for key in box if key[0] == "="]
        if exact:
            yield exact[0]
            return
        groups = sorted(key[1:] for key in box if key[0] == "@")
        if groups:
            yield from self._books.after.list_members(Place(field, groups[0]))
            return
        keys = {each.rule.keys[position] for each in entries}
        named = {key[1:] for key in keys if key[0] == "="}
        for key in keys:
            if key[0] == "@":
                named |= self._list_members(Place(field, key[1:]))
        prefixes = {key[1:] for key in box | keys if key[0] == "^"}
        inside = max((key[1:] for key in box if key[0] == "^"), key=len, default="")
        yield make_fresh(inside, named)
        yield from (make_fresh(each, named) for each in sorted(prefixes) if each != inside)
        yield from sorted(named)

    def _list_members(self, place: Place) -> set[str]:
        return {*self._books.before.list_members(place), *self._books.after.list_members(place)}


def make_box(*scopes: Keys) -> tuple[frozenset[str], ...]:
    """Per field the keys of all the scopes."""
    return tuple(frozenset(keys) - {ANY_KEY} for keys in zip(*scopes, strict=True))


def make_fresh(prefix: str, named: set[str]) -> str:
    """A value below a prefix that nobody named."""
    candidates = (f"{prefix}{_FRESH}{number or ''}" for number in count())
    return next(each for each in candidates if each not in named)


def _narrow(
    entries: Sequence[_Entry], position: int, before: frozenset[str], after: frozenset[str]
) -> Iterator[_Entry]:
    for rule, was, is_ in entries:
        key = rule.keys[position]
        matched, matches = was and key in before, is_ and key in after
        if matched or matches:
            yield _Entry(rule, matched, matches)


def _find_conflict(matching: Sequence[BookRule]) -> Precedence | None:
    """The precedence at which both effects stand at the top, if they do."""
    highest = min((each.precedence for each in matching), default=None)
    effects = {each.effect for each in matching if each.precedence == highest}
    return highest if len(effects) > 1 else None
