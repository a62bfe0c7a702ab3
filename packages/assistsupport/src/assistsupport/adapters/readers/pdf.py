"""Reads PDF: pdfium gives every letter with place, size and font; the layout makes blocks of them.

Nothing runs and nothing is fetched: scripts, forms, attachments and links are not looked at.
"""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator

import pypdfium2  # type: ignore[import-untyped] # it has no types
import pypdfium2.raw as pdfium  # type: ignore[import-untyped] # the same

from assistsupport.adapters.readers.pdf_layout import PdfLine, lay_out
from assistsupport.core.document import MAX_TEXT_BYTES, Document
from assistsupport.errors import ArticleRefused

MAX_PAGES = 2_000
CELL_GAP = 1.8  # of a line's height; a wider gap parts two cells of a table
_PASSWORD = 4  # Source: fpdfview.h, FPDF_ERR_PASSWORD
_FIXED_PITCH = 1  # Source: ISO 32000-1, table 123, bit 1 of a font's flags
_CODE_FONT = re.compile(r"mon[ol]|courier|consol|menlo|typewriter|cmtt|-tt\b", re.IGNORECASE)
_HYPHENS = frozenset("\x02\xad\ufffe")
_DATE = re.compile(r"D:(\d{4})(\d{2})(\d{2})")


def read_pdf(data: bytes) -> Document:
    """Return what a PDF file says.

    Raises:
        ArticleRefused: It is no PDF, is protected, has no text, or breaks a limit.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        if getattr(exc, "err_code", None) == _PASSWORD or "password" in str(exc).lower():
            raise ArticleRefused("file is protected by a password; save it without one") from exc
        raise ArticleRefused(f"file is no whole PDF: {str(exc).lower().rstrip('.')}; save it again") from exc
    try:
        return _read(document)
    finally:
        document.close()


def _read(document: pypdfium2.PdfDocument) -> Document:
    count = len(document)
    if count > MAX_PAGES:
        raise ArticleRefused(f"file has too many pages: expected at most {MAX_PAGES}, got {count}; split it")
    pages = []
    letters = 0
    for number in range(count):
        lines = tuple(_merge(_read_page(document, number)))
        letters += sum(len(line.text) for line in lines)
        if letters > MAX_TEXT_BYTES:
            raise ArticleRefused(f"file has too much text: expected at most {MAX_TEXT_BYTES} bytes; split it")
        pages.append(lines)
    if not letters:
        raise ArticleRefused(f"file has no text on its {count} pages; recognize it first, or leave it out")
    facts = document.get_metadata_dict()
    changed = _DATE.match(facts.get("ModDate", ""))
    return Document(
        blocks=lay_out(pages),
        title=facts.get("Title") or None,
        updated="-".join(changed.groups()) if changed else None,
        tags=tuple(tag.strip() for tag in re.split("[,;]", facts.get("Keywords", "")) if tag.strip()),
    )


def _read_page(document: pypdfium2.PdfDocument, number: int) -> Iterator[PdfLine]:
    try:
        page = document[number]
        text = page.get_textpage()
    except pypdfium2.PdfiumError as exc:
        raise ArticleRefused(
            f"page {number + 1} cannot be read: {str(exc).lower().rstrip('.')}; save it again"
        ) from exc
    try:
        builder = _LineBuilder(text)
        for index in range(text.count_chars()):
            code = pdfium.FPDFText_GetUnicode(text, index)
            if code in {10, 13}:
                yield from builder.finish()
            else:
                builder.take(index, chr(code) if 0 < code < 0x110000 else " ")
        yield from builder.finish()
    finally:
        text.close()
        page.close()


class _LineBuilder:
    """Gathers the letters of one line; a tab stands where a cell ends."""

    def __init__(self, text: pypdfium2.PdfTextPage) -> None:
        self._text = text
        self._rect = pdfium.FS_RECTF()
        self._matrix = pdfium.FS_MATRIX()
        self._reset()

    def _reset(self) -> None:
        self._letters: list[str] = []
        self._first = self._last = -1
        self._box = (0.0, 0.0, 0.0)  # left, baseline, right
        self._sizes: Counter[float] = Counter()  # of the words, by their first letters

    def take(self, index: int, letter: str) -> None:
        if letter.isspace() or not self._measure(index):
            self._letters.append(" " if letter.isspace() else letter)
            return
        left, right = self._rect.left, self._rect.right
        if self._first < 0:
            self._first = index
            self._box = (left, self._baseline(index), right)
        elif left - self._box[2] > CELL_GAP * max(self._sizes):
            self._letters.append("\t")
        if self._letters[-1:] in ([], [" "], ["\t"]) or not self._sizes:
            self._sizes[self._size(index)] += 1
        self._last = index
        self._box = (self._box[0], self._box[1], right)
        self._letters.append(letter)

    def finish(self) -> Iterator[PdfLine]:
        if self._first >= 0:
            raw = "".join(self._letters)
            cells = [" ".join(cell.split()) for cell in raw.split("\t")]
            first, last = self._font(self._first), self._font(self._last)
            text = "\t".join(cell for cell in cells if cell)
            yield PdfLine(
                text=text.rstrip("".join(_HYPHENS)),
                left=self._box[0],
                bottom=self._box[1],
                right=self._box[2],
                size=max(sorted(self._sizes), key=lambda size: self._sizes[size]),
                is_code=first[1] and last[1],
                is_bold=first[0] and last[0],
                is_broken=text[-1:] in _HYPHENS,
            )
        self._reset()

    def _measure(self, index: int) -> bool:
        found = pdfium.FPDFText_GetLooseCharBox(self._text, index, self._rect)
        return bool(found) and self._rect.right > self._rect.left

    def _size(self, index: int) -> float:
        """Return a letter's font size as it is seen, after scaling."""
        size = float(pdfium.FPDFText_GetFontSize(self._text, index))
        if pdfium.FPDFText_GetMatrix(self._text, index, self._matrix):
            size *= math.hypot(self._matrix.c, self._matrix.d)
        return max(round(size * 2) / 2, 0.5)

    def _baseline(self, index: int) -> float:
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(self._text, index, x, y)
        return float(y.value)

    def _font(self, index: int) -> tuple[bool, bool]:
        """Return whether a letter is bold, and whether its font has one width for all."""
        flags = ctypes.c_int()
        name = ctypes.create_string_buffer(256)
        pdfium.FPDFText_GetFontInfo(self._text, index, name, len(name), flags)
        family = name.value.decode("utf-8", "replace")
        is_code = bool(flags.value & _FIXED_PITCH) or _CODE_FONT.search(family) is not None
        is_bold = "bold" in family.lower() or pdfium.FPDFText_GetFontWeight(self._text, index) >= 600
        return is_bold, is_code


def _merge(lines: Iterator[PdfLine]) -> Iterator[PdfLine]:
    """Put together what stands on one baseline but was drawn apart, as the cells of a table are."""
    held: PdfLine | None = None
    for line in lines:
        if held is not None and abs(line.bottom - held.bottom) < 0.3 * held.size and line.left > held.right:
            held = held.joined(line)
            continue
        if held is not None:
            yield held
        held = line
    if held is not None:
        yield held
