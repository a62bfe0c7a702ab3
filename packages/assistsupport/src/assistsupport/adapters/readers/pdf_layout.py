"""Makes blocks of the lines of a PDF, which knows of letters and places only.

The rules are few and look at what a reader's eye does: size, weight, font, marks and gaps. What repeats
on most pages at their edges is left out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from assistsupport.core.document import Block, CodeBlock, Heading, ItemList, ListItem, Paragraph, Table

HEADING_RATIO = 1.15  # of the size of running text
MAX_HEADING_CHARS = 160
PARAGRAPH_GAP = 1.75  # of a line's height, from baseline to baseline
_MARK = re.compile(r"(?P<bullet>[•‣◦▪●○–*·-])\s+(?=\S)|(?P<number>\d{1,3})[.)]\s+(?=\S)")
_SENTENCE_END = re.compile(r"[.!?:;,]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfLine:
    """One line of a page; lengths in points.

    Args:
        text: Its text; a tab parts what stands far apart.
        left: Its left edge.
        bottom: Its baseline, from the foot of the page.
        right: Its right edge.
        size: The size of its font, a multiple of a half.
        is_code: Whether its font has one width for all letters.
        is_bold: Whether it is bold.
        is_broken: Whether it ends inside a word.
    """

    text: str
    left: float
    bottom: float
    right: float
    size: float
    is_code: bool = False
    is_bold: bool = False
    is_broken: bool = False

    def joined(self, other: "PdfLine") -> "PdfLine":
        """Return this line with one that stands to its right."""
        return replace(self, text=f"{self.text}\t{other.text}", right=other.right, is_broken=other.is_broken)


def lay_out(pages: Sequence[Sequence[PdfLine]]) -> tuple[Block, ...]:
    """Return the blocks on all pages, in order. Pure."""
    lines = list(_without_running_heads(pages))
    body = _calculate_body_size(lines)
    levels = _choose_levels(lines, body)
    blocks: list[Block] = []
    at = 0
    while at < len(lines):
        end, block = _take(lines, at, body, levels)
        blocks.append(block)
        at = end
    return tuple(blocks)


def _without_running_heads(pages: Sequence[Sequence[PdfLine]]) -> Iterator[PdfLine]:
    """Leave out the first or last line of a page when most pages have it, or three that number it."""
    edges = Counter(key for lines in pages for key in {_edge_key(line) for line in _edges(lines)})
    repeated = {
        key for key, count in edges.items() if count >= 3 and (count > len(pages) / 2 or "#" in key[0])
    }
    for lines in pages:
        left_out = [line for line in _edges(lines) if _edge_key(line) in repeated]
        yield from (line for line in lines if line not in left_out)


def _edges(lines: Sequence[PdfLine]) -> Sequence[PdfLine]:
    return [lines[0], lines[-1]] if lines else []


def _edge_key(line: PdfLine) -> tuple[str, int]:
    return re.sub(r"\d+", "#", line.text), round(line.bottom / 4)


def _calculate_body_size(lines: Sequence[PdfLine]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        if not line.is_code:
            sizes[line.size] += len(line.text)
    return max(sorted(sizes), key=lambda size: sizes[size], default=0.0)


def _choose_levels(lines: Sequence[PdfLine], body: float) -> dict[float, int]:
    sizes = {line.size for line in lines if _is_large(line, body)}
    return {size: min(level, 5) for level, size in enumerate(sorted(sizes, reverse=True), start=1)}


def _is_large(line: PdfLine, body: float) -> bool:
    return not line.is_code and line.size >= HEADING_RATIO * body and len(line.text) <= MAX_HEADING_CHARS


def _is_heading(line: PdfLine, body: float) -> bool:
    if _is_large(line, body):
        return True
    is_short = len(line.text) <= MAX_HEADING_CHARS // 2 and "\t" not in line.text
    return (
        line.is_bold and not line.is_code and is_short and _SENTENCE_END.search(line.text) is None
    ) and not _MARK.match(line.text)


def _take(lines: Sequence[PdfLine], at: int, body: float, levels: dict[float, int]) -> tuple[int, Block]:
    """Return the block that begins at a line, and where the next one does."""
    line = lines[at]
    if line.is_code:
        return _take_code(lines, at)
    if "\t" in line.text and at + 1 < len(lines) and _cells(lines[at + 1]) == _cells(line):
        return _take_table(lines, at)
    if _is_heading(line, body):
        return _take_heading(lines, at, body, levels)
    if _MARK.match(line.text):
        return _take_list(lines, at, body)
    return _take_paragraph(lines, at, body)


def _take_code(lines: Sequence[PdfLine], at: int) -> tuple[int, Block]:
    end = at
    while end < len(lines) and lines[end].is_code:
        end += 1
    run = lines[at:end]
    margin = min(line.left for line in run)
    wide = max(run, key=lambda line: len(line.text))
    width = (wide.right - wide.left) / max(len(wide.text), 1) or 1.0
    rows = [
        " " * min(round((line.left - margin) / width), 80) + line.text.replace("\t", "  ") for line in run
    ]
    return end, CodeBlock(text="\n".join(rows))


def _cells(line: PdfLine) -> int:
    return line.text.count("\t") + 1


def _take_table(lines: Sequence[PdfLine], at: int) -> tuple[int, Block]:
    end = at
    while end < len(lines) and _cells(lines[end]) == _cells(lines[at]):
        end += 1
    return end, Table(rows=tuple(tuple(line.text.split("\t")) for line in lines[at:end]))


def _take_heading(
    lines: Sequence[PdfLine], at: int, body: float, levels: dict[float, int]
) -> tuple[int, Block]:
    first = lines[at]
    end = at + 1
    while end < len(lines) and _is_heading(lines[end], body) and _goes_on(lines[end - 1], lines[end]):
        end += 1
    level = levels.get(first.size, max(levels.values(), default=0) + 1)
    return end, Heading(level=level, text=_join(lines[at:end]))


def _goes_on(line: PdfLine, following: PdfLine) -> bool:
    """Whether a line continues the one above it: about the same size, no gap."""
    drop = line.bottom - following.bottom
    return _is_alike(line, following) and 0 < drop <= PARAGRAPH_GAP * max(line.size, following.size)


def _is_alike(line: PdfLine, other: PdfLine) -> bool:
    """Whether two lines may be of one paragraph, in which words of another font can begin a line."""
    return max(line.size, other.size) < HEADING_RATIO * min(line.size, other.size)


def _take_list(lines: Sequence[PdfLine], at: int, body: float) -> tuple[int, Block]:
    margins: list[float] = []
    items: list[ListItem] = []
    while at < len(lines) and (mark := _MARK.match(lines[at].text)) and not lines[at].is_code:
        first = lines[at]
        end = at + 1
        while end < len(lines) and _is_more(lines[end - 1], lines[end], first, body):
            end += 1
        margins = [margin for margin in margins if margin < first.left - 4] + [first.left]
        marker = f"{mark['number']}." if mark["number"] else "-"
        text = _join(lines[at:end])[mark.end() :]
        items.append(ListItem(depth=len(margins) - 1, marker=marker, text=text))
        at = end
    return at, ItemList(items=tuple(items))


def _is_more(line: PdfLine, following: PdfLine, first: PdfLine, body: float) -> bool:
    is_text = not following.is_code and not _MARK.match(following.text) and not _is_heading(following, body)
    return is_text and following.left > first.left + 2 and _goes_on(line, following)


def _take_paragraph(lines: Sequence[PdfLine], at: int, body: float) -> tuple[int, Block]:
    end = at + 1
    while end < len(lines):
        line, following = lines[end - 1], lines[end]
        if following.is_code or _is_heading(following, body) or _MARK.match(following.text):
            break
        turns_page = following.bottom > line.bottom and _SENTENCE_END.search(line.text) is None
        if not (_goes_on(line, following) or (turns_page and _is_alike(line, following))):
            break
        end += 1
    return end, Paragraph(text=_join(lines[at:end]))


def _join(lines: Sequence[PdfLine]) -> str:
    parts = []
    for line in lines:
        parts.append(line.text.replace("\t", " "))
        parts.append("" if line.is_broken else " ")
    return "".join(parts).strip()
