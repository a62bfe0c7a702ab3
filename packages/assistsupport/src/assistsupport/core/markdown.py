"""Reads a Markdown file into sections and quotable spans, by the tokens of markdown-it.

The tokens say what each block is and on which lines it stands; the spans are cut from the original
text by those lines, so nothing that markdown-it normalizes can reach a quotation.
"""

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from assistsupport.core.article import Article, DocumentFormat, ReaderStamp, SpanKind, calculate_sha256
from assistsupport.core.front_matter import describe_article, parse_front_matter
from assistsupport.core.spans import SpanCutter
from assistsupport.errors import ArticleRefused

MAX_FILE_BYTES = 1_048_576
MARKDOWN_READER = ReaderStamp(name="markdown", version="1")  # raised when the same file gives other spans

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
    text = decode_text(data)
    split = parse_front_matter(text)
    cutter = SpanCutter(text, split.body_start)
    _Reader(text, split.body_start, cutter).read()
    title = next((section.heading for section in cutter.sections if section.heading), title_of(article_id))
    sha256 = calculate_sha256(data)
    return Article(
        article_id=article_id,
        sha256=sha256,
        format=DocumentFormat.MARKDOWN,
        reader=MARKDOWN_READER,
        text_sha256=sha256,
        front_matter=describe_article(split.values, title),
        sections=tuple(cutter.sections),
        spans=tuple(cutter.spans),
        text=text,
    )


def decode_text(data: bytes) -> str:
    """Return the text of a file that is its own text. Pure.

    Raises:
        ArticleRefused: It is too large, or no UTF-8.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ArticleRefused(
            f"file is too large: expected at most {MAX_FILE_BYTES} bytes, got {len(data)}; split it"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ArticleRefused(f"file is not UTF-8 at byte {exc.start}; save it as UTF-8") from exc


def title_of(article_id: str) -> str:
    """Return what the name of a file says it is about. Pure."""
    stem = article_id.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[-_]+", " ", stem).strip().capitalize()


class _Reader:
    """Walks the top-level tokens of one file and says what stands where."""

    def __init__(self, text: str, body_start: int, cutter: SpanCutter) -> None:
        body = text[body_start:]
        self._cutter = cutter
        self._tokens = _PARSER.parse(body)
        ends = [match.end() + body_start for match in _LINE_END.finditer(body)]
        self._lines = [body_start, *ends, len(text)]

    def read(self) -> None:
        for position, token in enumerate(self._tokens):
            if token.level == 0 and token.map is not None and not self._cutter.is_full:
                self._block(position, token)

    def _block(self, position: int, token: Token) -> None:
        start, end = self._range(token)
        if token.type == "heading_open":
            self._cutter.head(int(token.tag[1:]), _plain(self._tokens[position + 1]), start)
        elif token.type == "paragraph_open":
            self._cutter.paragraph(start, end)
        elif token.type in _KIND_BY_TOKEN:
            kind = _KIND_BY_TOKEN[token.type]
            items = _items(self._tokens[position:]) if kind is SpanKind.LIST else ()
            self._cutter.whole(kind, start, end, (self._range(item) for item in items))

    def _range(self, token: Token) -> tuple[int, int]:
        assert token.map is not None  # noqa: S101 - only block tokens come here, and they have one
        first, last = token.map
        return self._lines[first], self._lines[min(last, len(self._lines) - 1)]


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
