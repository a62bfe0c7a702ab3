"""Reads HTML into blocks, by the tree that a browser would build.

Nothing is fetched and nothing runs: of links the address is kept as text, images, scripts, frames and
form fields are left out, and so is what a browser would not show.
"""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from assistsupport.adapters.readers.charset import decode_html
from assistsupport.core.document import (
    Block,
    CodeBlock,
    Document,
    Heading,
    ItemList,
    ListItem,
    Paragraph,
    Quote,
    Table,
)
from assistsupport.errors import ArticleRefused

MAX_DEPTH = 120  # of elements
MAX_LINK_CHARS = 300

_LEFT_OUT = frozenset({
    "script", "style", "template", "noscript", "head", "nav", "footer", "aside", "svg", "math", "iframe",
    "object", "embed", "canvas", "audio", "video", "img", "picture", "map", "button", "input",
    "select", "textarea", "dialog", "frameset", "frame", "del",
})  # fmt: skip
_BLOCKS = frozenset({
    "address", "article", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "form", "header", "hgroup", "hr", "html", "legend", "main", "p", "search", "section", "summary",
    "td", "th", "tr", "tbody", "thead", "tfoot", "caption",
})  # fmt: skip
_CODE = frozenset({"code", "kbd", "samp", "tt"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_ANCHORS = frozenset({"¶", "#", "§"})  # what generators put beside headings
_LINK = re.compile(r"(?:https?://|mailto:)[^\s()<>]+", re.IGNORECASE)
_DATES = frozenset({"date", "last-modified", "dcterms.modified", "article:modified_time"})


def read_html(data: bytes) -> Document:
    """Return what an HTML file says.

    Raises:
        ArticleRefused: Its encoding is not what it declares, or it is nested too deeply.
    """
    tree = _parse(decode_html(data))
    title = tree.css_first("head > title")
    meta = dict(_metas(tree))
    return Document(
        blocks=read_blocks(_content(tree)),
        title=title.text() if title is not None else None,
        updated=next((meta[name] for name in sorted(_DATES) if name in meta), None),
        tags=tuple(tag.strip() for tag in meta.get("keywords", "").split(",") if tag.strip()),
    )


def read_fragment(html: str) -> tuple[Block, ...]:
    """Return the blocks of HTML that another reader made.

    Raises:
        ArticleRefused: It is nested too deeply.
    """
    return read_blocks(_parse(html).body)


def read_blocks(root: LexborNode | None) -> tuple[Block, ...]:
    """Return what stands below an element, in order.

    Raises:
        ArticleRefused: It is nested too deeply.
    """
    walker = _Walker()
    if root is not None:
        walker.visit_children(root, 0)
    return walker.finish()


def _parse(html: str) -> LexborHTMLParser:
    try:
        return LexborHTMLParser(html)
    except SelectolaxError as exc:  # all HTML can be parsed; what fails is to get memory
        raise ArticleRefused("reading it takes too much memory; split it") from exc


def _content(tree: LexborHTMLParser) -> LexborNode | None:
    """Choose the part that is the article, when the page says which one."""
    for selector in ("main", "[role=main]", "article"):
        found = tree.css(selector)
        if len(found) == 1:
            return found[0]
    return tree.body


def _metas(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    for node in tree.css("head > meta"):
        attributes = node.attributes
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        if name and (content := attributes.get("content")):
            yield name, content


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or _HIDDEN.search(attributes.get("style") or "") is not None
    )


class _Walker:
    """Collects blocks; running text gathers until a block begins or ends."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._running: list[str] = []

    def finish(self) -> tuple[Block, ...]:
        self._flush()
        return tuple(self._blocks)

    def visit_children(self, node: LexborNode, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ArticleRefused(
                f"elements are nested too deeply: expected at most {MAX_DEPTH} levels; simplify the file"
            )
        for child in _children(node):
            self._visit(child, depth + 1)

    def _visit(self, node: LexborNode, depth: int) -> None:
        tag = node.tag or ""
        if tag == "-text":
            self._running.append(" ".join((f"x{node.text_content or ''}x").split())[1:-1])
        elif tag.startswith(("-", "!")) or tag in _LEFT_OUT or _is_hidden(node):
            return
        elif tag == "br":
            self._running.append("\n")
        elif tag in _CODE:
            self._mark(node, depth, "`", "`")
        elif tag == "a" and node.text().strip() in _ANCHORS:
            return
        elif tag == "a":
            href = (node.attributes.get("href") or "").strip()
            is_kept = len(href) <= MAX_LINK_CHARS and _LINK.fullmatch(href) is not None
            self._mark(node, depth, "[" if is_kept else "", f"]({href})" if is_kept else "")
        elif tag in _BLOCKS or tag in _HEADINGS or tag in {"ul", "ol", "menu", "pre", "blockquote", "table"}:
            self._flush()
            self._block(tag, node, depth)
            self._flush()
        else:
            self.visit_children(node, depth)

    def _block(self, tag: str, node: LexborNode, depth: int) -> None:
        if tag in _HEADINGS:
            self._blocks.append(Heading(level=_HEADINGS[tag], text=_flatten(_sub(node, depth))))
        elif tag in {"ul", "ol", "menu"}:
            self._blocks.append(ItemList(items=tuple(_read_items(node, depth, 0))))
        elif tag == "pre":
            self._blocks.append(CodeBlock(text=_text_of(node, depth)))
        elif tag == "blockquote":
            self._blocks.append(Quote(text=_flatten(_sub(node, depth))))
        elif tag == "table":
            self._table(node, depth)
        else:
            self.visit_children(node, depth)

    def _mark(self, node: LexborNode, depth: int, before: str, after: str) -> None:
        """Put marks around an element's running text, unless it turns out to hold blocks or nothing."""
        blocks, start = len(self._blocks), len(self._running)
        self.visit_children(node, depth)
        if len(self._blocks) == blocks and "".join(self._running[start:]).strip():
            self._running[start:] = [before, "".join(self._running[start:]), after]

    def _table(self, node: LexborNode, depth: int) -> None:
        rows = [[_sub(cell, depth) for cell in _cells(row)] for row in _rows(node)]
        parts = [block for row in rows for cell in row for block in cell]
        is_layout = any(isinstance(block, Heading | Table | CodeBlock) for block in parts)
        if is_layout or max((len(row) for row in rows), default=0) < 2:
            self._blocks.extend(parts)
        else:
            self._blocks.append(Table(rows=tuple(tuple(_flatten(cell) for cell in row) for row in rows)))

    def _flush(self) -> None:
        text = "".join(self._running)
        self._running.clear()
        if text.strip():
            self._blocks.append(Paragraph(text=text))


def _sub(node: LexborNode, depth: int) -> tuple[Block, ...]:
    walker = _Walker()
    walker.visit_children(node, depth)
    return walker.finish()


def _rows(table: LexborNode) -> Iterator[LexborNode]:
    for child in _children(table):
        if child.tag == "tr":
            yield child
        elif child.tag in {"thead", "tbody", "tfoot"}:
            yield from (row for row in _children(child) if row.tag == "tr")


def _cells(row: LexborNode) -> Iterator[LexborNode]:
    return (cell for cell in _children(row) if cell.tag in {"td", "th"} and not _is_hidden(cell))


def _read_items(node: LexborNode, depth: int, level: int) -> Iterator[ListItem]:
    start = (node.attributes.get("start") or "1").strip()
    number = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1
    for child in _children(node):
        if child.tag in {"ul", "ol", "menu"}:  # written beside its item instead of inside, as editors do
            yield from _read_items(child, depth + 1, level + 1)
        elif child.tag == "li" and not _is_hidden(child):
            marker = f"{number}." if node.tag == "ol" else "-"
            yield from _read_item(_sub(child, depth + 1), marker, level)
            number += 1


def _read_item(blocks: tuple[Block, ...], marker: str, level: int) -> Iterator[ListItem]:
    gathered: list[str] = []
    for block in blocks:
        if not isinstance(block, ItemList):
            gathered.append(_fence(block.text) if isinstance(block, CodeBlock) else _flatten((block,)))
            continue
        if gathered or marker:
            yield ListItem(depth=level, marker=marker, text="\n".join(gathered))
        gathered, marker = [], ""
        for item in block.items:
            yield ListItem(depth=level + 1 + item.depth, marker=item.marker, text=item.text)
    if gathered:
        yield ListItem(depth=level, marker=marker, text="\n".join(gathered))


def _fence(code: str) -> str:
    return f"```\n{code.strip(chr(10))}\n```"


def _flatten(blocks: tuple[Block, ...]) -> str:
    """Return blocks as lines, for places that hold no blocks of their own."""
    return "\n".join(_flat(block) for block in blocks)


def _flat(block: Block) -> str:
    match block:
        case ItemList():
            return "\n".join(f"{item.marker} {item.text}" for item in block.items)
        case Table():
            return "\n".join(" | ".join(row) for row in block.rows)
        case CodeBlock():
            return block.text.strip("\n")
        case _:
            return "\n".join(" ".join(line.split()) for line in block.text.split("\n") if line.strip())


def _text_of(node: LexborNode, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise ArticleRefused(f"elements are nested too deeply: expected at most {MAX_DEPTH} levels")
    parts = []
    for child in _children(node):
        if child.tag == "-text":
            parts.append(child.text_content or "")
        elif child.tag == "br":
            parts.append("\n")
        elif child.tag not in _LEFT_OUT and not _is_hidden(child):
            parts.append(_text_of(child, depth + 1))
    return "".join(parts)
