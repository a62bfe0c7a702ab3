"""Merging a bundle into a store that holds something.

What is there already stays as it is; a record with the same id and other content is a conflict. Everything
else is written as if it came as requests, in the order of the bundle, and recorded now: this store did not
know it before. Answers are left out, because they were given on states that this store never had.
"""

from __future__ import annotations

from typing import Any, Final, cast

from memorykernel.adapters.bundle_order import Sequencer
from memorykernel.adapters.bundle_store import BundleStore
from memorykernel.adapters.rows import Row, decode_stored_record
from memorykernel.core.admission import NewRecord
from memorykernel.core.bundle import LinkLine, Manifest, Member, MemoryLine, RecordLine, RequestLine
from memorykernel.core.bundle_line import parse_lines, record_values
from memorykernel.core.record import Link
from memorykernel.core.stored_record import KeptRequest
from memorykernel.core.vocabulary import Relation
from memorykernel.errors import WriteConflict
from memorykernel.ports import Bundle, Imported

_MAX_SHOWN: Final = 20


def merge(store: BundleStore, bundle: Bundle, manifest: Manifest) -> Imported:
    """Merge inside a write transaction; see `ports.DataTarget`.

    Raises:
        WriteConflict: The store has other content under the same id; a link leads nowhere or closes a cycle.
    """
    merging = _Merging(store)
    orders = {member: Sequencer(store.parking, member) for member in Member}
    for chunk in bundle.read_chunks(manifest):
        if chunk.member is not Member.ANSWERS:
            lines = parse_lines(chunk.member, chunk.path, chunk.data)
            for due in orders[chunk.member].take(lines):
                merging.add(cast("Any", due))
    state = manifest.state
    orders[Member.MEMORY].finish(state.records + state.links)
    orders[Member.REQUESTS].finish(state.requests)
    merging.refuse_conflicts()
    return Imported(
        exact=False, added=merging.added, identical=merging.identical, left_out=manifest.state.answers
    )


class _Merging:
    def __init__(self, store: BundleStore) -> None:
        self.added = 0
        self.identical = 0
        self._conflicts: list[str] = []
        self._conflict_count = 0
        self._store = store
        self._transaction = store.transaction

    def add(self, due: list[MemoryLine | RequestLine]) -> None:
        for line in due:
            if isinstance(line, RecordLine):
                self._add_record(line)
            elif isinstance(line, LinkLine):
                self._add_link(line)
            else:
                self._add_request(line)

    def refuse_conflicts(self) -> None:
        """Raise when something in the store is not what the bundle says."""
        if self._conflict_count:
            shown = ", ".join(self._conflicts)
            raise WriteConflict(
                f"{self._conflict_count} of the bundle's records or request keys have other content in the"
                f" store: {shown}; nothing was imported, import into an empty store and compare",
                {"conflicts": self._conflict_count, "memory_version_ids": shown},
            )

    def _add_record(self, line: RecordLine) -> None:
        values = record_values(line)
        there = self._store.find_row(line.memory_version_id)
        if there == values:
            self.identical += 1
        elif there is not None or self._store.is_taken(line.memory_id, line.version):
            self._note_conflict(line.memory_version_id)
        elif not self._conflict_count:
            self._transaction.add_record(_make_record(line, values))
            self.added += 1

    def _add_link(self, line: LinkLine) -> None:
        if self._conflict_count:
            return  # its ends may not be there, and nothing is kept anyway
        before = self._store.count_entries()
        link = Link(
            from_memory_version_id=line.from_version_id,
            to_memory_version_id=line.to_version_id,
            relation=Relation(line.relation),
            writer=line.writer,
            justification=line.justification,
        )
        self._transaction.add_link(link)
        grown = self._store.count_entries() - before
        self.added += grown
        self.identical += 1 - grown

    def _add_request(self, line: RequestLine) -> None:
        kept = KeptRequest(key=line.key, digest=line.sha256, reply=line.reply)
        there = self._transaction.find_request(line.key)
        if there == kept:
            self.identical += 1
        elif there is not None:
            self._note_conflict(f"request key {line.key}")
        else:
            self._transaction.keep_request(kept)
            self.added += 1

    def _note_conflict(self, what: str) -> None:
        self._conflict_count += 1
        if len(self._conflicts) < _MAX_SHOWN:
            self._conflicts.append(what)


def _make_record(line: RecordLine, values: Row) -> NewRecord:
    stored = decode_stored_record(
        (line.seq, b"", line.recorded_at_us, *values),
        supersedes=(),
        contradicts=(),
        superseded_by=(),
        contradicted_by=(),
    )
    return NewRecord(
        record=stored.record,
        created_at_us=line.created_at_us,
        effective_at_us=line.effective_at_us,
        expires_at_us=line.expires_at_us,
    )
