"""Decides what kind of draft a ticket gets: an answer, a question back, or neither.

Two numbers decide. *Coverage*: which part of the ticket's informative terms the best article knows,
each term weighed by how rare it is. *Margin*: how far the best article is ahead of the second, as a
part of its own score. Together they are the draft's *certainty*. Quoting the wrong article costs a
customer more than asking back, so the bar for an answer is high.
"""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum

import msgspec

# Chosen on two public collections (719 answers of support threads with their 619 questions; 225 questions
# about aerodynamics as out of scope): in scope 66 % are answered, 31 % asked back; out of scope 1 % are
# answered, 24 % asked back. On a team's own tickets: docs/reference/assistsupport.md.
ANSWER_CERTAINTY = 0.5
ABSTAIN_CERTAINTY = 0.25
MARGIN_SHARE = 0.5
MAX_TERMS = 20  # a long ticket is judged by its most informative terms only

# Stemmed words of courtesy that say nothing about the matter.
COURTESY = re.compile(
    r"hi|hello|hey|dear|thank|thanks|pleas|regard|cheer|team|support|help|ticket|best|kind|greet|ask|question|morn"
    r"|afternoon|would|could|can|may|should|i|we|you|my|me|our|us|am|re|ve|ll|do|doe|did|don|how|what|when|where"
    r"|which|who|why|have|has|had|get|got|want|need|know|just|also|so"
)


class Disposition(StrEnum):
    """What a draft is."""

    ANSWER = "answer"
    CLARIFY = "clarify"
    ABSTAIN = "abstain"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """How well the knowledge base matches a ticket.

    Args:
        coverage: 0 .. 1, rounded to a millionth.
        margin: 0 .. 1, rounded to a millionth; 1 when there is no second article.
    """

    coverage: float
    margin: float


def choose_disposition(match: Match | None) -> Disposition:
    """Return the kind of draft. Pure; total.

    Args:
        match: How well the best article matches; None when nothing was found.
    """
    if match is None:
        return Disposition.ABSTAIN
    certainty = match.coverage + MARGIN_SHARE * match.margin
    if match.coverage == 0 or certainty < ABSTAIN_CERTAINTY:
        return Disposition.ABSTAIN
    return Disposition.ANSWER if certainty >= ANSWER_CERTAINTY else Disposition.CLARIFY


def choose_informative(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the terms by which coverage is judged, with their weights. Pure.

    Words of courtesy and bare numbers say nothing; of the rest the most informative count, ties by
    spelling.

    Args:
        weights: Every term of the ticket with its inverse document frequency.
    """
    telling = [
        (term, w)
        for term, w in weights.items()
        if not COURTESY.fullmatch(term) and not term.isdigit() and len(term) > 1
    ]
    telling.sort(key=lambda item: (-round(item[1], 6), item[0]))
    return dict(telling[:MAX_TERMS])


def calculate_coverage(informative: Mapping[str, float], known: Collection[str]) -> float:
    """Return which part of the informative weight stands in `known`, 0 .. 1. Pure."""
    total = sum(informative[term] for term in sorted(informative))
    found = sum(informative[term] for term in sorted(informative) if term in known)
    return round(found / total, 6) if total else 0.0


def calculate_margin(best: float, second: float) -> float:
    """Return how far the best score is ahead, as a part of itself, 0 .. 1. Pure."""
    return round((best - second) / best, 6) if best > 0 else 0.0
