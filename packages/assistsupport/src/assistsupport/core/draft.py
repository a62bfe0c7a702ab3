"""The draft of a reply, and how it is put together.

A draft is a function of the ticket and of the knowledge base, and of nothing else: it has no clock,
no randomness and no place where a policy answer could enter. Every sentence is either one of the
fixed ones below or a verbatim, cited span of an article; the ticket's own words never stand in it,
so instructions in a ticket cannot reach the customer.
"""

from enum import StrEnum
from typing import assert_never

import msgspec

from assistsupport.core.article import Citation, DocumentFormat, FrontMatter, SpanKind, calculate_sha256, cite
from assistsupport.core.disposition import (
    Disposition,
    Match,
    calculate_coverage,
    calculate_margin,
    choose_disposition,
    choose_informative,
)
from assistsupport.core.ranking import Ranked, Statistics, calculate_weights
from assistsupport.core.selection import Chosen, choose_spans

GREETING = "Hello,"
ANSWER_LEAD = "thank you for your message. This is what our documentation says:"
ANSWER_NEXT = (
    "If this does not solve it, please reply with the exact error message, the device you use "
    "and what you have tried."
)
CLARIFY_LEAD = (
    "thank you for your message. To give you the right steps, please tell us which of these it is about:"
)
CLARIFY_NEXT = "Please also add the exact error message and the device or application that you use."
ABSTAIN_LEAD = "thank you for your message. A colleague of our team will look into it and come back to you."
ABSTAIN_NEXT = (
    "It helps if you reply with the application or device, what you expected, and what happened instead."
)
CLOSING = "Kind regards,\nIT Support"
MAX_CHOICES = 3
CHOICE_SCORE = 0.5  # an article is offered as a choice when it scores at least this part of the best one


class SentenceKind(StrEnum):
    """Where a sentence of a draft comes from."""

    FIXED = "fixed"
    CITED = "cited"
    TITLE = "title"


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the draft's text.

    Args:
        start: First character in the draft's text.
        end: One past the last one.
        kind: fixed (ours), cited (a verbatim span) or title (a heading, or the title of an article).
        citation: Where a cited piece comes from; None otherwise.
    """

    start: int
    end: int
    kind: SentenceKind
    citation: Citation | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An article that the draft quotes or offers, best first.

    Args:
        article_id: The article.
        sha256: Its version.
        score: Its rank score, a multiple of a millionth.
        front_matter: What it says about itself.
        format: What its file is.
    """

    article_id: str
    sha256: str
    score: float
    front_matter: FrontMatter
    format: DocumentFormat


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A reply for a person to read, change and send.

    Args:
        disposition: answer, clarify or abstain.
        text: The reply, Markdown.
        sha256: SHA-256 of the text's UTF-8 bytes: the draft's identity.
        sentences: The pieces of the text, in order.
        sources: What it quotes or offers; empty when it abstains.
        coverage: How much of the ticket the best article knows, 0 .. 1.
        margin: How far the best article is ahead, 0 .. 1.
        knowledge_snapshot: SHA-256 of the knowledge base that it was made from.
    """

    disposition: Disposition
    text: str
    sha256: str
    sentences: tuple[Sentence, ...]
    sources: tuple[Source, ...]
    coverage: float
    margin: float
    knowledge_snapshot: str


class _Writer:
    """Collects pieces and keeps count of where they stand."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.sentences: list[Sentence] = []

    def write(self, text: str, kind: SentenceKind, gap: str, citation: Citation | None = None) -> None:
        self._parts += [gap, text] if self._parts else [text]
        start = self._length + (len(gap) if len(self._parts) > 1 else 0)
        self._length = start + len(text)
        self.sentences.append(Sentence(start=start, end=self._length, kind=kind, citation=citation))

    @property
    def text(self) -> str:
        return "".join(self._parts)


def compose_draft(ranked: tuple[Ranked, ...], statistics: Statistics, knowledge_snapshot: str) -> Draft:
    """Return the draft for a ticket. Pure; depends on nothing but its arguments.

    Args:
        ranked: The articles that match the ticket, best first.
        statistics: With the document frequency of each of the ticket's terms.
        knowledge_snapshot: SHA-256 of the knowledge base.
    """
    informative = choose_informative(calculate_weights(statistics))
    match = _match(ranked, informative)
    disposition = choose_disposition(match)
    chosen = choose_spans(ranked, informative) if disposition is Disposition.ANSWER else ()
    if disposition is Disposition.ANSWER and not chosen:
        disposition = Disposition.CLARIFY  # titles match, but no sentence does: nothing to quote
    writer = _Writer()
    writer.write(GREETING, SentenceKind.FIXED, "")
    sources = _write_body(writer, disposition, ranked, chosen)
    writer.write(CLOSING, SentenceKind.FIXED, "\n\n")
    return Draft(
        disposition=disposition,
        text=writer.text,
        sha256=calculate_sha256(writer.text.encode()),
        sentences=tuple(writer.sentences),
        sources=sources,
        coverage=match.coverage if match else 0.0,
        margin=match.margin if match else 0.0,
        knowledge_snapshot=knowledge_snapshot,
    )


def _match(ranked: tuple[Ranked, ...], informative: dict[str, float]) -> Match | None:
    if not ranked or ranked[0].score <= 0:
        return None
    best = ranked[0].article
    known = {*best.title_terms, *best.body_counts}
    second = ranked[1].score if len(ranked) > 1 else 0.0
    return Match(
        coverage=calculate_coverage(informative, known),
        margin=calculate_margin(ranked[0].score, second),
    )


def _write_body(
    writer: _Writer, disposition: Disposition, ranked: tuple[Ranked, ...], chosen: tuple[Chosen, ...]
) -> tuple[Source, ...]:
    match disposition:
        case Disposition.ANSWER:
            return _write_answer(writer, ranked, chosen)
        case Disposition.CLARIFY:
            return _write_choices(writer, ranked)
        case Disposition.ABSTAIN:
            writer.write(ABSTAIN_LEAD, SentenceKind.FIXED, "\n\n")
            writer.write(ABSTAIN_NEXT, SentenceKind.FIXED, "\n\n")
            return ()
        case _:
            assert_never(disposition)


def _write_answer(
    writer: _Writer, ranked: tuple[Ranked, ...], chosen: tuple[Chosen, ...]
) -> tuple[Source, ...]:
    writer.write(ANSWER_LEAD, SentenceKind.FIXED, "\n\n")
    for part in chosen:
        if len(chosen) > 1:
            _write_heading(writer, part.article.article.front_matter.title)
        _write_spans(writer, part)
    writer.write(ANSWER_NEXT, SentenceKind.FIXED, "\n\n")
    quoted = {part.article.article.article_id for part in chosen}
    return tuple(view_source(each) for each in ranked if each.article.article.article_id in quoted)


def _write_spans(writer: _Writer, chosen: Chosen) -> None:
    article = chosen.article.article
    last = None
    for index in chosen.spans:
        span = article.spans[index]
        section = article.sections[span.section]
        if section.level > 1 and (last is None or span.section != last.section):
            _write_heading(writer, section.heading)
        run_on = (
            last is not None and span.kind is last.kind is SpanKind.SENTENCE and span.section == last.section
        )
        writer.write(
            span.text,
            SentenceKind.CITED,
            " " if run_on else "\n\n",
            cite(article, span),
        )
        last = span


def _write_heading(writer: _Writer, heading: str) -> None:
    """Say what the next quotation is about; headings are the article's words, but no claim of their own."""
    if heading:
        writer.write(heading, SentenceKind.TITLE, "\n\n")


def _write_choices(writer: _Writer, ranked: tuple[Ranked, ...]) -> tuple[Source, ...]:
    offered = [each for each in ranked[:MAX_CHOICES] if each.score >= CHOICE_SCORE * ranked[0].score]
    writer.write(CLARIFY_LEAD, SentenceKind.FIXED, "\n\n")
    for place, each in enumerate(offered):
        gap = "\n- " if place else "\n\n- "
        writer.write(each.article.article.front_matter.title, SentenceKind.TITLE, gap)
    writer.write(CLARIFY_NEXT, SentenceKind.FIXED, "\n\n")
    return tuple(view_source(each) for each in offered)


def view_source(ranked: Ranked) -> Source:
    """Return a ranked article as a source, without its text. Pure."""
    article = ranked.article.article
    return Source(
        article_id=article.article_id,
        sha256=article.sha256,
        score=ranked.score,
        front_matter=article.front_matter,
        format=article.format,
    )
