"""`recall-ordering.v1`: the published rules for recalls, kept exact.

Every record of the types asked for is in the answer, selected or excluded, so an answer is as large
as the store: what recall-ordering.v2 ends.

Decisions where the published text is silent:
- Record types are kept as given, the first of equal ones; the snapshot id lists them sorted.
- A selected item's reasons are: lexical relevance, record type, active filters, in this order.
- A record's reason for exclusion is the first of: retracted, superseded, no overlap.
"""

from __future__ import annotations

from typing import Final

from memorykernel.core.context_package import (
    RECALL_TIE_BREAKERS,
    Answer,
    ContextPackage,
    Determinism,
    Why,
    describe_question,
    exclude,
    rank_items,
    score_candidate,
)
from memorykernel.core.evidence import Candidate, RecallEvidence
from memorykernel.core.identity import package_id_v1, snapshot_recall_v1
from memorykernel.core.ordering_v1 import REASON_ACTIVE, find_exclusion_v1
from memorykernel.core.precedence import identity_key, precedence_key
from memorykernel.core.question import RecallQuestion
from memorykernel.core.terms import ascii_terms, describe_content
from memorykernel.core.vocabulary import DEFAULT_RECALL_TYPES, RecordType, Result

NAME: Final = "recall-ordering.v1"
REASON_NO_OVERLAP: Final = "no lexical overlap with query text"

Ranked = list[tuple[int, Candidate]]


def resolve_recall_v1(question: RecallQuestion, evidence: RecallEvidence) -> ContextPackage:
    """Answer a recall by recall-ordering.v1.

    Pure; the order of the evidence does not matter.

    Args:
        question: The question.
        evidence: With every record of the types and the `version_index`.
    """
    types = tuple(dict.fromkeys(question.record_types)) or DEFAULT_RECALL_TYPES
    terms = frozenset(ascii_terms(question.text))
    selected, excluded = _select(types, terms, evidence)
    snapshot_id = snapshot_recall_v1(question, types, evidence.version_index)
    query = describe_question(question)
    return ContextPackage(
        context_package_id=package_id_v1(question.as_of_us, snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME, snapshot_id=snapshot_id, tie_breakers=RECALL_TIE_BREAKERS
        ),
        answer=answer_recall(len(selected), types),
        selected_items=rank_items((each, include_recalled(each, n, len(terms))) for n, each in selected),
        excluded_items=rank_items(excluded),
        ordering_trace=_trace(types),
    )


def answer_recall(selected: int, types: tuple[RecordType, ...]) -> Answer:
    """The answer of a recall: it never decides anything."""
    why = f"Recall query selected {selected} memories across record types [{', '.join(types)}]"
    return Answer(result=Result.INCONCLUSIVE, why=why)


def include_recalled(candidate: Candidate, matched: int, asked: int) -> Why:
    """Why a recalled record is selected: `matched` of `asked` terms (asked >= matched >= 1)."""
    return Why(
        included=True,
        reasons=(
            f"lexical relevance matched {matched}/{asked} normalized terms",
            f"record_type={candidate.record_type} included in recall scope",
            REASON_ACTIVE,
        ),
        rule_scores=score_candidate(candidate, matched / asked),
    )


def _select(
    types: tuple[RecordType, ...], terms: frozenset[str], evidence: RecallEvidence
) -> tuple[Ranked, list[tuple[Candidate, Why]]]:
    superseded = frozenset(claim.superseded_id for claim in evidence.supersessions)
    selected: Ranked = []
    excluded: list[tuple[Candidate, Why]] = []
    for candidate in evidence.candidates:
        if candidate.record_type not in types:
            continue
        matched = len(terms.intersection(ascii_terms(describe_content(candidate.content))))
        reason = find_exclusion_v1(candidate, superseded) or (None if matched else REASON_NO_OVERLAP)
        if reason is None:
            selected.append((matched, candidate))
        else:
            excluded.append((candidate, exclude(reason)))
    selected.sort(key=lambda entry: precedence_key(entry[1], entry[0]))
    excluded.sort(key=lambda entry: identity_key(entry[0]))
    return selected, excluded


def _trace(types: tuple[RecordType, ...]) -> tuple[str, ...]:
    return (
        f"filter: record_type in [{', '.join(types)}]",
        "filter: lexical overlap with normalized query terms",
        "exclude: retracted and superseded",
        "sort: recall precedence tuple with deterministic tie-breakers",
    )
