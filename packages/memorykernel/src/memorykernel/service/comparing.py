"""Comparing two bases over the stored questions: which of them flip, and due to which records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from memorykernel.core.comparison import Side, compare_answers
from memorykernel.core.context_package import Query
from memorykernel.core.evidence import Snapshot
from memorykernel.core.explain_request import Compare, admit_page, find_ruleset, point_behind
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.ruleset import PolicyRuleset
from memorykernel.core.stored_question import StoredAnswer
from memorykernel.core.vocabulary import Result
from memorykernel.service.known_state import Remembered, decode_answered, find_known, read_policy
from memorykernel.service.schema_care import SchemaCare

MAX_FLIPS: Final = 20
"""How many flips a page explains at most: each is a search, and everybody waits for a page."""


MAX_PAGE_STEPS: Final = 10_000
"""After how many steps of `comparison` a page ends: a few tenths of a second, the last question included."""


class FlippedQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A stored question that the two bases answer differently, and due to whom; see `comparison`."""

    query: Query
    context_package_id: str
    before: Result
    after: Result
    responsible: tuple[str, ...]
    minimal: bool


class ComparedAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a comparison; `same` of the `compared` questions have one result on both bases."""

    compared: int
    same: int
    flips: tuple[FlippedQuestion, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """A basis, with what its names mean."""

    rules: PolicyRuleset
    known: Snapshot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """Answers stored policy questions twice."""

    remembered: Remembered
    schema_care: SchemaCare

    def compare(self, request: Compare) -> ComparedAnswers:
        """Answer stored policy questions on two bases, each as of its own time.

        A page ends early, with a cursor, when it has `MAX_FLIPS` flips or took `MAX_PAGE_STEPS`.

        Raises:
            MistypedField: A time, snapshot or cursor cannot be read.
            InvalidRequest: A ruleset or snapshot is unknown, or the limit is out of its range.
            SchemaUnavailable: The database waits for a migration.
            ContextLookupFailed: The store could not.
            QueryFailed: The store could not.
        """
        after, limit = admit_page(request.cursor, request.limit)
        rules = find_ruleset(request.from_.ruleset), find_ruleset(request.to.ruleset)
        self.schema_care.require_usable()
        before, behind = (
            _Ground(rules=each, known=find_known(self.remembered.memory, basis.as_known_at))
            for each, basis in zip(rules, (request.from_, request.to), strict=True)
        )
        page = self.remembered.answers.list_policy_answers(after=after, limit=limit)
        flips: list[FlippedQuestion] = []
        compared = steps = 0
        while compared < len(page) and len(flips) < MAX_FLIPS and steps < MAX_PAGE_STEPS:
            found, took = self._compare(page[compared], before, behind)
            flips += [] if found is None else [found]
            compared, steps = compared + 1, steps + took
        return ComparedAnswers(
            compared=compared,
            same=compared - len(flips),
            flips=tuple(flips),
            next_cursor=point_behind(page[:compared], limit if compared == len(page) else compared),
        )

    def _compare(
        self, answer: StoredAnswer, before: _Ground, after: _Ground
    ) -> tuple[FlippedQuestion | None, int]:
        """The flip, if it is one, and the steps that it took to know."""
        asked = answer.asked
        if asked is None or not isinstance(asked.question, PolicyQuestion):
            return None, 0
        question = asked.question
        found = compare_answers(question, self._read(question, before), self._read(question, after))
        if not found.flips:
            return None, found.steps
        flip = FlippedQuestion(
            query=decode_answered(answer).query,
            context_package_id=answer.context_package_id,
            before=found.before,
            after=found.after,
            responsible=found.responsible,
            minimal=found.minimal,
        )
        return flip, found.steps

    def _read(self, question: PolicyQuestion, ground: _Ground) -> Side:
        evidence = read_policy(self.remembered.memory, ground.rules, question, ground.known)
        return Side(resolve=ground.rules.resolve, evidence=evidence)
