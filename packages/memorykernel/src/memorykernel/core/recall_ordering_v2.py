"""`recall-ordering.v2`: the default rules for recalls.

Words of any script, case-folded (`terms.unicode_terms`); a match is term equality. At most 50
records are selected and at most 20 nearest misses shown, whatever the size of the store.

Decisions where the text is silent:
- Record types are a set: they are listed in the order of the vocabulary, whatever was given.
- Near misses are records that share a term and either do not count (`activity_v2`) or come after
  the fifty selected ones. A record that shares no term is not read, hence neither shown nor counted.
- The misses are in the order of precedence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from memorykernel.core.activity_v2 import (
    MAX_NEAREST_MISSES,
    Standing,
    count_exclusions,
    describe_exclusions,
    group_claims,
    judge_standing,
)
from memorykernel.core.context_package import (
    RECALL_TIE_BREAKERS,
    ContextPackage,
    Determinism,
    Why,
    describe_question,
    exclude,
    rank_items,
)
from memorykernel.core.evidence import Candidate, RecallEvidence
from memorykernel.core.identity import package_id_v2, snapshot_v2
from memorykernel.core.precedence import precedence_key
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v1 import answer_recall, include_recalled
from memorykernel.core.terms import unicode_terms
from memorykernel.core.vocabulary import DEFAULT_RECALL_TYPES, RecordType

NAME: Final = "recall-ordering.v2"
MAX_SELECTED: Final = 50
"""How many records a recall selects at most (wire contracts, section 2, point 6)."""

_REASON_BEYOND: Final = f"ranked below the {MAX_SELECTED} selected"


class _Judged(NamedTuple):
    candidate: Candidate
    matched: int
    standing: Standing


def list_recall_types(question: RecallQuestion) -> tuple[RecordType, ...]:
    """The record types that a recall searches, in the order of the vocabulary."""
    asked = question.record_types or DEFAULT_RECALL_TYPES
    return tuple(each for each in RecordType if each in asked)


def resolve_recall_v2(question: RecallQuestion, evidence: RecallEvidence) -> ContextPackage:
    """Answer a recall by recall-ordering.v2.

    Pure; the order of the evidence does not matter; the package's size is bounded.

    Args:
        question: The question.
        evidence: With at least every record of the types that shares a term with the question, and
            `matched` for each of them. The version index is not looked at.
    """
    types = list_recall_types(question)
    judged = _judge(types, question, evidence)
    selected, misses = _split(judged)
    snapshot_id = snapshot_v2(evidence.head)
    query = describe_question(question)
    return ContextPackage(
        context_package_id=package_id_v2(NAME, question, types, snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME, snapshot_id=snapshot_id, tie_breakers=RECALL_TIE_BREAKERS
        ),
        answer=answer_recall(len(selected), types),
        selected_items=rank_items(_include_all(selected, len(unicode_terms(question.text)))),
        excluded_items=rank_items(_exclude_all(misses[:MAX_NEAREST_MISSES])),
        ordering_trace=_trace(types, judged, len(misses)),
    )


def _judge(
    types: tuple[RecordType, ...], question: RecallQuestion, evidence: RecallEvidence
) -> list[_Judged]:
    claims = group_claims(evidence.supersessions)
    matching = [
        _Judged(candidate, matched, judge_standing(candidate, claims, question.as_of_us))
        for candidate in evidence.candidates
        if candidate.record_type in types
        and (matched := evidence.matched.get(candidate.memory_version_id, 0))
    ]
    return sorted(matching, key=lambda each: precedence_key(each.candidate, each.matched))


def _split(judged: list[_Judged]) -> tuple[list[_Judged], list[_Judged]]:
    active = [each for each in judged if each.standing.exclusion is None]
    selected = active[:MAX_SELECTED]
    chosen = {each.candidate.memory_version_id for each in selected}
    return selected, [each for each in judged if each.candidate.memory_version_id not in chosen]


def _include_all(selected: list[_Judged], asked: int) -> list[tuple[Candidate, Why]]:
    return [(each.candidate, include_recalled(each.candidate, each.matched, asked)) for each in selected]


def _exclude_all(misses: list[_Judged]) -> list[tuple[Candidate, Why]]:
    return [
        (
            each.candidate,
            exclude(*each.standing.reasons) if each.standing.exclusion else exclude(_REASON_BEYOND),
        )
        for each in misses
    ]


def _trace(types: tuple[RecordType, ...], judged: Sequence[_Judged], misses: int) -> tuple[str, ...]:
    inactive = count_exclusions(each.standing for each in judged)
    beyond = misses - inactive.total()
    return (
        f"filter: record_type in [{', '.join(types)}]",
        "filter: lexical overlap with normalized query terms",
        f"{describe_exclusions(inactive)}, {_REASON_BEYOND} {beyond}",
        f"limit: excluded_items shows the {min(misses, MAX_NEAREST_MISSES)} nearest of {misses}",
        "sort: recall precedence tuple with deterministic tie-breakers",
    )
