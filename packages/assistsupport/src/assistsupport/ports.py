"""What AssistSupport needs from the world, one small Protocol per need.

Producer side: the policy lane and the governance it follows. Nothing here waits for the producer
except `PolicyLane.reload`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from assistsupport.core.article import Article, ReaderStamp
from assistsupport.core.draft_record import DraftRecord
from assistsupport.core.governance import GovernanceCommit
from assistsupport.core.integration import GovernanceStatus, IntegrationStatus, ReloadOutcome
from assistsupport.core.knowledge import ArticleVersion, FoundFile, FoundSource, KnowledgeState
from assistsupport.core.policy_question import PolicyOutcome, PolicyQuestion
from assistsupport.core.ranking import IndexedArticle


class Clock(Protocol):
    """The time of day, aware UTC."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC."""
        ...


class PolicyLane(Protocol):
    """Asks the producer beside the draft, never inside it."""

    def begin(self, question: PolicyQuestion, deadline_s: float) -> Future[PolicyOutcome]:
        """Ask, without waiting. Never raises, never blocks, whatever the producer does.

        Args:
            question: What to ask.
            deadline_s: One deadline for everything (connect, send, slow body), in seconds, 0 .. 30.

        Returns:
            A future that is never cancelled and never fails. It may be done already; otherwise it
            completes within the deadline, with an outcome that is applied or fallback. A late reader
            finds the same outcome in the same future.
        """
        ...

    def status(self) -> IntegrationStatus:
        """Return an immutable snapshot; cheap, from any thread."""
        ...

    def reload(self) -> ReloadOutcome:
        """Read the governance ref anew, preflight its pin, swap. Blocks for a read and a preflight.

        Returns:
            swapped, unchanged, or refused with the reason; after refused the old pin keeps running.
            Never raises.
        """
        ...

    def start(self) -> None:
        """Start the background work (preflight, poll); returns at once, before the first preflight."""
        ...

    def close(self) -> None:
        """Stop it. Questions without an outcome fall back; idempotent."""
        ...


class GovernanceSource(Protocol):
    """A ref of the consumer's governance repository."""

    def describe(self) -> GovernanceStatus:
        """Return repository and ref as they were given, with no commit; touches nothing."""
        ...

    def resolve(self) -> str:
        """Return the commit that the ref names now.

        Raises:
            GovernanceUnreadable: The repository or the ref cannot be read.
        """
        ...

    def read(self) -> GovernanceCommit:
        """Return pin, manifest and matrix of the one commit that the ref names now.

        Raises:
            GovernanceUnreadable: Repository, ref or a file cannot be read, or a file is malformed.
            GovernanceInconsistent: The three files do not agree.
        """
        ...


# Knowledge side: files, library, index. Synchronous; nothing here knows of the producer.


class ArticleFiles(Protocol):
    """Folders of documents on disk."""

    def find(self, path: Path, name: str | None, known: Mapping[str, Path]) -> FoundSource:
        """Return the articles at a folder or file, in the order of their ids.

        Args:
            path: A folder or one document.
            name: Name of the source; None takes the folder's.
            known: Roots of the sources added before, by name.

        Raises:
            SourceRefused: There is no such path, it holds no document, holds too many, or another
                folder was added under the same name.
        """
        ...

    def read(self, file: FoundFile) -> bytes:
        """Return the file's bytes, never through a symbolic link.

        Raises:
            ArticleRefused: It cannot be read, or is too large.
        """
        ...


class DocumentReader(Protocol):
    """Makes articles of files, each by the reader of its format."""

    def stamp(self, name: str) -> ReaderStamp:
        """Return the stamp of the reader that would read a file of this name.

        Raises:
            ArticleRefused: There is none.
        """
        ...

    def read(self, article_id: str, data: bytes) -> Article:
        """Return the article in a file; the same bytes and stamp always give the same article.

        Raises:
            ArticleRefused: It cannot be read, or breaks a limit; no other file is touched by that.
        """
        ...


class LibraryView(Protocol):
    """One consistent state of the library; what others write meanwhile is not seen."""

    @property
    def state(self) -> KnowledgeState:
        """The state that this view shows."""
        ...

    def load(self, rows: Sequence[int]) -> tuple[IndexedArticle, ...]:
        """Return the articles of these rows, in the order asked for; unknown rows are left out."""
        ...

    def load_article(self, article_id: str) -> Article | None:
        """Return an article with its text; None when there is no such article."""
        ...


class LibraryEdit(Protocol):
    """One atomic change of the library; all of it happens or none."""

    @property
    def state(self) -> KnowledgeState:
        """The state before the change."""
        ...

    def load_versions(self, source: str) -> dict[str, ArticleVersion]:
        """Return the version of each article of a source, by article id."""
        ...

    def store(self, indexed: IndexedArticle) -> int:
        """Add an article, or replace it; return its row, which no other article ever had."""
        ...

    def remove(self, article_id: str) -> None:
        """Remove an article; unknown ids are fine."""
        ...

    def each_document(self) -> Iterator[tuple[int, IndexedArticle]]:
        """Yield every article with its row, in the order of their ids."""
        ...

    def commit(self, generation: str, sources: Mapping[str, Path]) -> KnowledgeState:
        """Make the change durable and return the state after it."""
        ...


class Library(Protocol):
    """The articles: their files, their spans and their terms."""

    def view(self) -> AbstractContextManager[LibraryView]:
        """Open a consistent view; cheap, from any thread."""
        ...

    def edit(self) -> AbstractContextManager[LibraryEdit]:
        """Open a change; without a commit it leaves nothing behind.

        Raises:
            LibraryUnusable: Another process is changing the library.
        """
        ...

    def load_sources(self) -> dict[str, Path]:
        """Return the sources added so far: root by name."""
        ...

    def close(self) -> None:
        """Close it; idempotent."""
        ...


class SearchIndex(Protocol):
    """One generation of the search index; immutable."""

    def search(self, terms: Sequence[str], limit: int) -> tuple[int, ...]:
        """Return the rows of the articles that match best, in no promised order.

        Args:
            terms: Analyzed terms; any of them may match.
            limit: How many the caller wants. More come back when the last ones tie with others.
        """
        ...

    def load_frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """Return in how many articles each of the terms stands, 0 for unknown ones."""
        ...


class SearchIndexes(Protocol):
    """Builds and opens generations of the search index, and analyzes text the way they do."""

    def analyze(self, text: str) -> tuple[str, ...]:
        """Return the terms of a text: folded, without stop words, stemmed. Deterministic."""
        ...

    def open(self, generation: str) -> SearchIndex:
        """Open a generation; cheap when it was opened before.

        Raises:
            LibraryUnusable: It is missing or damaged.
        """
        ...

    def build(self, base: str, documents: Iterable[tuple[int, IndexedArticle]]) -> str:
        """Build a new generation and return its name; it is complete on disk when this returns.

        Args:
            base: The generation to extend, left as it is; empty for none.
            documents: What to add, with rows.
        """
        ...

    def collect(self, keep: str) -> None:
        """Remove every generation but one; those that other processes have open stay readable for them."""
        ...


class Progress(Protocol):
    """Somebody watching long work."""

    def advance(self, stage: str, done: int, total: int) -> None:
        """Hear that `done` of `total` steps of a stage are behind us; total 0 when it is not known."""
        ...


class Stopwatch(Protocol):
    """Elapsed time, for figures only; nothing is decided by it."""

    def elapsed_ms(self) -> float:
        """Return milliseconds since some fixed moment in the past; never goes back."""
        ...


class Ids(Protocol):
    """Makes new ids."""

    def new_draft_id(self) -> str:
        """Return an id that was never used before and cannot be guessed."""
        ...


class DraftJournal(Protocol):
    """Keeps what was drafted, for later reading. Best effort: it never delays and never fails a draft."""

    def record(self, record: DraftRecord) -> None:
        """Take a record to be kept; returns at once. When the queue is full it is dropped and counted."""
        ...

    def record_outcome(self, draft_id: str, outcome: PolicyOutcome) -> None:
        """Take a late policy outcome of a draft recorded before; returns at once."""
        ...

    def close(self) -> None:
        """Write what is queued, then stop; idempotent."""
        ...
