"""Reading evidence as known at another time, and reading it again for an answer that was given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from memorykernel.core.context_package import ContextPackage, Query
from memorykernel.core.evidence import PolicyEvidence, RecallEvidence, Snapshot
from memorykernel.core.instant import parse_instant
from memorykernel.core.question import PolicyQuestion, RecallQuestion
from memorykernel.core.rebuilt_question import rebuild_question
from memorykernel.core.recall_ordering_v2 import list_recall_types
from memorykernel.core.ruleset import (
    POLICY_RULESETS,
    RECALL_RULESETS,
    SEMANTIC_RULESET,
    PolicyRuleset,
    RecallRuleset,
)
from memorykernel.core.stored_question import StoredAnswer, StoredQuestion
from memorykernel.core.terms import unicode_terms
from memorykernel.core.vocabulary import Result
from memorykernel.errors import ContextLookupFailed, ContextPackageNotFound, InvalidRequest
from memorykernel.ports import Answers, Memory
from memorykernel.service.semantic_recall import OpenSemantic, refuse_semantic

SNAPSHOT_PREFIX: Final = "txn_"
_SNAPSHOT: Final = re.compile(r"txn_([0-9a-f]{64})")
_MAX_ECHO: Final = 128
"""How much of an unknown id an error repeats; real ones are shorter."""


class _GivenResult(msgspec.Struct):
    result: Result


class Answered(msgspec.Struct):
    """What a stored package says: the question and the result."""

    query: Query
    answer: _GivenResult


_DECODER: Final = msgspec.json.Decoder(Answered)


def decode_answered(answer: StoredAnswer) -> Answered:
    """Read a stored package."""
    return _DECODER.decode(answer.package)


def find_known(memory: Memory, as_known_at: str | UnsetType | None) -> Snapshot | None:
    """The state that a question names; None when it names none: all that is there.

    Args:
        memory: The store.
        as_known_at: As in `PolicyQuestion`.

    Raises:
        MistypedField: It is neither a time nor the name of a state.
        InvalidRequest: No state has this name.
        QueryFailed: The store could not.
    """
    if as_known_at is UNSET or as_known_at is None:
        return None
    named = _SNAPSHOT.fullmatch(as_known_at)
    at = named[1] if named else parse_instant(as_known_at, field="as_known_at")
    known = memory.find_snapshot(at)
    if known is None:
        raise InvalidRequest(
            "field 'as_known_at' names no state of this database; take a snapshot_id from one of its answers",
            {"field": "as_known_at"},
        )
    return known


def read_policy(
    memory: Memory, rules: PolicyRuleset, question: PolicyQuestion, known: Snapshot | None
) -> PolicyEvidence:
    """Read what a ruleset needs for a policy question, as of a state.

    Raises:
        QueryFailed: The store could not.
    """
    return memory.read_policy_evidence(
        question, version_index=rules.needs_version_index, patterns=rules.needs_patterns, known=known
    )


def read_recall(
    memory: Memory, rules: RecallRuleset, question: RecallQuestion, known: Snapshot | None
) -> RecallEvidence:
    """Read what a ruleset needs for a recall, as of a state.

    Raises:
        MistypedField: The cursor is none of this question.
        QueryFailed: The store could not.
    """
    if rules.plan is not None:
        return memory.search_records(rules.plan(question), known=known)
    types = list_recall_types(question)
    if rules.needs_every_record:
        return memory.read_every_record(types, known=known)
    return memory.read_recall_evidence(types, unicode_terms(question.text), known=known)


def find_answer(answers: Answers, context_package_id: str) -> StoredAnswer:
    """The newest answer of an id.

    Raises:
        ContextPackageNotFound: There is none.
        ContextLookupFailed: The store could not.
    """
    answer = answers.load_answer(context_package_id)
    if answer is None:
        raise ContextPackageNotFound(
            "no context package has this id; take the id from an answer of this database",
            {"context_package_id": context_package_id[:_MAX_ECHO]},
        )
    return answer


def require_question(answer: StoredAnswer) -> StoredQuestion:
    """The question behind an answer: the stored one, else the one that its package tells.

    Raises:
        InvalidRequest: The answer was stored before questions were, by rules whose package does not tell.
    """
    asked = answer.asked or rebuild_question(answer.package)
    if asked is None:
        raise InvalidRequest(
            "this answer was stored before schema 4, without its question; ask the question again",
            {"context_package_id": answer.context_package_id[:_MAX_ECHO]},
        )
    return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Answers that were given, with the evidence that they were given on."""

    memory: Memory
    answers: Answers
    semantic: OpenSemantic = refuse_semantic

    def find(self, context_package_id: str) -> StoredAnswer:
        """As `find_answer`."""
        return find_answer(self.answers, context_package_id)

    def find_question(self, context_package_id: str) -> StoredQuestion:
        """The question behind an answer.

        Raises:
            InvalidRequest: The answer was stored before questions were.
            ContextPackageNotFound: There is no such answer.
            ContextLookupFailed: The store could not.
        """
        return require_question(self.find(context_package_id))

    def find_state(self, asked: StoredQuestion) -> Snapshot:
        """The state that an answer was given on.

        Raises:
            ContextLookupFailed: The store has no such state any more, or could not.
        """
        known = self.memory.find_snapshot(asked.head)
        if known is None:
            raise ContextLookupFailed(
                f"the state {SNAPSHOT_PREFIX}{asked.head} of this answer is not in the hash chain;"
                " find the damage with 'mk verify'"
            )
        return known

    def read_policy(self, asked: StoredQuestion, question: PolicyQuestion) -> PolicyEvidence:
        """The evidence of a policy answer, read again.

        Raises:
            ContextLookupFailed: As `find_state`.
            QueryFailed: The store could not.
        """
        return read_policy(self.memory, POLICY_RULESETS[asked.ruleset], question, self.find_state(asked))

    def read_recall(self, asked: StoredQuestion, question: RecallQuestion) -> RecallEvidence:
        """The evidence of a recall's answer, read again.

        Raises:
            ModeUnavailable: It was asked by meaning, and there are no weights, or others.
            ContextLookupFailed: As `find_state`.
            QueryFailed: The store could not.
        """
        state = self.find_state(asked)
        if asked.ruleset == SEMANTIC_RULESET.name:
            return self.semantic().read(question, state)
        return read_recall(self.memory, RECALL_RULESETS[asked.ruleset], question, state)

    def resolve(self, asked: StoredQuestion) -> ContextPackage:
        """The answer computed again, by its ruleset on its state.

        Raises:
            ModeUnavailable: As `read_recall`.
            ContextLookupFailed: As `find_state`.
            QueryFailed: The store could not.
        """
        question = asked.question
        if isinstance(question, PolicyQuestion):
            return POLICY_RULESETS[asked.ruleset].resolve(question, self.read_policy(asked, question))
        rules = SEMANTIC_RULESET if asked.ruleset == SEMANTIC_RULESET.name else RECALL_RULESETS[asked.ruleset]
        return rules.resolve(question, self.read_recall(asked, question))
