"""An article of the knowledge base, and the spans of it that a draft may quote.

Offsets count bytes of the article's text, as UTF-8. For Markdown and plain text that is the file itself,
front matter included, so that anyone with the file can check a quotation without our index; for other
formats it is what a named reader took from the file, kept in the library. A span is never rewritten: its
text *is* the bytes between its offsets.
"""

import hashlib
from enum import StrEnum

import msgspec

from assistsupport.errors import ArticleRefused


class DocumentFormat(StrEnum):
    """What an article's file is."""

    MARKDOWN = "markdown"
    TEXT = "text"
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"


class ReaderStamp(msgspec.Struct, frozen=True, kw_only=True):
    """Which reader made an article's text; another stamp may give another text from the same file.

    Args:
        name: The reader: ours, or the library behind it.
        version: Its version; of a library with what we do with its output, as in `5.15.2+1`.
    """

    name: str
    version: str


class SpanKind(StrEnum):
    """What a span is in the article; steps and code are quoted whole or not at all."""

    SENTENCE = "sentence"
    LIST = "list"
    CODE = "code"
    TABLE = "table"
    QUOTE = "quote"


class Span(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A quotable piece of an article.

    Args:
        kind: What it is.
        section: Index of its section in `Article.sections`.
        start: First byte in the article's text, from 0.
        end: One past the last byte.
        text: The text between them, verbatim.
    """

    kind: SpanKind
    section: int
    start: int
    end: int
    text: str


class Section(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A heading and what follows it; section 0 is the text before the first heading.

    Args:
        level: 0 for the text before the first heading, else 1 .. 6.
        heading: The heading's text without markup; empty for section 0.
        start: First byte of the heading in the article's text.
    """

    level: int
    heading: str
    start: int


class FrontMatter(msgspec.Struct, frozen=True, kw_only=True):
    """What the article says about itself.

    Args:
        title: Its title: of the front matter, else the first heading, else the file's name.
        product: The product or service it is about.
        updated: When it was last reviewed, as written.
        tags: Its tags, in order.
        other: Every other key with a short scalar or list value, as written, sorted by key.
    """

    title: str
    product: str | None = None
    updated: str | None = None
    tags: tuple[str, ...] = ()
    other: tuple[tuple[str, str], ...] = ()


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """One file, read.

    Args:
        article_id: `<source>/<path in the source>`, unique in the knowledge base.
        sha256: SHA-256 of the file, 64 hex digits: the article's version.
        format: What the file is.
        reader: Which reader made the text.
        text_sha256: SHA-256 of the text's UTF-8 bytes; for Markdown and plain text that of the file.
        front_matter: What it says about itself.
        sections: At least one.
        spans: In the order of the text; they never overlap.
        text: The whole text.
    """

    article_id: str
    sha256: str
    format: DocumentFormat
    reader: ReaderStamp
    text_sha256: str
    front_matter: FrontMatter
    sections: tuple[Section, ...]
    spans: tuple[Span, ...]
    text: str


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a quotation comes from, checkable with the article's text alone.

    Args:
        article_id: The article.
        article_sha256: The version of it that was quoted: SHA-256 of its file.
        start: First byte in the article's text.
        end: One past the last byte.
        span_sha256: SHA-256 of the bytes between them.
        text_sha256: SHA-256 of the article's text; where text and file are the same, `article_sha256`.
    """

    article_id: str
    article_sha256: str
    start: int
    end: int
    span_sha256: str
    text_sha256: str


def calculate_sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hex digits. Pure."""
    return hashlib.sha256(data).hexdigest()


def cite(article: Article, span: Span) -> Citation:
    """Return the citation of one span of an article, whose text itself is not needed. Pure."""
    return Citation(
        article_id=article.article_id,
        article_sha256=article.sha256,
        start=span.start,
        end=span.end,
        span_sha256=calculate_sha256(span.text.encode()),
        text_sha256=article.text_sha256,
    )


def is_resolved(citation: Citation, text: bytes) -> bool:
    """Tell whether `text` is the cited text and the cited bytes are in it. Pure.

    Args:
        citation: What a draft claims.
        text: The article's text as it is now, UTF-8: as the library has it, or the file where they are
            the same.
    """
    quoted = text[citation.start : citation.end]
    return calculate_sha256(text) == citation.text_sha256 and calculate_sha256(quoted) == citation.span_sha256


def verify_article(article: Article, article_id: str, data: bytes) -> None:
    """Check that an article that was made elsewhere is one of this file, and quotes nothing but its text.

    Raises:
        ArticleRefused: It is not; whoever made it is not to be believed.
    """
    text = article.text.encode()
    position = 0
    sound = article.article_id == article_id and article.sha256 == calculate_sha256(data)
    sound = sound and article.text_sha256 == calculate_sha256(text) and len(article.sections) > 0
    for span in article.spans:
        sound = sound and position <= span.start < span.end and 0 <= span.section < len(article.sections)
        sound = sound and text[span.start : span.end] == span.text.encode()
        position = span.end
    if not sound:
        raise ArticleRefused("its reader contradicts itself; the file may be damaged")
