"""Searches articles with tantivy, an embedded full-text engine.

A generation is a folder that never changes after it was built. To extend one, its files are linked
into a new folder (they are immutable, tantivy replaces only its small meta files, by rename) and the
new articles are committed there: readers of the old one are not disturbed, and a crash leaves a
folder that nobody refers to.
"""

import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import tantivy
from tantivy import Filter, Occur, Query

from assistsupport.core.ranking import IndexedArticle
from assistsupport.errors import LibraryUnusable

WRITER_HEAP_BYTES = 100_000_000
MAX_CANDIDATES = 4_096
TITLE_BOOST = 1.5
TIE = 1e-4  # scores closer than this are equal: single precision, summed in any order


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", fast=True, indexed=False, stored=False)
    # the terms are analyzed already, so that ranking and index see the same ones; "freq": no positions
    builder.add_text_field("title", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("all", tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def _analyzer() -> tantivy.TextAnalyzer:
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(Filter.remove_long(60))
        .filter(Filter.lowercase())
        .filter(Filter.ascii_fold())
        .filter(Filter.stopword("english"))
        .filter(Filter.stemmer("english"))
        .build()
    )


class TantivyIndex:
    """One generation, open for reading. Implements `ports.SearchIndex`."""

    def __init__(self, index: tantivy.Index, schema: tantivy.Schema) -> None:
        self._schema = schema
        index.config_reader("manual")
        self._searcher = index.searcher()

    def search(self, terms: Sequence[str], limit: int) -> tuple[int, ...]:
        """Return the rows that match best; widened while the last ones tie with what is left out."""
        if not terms or not self._searcher.num_docs:
            return ()
        query = self._query(terms)
        while True:
            hits = self._searcher.search(query, limit, count=False).hits
            head = hits[min(len(hits), 8) - 1][0] if hits else 0.0
            if len(hits) < limit or hits[-1][0] < head - TIE or limit >= MAX_CANDIDATES:
                break
            limit *= 4
        return tuple(int(row or 0) for row in self._searcher.fast_field_values("row", [at for _, at in hits]))

    def load_frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """Return in how many articles each term stands."""
        return {term: self._searcher.doc_freq("all", term) for term in terms}

    def _query(self, terms: Sequence[str]) -> Query:
        clauses = []
        for term in terms:
            clauses.append((Occur.Should, Query.term_query(self._schema, "all", term, "freq")))
            title = Query.term_query(self._schema, "title", term, "freq")
            clauses.append((Occur.Should, Query.boost_query(title, TITLE_BOOST)))
        return Query.boolean_query(clauses)


class TantivyIndexes:
    """The generations below one folder. Implements `ports.SearchIndexes`.

    Args:
        root: The folder; created when the first generation is built.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._schema = _schema()
        self._analyzer = _analyzer()
        self._lock = threading.Lock()
        self._opened: tuple[str, TantivyIndex] | None = None

    def analyze(self, text: str) -> tuple[str, ...]:
        """Return the terms of a text."""
        return tuple(self._analyzer.analyze(text))

    def open(self, generation: str) -> TantivyIndex:
        """Open a generation; the newest one stays open."""
        with self._lock:
            if self._opened is None or self._opened[0] != generation:
                self._opened = (generation, self._open(self._root / generation))
            return self._opened[1]

    def _open(self, folder: Path) -> TantivyIndex:
        try:
            return TantivyIndex(tantivy.Index.open(str(folder)), self._schema)
        except (ValueError, OSError) as exc:
            raise LibraryUnusable(
                f"search index {folder.name} cannot be opened: {exc}; run 'assistsupport kb add' again"
            ) from exc

    def build(self, base: str, documents: Iterable[tuple[int, IndexedArticle]]) -> str:
        """Build a generation, by one writer thread, so that the same articles give the same segments."""
        generation = f"generation-{secrets.token_hex(8)}"
        folder = self._root / generation
        folder.mkdir(parents=True)
        if base:
            _link_files(self._root / base, folder)
        index = tantivy.Index(self._schema, str(folder))
        writer = index.writer(heap_size=WRITER_HEAP_BYTES, num_threads=1)
        for row, indexed in documents:
            body = " ".join([*indexed.title_terms, *indexed.body_terms()])
            writer.add_document(tantivy.Document(row=row, title=" ".join(indexed.title_terms), all=body))
        writer.commit()
        writer.wait_merging_threads()
        return generation

    def collect(self, keep: str) -> None:
        """Remove what no state refers to; a reader that has it open keeps its mapping."""
        for folder in self._root.glob("generation-*"):
            if folder.name != keep:
                shutil.rmtree(folder, ignore_errors=True)


def _link_files(source: Path, target: Path) -> None:
    for file in source.iterdir():
        if file.suffix == ".lock":
            continue
        if file.name.endswith(".json"):
            shutil.copyfile(file, target / file.name)
            continue
        try:
            os.link(file, target / file.name)
        except OSError:  # a file system without hard links: a copy serves as well
            shutil.copyfile(file, target / file.name)
