"""Answering questions, and finding answers again."""

from __future__ import annotations

from dataclasses import dataclass

from memorykernel.core.admission import admit_ask, admit_recall
from memorykernel.core.context_package import ContextPackage, encode_package, publish_package
from memorykernel.core.release import Release
from memorykernel.core.request import Ask, Recall, RecallV4
from memorykernel.core.ruleset import PUBLISHED_RULESETS, SEMANTIC_RULESET
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.ticket import Ticket
from memorykernel.core.vocabulary import RecallMode
from memorykernel.ports import AnswerKeeper, Answers, Clock, Memory
from memorykernel.service.known_state import find_answer, find_known, read_policy, read_recall
from memorykernel.service.schema_care import SchemaCare
from memorykernel.service.semantic_recall import OpenSemantic, refuse_semantic


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Answers by the release's rulesets; every answer is kept before it is given.

    `begin_ask` and `begin_recall` return before the answer is kept, so that many answers can share one
    commit; the answer is to be given when the ticket is done.

    Attributes:
        keeper: Keeps answers; at once by `answers` if None.
        semantic: Makes recalls by meaning ready, when the first one is asked.
    """

    memory: Memory
    answers: Answers
    schema_care: SchemaCare
    clock: Clock
    release: Release
    keeper: AnswerKeeper | None = None
    semantic: OpenSemantic = refuse_semantic

    def ask(self, request: Ask) -> bytes:
        """Answer a policy question, and wait until the answer is kept; see `begin_ask`."""
        return self.begin_ask(request).wait()

    def begin_ask(self, request: Ask) -> Ticket[bytes]:
        """Answer a policy question.

        Returns:
            The encoded context package, byte for byte what is kept.

        Raises:
            MistypedField: A time or snapshot cannot be read.
            InvalidRequest: The text or a scope field is blank, or no state has the snapshot's name.
            SchemaUnavailable: The database waits for a migration.
            QueryFailed: The store could not.
        """
        question = admit_ask(request, self.clock.now_us())
        self.schema_care.require_usable()
        rules = self.release.policy_rules
        evidence = read_policy(self.memory, rules, question, find_known(self.memory, question.as_known_at))
        package = rules.resolve(question, evidence)
        return self._keep(package, StoredQuestion(ruleset=rules.name, head=evidence.head, question=question))

    def recall(self, request: Recall | RecallV4) -> bytes:
        """Answer what is remembered about a text, and wait until it is kept; see `begin_recall`."""
        return self.begin_recall(request).wait()

    def begin_recall(self, request: Recall | RecallV4) -> Ticket[bytes]:
        """Answer what is remembered about a text.

        Returns:
            The encoded context package, byte for byte what is kept.

        Raises:
            MistypedField: A time, snapshot or cursor cannot be read.
            InvalidRequest: The text is blank, or no state has the snapshot's name.
            ModeUnavailable: It is asked by meaning, and there are no weights or too few vectors.
            SchemaUnavailable: The database waits for a migration.
            QueryFailed: The store could not.
        """
        question = admit_recall(request, self.clock.now_us())
        self.schema_care.require_usable()
        known = find_known(self.memory, question.as_known_at)
        if isinstance(request, RecallV4) and request.mode is RecallMode.SEMANTIC:
            rules, semantic = SEMANTIC_RULESET, self.semantic()
            question = semantic.measure(question)
            evidence = semantic.read(question, known)
        else:
            rules = self.release.recall_rules
            evidence = read_recall(self.memory, rules, question, known)
        package = rules.resolve(question, evidence)
        return self._keep(package, StoredQuestion(ruleset=rules.name, head=evidence.head, question=question))

    def find(self, context_package_id: str, *, published: bool = False) -> bytes:
        """The kept answer of an id, as it was given or as an older contract shows it.

        Args:
            context_package_id: The id.
            published: In the shape that service.v2 and service.v3 know, which is the kept one unless
                ordering.v3 or recall-ordering.v3 gave it.

        Raises:
            SchemaUnavailable: The database waits for a migration.
            ContextPackageNotFound: There is none.
            ContextLookupFailed: The store could not.
        """
        self.schema_care.require_usable()
        answer = find_answer(self.answers, context_package_id)
        if published and answer.asked is not None and answer.asked.ruleset not in PUBLISHED_RULESETS:
            return publish_package(answer.package)
        return answer.package

    def _keep(self, package: ContextPackage, asked: StoredQuestion) -> Ticket[bytes]:
        encoded = encode_package(package)
        if self.keeper is not None:
            return self.keeper.begin_answer(package.context_package_id, encoded, asked)
        self.answers.store_answer(package.context_package_id, encoded, asked)
        return Ticket.done(encoded)
