"""Guarded writes: each with its request key, its conflict check and the record in one transaction.

A supersession that would have no power is refused: whoever writes it means something that would not happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from memorykernel.core.admission import Fresh, NewRecord, admit_link, admit_record
from memorykernel.core.conflict import MAX_STEPS, Conflicts
from memorykernel.core.record import Link, MemoryRecord
from memorykernel.core.request import AddConstraintV4, AddLink, AddRecord
from memorykernel.core.supersession import require_power
from memorykernel.core.vocabulary import ConflictPolicy, Relation
from memorykernel.errors import WriteConflict
from memorykernel.ports import Clock, Ids, Memory, WriteTransaction
from memorykernel.service.conflict_check import NOTHING, ConflictCheck
from memorykernel.service.idempotency import Written, write_once
from memorykernel.service.schema_care import SchemaCare

MAX_NAMED: Final = 5
"""How many versions a warning or a refusal names at most: no more conflicts are looked for inside a write."""

IN_WRITE: Final = ConflictCheck(
    max_keys=100,
    max_rules=20,
    max_members=20,
    max_matching=100,
    max_rounds=8,
    max_steps=4_000,
    max_conflicts=MAX_NAMED,
)
"""A write holds up others, so its check is bounded closer than one that is asked for."""

ON_DEMAND: Final = ConflictCheck(
    max_keys=20_000,
    max_rules=2_000,
    max_members=2_000,
    max_matching=20_000,
    max_rounds=50,
    max_steps=MAX_STEPS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarding:
    """Adds records and links; what is acknowledged is durable, and under a request key it happens once."""

    memory: Memory
    schema_care: SchemaCare
    clock: Clock
    ids: Ids
    conflicts: ConflictPolicy = ConflictPolicy.WARN

    def add_record(self, request: AddRecord, *, key: str | None = None) -> Written:
        """Remember one version of a memory.

        Args:
            request: The record.
            key: From `idempotency.check_key`.

        Raises:
            MistypedField: An id or time cannot be read.
            InvalidRequest: A required text is blank, a scope cannot match, or a number is out of its range.
            SchemaUnavailable: The database waits for a migration.
            WriteConflict: The version exists, a link's target does not, a supersession has no power, a
                conflict is refused, or the key was used for another request.
            WriteFailed: The store could not.
        """
        now_us = self.clock.now_us()
        new = self._admit(request, now_us)
        self.schema_care.require_usable()

        def write(transaction: WriteTransaction) -> Written:
            return write_once(transaction, key, request, lambda: self._add_record(transaction, new))

        return self.memory.write(write, now_us=now_us)

    def add_link(self, request: AddLink, *, key: str | None = None) -> Written:
        """State how one version relates to another; stating it again changes nothing.

        Raises:
            MistypedField: An id cannot be read.
            InvalidRequest: A text is blank.
            SchemaUnavailable: The database waits for a migration.
            WriteConflict: An end does not exist, both are the same, a cycle of supersessions closes, a
                supersession has no power, conflicts are refused and there is one, or the key was used for
                another request.
            WriteFailed: The store could not.
        """
        link = admit_link(request)
        self.schema_care.require_usable()

        def write(transaction: WriteTransaction) -> Written:
            return write_once(transaction, key, request, lambda: self._add_link(transaction, link))

        return self.memory.write(write, now_us=self.clock.now_us())

    def check_constraint(self, request: AddConstraintV4) -> Conflicts:
        """Say which questions a constraint would make undecidable; writes nothing.

        Raises:
            MistypedField: An id or time cannot be read.
            InvalidRequest: A required text is blank, a scope cannot match, or a number is out of its range.
            SchemaUnavailable: The database waits for a migration.
            QueryFailed: The store could not.
        """
        new = self._admit(request, self.clock.now_us())
        self.schema_care.require_usable()
        found = map(self.memory.load_record, new.record.supersedes)
        superseded = [each for each in found if each is not None]
        return self.memory.look_around(lambda nearby: ON_DEMAND.check_record(nearby, new, superseded))

    def _admit(self, request: AddRecord, now_us: int) -> NewRecord:
        fresh = Fresh(
            memory_version_id=self.ids.mint_ulid(now_us), memory_id=self.ids.mint_ulid(now_us), now_us=now_us
        )
        return admit_record(request, fresh)

    def _add_record(self, transaction: WriteTransaction, new: NewRecord) -> Written:
        found = map(transaction.load_record, new.record.supersedes)
        superseded = [each for each in found if each is not None]
        for each in superseded:
            require_power(new.record, each.record)
        conflicts = NOTHING
        if not self._ignores():
            conflicts = IN_WRITE.check_record(transaction.look_around(), new, superseded)
        self._judge(conflicts)
        return _report(new.record, transaction.add_record(new), conflicts)

    def _add_link(self, transaction: WriteTransaction, link: Link) -> Written:
        found = NOTHING
        maker = transaction.load_record(link.from_memory_version_id)
        target = transaction.load_record(link.to_memory_version_id)
        if link.relation is Relation.SUPERSEDES and maker is not None and target is not None:
            require_power(maker.record, target.record)
            if not self._ignores() and link.from_memory_version_id not in target.superseded_by:
                found = IN_WRITE.check_supersession(transaction.look_around(), maker, target)
        self._judge(found)
        return _report(link, transaction.add_link(link), found)

    def _ignores(self) -> bool:
        return self.conflicts is ConflictPolicy.IGNORE

    def _judge(self, found: Conflicts) -> None:
        if found.conflicts and self.conflicts is ConflictPolicy.REFUSE:
            named = ", ".join(_name(found))
            more = " and more" if found.truncated else ""
            first = found.conflicts[0].witness
            raise WriteConflict(
                f"this contradicts {named}{more}: may '{first.actor}' do '{first.action}'"
                f" to '{first.resource}' at {first.as_of} could not be decided; supersede the other rule or"
                " be more specific",
                {
                    "versions": named,
                    "actor": first.actor,
                    "action": first.action,
                    "resource": first.resource,
                    "as_of": first.as_of,
                },
            )


def _report(written: MemoryRecord | Link, head: str, found: Conflicts) -> Written:
    named = _name(found)
    return Written(
        data=msgspec.Raw(msgspec.json.encode(written)),
        head=head,
        conflicts=named,
        more_conflicts=bool(named) and found.truncated,
    )


def _name(found: Conflicts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.memory_version_id for each in found.conflicts))
