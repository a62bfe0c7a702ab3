"""`recall-ordering.v3`: the rules for recalls of service.v4.

Words of any script, ranked by how many of them a record has and then by authority, truth status, confidence
and time; at most fifty records a page. What is read for a page is bounded, however large the store is: see
`recall_search` for the rule, and ADR 0016 for the reasons. A small store is searched whole.

Decisions where the text is silent:
- Pages are cut at the place of the last record shown. Who wants all pages of one state names it: as_of
  and as_known_at of the first page. Otherwise what was written in between shows up where it belongs.
- A page looks at the first records behind the one before. When too many of these do not count, it shows fewer
  than fifty, and `next_cursor` still leads on.
- What is on other pages is not excluded: exclusions are what was looked at for this page and does not count.
  Where there may be more, the counts say so by `at_least`.
- Two records that are equal in all else are in the order of a digest of their ids, which says nothing.
- A recall decides nothing, so it holds for ever.
- A record that does not fit a page of its own (its ids are none of this program) is counted, not shown.
"""

from __future__ import annotations

from bisect import bisect_right
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
    BOUNDED_RECALL_TIE_BREAKERS,
    ContextPackage,
    Determinism,
    Exclusions,
    Item,
    Why,
    exclude,
    rank_items,
    score_candidate,
)
from memorykernel.core.cursor import RecallKey, bind_cursor, decode_recall_cursor, encode_cursor
from memorykernel.core.evidence import Candidate, RecallEvidence, WordCount
from memorykernel.core.exclusion_page import ExclusionPage, point_behind, require_limit
from memorykernel.core.identity import package_id_v3, snapshot_v2
from memorykernel.core.inputs_digest import digest_recalled
from memorykernel.core.ordering_v3 import REASON_ACTIVE
from memorykernel.core.package_bounds import (
    MAX_EXCLUDED,
    MAX_EXCLUDED_BYTES,
    MAX_SELECTED,
    MAX_SELECTED_BYTES,
    echo_question,
    excerpt,
    fit_items,
)
from memorykernel.core.posting import place_record, sort_key
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v1 import answer_recall
from memorykernel.core.recall_ordering_v2 import list_recall_types
from memorykernel.core.recall_search import BOUNDS, Place, RecallSearch, SearchBounds, plan_reading
from memorykernel.core.terms import list_words

NAME: Final = "recall-ordering.v3"

_MAX_NAMED: Final = 8
"""How many words the trace names in one line."""


class _Judged(NamedTuple):
    key: RecallKey
    candidate: Candidate
    matched: int
    standing: StandingV3


class _View(NamedTuple):
    """What is looked at for a page; `cuts` are the reasons why there may be more."""

    seen: Sequence[_Judged]
    active: Sequence[_Judged]
    inactive: Sequence[_Judged]
    claims: Claims
    goes_on: bool
    cuts: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not (self.goes_on or self.cuts)


def plan_search(question: RecallQuestion, bounds: SearchBounds = BOUNDS) -> RecallSearch:
    """What to ask the store for.

    Raises:
        MistypedField: The cursor is none of this question.
    """
    behind = _find_place(question)
    return RecallSearch(
        words=list_words(question.text)[: bounds.max_words],
        record_types=list_recall_types(question),
        as_of_us=question.as_of_us,
        behind=None if behind is None else Place(-behind[0], bytes.fromhex(behind[1])),
        bounds=bounds,
    )


def resolve_recall_v3(
    question: RecallQuestion, evidence: RecallEvidence, bounds: SearchBounds = BOUNDS
) -> ContextPackage:
    """Answer one page of a recall by recall-ordering.v3.

    Pure; the order of the evidence does not matter; the package has at most
    `package_bounds.MAX_PACKAGE_BYTES`.

    Args:
        question: The question with the cursor of its page, None for the first.
        evidence: What `plan_search` asks for.
        bounds: Others than the ruleset's are for testing it.

    Raises:
        MistypedField: The cursor is none of this question.
    """
    types = list_recall_types(question)
    behind = _find_place(question)
    start = 0 if behind is None else behind[2]
    view = _view(question, evidence, bounds)
    page = view.active[:MAX_SELECTED]
    selected = fit_items(_select(page, start, question, bounds), MAX_SELECTED, MAX_SELECTED_BYTES)
    excluded = fit_items(_exclude(view.inactive[:MAX_EXCLUDED]), MAX_EXCLUDED, MAX_EXCLUDED_BYTES)
    by_reason = _count(view)
    snapshot_id = snapshot_v2(evidence.head)
    query = msgspec.structs.replace(echo_question(question), record_types=types)
    known, more = start + len(view.active), "" if view.complete else " or more"
    return ContextPackage(
        context_package_id=package_id_v3(NAME, question, types, snapshot_id),
        generated_at=query.as_of,
        query=query,
        determinism=Determinism(
            ruleset_version=NAME,
            snapshot_id=snapshot_id,
            tie_breakers=BOUNDED_RECALL_TIE_BREAKERS,
            inputs=digest_recalled(
                (each.candidate for each in view.seen),
                view.claims,
                matched=evidence.matched,
                words=evidence.words,
                complete=view.complete,
            ),
        ),
        answer=msgspec.structs.replace(answer_recall(len(selected), types), holds_until=None),
        selected_items=selected,
        excluded_items=excluded,
        exclusions=Exclusions(
            total=len(view.inactive),
            by_reason=by_reason,
            at_least=not view.complete,
            next_cursor=point_behind(
                len(excluded), [each.key for each in view.inactive], lambda: _bind(question, "excluded")
            ),
        ),
        next_cursor=_point_on(question, view, start, max(len(selected), 1)),
        ordering_trace=(
            f"filter: record_type in [{', '.join(types)}]",
            "filter: lexical overlap with normalized query terms",
            *view.cuts,
            describe_counts(by_reason) + more,
            f"limit: selected_items shows {len(selected)} behind the first {start} of {known}{more}",
            f"limit: excluded_items shows the {len(excluded)} nearest of {len(view.inactive)}{more}",
            "sort: recall precedence tuple with deterministic tie-breakers",
        ),
    )


def list_recall_exclusions_v3(
    question: RecallQuestion, evidence: RecallEvidence, cursor: str | None, limit: int
) -> ExclusionPage:
    """One page of all that was looked at and does not count; as `ordering_v3.list_exclusions_v3`.

    Raises:
        MistypedField: The cursor is none of this question.
        InvalidRequest: The limit is out of its range.
    """
    require_limit(limit)
    view = _view(question, evidence, BOUNDS)
    keys = [each.key for each in view.inactive]
    behind = None if cursor is None else decode_recall_cursor(cursor, _bind(question, "excluded"))
    start = 0 if behind is None else bisect_right(keys, behind)
    stop = min(start + limit, len(keys))
    items = _exclude(view.inactive[start:stop])
    return ExclusionPage(
        total=len(view.inactive),
        by_reason=_count(view),
        items=tuple(msgspec.structs.replace(item, rank=item.rank + start) for item in items),
        next_cursor=point_behind(stop, keys, lambda: _bind(question, "excluded")),
    )


def _bind(question: RecallQuestion, of: str) -> str:
    # Without as_of: a page of a question about now is followed by one about a later now.
    return bind_cursor(NAME, of, question.text, list_recall_types(question))


def _find_place(question: RecallQuestion) -> RecallKey | None:
    if question.cursor is None:
        return None
    return decode_recall_cursor(question.cursor, _bind(question, "selected"))


def _view(question: RecallQuestion, evidence: RecallEvidence, bounds: SearchBounds) -> _View:
    types, behind = list_recall_types(question), _find_place(question)
    claims = group_claims(evidence.supersessions)
    found = sorted(
        (_key(candidate, matched), candidate.memory_version_id, candidate, matched)
        for candidate in evidence.candidates
        if candidate.record_type in types
        and (matched := evidence.matched.get(candidate.memory_version_id, 0))
    )
    if behind is not None:
        found = [each for each in found if each[0][:2] > behind[:2]]
    seen = [
        _Judged(key, candidate, matched, judge_standing_v3(candidate, claims, question.as_of_us))
        for key, _, candidate, matched in found[: bounds.max_seen]
    ]
    return _View(
        seen=seen,
        active=[each for each in seen if each.standing.exclusion is None],
        inactive=[each for each in seen if each.standing.exclusion is not None],
        claims=claims,
        goes_on=len(found) > bounds.max_seen,
        cuts=_explain_cuts(question, evidence.words, bounds),
    )


def _key(candidate: Candidate, matched: int) -> RecallKey:
    posting = place_record(
        candidate.memory_version_id,
        record_type=candidate.record_type,
        authority=candidate.authority,
        truth_status=candidate.truth_status,
        confidence=candidate.confidence,
        effective_at_us=candidate.effective_at_us,
    )
    return -matched, sort_key(posting.rank).hex(), 0


def _explain_cuts(
    question: RecallQuestion, words: Sequence[WordCount], bounds: SearchBounds
) -> tuple[str, ...]:
    """The trace lines that say what the search left out; none when it found all that share a word."""
    said: list[str] = []
    if (asked := len(list_words(question.text))) > bounds.max_words:
        said.append(f"limit: the first {bounds.max_words} of {asked} terms are looked up")
    reading = plan_reading(words, bounds.max_read)
    if reading.cut:
        said.append(f"limit: the best records in effect are read of the many with {_name(reading.cut)}")
    if reading.ranking:
        said.append(f"limit: nothing more is read of the many with {_name(reading.ranking)}")
    return tuple(said)


def _name(words: Sequence[WordCount]) -> str:
    named = ", ".join(f"'{excerpt(each.word)}'" for each in words[:_MAX_NAMED])
    more = len(words) - _MAX_NAMED
    return f"{named} and {more} more terms" if more > 0 else named


def _point_on(question: RecallQuestion, view: _View, start: int, shown: int) -> str | None:
    """The cursor behind the last item shown, or behind all that was looked at when all of it is shown."""
    if shown < len(view.active):
        last, position = view.active[shown - 1], start + shown
    elif view.goes_on:
        last, position = view.seen[-1], start + len(view.active)
    else:
        return None
    return encode_cursor(_bind(question, "selected"), (*last.key[:2], position))


def _select(
    page: Sequence[_Judged], start: int, question: RecallQuestion, bounds: SearchBounds
) -> tuple[Item, ...]:
    asked = min(len(list_words(question.text)), bounds.max_words)
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
