"""Picks the reader of a file, by its name and by what it begins with. Implements `ports.DocumentReader`."""

from functools import cache
from importlib.metadata import version
from pathlib import PurePosixPath

from assistsupport.adapters.readers.worker import ReadingChild
from assistsupport.core.article import Article, DocumentFormat, ReaderStamp
from assistsupport.core.markdown import MARKDOWN_READER, parse_article
from assistsupport.core.plain_text import TEXT_READER, parse_plain_text
from assistsupport.errors import ArticleRefused

FORMAT_BY_SUFFIX = {
    ".md": DocumentFormat.MARKDOWN,
    ".markdown": DocumentFormat.MARKDOWN,
    ".txt": DocumentFormat.TEXT,
    ".text": DocumentFormat.TEXT,
    ".html": DocumentFormat.HTML,
    ".htm": DocumentFormat.HTML,
    ".xhtml": DocumentFormat.HTML,
    ".pdf": DocumentFormat.PDF,
    ".docx": DocumentFormat.DOCX,
}
MAX_BYTES = {
    DocumentFormat.MARKDOWN: 1_048_576,
    DocumentFormat.TEXT: 1_048_576,
    DocumentFormat.HTML: 8 * 1_048_576,
    DocumentFormat.PDF: 32 * 1_048_576,
    DocumentFormat.DOCX: 32 * 1_048_576,
}
_LAYOUT = "1"  # raised when what we make of a library's output changes
_LIBRARIES = {
    DocumentFormat.HTML: "selectolax",
    DocumentFormat.PDF: "pypdfium2",
    DocumentFormat.DOCX: "mammoth",
}
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF_HEAD_BYTES = 1_024  # Source: ISO 32000-1, annex H, note 13: where readers look for `%PDF-`


class DocumentReaders:
    """Markdown and plain text are read here; everything else in a child process with limits.

    Args:
        child: Reads what is not its own text.
    """

    def __init__(self, child: ReadingChild | None = None) -> None:
        self._child = child or ReadingChild()

    def stamp(self, name: str) -> ReaderStamp:
        """Return the stamp of the reader that would read a file of this name."""
        return _stamp(choose_format(name))

    def read(self, article_id: str, data: bytes) -> Article:
        """Return the article in a file."""
        format_ = choose_format(article_id)
        if format_ is DocumentFormat.MARKDOWN:
            return parse_article(article_id, data)
        _check_beginning(format_, data)
        if format_ is DocumentFormat.TEXT:
            return parse_plain_text(article_id, data)
        if len(data) > MAX_BYTES[format_]:
            raise ArticleRefused(
                f"file is too large: expected at most {MAX_BYTES[format_]} bytes, got {len(data)}; split it"
            )
        return self._child.read(article_id, format_, _stamp(format_), data)

    def close(self) -> None:
        """End the child process; idempotent."""
        self._child.close()


def choose_format(name: str) -> DocumentFormat:
    """Return the format that a file's name says.

    Raises:
        ArticleRefused: None that we read.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in FORMAT_BY_SUFFIX:
        raise ArticleRefused(f"no reader for '{suffix}': expected {', '.join(sorted(FORMAT_BY_SUFFIX))}")
    return FORMAT_BY_SUFFIX[suffix]


@cache
def _stamp(format_: DocumentFormat) -> ReaderStamp:
    if format_ is DocumentFormat.MARKDOWN:
        return MARKDOWN_READER
    if format_ is DocumentFormat.TEXT:
        return TEXT_READER
    library = _LIBRARIES[format_]
    return ReaderStamp(name=library, version=f"{version(library)}+{_LAYOUT}")


def _check_beginning(format_: DocumentFormat, data: bytes) -> None:
    if not data.strip():
        raise ArticleRefused("file is empty; write something into it or leave it out")
    if data.startswith(_OLD_OFFICE):
        raise ArticleRefused(
            "file is an old or password-protected Office file; save it as .docx without a password"
        )
    found = "PDF" if b"%PDF-" in data[:_PDF_HEAD_BYTES] and format_ is DocumentFormat.PDF else _sniff(data)
    expected = {DocumentFormat.PDF: "PDF", DocumentFormat.DOCX: "zip"}.get(format_, "text")
    if found != expected:
        raise ArticleRefused(
            f"file is not what its name says: expected {expected} for {format_}, got {found}; rename it"
        )


def _sniff(data: bytes) -> str:
    if data.startswith(b"%PDF-"):
        return "PDF"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if b"\0" in data[:_PDF_HEAD_BYTES] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "binary"
    return "text"
