"""Taking over what the published implementation wrote, in one transaction; see `ports.PublishedTarget`.

Records come in any order and may link forward, so the data is read twice: first all records, then all links.
They are recorded now: the published files do not say when they were.
"""

from __future__ import annotations

import sqlite3

import msgspec

from memorykernel.adapters.bundle_store import BundleStore, SqliteBundleStore
from memorykernel.adapters.bundle_target import fill_file
from memorykernel.adapters.rows import encode_record
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.core.admission import NewRecord
from memorykernel.core.published import PublishedAnswer
from memorykernel.core.record import Link, MemoryRecord
from memorykernel.core.vocabulary import Relation
from memorykernel.errors import WriteConflict
from memorykernel.ports import Imported, PublishedData


class PublishedSqliteTarget:
    """One file that takes over published data; it need not exist."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def load(self, data: PublishedData, *, now_us: int) -> Imported:
        """See `ports.PublishedTarget`."""

        def fill(connection: sqlite3.Connection) -> Imported:
            return take_over(SqliteBundleStore(connection, now_us), data)

        return fill_file(self._file, fill, now_us=now_us)


def take_over(store: BundleStore, data: PublishedData) -> Imported:
    """Take over inside a write transaction; see `ports.PublishedTarget`.

    Raises:
        WriteConflict: The store has other content under the same id, or a link leads nowhere.
    """
    return _TakingOver(store).run(data)


class _TakingOver:
    def __init__(self, store: BundleStore) -> None:
        self._store = store
        self._transaction = store.transaction
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
        there = self._store.find_row(version_id)
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
        before = self._store.count_entries()
        self._transaction.add_link(link)
        grown = self._store.count_entries() - before
        self._added += grown
        self._identical += 1 - grown

    def _add_answer(self, answer: PublishedAnswer) -> None:
        if self._store.add_untold_answer(answer.context_package_id, answer.package):
            self._added += 1
        else:
            self._identical += 1


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
