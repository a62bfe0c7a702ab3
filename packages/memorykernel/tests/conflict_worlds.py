"""The conflict check in a store against enumeration: small universes, written and taken back.

`compare_crossing` is what a campaign runs for as long as it is asked to. `test_conflict.compare` shows the
search everything; what a check does not read is on trial here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from memorykernel.core.admission import NewRecord
from memorykernel.core.conflict import Conflicts
from memorykernel.core.evidence import Candidate
from memorykernel.core.instant import format_instant
from memorykernel.core.record import Link, MemoryRecord, Payload, Provenance
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.vocabulary import Relation
from memorykernel.ports import Memory, WriteTransaction
from memorykernel.service.conflict_check import ConflictCheck

from packages.memorykernel.tests.core_v4.small_world import Universe
from packages.memorykernel.tests.core_v4.test_conflict import Values, check_pairs
from packages.memorykernel.tests.crossing_worlds import deal_crossing, list_values

WIDE: Final = ConflictCheck(
    max_keys=10_000,
    max_rules=500,
    max_members=100,
    max_matching=10_000,
    max_rounds=100,
    max_steps=1_000_000,
    max_conflicts=99,
)

NARROW: Final = (
    replace(WIDE, max_keys=6, max_rules=2, max_members=1),
    replace(WIDE, max_members=1),
    replace(WIDE, max_rules=2),
    replace(WIDE, max_rounds=1),
)
"""What says `truncated` when it leaves something out."""


class _TakenBack(Exception):
    """Ends a write that is not to be kept."""


def compare_crossing(memory: Memory, seed: int) -> tuple[int, bool]:
    """Compare a universe of `crossing_worlds`, every third one with narrow bounds."""
    write = deal_crossing(seed)
    check = WIDE if seed % 3 else NARROW[seed // 3 % len(NARROW)]
    pairs, truncated = compare_in_store(memory, write, list_values(write[1]), check)
    assert check is not WIDE or not truncated, "truncated"
    return pairs, truncated


def compare_in_store(
    memory: Memory, write: tuple[Universe, Universe], values: Values, check: ConflictCheck = WIDE
) -> tuple[int, bool]:
    """Check a write; how many pairs were found, and whether there may be more.

    Args:
        memory: Without rules; what is written is taken back.
        write: What is there before and after: one more record with its links, or one more link.
        values: Those of the questions that are enumerated.
        check: What is on trial.
    """
    before, after = write
    found = _check(memory, before, after, check)
    return check_pairs(found, before, after, values), found.truncated


def _check(memory: Memory, before: Universe, after: Universe, check: ConflictCheck) -> Conflicts:
    found: list[Conflicts] = []

    def job(transaction: WriteTransaction) -> None:
        for each in before.records:
            transaction.add_record(to_new(each))
        for link in before.links:
            transaction.add_link(_make_link(before, link))
        found.append(_check_write(transaction, before, after, check))
        raise _TakenBack

    try:
        memory.write(job, now_us=0)
    except _TakenBack:
        return found[0]
    raise AssertionError("the write was kept")


def _check_write(
    transaction: WriteTransaction, before: Universe, after: Universe, check: ConflictCheck
) -> Conflicts:
    added, nearby = after.links[len(before.links) :], transaction.look_around()
    targets = [_load(transaction, before.records[old]) for _, old in added]
    if len(after.records) == len(before.records):
        ((maker, _),) = added
        return check.check_supersession(nearby, _load(transaction, before.records[maker]), targets[0])
    record = to_new(after.records[-1], tuple(each.record.memory_version_id for each in targets))
    return check.check_record(nearby, record, targets)


def _load(transaction: WriteTransaction, candidate: Candidate) -> StoredRecord:
    found = transaction.load_record(candidate.memory_version_id)
    assert found is not None
    return found


def to_new(candidate: Candidate, supersedes: tuple[str, ...] = ()) -> NewRecord:
    """A candidate as a record that can be written; its version number is made up."""
    expires = candidate.expires_at_us
    record = MemoryRecord(
        memory_version_id=candidate.memory_version_id,
        memory_id=candidate.memory_id,
        version=int(candidate.memory_version_id[1:]) + 1,
        created_at=format_instant(candidate.created_at_us),
        effective_at=format_instant(candidate.effective_at_us),
        expires_at=None if expires is None else format_instant(expires),
        truth_status=candidate.truth_status,
        authority=candidate.authority,
        confidence=candidate.confidence,
        writer="w",
        justification="j",
        provenance=Provenance(source_uri="s", source_hash=None, evidence=()),
        supersedes=supersedes,
        contradicts=(),
        payload=Payload(record_type=candidate.record_type, payload=candidate.content),
    )
    return NewRecord(
        record=record,
        created_at_us=candidate.created_at_us,
        effective_at_us=candidate.effective_at_us,
        expires_at_us=expires,
    )


def _make_link(universe: Universe, link: tuple[int, int]) -> Link:
    new, old = (universe.records[each].memory_version_id for each in link)
    return Link(
        from_memory_version_id=new,
        to_memory_version_id=old,
        relation=Relation.SUPERSEDES,
        writer="w",
        justification="j",
    )
