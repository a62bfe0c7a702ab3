"""Keeps the knowledge base up to date, and finds articles in it.

Incremental by content hash: a file with the bytes it had, and the same reader, is not read into spans
again. The search index never holds a deleted article (deleted ones would go on counting in the document
frequencies until some later merge, and the same articles would then give different drafts): new articles
extend the index, anything else builds it anew from the stored terms.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from assistsupport.core.article import Article, calculate_sha256
from assistsupport.core.knowledge import AddReport, ArticleVersion, FoundFile, FoundSource
from assistsupport.core.ranking import IndexedArticle, Ranked, Statistics, count_terms, rank
from assistsupport.errors import ArticleRefused, LibraryUnusable
from assistsupport.ports import (
    ArticleFiles,
    DocumentReader,
    Library,
    LibraryEdit,
    LibraryView,
    Progress,
    SearchIndexes,
    Stopwatch,
)

CANDIDATES = 32  # ranked exactly; among the best 32 of the engine are our best few


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the knowledge base has for a text.

    Args:
        ranked: Best first.
        statistics: With the frequency of each of the text's terms.
        snapshot: The knowledge base that was searched.
    """

    ranked: tuple[Ranked, ...]
    statistics: Statistics
    snapshot: str


class KnowledgeBase:
    """The articles of one data folder: add, search, read.

    Args:
        library: Where articles are kept.
        indexes: Where they are searched.
        files: Where they come from.
        reader: What makes articles of files.
        stopwatch: For the figures in reports.
    """

    def __init__(
        self,
        *,
        library: Library,
        indexes: SearchIndexes,
        files: ArticleFiles,
        reader: DocumentReader,
        stopwatch: Stopwatch,
    ) -> None:
        self._library = library
        self._indexes = indexes
        self._files = files
        self._reader = reader
        self._stopwatch = stopwatch

    def find(self, text: str) -> Found:
        """Return the articles that match a text, best first; the same text and snapshot, the same result."""
        terms = self._indexes.analyze(text)
        try:
            with self._library.view() as view:
                return self._search(view, terms)
        except LibraryUnusable:
            # an update may have replaced the generation between our view and its opening: look anew, once
            with self._library.view() as view:
                return self._search(view, terms)

    def _search(self, view: LibraryView, terms: Sequence[str]) -> Found:
        state = view.state
        if not state.documents or not terms:
            statistics = Statistics(documents=0, mean_title_terms=0, mean_body_terms=0, frequencies={})
            return Found(ranked=(), statistics=statistics, snapshot=state.snapshot)
        distinct = sorted(set(terms))
        index = self._indexes.open(state.generation)
        statistics = Statistics(
            documents=state.documents,
            mean_title_terms=state.title_terms / state.documents,
            mean_body_terms=state.body_terms / state.documents,
            frequencies=index.load_frequencies(distinct),
        )
        candidates = view.load(index.search(distinct, CANDIDATES))
        return Found(
            ranked=rank(terms, candidates, statistics), statistics=statistics, snapshot=state.snapshot
        )

    def load_article(self, article_id: str) -> Article | None:
        """Return an article as it was read, with its text; None when there is no such article."""
        with self._library.view() as view:
            return view.load_article(article_id)

    def describe(self) -> tuple[int, str]:
        """Return how many articles there are, and the snapshot."""
        with self._library.view() as view:
            return view.state.documents, view.state.snapshot

    def add(self, paths: Sequence[Path], name: str | None, progress: Progress) -> AddReport:
        """Bring folders or files up to date in the knowledge base; all of it or nothing.

        Args:
            paths: Folders, or single files of them.
            name: Name of the source; None takes each folder's own.
            progress: Hears how far it is.

        Raises:
            SourceRefused: A path cannot be a source.
            LibraryUnusable: Another process is changing the knowledge base.
        """
        began = self._stopwatch.elapsed_ms()
        roots = self._library.load_sources()
        sources = []
        for path in paths:
            source = self._files.find(path, name, roots)
            roots[source.name] = source.root
            sources.append(source)
        with self._library.edit() as edit:
            update = _Update(edit, self._files, self._reader, self._indexes, progress)
            for source in sources:
                update.read(source)
            return self._commit(edit, update, roots, began)

    def _commit(
        self, edit: LibraryEdit, update: "_Update", roots: Mapping[str, Path], began: float
    ) -> AddReport:
        state = edit.state
        if update.is_change or not self._is_usable(state.generation):
            generation = self._indexes.build(*update.plan())
            state = edit.commit(generation, roots)
            self._indexes.collect(generation)
        return AddReport(
            added=update.added,
            changed=update.changed,
            removed=update.removed,
            unchanged=update.unchanged,
            refused=tuple(update.refused),
            documents=state.documents,
            snapshot=state.snapshot,
            elapsed_ms=round(self._stopwatch.elapsed_ms() - began, 1),
        )

    def _is_usable(self, generation: str) -> bool:
        try:
            return not generation or bool(self._indexes.open(generation))
        except LibraryUnusable:
            return False


class _Update:
    """One run of `add`: compares, reads what differs, and knows what the index needs."""

    def __init__(
        self,
        edit: LibraryEdit,
        files: ArticleFiles,
        reader: DocumentReader,
        indexes: SearchIndexes,
        progress: Progress,
    ) -> None:
        self._edit = edit
        self._files = files
        self._reader = reader
        self._indexes = indexes
        self._progress = progress
        self._new: list[tuple[int, IndexedArticle]] = []
        self.added = self.changed = self.removed = self.unchanged = 0
        self.refused: list[tuple[str, str]] = []

    @property
    def is_change(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def read(self, source: FoundSource) -> None:
        known = self._edit.load_versions(source.name)
        self.refused.extend(source.refused)
        for done, file in enumerate(source.files):
            self._progress.advance(f"reading {source.name}", done, len(source.files))
            self._read_file(file, known.get(file.article_id))
        self._progress.advance(f"reading {source.name}", len(source.files), len(source.files))
        if source.is_whole:
            left_out = {article_id for article_id, _ in source.refused}
            for article_id in sorted(known.keys() - {file.article_id for file in source.files} - left_out):
                self._edit.remove(article_id)
                self.removed += 1

    def _read_file(self, file: FoundFile, version: ArticleVersion | None) -> None:
        try:
            data = self._files.read(file)
            found = ArticleVersion(sha256=calculate_sha256(data), reader=self._reader.stamp(file.article_id))
            if found == version:
                self.unchanged += 1
                return
            indexed = index_article(self._reader.read(file.article_id, data), self._indexes)
        except ArticleRefused as exc:
            self.refused.append((file.article_id, str(exc)))
            return
        row = self._edit.store(indexed)
        if version is None:
            self.added += 1
            self._new.append((row, indexed))
        else:
            self.changed += 1

    def plan(self) -> tuple[str, Iterator[tuple[int, IndexedArticle]]]:
        """Return what to build: which generation to extend, and with what."""
        base = self._edit.state.generation
        if base and self._new and not self.changed and not self.removed:
            return base, self._watch(iter(self._new), len(self._new))
        return "", self._watch(self._edit.each_document(), 0)

    def _watch(
        self, documents: Iterator[tuple[int, IndexedArticle]], total: int
    ) -> Iterator[tuple[int, IndexedArticle]]:
        for done, document in enumerate(documents, start=1):
            self._progress.advance("indexing", done, total)
            yield document


def index_article(article: Article, indexes: SearchIndexes) -> IndexedArticle:
    """Return an article with the terms of its parts."""
    front = article.front_matter
    title = " ".join([front.title, front.product or "", *front.tags])
    return count_terms(
        article,
        title_terms=indexes.analyze(title),
        section_terms=tuple(indexes.analyze(section.heading) for section in article.sections),
        span_terms=tuple(indexes.analyze(span.text) for span in article.spans),
    )
