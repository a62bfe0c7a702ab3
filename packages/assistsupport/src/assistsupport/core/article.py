"""An article of the knowledge base, and the spans of it that a draft may quote.

Offsets count from the first byte of the original file, front matter included, so that anyone with
the file can check a quotation without our index. A span is never rewritten: its text *is* the bytes
between its offsets.
"""

import hashlib
from enum import StrEnum

import msgspec


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
        start: First byte in the file, from 0.
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
        start: First byte of the heading in the file.
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
    """One Markdown file, read.

    Args:
        article_id: `<source>/<path in the source>`, unique in the knowledge base.
        sha256: SHA-256 of the file, 64 hex digits: the article's version.
        front_matter: What it says about itself.
        sections: At least one.
        spans: In the order of the file; they never overlap.
        text: The whole file.
    """

    article_id: str
    sha256: str
    front_matter: FrontMatter
    sections: tuple[Section, ...]
    spans: tuple[Span, ...]
    text: str


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a quotation comes from, checkable with the article's file alone.

    Args:
        article_id: The article.
        article_sha256: The version of it that was quoted.
        start: First byte in the file.
        end: One past the last byte.
        span_sha256: SHA-256 of the bytes between them.
    """

    article_id: str
    article_sha256: str
    start: int
    end: int
    span_sha256: str


def calculate_sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hex digits. Pure."""
    return hashlib.sha256(data).hexdigest()


def cite(article_id: str, article_sha256: str, span: Span) -> Citation:
    """Return the citation of one span of one version of an article. Pure."""
    return Citation(
        article_id=article_id,
        article_sha256=article_sha256,
        start=span.start,
        end=span.end,
        span_sha256=calculate_sha256(span.text.encode()),
    )


def is_resolved(citation: Citation, file: bytes) -> bool:
    """Tell whether `file` is the cited version and the cited bytes are in it. Pure.

    Args:
        citation: What a draft claims.
        file: The article's file as it is now.
    """
    quoted = file[citation.start : citation.end]
    return (
        calculate_sha256(file) == citation.article_sha256 and calculate_sha256(quoted) == citation.span_sha256
    )
