"""Records of the knowledge base as a whole: sources, its state, what an update did."""

from pathlib import Path

import msgspec

from assistsupport.core.article import ReaderStamp


class KnowledgeState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the knowledge base at one moment.

    Args:
        snapshot: SHA-256 over every article id, its file and, where it differs, its text: the same
            articles, the same snapshot.
        generation: Name of the search index built from exactly these articles; empty when there are none.
        documents: How many articles there are.
        title_terms: How many title terms they have together.
        body_terms: How many body terms they have together.
    """

    snapshot: str
    generation: str
    documents: int
    title_terms: int
    body_terms: int


class ArticleVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What an article in the library was made from: a file, and a reader.

    Args:
        sha256: SHA-256 of the file.
        reader: Which reader read it.
    """

    sha256: str
    reader: ReaderStamp


class FoundFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a source that may be an article.

    Args:
        article_id: `<source>/<path in the source>`, with slashes.
        path: Where it is.
    """

    article_id: str
    path: Path


class FoundSource(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of articles, or some files of one.

    Args:
        name: First part of its articles' ids.
        root: The folder.
        files: The files found, by article id.
        is_whole: Whether `files` is everything below the root, so that what is missing is gone.
        refused: Files that were left out, each with the reason.
    """

    name: str
    root: Path
    files: tuple[FoundFile, ...]
    is_whole: bool
    refused: tuple[tuple[str, str], ...] = ()


class AddReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `kb add` did.

    Args:
        added: Articles that are new.
        changed: Articles with another content than before.
        removed: Articles whose file is gone.
        unchanged: Articles that were left as they are.
        refused: Files that are no articles, each with the reason; an earlier version stays.
        documents: Articles in the knowledge base now.
        snapshot: Its snapshot now.
        elapsed_ms: How long it took.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    refused: tuple[tuple[str, str], ...]
    documents: int
    snapshot: str
    elapsed_ms: float
