"""Keeps the articles in one SQLite file.

WAL, so that drafting never waits for `kb add`. A row belongs to one version of one article for ever
(AUTOINCREMENT): what was decoded once stays valid, and is kept in a bounded memory.
"""

import hashlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from assistsupport.core.article import Article, DocumentFormat, ReaderStamp
from assistsupport.core.knowledge import ArticleVersion, KnowledgeState
from assistsupport.core.markdown import MARKDOWN_READER
from assistsupport.core.ranking import IndexedArticle
from assistsupport.errors import LibraryUnusable

FORMAT = 3  # of the file; raised when the tables or the stored terms change meaning
BUSY_TIMEOUT_S = 5.0
MEMORY_ARTICLES = 4_096

_SCHEMA = """
CREATE TABLE article (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  article_id TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  text_sha256 TEXT NOT NULL,
  reader_name TEXT NOT NULL,
  reader_version TEXT NOT NULL,
  title_terms INTEGER NOT NULL,
  body_terms INTEGER NOT NULL,
  indexed BLOB NOT NULL,
  text BLOB NOT NULL
);
CREATE INDEX article_by_source ON article (source, article_id, sha256);
CREATE INDEX article_versions ON article (article_id, sha256, text_sha256, title_terms, body_terms);
CREATE TABLE source (name TEXT PRIMARY KEY, root TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  snapshot TEXT NOT NULL, generation TEXT NOT NULL,
  documents INTEGER NOT NULL, title_terms INTEGER NOT NULL, body_terms INTEGER NOT NULL
);
"""
_EMPTY_SNAPSHOT = hashlib.sha256(b"").hexdigest()


def _connect(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == 0:
        with connection:
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {FORMAT};")
            connection.execute("INSERT INTO state VALUES (1, ?, '', 0, 0, 0)", (_EMPTY_SNAPSHOT,))
            connection.execute("COMMIT")
    elif found == 2:
        migrate_format_2(connection)
    elif found != FORMAT:
        raise LibraryUnusable(
            f"{path} has another format: expected {FORMAT}, got {found}; add the folders to a new data folder"
        )


def migrate_format_2(connection: sqlite3.Connection) -> None:
    """Bring a library of Markdown files, where text and file were one, to this format. Atomic.

    Rows keep their numbers, so that the search index stays the one of these articles.
    """
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in (
            "ALTER TABLE article RENAME COLUMN file TO text",
            "ALTER TABLE article ADD COLUMN text_sha256 TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE article ADD COLUMN reader_name TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE article ADD COLUMN reader_version TEXT NOT NULL DEFAULT ''",
            "DROP INDEX article_versions",
            "CREATE INDEX article_versions ON article"  # noqa: ISC004 - one statement
            " (article_id, sha256, text_sha256, title_terms, body_terms)",
        ):
            connection.execute(statement)
        reader = MARKDOWN_READER
        for (row,) in connection.execute("SELECT row FROM article").fetchall():
            blob, sha256 = connection.execute(
                "SELECT indexed, sha256 FROM article WHERE row = ?", (row,)
            ).fetchone()
            indexed = msgspec.msgpack.decode(blob)
            added = {"format": DocumentFormat.MARKDOWN, "reader": reader, "text_sha256": sha256}
            indexed[0] = indexed[0] | added
            connection.execute(
                "UPDATE article SET indexed = ?, text_sha256 = ?, reader_name = ?, reader_version = ?"
                " WHERE row = ?",
                (msgspec.msgpack.encode(indexed), sha256, reader.name, reader.version, row),
            )
        connection.execute(f"PRAGMA user_version = {FORMAT}")


class SqliteLibrary:
    """The library in one file; safe to share between threads. Implements `ports.Library`.

    Args:
        path: The file; created when it is missing.
        busy_timeout_s: How long a change waits for another one to end.

    Raises:
        LibraryUnusable: It cannot be opened, or is of another format.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._memory: OrderedDict[int, IndexedArticle] = OrderedDict()
        self._decoder = msgspec.msgpack.Decoder(IndexedArticle)
        try:
            with closing(_connect(path)) as connection:
                _prepare(connection, path)
        except (sqlite3.Error, OSError) as exc:
            raise LibraryUnusable(
                f"cannot open {path}: {exc}; check the data folder and its permissions"
            ) from exc

    @contextmanager
    def view(self) -> Iterator["_View"]:
        """Open a consistent view; connections are reused."""
        connection = self._take()
        try:
            connection.execute("BEGIN")
            yield _View(self, connection)
        except sqlite3.Error as exc:
            raise LibraryUnusable(f"cannot read {self._path}: {exc}; check the data folder") from exc
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            with self._lock:
                self._idle.append(connection)

    @contextmanager
    def edit(self) -> Iterator["_Edit"]:
        """Open a change; rolled back unless it is committed."""
        with closing(_connect(self._path, self._busy_timeout_s)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield _Edit(connection, self._decoder)
            except sqlite3.OperationalError as exc:
                raise LibraryUnusable(
                    f"cannot change {self._path}: {exc}; another 'kb add' may be running, try again"
                ) from exc
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def load_sources(self) -> dict[str, Path]:
        """Return root by name."""
        with closing(_connect(self._path)) as connection:
            return {name: Path(root) for name, root in connection.execute("SELECT name, root FROM source")}

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _connect(self._path)

    def recall(self, rows: Sequence[int]) -> dict[int, IndexedArticle]:
        """Return those of the rows that are in memory."""
        with self._lock:
            found = {row: self._memory[row] for row in rows if row in self._memory}
            for row in found:
                self._memory.move_to_end(row)
            return found

    def memorize(self, row: int, blob: bytes) -> IndexedArticle:
        """Decode a row and keep it, the least used one gives way."""
        try:
            indexed = self._decoder.decode(blob)
        except msgspec.MsgspecError as exc:
            raise LibraryUnusable(
                f"{self._path} is damaged: {exc}; add the folders to a new data folder"
            ) from exc
        with self._lock:
            self._memory[row] = indexed
            if len(self._memory) > MEMORY_ARTICLES:
                self._memory.popitem(last=False)
        return indexed


def _load_state(connection: sqlite3.Connection) -> KnowledgeState:
    row = connection.execute(
        "SELECT snapshot, generation, documents, title_terms, body_terms FROM state"
    ).fetchone()
    return KnowledgeState(
        snapshot=row[0], generation=row[1], documents=row[2], title_terms=row[3], body_terms=row[4]
    )


class _View:
    """Implements `ports.LibraryView` inside one read transaction."""

    def __init__(self, library: SqliteLibrary, connection: sqlite3.Connection) -> None:
        self._library = library
        self._connection = connection
        self.state = _load_state(connection)

    def load(self, rows: Sequence[int]) -> tuple[IndexedArticle, ...]:
        found = self._library.recall(rows)
        missing = [row for row in rows if row not in found]
        if missing:
            marks = ",".join("?" * len(missing))
            query = f"SELECT row, indexed FROM article WHERE row IN ({marks})"  # noqa: S608 - marks only
            for row, blob in self._connection.execute(query, missing):
                found[row] = self._library.memorize(row, blob)
        return tuple(found[row] for row in rows if row in found)

    def load_article(self, article_id: str) -> Article | None:
        found = self._connection.execute(
            "SELECT row, text FROM article WHERE article_id = ?", (article_id,)
        ).fetchone()
        if found is None:
            return None
        [indexed] = self.load([found[0]])
        return msgspec.structs.replace(indexed.article, text=bytes(found[1]).decode())


class _Edit:
    """Implements `ports.LibraryEdit` inside one write transaction."""

    def __init__(
        self, connection: sqlite3.Connection, decoder: msgspec.msgpack.Decoder[IndexedArticle]
    ) -> None:
        self._connection = connection
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()
        self.state = _load_state(connection)

    def load_versions(self, source: str) -> dict[str, ArticleVersion]:
        rows = self._connection.execute(
            "SELECT article_id, sha256, reader_name, reader_version FROM article WHERE source = ?", (source,)
        )
        return {
            article_id: ArticleVersion(sha256=sha256, reader=ReaderStamp(name=name, version=version))
            for article_id, sha256, name, version in rows
        }

    def store(self, indexed: IndexedArticle) -> int:
        article = indexed.article
        self.remove(article.article_id)
        lean = msgspec.structs.replace(indexed, article=msgspec.structs.replace(article, text=""))
        cursor = self._connection.execute(
            "INSERT INTO article (article_id, source, sha256, text_sha256, reader_name, reader_version,"
            " title_terms, body_terms, indexed, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                article.article_id,
                article.article_id.split("/", 1)[0],
                article.sha256,
                article.text_sha256,
                article.reader.name,
                article.reader.version,
                len(indexed.title_terms),
                sum(indexed.body_counts.values()),
                self._encoder.encode(lean),
                article.text.encode(),
            ),
        )
        if cursor.lastrowid is None:  # sqlite3 promises one after an INSERT; its type does not
            raise LibraryUnusable("sqlite gave no row for a new article; check the data folder")
        return cursor.lastrowid

    def remove(self, article_id: str) -> None:
        self._connection.execute("DELETE FROM article WHERE article_id = ?", (article_id,))

    def each_document(self) -> Iterator[tuple[int, IndexedArticle]]:
        for row, blob in self._connection.execute("SELECT row, indexed FROM article ORDER BY article_id"):
            yield row, self._decoder.decode(blob)

    def commit(self, generation: str, sources: Mapping[str, Path]) -> KnowledgeState:
        digest = hashlib.sha256()
        totals = [0, 0, 0]
        for article_id, sha256, text_sha256, title_terms, body_terms in self._connection.execute(
            "SELECT article_id, sha256, text_sha256, title_terms, body_terms FROM article ORDER BY article_id"
        ):
            text = "" if text_sha256 == sha256 else f"\0{text_sha256}"
            digest.update(f"{article_id}\0{sha256}{text}\n".encode())
            totals = [totals[0] + 1, totals[1] + title_terms, totals[2] + body_terms]
        self._connection.execute(
            "UPDATE state SET snapshot = ?, generation = ?, documents = ?, title_terms = ?, body_terms = ?",
            (digest.hexdigest(), generation, *totals),
        )
        self._connection.executemany(
            "INSERT INTO source VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET root = excluded.root",
            [(name, str(root)) for name, root in sources.items()],
        )
        self._connection.execute("COMMIT")
        return _load_state(self._connection)
