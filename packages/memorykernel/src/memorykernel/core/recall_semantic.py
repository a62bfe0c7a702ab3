"""`recall-semantic.v1`: recall by meaning, a mode of its own beside recall-ordering.v3.

What the question and a record mean is a vector each, and how near they are is a whole number of hundredths
(`core.vector`). Records that are equally near are in the common precedence, so an authoritative record comes
before a note that is no nearer. What counts, pages, exclusions and bounds are recall-ordering.v3's.

What is deterministic: the same vectors give the same bytes, on every machine. An answer holds the vector of
its question, names the digest of the weights, and has one digest of its candidates' vectors. The vectors
themselves are what a model made of texts, by floats: another processor can make one that is off by one in a
byte.

Decisions where the text is silent:
- A record that is less near than `MIN_SIMILARITY` is not found, however few others there are.
- A recall finds the two hundred nearest records that count. Candidates are read nearest first, of equally
  near ones the newest, until two hundred of them count; those that were read and do not count are excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from memorykernel.core.activity_v2 import Claims, group_claims
from memorykernel.core.activity_v3 import (
    RECORD_EXCLUSIONS,
    StandingV3,
    count_by_reason,
    describe_counts,
    judge_standing_v3,
)
from memorykernel.core.context_package import (
    SEMANTIC_TIE_BREAKERS,
    ContextPackage,
    Determinism,
    Exclusions,
    Item,
    Meaning,
    Why,
    exclude,
    rank_items,
    score_candidate,
)
from memorykernel.core.cursor import PageKey, bind_cursor, page_key
from memorykernel.core.evidence import Candidate, RecallEvidence
from memorykernel.core.exclusion_page import ExclusionPage, cut_page, find_start, point_behind
from memorykernel.core.identity import package_id_v3, snapshot_v2
from memorykernel.core.inputs_digest import digest_inputs
from memorykernel.core.ordering_v3 import REASON_ACTIVE
from memorykernel.core.package_bounds import (
    MAX_EXCLUDED,
    MAX_EXCLUDED_BYTES,
    MAX_SELECTED,
    MAX_SELECTED_BYTES,
    echo_question,
    fit_items,
)
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v1 import answer_recall
from memorykernel.core.recall_ordering_v2 import list_recall_types
from memorykernel.core.vector import QuestionVector

NAME: Final = "recall-semantic.v1"

MIN_SIMILARITY: Final = 20
"""In hundredths; two texts of which one has nothing to do with the other seldom reach 15."""

MAX_FOUND: Final = 200
"""How many records that count a recall finds, over all its pages."""

MAX_READ: Final = 16_384
"""How many candidates are read at most when most of them do not count."""


class _Judged(NamedTuple):
    key: PageKey
    candidate: Candidate
    similarity: int
    standing: StandingV3


class _Determinism(msgspec.Struct):
    meaning: Meaning


class _Package(msgspec.Struct):
    determinism: _Determinism


class _View(NamedTuple):
    active: Sequence[_Judged]
    inactive: Sequence[_Judged]
    claims: Claims


def needs_more(question: RecallQuestion, evidence: RecallEvidence, read: int) -> bool:
    """Say whether more candidates must be read than the nearest `read`. Pure."""
    if len(evidence.candidates) < read or read >= MAX_READ:
        return False
    claims = group_claims(evidence.supersessions)
    standings = (judge_standing_v3(each, claims, question.as_of_us) for each in evidence.candidates)
    return sum(standing.exclusion is None for standing in standings) < MAX_FOUND


def resolve_semantic(question: RecallQuestion, evidence: RecallEvidence) -> ContextPackage:
    """Answer one page of a recall by recall-semantic.v1.

    Pure; the order of the evidence does not matter; the package has at most
    `package_bounds.MAX_PACKAGE_BYTES`.

    Args:
        question: With its vector, and the cursor of its page, None for the first.
        evidence: The nearest records of the types, as many as `needs_more` asks for, with how near they are,
            and the digest of their vectors.

    Raises:
        MistypedField: The cursor is none of this question.
    """
    types, meaning = list_recall_types(question), _require_meaning(question)
    view = _view(question, evidence)
    keys = [each.key for each in view.active]
    start = find_start(keys, question.cursor, _bind(question, "selected"))
    page = view.active[start : start + MAX_SELECTED]
    selected = fit_items(_select(page, start, meaning), MAX_SELECTED, MAX_SELECTED_BYTES)
    excluded = fit_items(_exclude(view.inactive[:MAX_EXCLUDED]), MAX_EXCLUDED, MAX_EXCLUDED_BYTES)
    by_reason = _count(view)
    snapshot_id = snapshot_v2(evidence.head)
    query = msgspec.structs.replace(echo_question(question), record_types=types)
    return ContextPackage(
        context_package_id=package_id_v3(NAME, question, (*types, meaning.model.weights_sha256), snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME,
            snapshot_id=snapshot_id,
            tie_breakers=SEMANTIC_TIE_BREAKERS,
            inputs=digest_inputs(evidence.candidates, view.claims),
            meaning=Meaning(
                model=meaning.model.name,
                weights_sha256=meaning.model.weights_sha256,
                question_vector=meaning.vector,
                vectors_sha256=evidence.vectors_sha256,
            ),
        ),
        answer=msgspec.structs.replace(answer_recall(len(selected), types), holds_until=None),
        selected_items=selected,
        excluded_items=excluded,
        exclusions=Exclusions(
            total=len(view.inactive),
            by_reason=by_reason,
            next_cursor=point_behind(
                len(excluded), [each.key for each in view.inactive], lambda: _bind(question, "excluded")
            ),
        ),
        next_cursor=point_behind(start + max(len(selected), 1), keys, lambda: _bind(question, "selected")),
        ordering_trace=(
            f"filter: record_type in [{', '.join(types)}]",
            f"filter: similarity of at least {MIN_SIMILARITY / 100:.2f} by {meaning.model.name}",
            f"limit: the {len(evidence.candidates)} nearest were read to find at most {MAX_FOUND} that count",
            describe_counts(by_reason),
            f"limit: selected_items shows {len(selected)} behind the first {start} of {len(view.active)}",
            f"limit: excluded_items shows the {len(excluded)} nearest of {len(view.inactive)}",
            "sort: similarity, then the common precedence tuple with deterministic tie-breakers",
        ),
    )


def list_semantic_exclusions(
    question: RecallQuestion, evidence: RecallEvidence, cursor: str | None, limit: int
) -> ExclusionPage:
    """One page of the near records that do not count; as `ordering_v3.list_exclusions_v3`.

    Raises:
        MistypedField: The cursor is none of this question.
        InvalidRequest: The limit is out of its range.
    """
    view = _view(question, evidence)
    keys = [each.key for each in view.inactive]
    start, stop, next_cursor = cut_page(keys, cursor, limit, _bind(question, "excluded"))
    items = _exclude(view.inactive[start:stop])
    return ExclusionPage(
        total=len(view.inactive),
        by_reason=_count(view),
        items=tuple(msgspec.structs.replace(item, rank=item.rank + start) for item in items),
        next_cursor=next_cursor,
    )


def has_other_vectors(package: bytes, other: bytes) -> bool:
    """Say whether two packages of recall-semantic.v1 differ because their records' vectors do. Pure."""
    one, two = (msgspec.json.decode(each, type=_Package).determinism.meaning for each in (package, other))
    return one.vectors_sha256 != two.vectors_sha256


def _require_meaning(question: RecallQuestion) -> QuestionVector:
    if question.meaning is UNSET:
        raise AssertionError("a recall by meaning is asked with its vector")
    return question.meaning


def _bind(question: RecallQuestion, of: str) -> str:
    weights = _require_meaning(question).model.weights_sha256
    return bind_cursor(NAME, of, question.text, list_recall_types(question), weights)


def _view(question: RecallQuestion, evidence: RecallEvidence) -> _View:
    types = list_recall_types(question)
    claims = group_claims(evidence.supersessions)
    near = [
        _Judged(
            page_key(candidate, (similarity, 0)),
            candidate,
            similarity,
            judge_standing_v3(candidate, claims, question.as_of_us),
        )
        for candidate in evidence.candidates
        if candidate.record_type in types
        and (similarity := evidence.matched.get(candidate.memory_version_id, 0)) >= MIN_SIMILARITY
    ]
    near.sort(key=lambda each: each.key)
    return _View(
        active=[each for each in near if each.standing.exclusion is None][:MAX_FOUND],
        inactive=[each for each in near if each.standing.exclusion is not None],
        claims=claims,
    )


def _select(page: Sequence[_Judged], start: int, meaning: QuestionVector) -> tuple[Item, ...]:
    items = rank_items((each.candidate, _include(each, meaning)) for each in page)
    return tuple(msgspec.structs.replace(item, rank=item.rank + start) for item in items)


def _include(judged: _Judged, meaning: QuestionVector) -> Why:
    similarity = judged.similarity / 100
    return Why(
        included=True,
        reasons=(
            f"similarity {similarity:.2f} by {meaning.model.name}",
            f"record_type={judged.candidate.record_type} included in recall scope",
            REASON_ACTIVE,
            *judged.standing.reasons,
        ),
        rule_scores=score_candidate(judged.candidate, similarity),
    )


def _exclude(inactive: Sequence[_Judged]) -> tuple[Item, ...]:
    return rank_items((each.candidate, exclude(*each.standing.reasons)) for each in inactive)


def _count(view: _View) -> dict[str, int]:
    return count_by_reason((each.standing.exclusion for each in view.inactive), RECORD_EXCLUSIONS)
