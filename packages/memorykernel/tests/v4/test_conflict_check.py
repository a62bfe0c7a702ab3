"""The conflict check reads a bounded part of the store, whatever a write supersedes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.overlap import Box, Groups, Meeting, Overlap, Standing, Value
from memorykernel.core.request import AddConstraintV4, read_request
from memorykernel.core.stored_record import StoredRecord
from memorykernel.service.conflict_check import MAX_SUPERSEDED
from memorykernel.service.guarding import IN_WRITE

NONE = Overlap(candidates=(), supersessions=(), is_cut=False)


class Nowhere:
    """A state that holds nothing, and counts where it was asked to look."""

    def __init__(self, *, is_cut: bool = False) -> None:
        self.boxes = 0
        self._is_cut = is_cut

    def list_groups(self, values: Collection[Value], *, limit: int) -> tuple[Groups, bool]:
        return {}, self._is_cut

    def find_rules(
        self, boxes: Iterable[Box], standing: Standing | None, *, max_keys: int, limit: int
    ) -> Overlap:
        self.boxes += len(list(boxes))
        return NONE

    def find_members(self, meetings: Iterable[Meeting], *, max_keys: int, limit: int) -> Overlap:
        return NONE


def admit(kit: Any, number: int, actor: str, **changes: Any) -> NewRecord:
    fresh = Fresh(memory_version_id=f"01J{number:023d}", memory_id=f"01J{number:023d}", now_us=0)
    return admit_record(read_request(kit.constraint(actor, **changes), AddConstraintV4, strict=True), fresh)


def store(new: NewRecord) -> StoredRecord:
    return StoredRecord(
        record=new.record,
        recorded_at_us=0,
        entry_seq=1,
        head="0" * 64,
        superseded_by=(),
        contradicted_by=(),
    )


def test_a_write_that_supersedes_many_looks_around_a_few_and_says_so(kit: Any) -> None:
    looked = []
    for superseded, truncated in ((MAX_SUPERSEDED, False), (3 * MAX_SUPERSEDED, True)):
        targets = [store(admit(kit, number, f"actor {number}")) for number in range(superseded)]
        new = admit(kit, 999, "maker", supersedes=[each.record.memory_version_id for each in targets])
        nearby = Nowhere()
        assert IN_WRITE.check_record(nearby, new, targets).truncated is truncated
        looked.append(nearby.boxes)
    assert looked[0] == looked[1]


def test_groups_that_are_left_out_are_told(kit: Any) -> None:
    for is_cut in (False, True):
        assert IN_WRITE.check_record(Nowhere(is_cut=is_cut), admit(kit, 1, "ada"), []).truncated is is_cut


def test_a_new_version_of_a_rule_uncovers_nothing_and_a_lesser_or_passing_one_may(kit: Any) -> None:
    old = store(admit(kit, 1, "ada"))
    named = [old.record.memory_version_id]
    looked = {}
    for name, changes in (
        ("same", {}),
        ("other effect", {"effect": "allow"}),
        ("ends", {"expires_at": "2030-01-01T00:00:00Z"}),
        ("less sure", {"truth_status": "inferred", "confidence": 0.5}),
        ("retracted", {"truth_status": "retracted"}),
        ("elsewhere", {"action": "lend"}),
    ):
        nearby = Nowhere()
        IN_WRITE.check_record(nearby, admit(kit, 2, "ada", supersedes=named, **changes), [old])
        looked[name] = nearby.boxes > 1
    assert [name for name, below in looked.items() if not below] == ["same", "other effect"]
