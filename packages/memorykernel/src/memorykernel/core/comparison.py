"""Two answers to one question, by two rulesets or of two states, and the records that make the difference.

Responsible is a smallest set of records such that one of the two inputs, with them as they are in the other
input (or without them, when they are the same in both), gives the result of the other answer. Tried are:

- the same rules on two states: the records that differ;
- other rules: every record of either input.

Sets of one to three are tried, smallest first, those of the later input before those of the earlier one, up
to `MAX_ANSWERS` answers and `MAX_STEPS` records looked at. Beyond that a set that restores the result is
thinned, first by halves and at last by single records, until no record of it can be spared or as much was
spent again; then `minimal` is False, because a smaller one of other records may exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Final

import msgspec

from memorykernel.core.context_package import ContextPackage
from memorykernel.core.evidence import PolicyEvidence
from memorykernel.core.evidence_change import (
    exchange_records,
    list_differences,
    list_versions,
    remove_records,
)
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.vocabulary import Result

MAX_SET: Final = 3
"""How many records a set has that is sought exhaustively."""

MAX_ANSWERS: Final = 1000
"""How many answers are computed at most for one comparison, and again for thinning."""

MAX_STEPS: Final = 20_000
"""How long is searched at most, and again thinned: answers computed, times the records of each."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two answers: by which rules, from what.

    Attributes:
        resolve: As `ruleset.PolicyRuleset.resolve`.
        evidence: Read as these rules need it.
    """

    resolve: Callable[[PolicyQuestion, PolicyEvidence], ContextPackage]
    evidence: PolicyEvidence


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The two results, and whom a difference is due to.

    Attributes:
        before, after: The results.
        flips: Whether they differ.
        responsible: The versions, sorted; empty when nothing flips, or no set was found.
        minimal: Whether it is known that no smaller set does.
        steps: What it took: answers computed, times the records of each; a step takes some microseconds.
    """

    before: Result
    after: Result
    flips: bool
    responsible: tuple[str, ...]
    minimal: bool
    steps: int


def compare_answers(question: PolicyQuestion, before: Side, after: Side) -> Comparison:
    """Compare two answers to a question.

    Pure and deterministic; the order of the evidence does not matter.

    Args:
        question: The question.
        before: One answer.
        after: The other one.
    """
    results = tuple(each.resolve(question, each.evidence) for each in (before, after))
    was, is_ = (each.answer for each in results)
    responsible: tuple[str, ...] = ()
    minimal = True
    steps = sum(1 + len(each.evidence.candidates) for each in (before, after))
    if was.result is not is_.result:
        # The later input first: what would have to change there for things to be as they were.
        trials = (
            _Trial(question, after, before, was.result, results[0]),
            _Trial(question, before, after, is_.result, results[1]),
        )
        responsible, minimal = _search(trials)
        steps += sum(each.steps for each in trials)
    return Comparison(
        before=was.result,
        after=is_.result,
        flips=was.result is not is_.result,
        responsible=responsible,
        minimal=minimal,
        steps=steps,
    )


class _Trial:
    """Changes to the input of one side that shall give the result of the other."""

    def __init__(
        self, question: PolicyQuestion, side: Side, other: Side, wanted: Result, answer: ContextPackage
    ) -> None:
        self._question = question
        self._side = side
        self._other = other
        self._wanted = wanted
        self._differing = list_differences(side.evidence, other.evidence)
        self._same_rules = side.resolve is other.resolve
        self.steps = 0
        self.price = 1 + max(len(each.evidence.candidates) for each in (side, other))
        everything = list_versions(side.evidence) | list_versions(other.evidence)
        self.pool: Sequence[str] = sorted(self._differing if self._same_rules else everything)
        # The rule that gave the other answer; alone it gives it by all rules at whose time it counts.
        self._deciding = {each.memory_version_id for each in answer.selected_items[:1]}

    def restores(self, version_ids: Sequence[str]) -> bool:
        self.steps += self.price
        changed = [each for each in version_ids if each in self._differing]
        same = [each for each in version_ids if each not in self._differing]
        evidence = exchange_records(self._side.evidence, self._other.evidence, changed)
        package = self._side.resolve(self._question, remove_records(evidence, same))
        return package.answer.result is self._wanted

    def list_starts(self) -> Iterator[tuple[str, ...]]:
        """Large sets that restore the result, if any does."""
        yield tuple(self.pool)
        yield tuple(each for each in self.pool if each not in self._deciding)
        yield tuple(each for each in self.pool if each in self._differing)


def _search(trials: Sequence[_Trial]) -> tuple[tuple[str, ...], bool]:
    answers = steps = 0
    for size in range(1, MAX_SET + 1):
        sets = [comb(len(trial.pool), size) for trial in trials]
        answers += sum(sets)
        steps += sum(count * trial.price for count, trial in zip(sets, trials, strict=True))
        if answers > MAX_ANSWERS or steps > MAX_STEPS:
            break
        for trial in trials:
            for version_ids in combinations(trial.pool, size):
                if trial.restores(version_ids):
                    return version_ids, True
    return _thin(trials), False


def _thin(trials: Sequence[_Trial]) -> tuple[str, ...]:
    """A set that restores the result and of which no record can be spared, as far as the bound allows."""
    for trial in trials:
        for start in trial.list_starts():
            if trial.restores(start):
                return _spare(trial, start)
    return ()


def _spare(trial: _Trial, start: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what is not needed: large pieces first, because mostly few records are needed."""
    kept = start
    left = min(MAX_ANSWERS, MAX_STEPS // trial.price)
    size = len(kept)
    while size > 1:
        size = (size + 1) // 2
        position = 0
        while position < len(kept):
            if left == 0:
                return kept
            left -= 1
            fewer = kept[:position] + kept[position + size :]
            if trial.restores(fewer):
                kept = fewer
            else:
                position += size
    return kept
