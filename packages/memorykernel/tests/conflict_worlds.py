"""The conflict check in a store against enumeration: small universes, written and taken back.

`compare_in_store` is what a campaign runs for as long as it is asked to. `test_conflict.compare` shows the
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
from memorykernel.core.vocabulary import Relation
from memorykernel.ports import Memory, WriteTransaction
from memorykernel.service.conflict_check import ConflictCheck

from packages.memorykernel.tests.core_v4.small_world import Universe
from packages.memorykernel.tests.core_v4.test_conflict import check_witness, deal, enumerate_pairs

WIDE: Final = ConflictCheck(
    max_keys=10_000,
    max_rules=500,
    max_members=100,
    max_matching=10_000,
    max_rounds=100,
    max_steps=1_000_000,
    max_conflicts=99,
)

NARROW: Final = replace(WIDE, max_keys=6, max_rules=2, max_members=1)


class _TakenBack(Exception):
    """Ends a write that is not to be kept."""


def compare_in_store(memory: Memory, seed: int, check: ConflictCheck = WIDE) -> tuple[int, bool]:
    """Check the write of a universe; how many pairs were found, and whether there may be more."""
    before, after = deal(seed)
    found = _check(memory, before, after, check)
    for each in found.conflicts:
        check_witness(each, before, after)
    pairs = {frozenset((each.memory_version_id, each.opposes)) for each in found.conflicts}
    assert len(pairs) == len(found.conflicts), seed
    expected = enumerate_pairs(before, after)
    assert pairs <= expected, seed
    assert found.truncated or pairs == expected, (seed, expected - pairs)
    return len(pairs), found.truncated


def _check(memory: Memory, before: Universe, after: Universe, check: ConflictCheck) -> Conflicts:
    new = after.records[-1]
    added = after.links[len(before.links) :]
    found: list[Conflicts] = []

    def job(transaction: WriteTransaction) -> None:
        for each in before.records:
            transaction.add_record(to_new(each))
        for link in before.links:
            transaction.add_link(_make_link(before, link))
        superseded = [transaction.load_record(before.records[old].memory_version_id) for _, old in added]
        targets = [each for each in superseded if each is not None]
        record = to_new(new, tuple(each.record.memory_version_id for each in targets))
        found.append(check.check_record(transaction.look_around(), record, targets))
        raise _TakenBack

    try:
        memory.write(job, now_us=0)
    except _TakenBack:
        return found[0]
    raise AssertionError("the write was kept")


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
