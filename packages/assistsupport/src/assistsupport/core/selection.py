"""Chooses which spans of the matching articles a draft quotes.

A span is worth the rare terms of the ticket that it (or its heading) holds, discounted by its length.
Steps get a bonus in a section that matches: they rarely repeat the words of the question, yet they
are what the customer needs. The chosen spans are quoted in the order of the article.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from assistsupport.core.article import SpanKind
from assistsupport.core.ranking import IndexedArticle, Ranked

MAX_SPANS_BEST = 5
MAX_SPANS_SECOND = 2
MAX_ANSWER_CHARS = 1_400
SECOND_SCORE = 0.55  # a second article is quoted when it scores at least this part of the best one
HEADING_SHARE = 0.6
STEPS_BONUS = 0.5
LEAST_SHARE = 0.25  # a span below this part of the best span's worth is left out
_STEPS = frozenset({SpanKind.LIST, SpanKind.CODE})


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Spans of one article, by index, in its order."""

    article: IndexedArticle
    spans: tuple[int, ...]


def choose_spans(ranked: Sequence[Ranked], weights: Mapping[str, float]) -> tuple[Chosen, ...]:
    """Return what to quote, best article first. Pure.

    Args:
        ranked: The articles, best first; at least one for a result that is not empty.
        weights: The ticket's informative terms.

    Returns:
        One or two articles with at least one span each; nothing when no span holds a term.
    """
    if not ranked:
        return ()
    budget = MAX_ANSWER_CHARS
    chosen: list[Chosen] = []
    covered: set[str] = set()
    for place, candidate in enumerate(ranked[:2]):
        wanted = {term: w for term, w in weights.items() if term not in covered}
        if place and (candidate.score < SECOND_SCORE * ranked[0].score or not wanted):
            break
        limit = MAX_SPANS_SECOND if place else MAX_SPANS_BEST
        spans = _pick(candidate.article, wanted, limit, budget)
        if spans:
            chosen.append(Chosen(article=candidate.article, spans=spans))
            budget -= sum(len(candidate.article.article.spans[i].text) for i in spans)
            covered |= _held(candidate.article, spans)
    return tuple(chosen)


def _held(indexed: IndexedArticle, spans: Sequence[int]) -> set[str]:
    held = set(indexed.title_terms)
    for index in spans:
        held.update(indexed.span_terms[index], indexed.section_terms[indexed.article.spans[index].section])
    return held


def _pick(indexed: IndexedArticle, weights: Mapping[str, float], limit: int, budget: int) -> tuple[int, ...]:
    worths = sorted(_worths(indexed, weights), key=lambda item: (-item[0], item[1]))
    if not worths:
        return ()
    least = worths[0][0] * LEAST_SHARE
    picked: list[int] = []
    for worth, index in worths:
        size = len(indexed.article.spans[index].text)
        if worth >= least and size <= budget and len(picked) < limit:
            picked.append(index)
            budget -= size
    return tuple(sorted(picked))


def _worths(indexed: IndexedArticle, weights: Mapping[str, float]) -> Iterator[tuple[float, int]]:
    headings = [_sum(weights, terms) for terms in indexed.section_terms]
    sections = list(headings)
    for span, terms in zip(indexed.article.spans, indexed.span_terms, strict=True):
        sections[span.section] = max(sections[span.section], _sum(weights, terms))
    for index, (span, terms) in enumerate(zip(indexed.article.spans, indexed.span_terms, strict=True)):
        worth = _sum(weights, terms) / (1 + math.log1p(len(terms) / 12))
        worth += HEADING_SHARE * headings[span.section]
        if span.kind in _STEPS:
            worth += STEPS_BONUS * sections[span.section]
        if worth > 0:
            yield round(worth, 6), index


def _sum(weights: Mapping[str, float], terms: Sequence[str]) -> float:
    return sum(weights[term] for term in sorted(set(terms)) if term in weights)
