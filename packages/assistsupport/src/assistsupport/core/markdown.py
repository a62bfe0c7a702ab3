"""Reads a Markdown file into sections and quotable spans, by the tokens of markdown-it.

The tokens say what each block is and on which lines it stands; the spans are cut from the original
text by those lines, so nothing that markdown-it normalizes can reach a quotation.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from markdown_it import MarkdownIt
from markdown_it.token import Token

from assistsupport.core.article import Article, Section, Span, SpanKind, calculate_sha256
from assistsupport.core.front_matter import describe_article, parse_front_matter
from assistsupport.core.sentence import split_sentences
from assistsupport.errors import ArticleRefused

MAX_FILE_BYTES = 1_048_576
MAX_SPANS = 2_000
MAX_BLOCK_CHARS = 1_500  # a longer list is quoted by item, anything else that long not at all

_KIND_BY_TOKEN = {
    "bullet_list_open": SpanKind.LIST,
    "ordered_list_open": SpanKind.LIST,
    "fence": SpanKind.CODE,
    "code_block": SpanKind.CODE,
    "table_open": SpanKind.TABLE,
    "blockquote_open": SpanKind.QUOTE,
}
_LINE_END = re.compile(r"\r\n|\r|\n")
_PARSER = MarkdownIt("commonmark").enable("table")


def parse_article(article_id: str, data: bytes) -> Article:
    """Read one file. Pure; the same bytes always give the same article.

    Args:
        article_id: Its id in the knowledge base.
        data: The whole file, at most 1 MiB of UTF-8.

    Raises:
        ArticleRefused: It is too large, no UTF-8, or its front matter cannot be read.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ArticleRefused(
            f"file is too large: expected at most {MAX_FILE_BYTES} bytes, got {len(data)}; split it"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ArticleRefused(f"file is not UTF-8 at byte {exc.start}; save it as UTF-8") from exc
    split = parse_front_matter(text)
    reader = _Reader(text, split.body_start)
    reader.read()
    title = next((section.heading for section in reader.sections if section.heading), _title_of(article_id))
    return Article(
        article_id=article_id,
        sha256=calculate_sha256(data),
        front_matter=describe_article(split.values, title),
        sections=tuple(reader.sections),
        spans=tuple(reader.spans),
        text=text,
    )


def _title_of(article_id: str) -> str:
    stem = article_id.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[-_]+", " ", stem).strip().capitalize()


class _Reader:
    """Walks the top-level tokens of one file and collects its sections and spans."""

    def __init__(self, text: str, body_start: int) -> None:
        self._text = text
        body = text[body_start:]
        self._tokens = _PARSER.parse(body)
        ends = [match.end() + body_start for match in _LINE_END.finditer(body)]
        self._lines = [body_start, *ends, len(text)]
        self._bytes = None if text.isascii() else list(accumulate((len(c.encode()) for c in text), initial=0))
        self.sections = [Section(level=0, heading="", start=self._byte(body_start))]
        self.spans: list[Span] = []

    def read(self) -> None:
        for position, token in enumerate(self._tokens):
            if token.level == 0 and token.map is not None and len(self.spans) < MAX_SPANS:
                self._block(position, token)

    def _block(self, position: int, token: Token) -> None:
        start, end = self._range(token)
        if token.type == "heading_open":
            heading = _plain(self._tokens[position + 1])
            self.sections.append(Section(level=int(token.tag[1:]), heading=heading, start=self._byte(start)))
        elif token.type == "paragraph_open":
            for first, last in split_sentences(self._text[start:end]):
                self._span(SpanKind.SENTENCE, start + first, start + last)
        elif token.type in _KIND_BY_TOKEN:
            self._whole(_KIND_BY_TOKEN[token.type], position, start, end)

    def _whole(self, kind: SpanKind, position: int, start: int, end: int) -> None:
        if end - start <= MAX_BLOCK_CHARS:
            self._span(kind, start, end)
        elif kind is SpanKind.LIST:
            for item in _items(self._tokens[position:]):
                first, last = self._range(item)
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

    def _range(self, token: Token) -> tuple[int, int]:
        assert token.map is not None  # noqa: S101 - only block tokens come here, and they have one
        first, last = token.map
        return self._lines[first], self._lines[min(last, len(self._lines) - 1)]

    def _byte(self, offset: int) -> int:
        return offset if self._bytes is None else self._bytes[offset]


def _items(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield the items of the list that opens at the first token, not those of lists inside it."""
    for token in tokens[1:]:
        if token.level == 0:
            return
        if token.type == "list_item_open" and token.level == 1:
            yield token


def _plain(inline: Token) -> str:
    parts = (child.content for child in inline.children or () if child.type in {"text", "code_inline"})
    return " ".join("".join(parts).split())
