"""Taking over what the published implementation wrote, in one transaction; see `ports.PublishedTarget`.

Records come in any order and may link forward, so the data is read twice: first all records, then all links.
They are recorded now: the published files do not say when they were.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from memorykernel.adapters.bundle_target import fill_file
from memorykernel.adapters.rows import RECORD_COLUMNS, RECORD_COLUMNS_4, digest_answer, encode_record
from memorykernel.adapters.sqlite_chain import append_entry
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_write import SqliteTransaction
from memorykernel.core.admission import NewRecord
from memorykernel.core.published import PublishedAnswer
from memorykernel.core.record import Link, MemoryRecord
from memorykernel.core.vocabulary import Relation
from memorykernel.errors import WriteConflict
from memorykernel.ports import Imported, PublishedData

_COLUMNS: Final = (*RECORD_COLUMNS, *RECORD_COLUMNS_4)
_STORED: Final = f"SELECT {', '.join(_COLUMNS)} FROM records WHERE memory_version_id = ?"  # noqa: S608  # column names
_SAME_ANSWER: Final = "SELECT 1 FROM answers WHERE context_package_id = ? AND package = ?"
_ADD_ANSWER: Final = "INSERT INTO answers (context_package_id, package) VALUES (?, ?)"
_NEWEST: Final = "SELECT max(entry_seq) FROM memory_chain"


class PublishedSqliteTarget:
    """One file that takes over published data; it need not exist."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def load(self, data: PublishedData, *, now_us: int) -> Imported:
        """See `ports.PublishedTarget`."""

        def fill(connection: sqlite3.Connection) -> Imported:
            return _TakingOver(connection, now_us).run(data)

        return fill_file(self._file, fill, now_us=now_us)


class _TakingOver:
    def __init__(self, connection: sqlite3.Connection, now_us: int) -> None:
        self._connection = connection
        self._transaction = SqliteTransaction(connection, now_us)
        self._added = 0
        self._identical = 0

    def run(self, data: PublishedData) -> Imported:
        for new in data.read_records():
            self._add_record(new)
        for new in data.read_records():
            for link in _list_links(new.record):
                self._add_link(link)
        for link in data.read_links():
            self._add_link(link)
        for answer in data.read_answers():
            self._add_answer(answer)
        return Imported(exact=False, added=self._added, identical=self._identical, left_out=0)

    def _add_record(self, new: NewRecord) -> None:
        version_id = new.record.memory_version_id
        there = self._connection.execute(_STORED, (version_id,)).fetchone()
        if there is None:
            alone = msgspec.structs.replace(new.record, supersedes=(), contradicts=())
            self._transaction.add_record(msgspec.structs.replace(new, record=alone))
            self._added += 1
        elif there == encode_record(new):
            self._identical += 1
        else:
            raise WriteConflict(
                f"the store has other content under {version_id}; nothing was imported,"
                " import into an empty store and compare",
                {"memory_version_ids": version_id},
            )

    def _add_link(self, link: Link) -> None:
        before = self._count_entries()
        self._transaction.add_link(link)
        grown = self._count_entries() - before
        self._added += grown
        self._identical += 1 - grown

    def _add_answer(self, answer: PublishedAnswer) -> None:
        values = (answer.context_package_id, answer.package)
        if self._connection.execute(_SAME_ANSWER, values).fetchone():
            self._identical += 1
            return
        answer_seq = self._connection.execute(_ADD_ANSWER, values).lastrowid
        assert answer_seq is not None  # noqa: S101  # an INSERT of one row has a row number
        append_entry(
            self._connection,
            "answer_chain",
            kind="answer",
            subject_seq=answer_seq,
            digest=digest_answer(values),
        )
        self._added += 1

    def _count_entries(self) -> int:
        return int(self._connection.execute(_NEWEST).fetchone()[0])


def _list_links(record: MemoryRecord) -> tuple[Link, ...]:
    named = ((Relation.SUPERSEDES, record.supersedes), (Relation.CONTRADICTS, record.contradicts))
    return tuple(
        Link(
            from_memory_version_id=record.memory_version_id,
            to_memory_version_id=version_id,
            relation=relation,
            writer=record.writer,
            justification=record.justification,
        )
        for relation, version_ids in named
        for version_id in version_ids
    )
