"""Reads a plain text file into sections and quotable spans, as people lay text out.

Blocks are parted by empty lines. A block that begins with a list mark is a list, an indented one is
code, a line underlined with `=` or `-` is a heading; anything else is running text.
"""

import re
from collections.abc import Iterator

from assistsupport.core.article import Article, DocumentFormat, ReaderStamp, SpanKind, calculate_sha256
from assistsupport.core.front_matter import describe_article
from assistsupport.core.markdown import decode_text, title_of
from assistsupport.core.spans import SpanCutter
from assistsupport.errors import ArticleRefused

TEXT_READER = ReaderStamp(name="text", version="1")  # raised when the same file gives other spans

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_MARK = re.compile(r"(?:[-*+•–]|\d{1,3}[.)])[ \t]+\S")
_UNDERLINE = re.compile(r"(?P<line>=|-)(?P=line){2,}[ \t]*")
_MAX_HEADING_CHARS = 120
_INDENTS = ("    ", "\t")

Line = tuple[int, int, str]  # first character, one past the last, the line without its end


def parse_plain_text(article_id: str, data: bytes) -> Article:
    """Read one file. Pure; the same bytes always give the same article.

    Args:
        article_id: Its id in the knowledge base.
        data: The whole file, at most 1 MiB of UTF-8.

    Raises:
        ArticleRefused: It is too large, no UTF-8, empty, or holds what no text does.
    """
    text = decode_text(data)
    if not text.strip("\ufeff \t\r\n"):
        raise ArticleRefused("file is empty; write something into it or leave it out")
    if "\0" in text:
        raise ArticleRefused(f"file is no text: it has a zero byte at {data.index(0)}; leave it out")
    cutter = SpanCutter(text, body_start=1 if text.startswith("\ufeff") else 0)
    for block in _blocks(text):
        if not cutter.is_full:
            _cut(cutter, block)
    title = next((section.heading for section in cutter.sections if section.heading), title_of(article_id))
    sha256 = calculate_sha256(data)
    return Article(
        article_id=article_id,
        sha256=sha256,
        format=DocumentFormat.TEXT,
        reader=TEXT_READER,
        text_sha256=sha256,
        front_matter=describe_article({}, title),
        sections=tuple(cutter.sections),
        spans=tuple(cutter.spans),
        text=text,
    )


def _blocks(text: str) -> Iterator[list[Line]]:
    block: list[Line] = []
    for match in _LINE.finditer(text, 1 if text.startswith("\ufeff") else 0):
        line = match.group().rstrip("\r\n")
        if line.strip():
            block.append((match.start(), match.end(), line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _cut(cutter: SpanCutter, block: list[Line]) -> None:
    if len(block) > 1 and len(block[0][2]) <= _MAX_HEADING_CHARS and _UNDERLINE.fullmatch(block[1][2]):
        cutter.head(1 if block[1][2][0] == "=" else 2, " ".join(block[0][2].split()), block[0][0])
        block = block[2:]
    if not block:
        return
    start, end = block[0][0], block[-1][1]
    if _MARK.match(block[0][2].lstrip()):
        cutter.whole(SpanKind.LIST, start, end, _items(block))
    elif all(line.startswith(_INDENTS) for _, _, line in block):
        cutter.whole(SpanKind.CODE, start, end)
    else:
        for first, last, kind in _runs(block):
            if kind is SpanKind.LIST:
                cutter.whole(kind, first, last, _items([line for line in block if first <= line[0] < last]))
            else:
                cutter.paragraph(first, last)


def _runs(block: list[Line]) -> Iterator[tuple[int, int, SpanKind]]:
    """Part a paragraph from a list of two or more items that follows it without an empty line."""
    marked = [at for at, (_, _, line) in enumerate(block) if _MARK.match(line.lstrip())]
    first = marked[0] if len(marked) > 1 else len(block)
    yield block[0][0], block[first - 1][1], SpanKind.SENTENCE
    if first < len(block):
        yield block[first][0], block[-1][1], SpanKind.LIST


def _items(block: list[Line]) -> Iterator[tuple[int, int]]:
    """Yield the items with the mark's own indent; deeper ones belong to the item before them."""
    indent = min((len(line) - len(line.lstrip()) for _, _, line in block if _MARK.match(line.lstrip())))
    starts = [
        start
        for start, _, line in block
        if len(line) - len(line.lstrip()) == indent and _MARK.match(line.lstrip())
    ]
    yield from zip(starts, [*starts[1:], block[-1][1]], strict=True)
