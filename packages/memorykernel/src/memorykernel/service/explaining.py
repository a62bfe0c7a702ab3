"""Explaining answers: what would flip one, and which stored ones a record reached."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from memorykernel.core import ordering_v3
from memorykernel.core.context_package import Query
from memorykernel.core.counterfactual import Flip, find_counterfactual
from memorykernel.core.evidence_change import list_versions, remove_records
from memorykernel.core.explain_request import (
    FindBlastRadius,
    admit_page,
    point_behind,
)
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, Content, MembershipContent, Scope
from memorykernel.core.ruleset import POLICY_RULESETS
from memorykernel.core.stored_question import StoredAnswer
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.ulid import parse_ulid
from memorykernel.core.vocabulary import WILDCARD, Field, Result
from memorykernel.errors import InvalidRequest, RecordNotFound
from memorykernel.ports import Memory
from memorykernel.service.known_state import Remembered, decode_answered, read_policy
from memorykernel.service.schema_care import SchemaCare


class WhatWouldFlip(msgspec.Struct, frozen=True, kw_only=True):
    """The changes that would flip an answer, in the key order of the wire; see `counterfactual`."""

    context_package_id: str
    result: Result
    flips: tuple[Flip, ...]
    smallest: Flip | None
    truncated: bool


class AffectedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A stored answer that used a record; `after` is its result without the record."""

    context_package_id: str
    query: Query
    before: Result
    after: Result
    flips: bool


class BlastRadius(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the answers that used a record, oldest first.

    `examined` counts the stored answers that were looked at, `next_cursor` is None when these were the last.
    """

    memory_version_id: str
    answers: tuple[AffectedAnswer, ...]
    examined: int
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """Explains answers by computing them again with something changed."""

    remembered: Remembered
    schema_care: SchemaCare

    def find_flips(self, context_package_id: str) -> WhatWouldFlip:
        """The smallest changes that would give an answer of ordering.v3 another result.

        Raises:
            InvalidRequest: It is a recall, was given by older rules, or was stored before questions were.
            SchemaUnavailable: The database waits for a migration.
            ContextPackageNotFound: There is no such answer.
            ContextLookupFailed: The store could not.
            QueryFailed: The store could not.
        """
        self.schema_care.require_usable()
        asked = self.remembered.find_question(context_package_id)
        question = asked.question
        if not isinstance(question, PolicyQuestion) or asked.ruleset != ordering_v3.NAME:
            raise InvalidRequest(
                f"this answer was given by {asked.ruleset}, expected one by {ordering_v3.NAME};"
                " ask again through service.v4"
            )
        found = find_counterfactual(question, self.remembered.read_policy(asked, question))
        return WhatWouldFlip(
            context_package_id=context_package_id,
            result=found.result,
            flips=found.flips,
            smallest=found.smallest,
            truncated=found.truncated,
        )

    def find_blast_radius(self, request: FindBlastRadius) -> BlastRadius:
        """The stored policy answers that a record could matter to, and what each would be without it.

        Raises:
            MistypedField: The id is no ULID, or the cursor is none.
            InvalidRequest: The limit is out of its range.
            SchemaUnavailable: The database waits for a migration.
            RecordNotFound: No record has the id.
            ContextLookupFailed: The store could not.
            QueryFailed: The store could not.
        """
        version_id = parse_ulid(request.memory_version_id, field="memory_version_id")
        after, limit = admit_page(request.cursor, request.limit)
        self.schema_care.require_usable()
        stored = self.remembered.memory.load_record(version_id)
        if stored is None:
            raise RecordNotFound("record", "memory_version_id", version_id)
        scope = _choose_scope(self.remembered.memory, stored)
        page = self.remembered.answers.list_policy_answers(after=after, limit=limit, scope=scope)
        found = (self._look(answer, stored) for answer in page)
        return BlastRadius(
            memory_version_id=version_id,
            answers=tuple(each for each in found if each is not None),
            examined=len(page),
            next_cursor=point_behind(page, limit),
        )

    def _look(self, answer: StoredAnswer, stored: StoredRecord) -> AffectedAnswer | None:
        """What a record was to an answer; None when it was nothing or not there yet."""
        asked = answer.asked
        if asked is None or not isinstance(asked.question, PolicyQuestion):
            return None
        known = self.remembered.find_state(asked)
        version_id = stored.record.memory_version_id
        if known.entry_seq < stored.entry_seq:
            return None
        rules = POLICY_RULESETS[asked.ruleset]
        evidence = read_policy(self.remembered.memory, rules, asked.question, known)
        if version_id not in list_versions(evidence):
            return None
        after = rules.resolve(asked.question, remove_records(evidence, (version_id,))).answer.result
        given = decode_answered(answer)
        return AffectedAnswer(
            context_package_id=answer.context_package_id,
            query=given.query,
            before=given.answer.result,
            after=after,
            flips=after is not given.answer.result,
        )


def _choose_scope(memory: Memory, stored: StoredRecord) -> Scope | None:
    """The questions that a record can matter to; None when only all of them are sure to hold these.

    A record that supersedes others matters wherever they would have.
    """
    targets = (memory.load_record(each) for each in stored.record.supersedes)
    reached = {_find_scope(each.record.payload.payload) for each in targets if each is not None}
    own = _find_scope(stored.record.payload.payload)
    return own if reached <= {own, None} else None


def _find_scope(content: Content) -> Scope | None:
    """The scope of a constraint, or that which says of a membership's field only who the member is."""
    if isinstance(content, MembershipContent):
        values = dict.fromkeys(Field, WILDCARD) | {content.field: content.member}
        return Scope(actor=values[Field.ACTOR], action=values[Field.ACTION], resource=values[Field.RESOURCE])
    return content.scope if isinstance(content, ConstraintContent) else None
