"""The conflict check reads a bounded part of the store, whatever a write supersedes."""

from __future__ import annotations

from typing import Any

from memorykernel.core.admission import Fresh, admit_record
from memorykernel.core.evidence import PolicyEvidence
from memorykernel.core.request import AddConstraintV4, read_request
from memorykernel.core.stored_record import StoredRecord
from memorykernel.service.conflict_check import MAX_SCOPES, ConflictCheck


class Shelf:
    """A store of as many records as are asked for, each with a scope of its own."""

    def __init__(self, kit: Any) -> None:
        self._kit = kit
        self.read = 0

    def load_record(self, memory_version_id: str) -> StoredRecord:
        body = self._kit.constraint(f"actor {memory_version_id}")
        fresh = Fresh(memory_version_id=memory_version_id, memory_id=memory_version_id, now_us=0)
        record = admit_record(read_request(body, AddConstraintV4, strict=True), fresh).record
        return StoredRecord(
            record=record,
            recorded_at_us=0,
            entry_seq=1,
            head="0" * 64,
            superseded_by=(),
            contradicted_by=(),
        )

    def read_overlapping(self, *_: object, **__: object) -> PolicyEvidence:
        self.read += 1
        return PolicyEvidence(head="0" * 64, candidates=(), supersessions=(), version_index=b"")


def test_a_write_that_supersedes_many_reads_around_a_few_and_says_so(kit: Any) -> None:
    check = ConflictCheck(max_constraints=200, max_steps=20_000)
    fresh = Fresh(memory_version_id="0" * 26, memory_id="0" * 26, now_us=0)
    for superseded, reads, truncated in ((10, 11, False), (3 * MAX_SCOPES, MAX_SCOPES, True)):
        ids = [f"01J{number:023d}" for number in range(superseded)]
        body = kit.constraint("maker", supersedes=ids)
        new = admit_record(read_request(body, AddConstraintV4, strict=True), fresh)
        shelf = Shelf(kit)
        found = check.check_record(shelf, new)
        assert (shelf.read, found.truncated) == (reads, truncated)
