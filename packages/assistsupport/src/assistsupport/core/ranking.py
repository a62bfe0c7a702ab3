"""Orders articles by how well they match a ticket: BM25F over title and body, computed exactly.

The search engine finds candidates; this puts them in order. Two reasons to do that here: the engine
sums its scores in the order of its segments, in 32-bit floats, so that equal articles could change
places with the number of threads; and its parameters are fixed. Here the terms are summed in sorted
order in 64-bit floats, the sum is quantized, and equals stand in the order of their ids.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), 3.6.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from assistsupport.core.article import Article

# nDCG@10 on two public collections (719 answers of support threads; the 1,400 Cranfield abstracts),
# with k1 = 1.2, b = 0.75 and the title counted once: 0.699 and 0.385; with these: 0.766 and 0.398.
K1 = 2.0
BODY_B = 0.75
TITLE_B = 0.5
TITLE_WEIGHT = 3.0
SCORE_STEPS = 1_000_000  # scores are multiples of a millionth


class IndexedArticle(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An article with the terms of its parts, as the analyzer of the index sees them.

    Args:
        article: The article; its `text` is empty here, the library keeps that apart.
        title_terms: Terms of the title and the tags.
        section_terms: Terms of each section's heading.
        span_terms: Terms of each span.
        body_counts: How often each term stands in headings and spans.
    """

    article: Article
    title_terms: tuple[str, ...]
    section_terms: tuple[tuple[str, ...], ...]
    span_terms: tuple[tuple[str, ...], ...]
    body_counts: dict[str, int]

    def body_terms(self) -> Iterable[str]:
        """Yield every term of headings and spans."""
        for terms in self.section_terms:
            yield from terms
        for terms in self.span_terms:
            yield from terms


def count_terms(
    article: Article,
    *,
    title_terms: tuple[str, ...],
    section_terms: tuple[tuple[str, ...], ...],
    span_terms: tuple[tuple[str, ...], ...],
) -> IndexedArticle:
    """Return an article with its terms, counted once, so that ranking need not. Pure."""
    body = Counter(chain.from_iterable((*section_terms, *span_terms)))
    return IndexedArticle(
        article=article,
        title_terms=title_terms,
        section_terms=section_terms,
        span_terms=span_terms,
        body_counts=dict(sorted(body.items())),
    )


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What ranking must know of the whole knowledge base.

    Args:
        documents: How many articles there are, from 0.
        mean_title_terms: Mean number of title terms.
        mean_body_terms: Mean number of body terms.
        frequencies: For each term of the ticket, in how many articles it stands.
    """

    documents: int
    mean_title_terms: float
    mean_body_terms: float
    frequencies: Mapping[str, int]


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate with its score, a multiple of a millionth."""

    article: IndexedArticle
    score: float


def calculate_weights(statistics: Statistics) -> dict[str, float]:
    """Return how informative each term of the ticket is: its inverse document frequency. Pure."""
    total = statistics.documents
    return {
        term: math.log(1 + (total - count + 0.5) / (count + 0.5))
        for term, count in sorted(statistics.frequencies.items())
    }


def rank(
    terms: Sequence[str],
    candidates: Iterable[IndexedArticle],
    statistics: Statistics,
) -> tuple[Ranked, ...]:
    """Return the candidates best first, equals by article id. Pure; their order does not matter.

    Args:
        terms: The ticket's terms, repeated ones included.
        candidates: What the search engine found.
        statistics: With a frequency for every term.
    """
    counts = sorted(Counter(terms).items())
    weights = calculate_weights(statistics)
    scored = (Ranked(article=each, score=_score(counts, weights, each, statistics)) for each in candidates)
    return tuple(sorted(scored, key=lambda ranked: (-ranked.score, ranked.article.article.article_id)))


def _score(
    counts: Sequence[tuple[str, int]],
    weights: Mapping[str, float],
    indexed: IndexedArticle,
    statistics: Statistics,
) -> float:
    title, body = indexed.title_terms, indexed.body_counts
    title_norm = _norm(len(title), statistics.mean_title_terms, TITLE_B)
    body_norm = _norm(sum(body.values()), statistics.mean_body_terms, BODY_B)
    score = 0.0
    for term, repeats in counts:
        frequency = body.get(term, 0) / body_norm
        if term in title:
            frequency += TITLE_WEIGHT * title.count(term) / title_norm
        score += repeats * weights[term] * frequency / (frequency + K1)
    return round(score * SCORE_STEPS) / SCORE_STEPS


def _norm(length: int, mean: float, b: float) -> float:
    return 1 - b + b * length / mean if mean else 1.0
