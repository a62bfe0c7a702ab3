"""A document as its reader saw it, and the article it becomes.

Readers of HTML, PDF and DOCX give blocks; the text that offsets count in is written from them here,
laid out as Markdown is, because drafts are Markdown. The words themselves are not escaped: what is
quoted is what the document says. The structure comes from the reader, the text is never parsed again.
"""

import re
from collections.abc import Iterator
from typing import assert_never

import msgspec

from assistsupport.core.article import Article, DocumentFormat, ReaderStamp, SpanKind, calculate_sha256
from assistsupport.core.front_matter import describe_article
from assistsupport.core.markdown import title_of
from assistsupport.core.spans import SpanCutter
from assistsupport.errors import ArticleRefused

MAX_TEXT_BYTES = 1_048_576  # as much as a Markdown file may have
_MAX_DEPTH = 8  # of indents; deeper items stand at the deepest one
_INDENT = "   "
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u202d\u202e\u2060\ufeff\ufffe\uffff\ud800-\udfff]"
)
_FENCE = re.compile(r"`{3,}")


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """A heading, level 1 .. 6."""

    level: int
    text: str


class Paragraph(msgspec.Struct, frozen=True, kw_only=True):
    """Running text."""

    text: str


class ListItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a list.

    Args:
        depth: 0 for items of the list itself, more for those nested in them.
        marker: `-`, or `3.`; empty for what goes on in the item before.
        text: Its text, perhaps several lines.
    """

    depth: int
    marker: str
    text: str


class ItemList(msgspec.Struct, frozen=True, kw_only=True):
    """Steps or points; quoted whole."""

    items: tuple[ListItem, ...]


class CodeBlock(msgspec.Struct, frozen=True, kw_only=True):
    """Text whose spaces and lines matter; quoted whole."""

    text: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of cells, the first row being the head."""

    rows: tuple[tuple[str, ...], ...]


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What the document quotes."""

    text: str


Block = Heading | Paragraph | ItemList | CodeBlock | Table | Quote


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader took from a file.

    Args:
        blocks: In reading order.
        title: What the file says its title is.
        updated: When it was last changed, as the file says.
        tags: Its keywords.
    """

    blocks: tuple[Block, ...]
    title: str | None = None
    updated: str | None = None
    tags: tuple[str, ...] = ()


def compose_article(
    article_id: str, sha256: str, format_: DocumentFormat, reader: ReaderStamp, document: Document
) -> Article:
    """Write a document's text and cut it into spans. Pure; the same document always gives the same article.

    Args:
        article_id: Its id in the knowledge base.
        sha256: SHA-256 of the file.
        format_: What the file is.
        reader: Which reader made the document.
        document: What it says.

    Raises:
        ArticleRefused: It has no text, or too much.
    """
    layout = _Layout()
    for block in document.blocks:
        layout.write(block)
    text = layout.text()
    size = len(text.encode())
    if not text:
        raise ArticleRefused("file has no text; when it is scanned, recognize its text first")
    if size > MAX_TEXT_BYTES:
        raise ArticleRefused(
            f"file has too much text: expected at most {MAX_TEXT_BYTES} bytes, got {size}; split it"
        )
    cutter = SpanCutter(text)
    layout.cut(cutter)
    values = {"title": _choose_title(document), "updated": document.updated, "tags": list(document.tags)}
    return Article(
        article_id=article_id,
        sha256=sha256,
        format=format_,
        reader=reader,
        text_sha256=calculate_sha256(text.encode()),
        front_matter=describe_article(values, title_of(article_id)),
        sections=tuple(cutter.sections),
        spans=tuple(cutter.spans),
        text=text,
    )


def _choose_title(document: Document) -> str | None:
    """Prefer a first heading of level 1: what files say of themselves is often left from a template."""
    headings = [block for block in document.blocks if isinstance(block, Heading) and _line(block.text)]
    first = next((_line(each.text) for each in headings if each.level == 1), None)
    return first or _line(document.title or "") or next((_line(each.text) for each in headings), None)


class _Layout:
    """Writes blocks one after the other and remembers where each one stands."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._placed: list[tuple[Block, int, int, tuple[tuple[int, int], ...]]] = []

    def write(self, block: Block) -> None:
        lines, starts = _render(block)
        text = "\n".join(lines)
        if not text.strip():
            return
        gap = "\n\n" if self._parts else ""
        start = self._length + len(gap)
        self._parts += [gap, text]
        self._length = start + len(text)
        self._placed.append((block, start, self._length, _place_items(lines, starts, start)))

    def text(self) -> str:
        return "".join([*self._parts, "\n"]) if self._parts else ""

    def cut(self, cutter: SpanCutter) -> None:
        for block, start, end, items in self._placed:
            if cutter.is_full:
                return
            match block:
                case Heading():
                    cutter.head(min(max(block.level, 1), 6), _line(block.text), start)
                case Paragraph():
                    cutter.paragraph(start, end)
                case ItemList():
                    cutter.whole(SpanKind.LIST, start, end, items)
                case CodeBlock():
                    cutter.whole(SpanKind.CODE, start, end)
                case Table():
                    cutter.whole(SpanKind.TABLE, start, end)
                case Quote():
                    cutter.whole(SpanKind.QUOTE, start, end)
                case _:
                    assert_never(block)


def _render(block: Block) -> tuple[list[str], list[int]]:
    """Return a block's lines, and the numbers of the lines at which the items of a list begin."""
    match block:
        case Heading():
            heading = _line(block.text)
            return ([f"{'#' * min(max(block.level, 1), 6)} {heading}"] if heading else []), []
        case Paragraph():
            return list(_lines(block.text)), []
        case ItemList():
            return _render_items(block)
        case CodeBlock():
            return _render_code(block.text), []
        case Table():
            return _render_table(block), []
        case Quote():
            return [f"> {line}" for line in _lines(block.text)], []
        case _:
            assert_never(block)


def _render_items(block: ItemList) -> tuple[list[str], list[int]]:
    lines: list[str] = []
    starts = []
    for item in block.items:
        indent = _INDENT * min(item.depth, _MAX_DEPTH)
        first, *more = [line.rstrip() for line in _clean(item.text).strip("\n").split("\n")]
        if not item.depth and item.marker:
            starts.append(len(lines))
        if item.marker:
            lines.append(f"{indent}{item.marker} {first}".rstrip())
        else:
            lines.append(f"{indent}{_INDENT}{first}".rstrip())
        lines += [f"{indent}{_INDENT}{line}".rstrip() for line in more]
    return lines, starts


def _render_code(text: str) -> list[str]:
    text = _clean(text).strip("\n")
    if not text.strip():
        return []
    longest = max((len(fence) for fence in _FENCE.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return [fence, *text.split("\n"), fence]


def _render_table(table: Table) -> list[str]:
    width = max((len(row) for row in table.rows), default=0)
    rows = [
        [_line(cell).replace("|", "\\|") for cell in row] + [""] * (width - len(row)) for row in table.rows
    ]
    rows = [row for row in rows if any(row)]
    if not rows:
        return []
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return [head, "|" + "---|" * width, *body]


def _place_items(lines: list[str], starts: list[int], offset: int) -> tuple[tuple[int, int], ...]:
    if not starts:
        return ()
    positions = []
    for line in lines:
        positions.append(offset)
        offset += len(line) + 1
    firsts = [positions[at] for at in starts]
    return tuple(zip(firsts, [*firsts[1:], offset - 1], strict=True))


def _clean(text: str) -> str:
    """Drop what nobody sees: control characters, soft hyphens, marks without width."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _line(text: str) -> str:
    return " ".join(_clean(text).split())


def _lines(text: str) -> Iterator[str]:
    for line in _clean(text).split("\n"):
        if joined := " ".join(line.split()):
            yield joined
