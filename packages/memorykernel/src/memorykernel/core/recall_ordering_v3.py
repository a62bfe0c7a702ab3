"""`recall-ordering.v3`: the rules for recalls of service.v4.

recall-ordering.v2 with records that expire, and page by page: words of any script, ranked by matched terms
and then by the common precedence; at most fifty records a page. `next_cursor` leads to the next page.

Decisions where the text is silent:
- Pages are cut at the sort key of the last record shown. Who wants all pages of one state names it: as_of
  and as_known_at of the first page. Otherwise what was written in between shows up where it belongs.
- What is on other pages is not excluded: exclusions are the records that share a term and do not count. Every
  page has the same ones.
- A recall decides nothing, so it holds for ever.
- A record that does not fit a page of its own (its ids are none of this program) is counted, not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from memorykernel.core.activity_v2 import Claims, group_claims
from memorykernel.core.activity_v3 import (
    RECORD_EXCLUSIONS,
    StandingV3,
    count_by_reason,
    describe_counts,
    judge_standing_v3,
)
from memorykernel.core.context_package import (
    RECALL_TIE_BREAKERS,
    ContextPackage,
    Determinism,
    Exclusions,
    Item,
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
from memorykernel.core.terms import unicode_terms

NAME: Final = "recall-ordering.v3"


class _Judged(NamedTuple):
    key: PageKey
    candidate: Candidate
    matched: int
    standing: StandingV3


class _View(NamedTuple):
    active: Sequence[_Judged]
    inactive: Sequence[_Judged]
    claims: Claims


def resolve_recall_v3(question: RecallQuestion, evidence: RecallEvidence) -> ContextPackage:
    """Answer one page of a recall by recall-ordering.v3.

    Pure; the order of the evidence does not matter; the package has at most
    `package_bounds.MAX_PACKAGE_BYTES`.

    Args:
        question: The question with the cursor of its page, None for the first.
        evidence: As for recall-ordering.v2: every record of the types that shares a term, and how many.

    Raises:
        MistypedField: The cursor is none of this question.
    """
    types = list_recall_types(question)
    view = _view(question, evidence)
    keys = [each.key for each in view.active]
    start = find_start(keys, question.cursor, _bind(question, "selected"))
    page = view.active[start : start + MAX_SELECTED]
    selected = fit_items(_select(page, start, question.text), MAX_SELECTED, MAX_SELECTED_BYTES)
    excluded = fit_items(_exclude(view.inactive[:MAX_EXCLUDED]), MAX_EXCLUDED, MAX_EXCLUDED_BYTES)
    by_reason = _count(view)
    snapshot_id = snapshot_v2(evidence.head)
    query = msgspec.structs.replace(echo_question(question), record_types=types)
    return ContextPackage(
        context_package_id=package_id_v3(NAME, question, types, snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME,
            snapshot_id=snapshot_id,
            tie_breakers=RECALL_TIE_BREAKERS,
            inputs=digest_inputs((each.candidate for each in (*view.active, *view.inactive)), view.claims),
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
            "filter: lexical overlap with normalized query terms",
            describe_counts(by_reason),
            f"limit: selected_items shows {len(selected)} behind the first {start} of {len(view.active)}",
            f"limit: excluded_items shows the {len(excluded)} nearest of {len(view.inactive)}",
            "sort: recall precedence tuple with deterministic tie-breakers",
        ),
    )


def list_recall_exclusions_v3(
    question: RecallQuestion, evidence: RecallEvidence, cursor: str | None, limit: int
) -> ExclusionPage:
    """One page of all the records that share a term and do not count; as `ordering_v3.list_exclusions_v3`.

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


def _bind(question: RecallQuestion, of: str) -> str:
    # Without as_of: a page of a question about now is followed by one about a later now.
    return bind_cursor(NAME, of, question.text, list_recall_types(question))


def _view(question: RecallQuestion, evidence: RecallEvidence) -> _View:
    types = list_recall_types(question)
    claims = group_claims(evidence.supersessions)
    matching = [
        _Judged(
            page_key(candidate, (matched, 0)),
            candidate,
            matched,
            judge_standing_v3(candidate, claims, question.as_of_us),
        )
        for candidate in evidence.candidates
        if candidate.record_type in types
        and (matched := evidence.matched.get(candidate.memory_version_id, 0))
    ]
    matching.sort(key=lambda each: each.key)
    return _View(
        active=[each for each in matching if each.standing.exclusion is None],
        inactive=[each for each in matching if each.standing.exclusion is not None],
        claims=claims,
    )


def _select(page: Sequence[_Judged], start: int, text: str) -> tuple[Item, ...]:
    asked = len(unicode_terms(text))
    items = rank_items((each.candidate, _include(each, asked)) for each in page)
    return tuple(msgspec.structs.replace(item, rank=item.rank + start) for item in items)


def _include(judged: _Judged, asked: int) -> Why:
    return Why(
        included=True,
        reasons=(
            f"lexical relevance matched {judged.matched}/{asked} normalized terms",
            f"record_type={judged.candidate.record_type} included in recall scope",
            REASON_ACTIVE,
            *judged.standing.reasons,
        ),
        rule_scores=score_candidate(judged.candidate, judged.matched / asked),
    )


def _exclude(inactive: Sequence[_Judged]) -> tuple[Item, ...]:
    return rank_items((each.candidate, exclude(*each.standing.reasons)) for each in inactive)


def _count(view: _View) -> dict[str, int]:
    return count_by_reason((each.standing.exclusion for each in view.inactive), RECORD_EXCLUSIONS)
