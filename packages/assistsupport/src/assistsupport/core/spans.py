"""Cuts an article's text into sections and quotable spans: one set of rules for every format.

A reader says where blocks stand and what they are; what is quoted whole, what by sentence or by item,
and what not at all is decided here.
"""

from collections.abc import Iterable
from itertools import accumulate

from assistsupport.core.article import Section, Span, SpanKind
from assistsupport.core.sentence import split_sentences

MAX_SPANS = 2_000
MAX_BLOCK_CHARS = 1_500  # a longer list is quoted by item, anything else that long not at all


class SpanCutter:
    """Collects the sections and spans of one text; blocks must come in the order of the text.

    Args:
        text: The article's text.
        body_start: Its first character that is no front matter.
    """

    def __init__(self, text: str, body_start: int = 0) -> None:
        self._text = text
        self._bytes = None if text.isascii() else list(accumulate((len(c.encode()) for c in text), initial=0))
        self.sections = [Section(level=0, heading="", start=self._byte(body_start))]
        self.spans: list[Span] = []

    @property
    def is_full(self) -> bool:
        """Whether there are as many spans as an article may have; later blocks are left out."""
        return len(self.spans) >= MAX_SPANS

    def head(self, level: int, heading: str, start: int) -> None:
        """Begin a section at a heading."""
        self.sections.append(Section(level=level, heading=heading, start=self._byte(start)))

    def paragraph(self, start: int, end: int) -> None:
        """Take running text, quoted by sentence."""
        for first, last in split_sentences(self._text[start:end]):
            self._span(SpanKind.SENTENCE, start + first, start + last)

    def whole(self, kind: SpanKind, start: int, end: int, items: Iterable[tuple[int, int]] = ()) -> None:
        """Take a block that is quoted whole, or by item when it is too long for that.

        Args:
            kind: What it is.
            start: Its first character.
            end: One past its last one.
            items: Where the parts of a list stand, each with what is nested in it.
        """
        if end - start <= MAX_BLOCK_CHARS:
            self._span(kind, start, end)
            return
        for first, last in items:
            if last - first <= MAX_BLOCK_CHARS:
                self._span(kind, first, last)

    def _span(self, kind: SpanKind, start: int, end: int) -> None:
        raw = self._text[start:end]
        last = start + len(raw.rstrip())
        first = start if kind is SpanKind.CODE else start + len(raw) - len(raw.lstrip())
        if first < last:
            self.spans.append(
                Span(
                    kind=kind,
                    section=len(self.sections) - 1,
                    start=self._byte(first),
                    end=self._byte(last),
                    text=self._text[first:last],
                )
            )

    def _byte(self, offset: int) -> int:
        return offset if self._bytes is None else self._bytes[offset]
