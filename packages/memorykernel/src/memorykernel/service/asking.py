"""Answering questions, and finding answers again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from memorykernel.core.admission import admit_ask, admit_recall
from memorykernel.core.context_package import ContextPackage, encode_package
from memorykernel.core.evidence import RecallEvidence
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v2 import list_recall_types
from memorykernel.core.release import Release
from memorykernel.core.request import Ask, Recall
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.terms import unicode_terms
from memorykernel.errors import ContextPackageNotFound
from memorykernel.ports import Answers, Clock, Memory
from memorykernel.service.schema_care import SchemaCare

_MAX_ECHO: Final = 128
"""How much of an unknown id an error repeats; real ones are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Answers by the release's rulesets; every answer is kept before it is given."""

    memory: Memory
    answers: Answers
    schema_care: SchemaCare
    clock: Clock
    release: Release

    def ask(self, request: Ask) -> bytes:
        """Answer a policy question.

        Returns:
            The encoded context package, byte for byte what is kept.

        Raises:
            MistypedField: `as_of` cannot be read.
            InvalidRequest: The text or a scope field is blank.
            SchemaUnavailable: The database waits for a migration.
            QueryFailed: The store could not.
        """
        question = admit_ask(request, self.clock.now_us())
        self.schema_care.require_usable()
        rules = self.release.policy_rules
        evidence = self.memory.read_policy_evidence(question, version_index=rules.needs_version_index)
        package = rules.resolve(question, evidence)
        return self._keep(package, StoredQuestion(ruleset=rules.name, head=evidence.head, question=question))

    def recall(self, request: Recall) -> bytes:
        """Answer what is remembered about a text.

        Returns:
            The encoded context package, byte for byte what is kept.

        Raises:
            MistypedField: `as_of` cannot be read.
            InvalidRequest: The text is blank.
            SchemaUnavailable: The database waits for a migration.
            QueryFailed: The store could not.
        """
        question = admit_recall(request, self.clock.now_us())
        self.schema_care.require_usable()
        rules = self.release.recall_rules
        evidence = self._read_recall(question)
        package = rules.resolve(question, evidence)
        return self._keep(package, StoredQuestion(ruleset=rules.name, head=evidence.head, question=question))

    def find(self, context_package_id: str) -> bytes:
        """The kept answer of an id, as it was given.

        Raises:
            SchemaUnavailable: The database waits for a migration.
            ContextPackageNotFound: There is none.
            ContextLookupFailed: The store could not.
        """
        self.schema_care.require_usable()
        answer = self.answers.load_answer(context_package_id)
        if answer is None:
            raise ContextPackageNotFound(
                "no context package has this id; take the id from an answer of this database",
                {"context_package_id": context_package_id[:_MAX_ECHO]},
            )
        return answer.package

    def _read_recall(self, question: RecallQuestion) -> RecallEvidence:
        if self.release.recall_rules.needs_every_record:
            return self.memory.read_every_record(list_recall_types(question))
        return self.memory.read_recall_evidence(list_recall_types(question), unicode_terms(question.text))

    def _keep(self, package: ContextPackage, asked: StoredQuestion) -> bytes:
        encoded = encode_package(package)
        self.answers.store_answer(package.context_package_id, encoded, asked)
        return encoded
