"""Records drafts in SQLite, from a thread of its own, so that no draft waits for a disk.

Durable: a record that was written, after a crash of the process. Not durable: the records of the last
moments before a crash (they are written every few tenths of a second), and those that did not fit the
queue; both are lost without harm, a draft is a function of its ticket and the knowledge base.
"""

import queue
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import structlog

from assistsupport.core.disposition import Disposition
from assistsupport.core.draft_record import DraftRecord
from assistsupport.core.policy_question import PolicyOutcome
from assistsupport.core.ticket import Ticket
from assistsupport.errors import LibraryUnusable

MAX_QUEUED = 4_096
MAX_BATCH = 512
GATHER_S = 0.2
CLOSE_LIMIT_S = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS draft (
  draft_id TEXT PRIMARY KEY,
  created_at TEXT NOT NULL,
  ticket_id TEXT,
  draft_sha256 TEXT NOT NULL,
  disposition TEXT NOT NULL,
  knowledge_snapshot TEXT NOT NULL,
  policy_status TEXT NOT NULL,
  ticket TEXT NOT NULL,
  policy TEXT NOT NULL
) WITHOUT ROWID;
"""
_INSERT = "INSERT OR IGNORE INTO draft VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE draft SET policy_status = ?, policy = ? WHERE draft_id = ?"

_log = structlog.get_logger("assistsupport.journal")
_Job = tuple[str, tuple[str | None, ...]]


class SqliteJournal:
    """Implements `ports.DraftJournal`.

    Args:
        path: The file; created when it is missing.
        max_queued: How many records may wait; more are dropped.

    Raises:
        LibraryUnusable: It cannot be opened.
    """

    def __init__(self, path: Path, *, max_queued: int = MAX_QUEUED) -> None:
        self._path = path
        self._queue: queue.Queue[_Job] = queue.Queue(max_queued)
        self._stopping = threading.Event()
        self.dropped = 0
        try:
            with closing(self._connect()) as connection:
                connection.executescript(_SCHEMA)
        except sqlite3.Error as exc:
            raise LibraryUnusable(
                f"cannot open {path}: {exc}; check the data folder and its permissions"
            ) from exc
        self._thread = threading.Thread(target=self._run, name="draft-journal", daemon=True)
        self._thread.start()

    def record(self, record: DraftRecord) -> None:
        """Queue a record."""
        row = (
            record.draft_id,
            record.created_at,
            record.ticket.ticket_id,
            record.draft_sha256,
            str(record.disposition),
            record.knowledge_snapshot,
            str(record.policy.status),
            msgspec.json.encode(record.ticket).decode(),
            msgspec.json.encode(record.policy).decode(),
        )
        self._put((_INSERT, row))

    def record_outcome(self, draft_id: str, outcome: PolicyOutcome) -> None:
        """Queue a late outcome."""
        self._put((_UPDATE, (str(outcome.status), msgspec.json.encode(outcome).decode(), draft_id)))

    def load(self, draft_id: str) -> DraftRecord | None:
        """Return a written record with its newest outcome; None when there is none."""
        query = (
            "SELECT draft_id, created_at, draft_sha256, disposition, knowledge_snapshot, ticket, policy"
            " FROM draft WHERE draft_id = ?"
        )
        with closing(self._connect()) as connection:
            row = connection.execute(query, (draft_id,)).fetchone()
        if row is None:
            return None
        return DraftRecord(
            draft_id=row[0],
            created_at=row[1],
            draft_sha256=row[2],
            disposition=Disposition(row[3]),
            knowledge_snapshot=row[4],
            ticket=msgspec.json.decode(row[5], type=Ticket),
            policy=msgspec.json.decode(row[6], type=PolicyOutcome),
        )

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._stopping.set()
        self._thread.join(CLOSE_LIMIT_S)

    def _put(self, job: _Job) -> None:
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            self.dropped += 1

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _run(self) -> None:
        with closing(self._connect()) as connection:
            while not (self._stopping.is_set() and self._queue.empty()):
                self._stopping.wait(GATHER_S)
                batch = self._gather()
                if batch:
                    self._write(connection, batch)

    def _gather(self) -> list[_Job]:
        batch: list[_Job] = []
        while len(batch) < MAX_BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _write(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement, row in batch:
                connection.execute(statement, row)
            connection.execute("COMMIT")
        except sqlite3.Error as exc:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self.dropped += len(batch)
            _log.warning("drafts not recorded", count=len(batch), error=str(exc))
