"""The records that do not count in an answer, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from memorykernel.core import ordering_v3, recall_ordering_v3, recall_semantic
from memorykernel.core.context_package import Item
from memorykernel.core.exclusion_page import MAX_PAGE, ExclusionPage
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.errors import InvalidRequest
from memorykernel.service.known_state import Remembered
from memorykernel.service.schema_care import SchemaCare

_PAGED: Final = (ordering_v3.NAME, recall_ordering_v3.NAME, recall_semantic.NAME)


class ExcludedItems(msgspec.Struct, frozen=True, kw_only=True):
    """One page, in the key order of the wire; `next_cursor` is None on the last one."""

    context_package_id: str
    excluded_items: tuple[Item, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusions:
    """Lists what does not count in an answer, on the state that it was given on."""

    remembered: Remembered
    schema_care: SchemaCare

    def list_page(self, context_package_id: str, cursor: str | None) -> ExcludedItems:
        """One page of the exclusions, nearest first, ranks counting through all pages.

        Args:
            context_package_id: An answer of ordering.v3, recall-ordering.v3 or recall-semantic.v1.
            cursor: From the answer or the page before; None for the first page.

        Raises:
            MistypedField: The cursor is none of this answer's.
            InvalidRequest: The answer was given by older rules.
            SchemaUnavailable: The database waits for a migration.
            ContextPackageNotFound: There is no such answer.
            ContextLookupFailed: The store could not.
            QueryFailed: The store could not.
        """
        self.schema_care.require_usable()
        asked = self.remembered.find_question(context_package_id)
        if asked.ruleset not in _PAGED:
            raise InvalidRequest(
                f"this answer was given by {asked.ruleset}, expected one by {' or '.join(_PAGED)}; ask again"
            )
        page = self._cut(asked, cursor)
        return ExcludedItems(
            context_package_id=context_package_id, excluded_items=page.items, next_cursor=page.next_cursor
        )

    def _cut(self, asked: StoredQuestion, cursor: str | None) -> ExclusionPage:
        question = asked.question
        if isinstance(question, PolicyQuestion):
            evidence = self.remembered.read_policy(asked, question)
            return ordering_v3.list_exclusions_v3(question, evidence, cursor, MAX_PAGE)
        recalled = self.remembered.read_recall(asked, question)
        if asked.ruleset == recall_semantic.NAME:
            return recall_semantic.list_semantic_exclusions(question, recalled, cursor, MAX_PAGE)
        return recall_ordering_v3.list_recall_exclusions_v3(question, recalled, cursor, MAX_PAGE)
