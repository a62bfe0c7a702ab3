"""Bringing a set of rules and memberships to what a file says, in one transaction.

A preview runs the same transaction and gives it up at the end, so what it shows is what would happen, with
the conflicts between the file's own rules too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.conflict import Conflict
from memorykernel.core.instant import format_instant, parse_instant
from memorykernel.core.policy_file import (
    REGISTER_KEY,
    PolicyEntry,
    PolicyFile,
    derive_memory_id,
    make_register,
)
from memorykernel.core.record import MemoryRecord
from memorykernel.core.request import AddRecord
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.supersession import explain_refusal
from memorykernel.errors import MemoryKernelError, PolicyFileInvalid
from memorykernel.ports import Clock, Ids, Memory, WriteTransaction
from memorykernel.service.conflict_check import ConflictCheck
from memorykernel.service.schema_care import SchemaCare

MAX_SHOWN: Final = 200
"""How many conflicts a report lists at most."""

_PAGE: Final = 500
_CHECK: Final = ConflictCheck(
    max_keys=2_000, max_rules=200, max_members=200, max_matching=2_000, max_rounds=20, max_steps=20_000
)


class Action(StrEnum):
    """What becomes of an entry."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"
    REMOVE = "remove"
    STALE = "stale"


class PolicyChange(msgspec.Struct, frozen=True, kw_only=True):
    """One entry and what becomes of it; `line` is None for one that the file does not have any more."""

    key: str
    line: int | None
    action: Action
    memory_version_id: str | None
    supersedes: str | None


class PolicyConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A conflict that an entry creates."""

    key: str
    line: int | None
    conflict: Conflict


class PolicyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would do.

    Attributes:
        set: The set's name.
        applied: Whether it was written.
        counts: How many entries of each action; `stale` ones are not in the file and stay in force.
        changes: Every entry that is not kept as it is, in the order of the file.
        conflicts: What the changes make undecidable.
        truncated: Whether there may be more conflicts.
    """

    set: str
    applied: bool
    counts: dict[str, int]
    changes: tuple[PolicyChange, ...]
    conflicts: tuple[PolicyConflict, ...]
    truncated: bool


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    change: PolicyChange
    new: NewRecord | None


class _Preview(Exception):
    def __init__(self, report: PolicyReport) -> None:
        super().__init__()
        self.report = report


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Imports sets of policies into a store of schema 4."""

    memory: Memory
    schema_care: SchemaCare
    clock: Clock
    ids: Ids

    def bring(self, policies: PolicyFile, *, apply: bool, prune: bool) -> PolicyReport:
        """Bring the store to what the file says; the same file again changes nothing.

        Args:
            policies: The file.
            apply: Write it; else only say what that would do.
            prune: End the rules of the set that the file does not have any more.

        Raises:
            PolicyFileInvalid: An entry would be refused as a request; the message names its line.
            SchemaUnavailable: The database waits for a migration.
            WriteConflict: Somebody else changed the set meanwhile.
            WriteFailed: The store could not.
        """
        self.schema_care.require_usable()
        now_us = self.clock.now_us()
        steps = tuple(self._plan(policies, prune, now_us))

        def job(transaction: WriteTransaction) -> PolicyReport:
            report = _carry_out(transaction, policies.name, steps)
            if not apply:
                raise _Preview(report)
            return report

        try:
            return self.memory.write(job, now_us=now_us)
        except _Preview as preview:
            return msgspec.structs.replace(preview.report, applied=False)

    def _plan(self, policies: PolicyFile, prune: bool, now_us: int) -> Iterator[_Step]:
        register = self._load_newest(derive_memory_id(policies.name, REGISTER_KEY))
        before = () if register is None else register.record.provenance.evidence
        wanted = {entry.key for entry in policies.entries}
        removed = sorted(set(before) - wanted)
        for entry in policies.entries:
            yield self._plan_entry(entry, now_us)
        for key in removed:
            newest = self._load_newest(derive_memory_id(policies.name, key))
            if newest is not None and not _has_ended(newest.record):
                yield self._plan_removal(key, newest, prune, now_us)
        keys = tuple(sorted(wanted if prune else {*wanted, *removed}))
        if policies.entries and keys != before:
            request = make_register(policies, keys, policies.entries[0])
            new = self._admit(request, register, now_us, policies.entries[0].line)
            yield _Step(change=_describe(REGISTER_KEY, None, Action.CHANGE, new, register), new=new)

    def _plan_entry(self, entry: PolicyEntry, now_us: int) -> _Step:
        newest = self._load_newest(entry.request.memory_id or "")
        new = self._admit(entry.request, newest, now_us, entry.line)
        if newest is None:
            return _Step(change=_describe(entry.key, entry.line, Action.ADD, new, None), new=new)
        if _says_the_same(new.record, newest.record, names_start=entry.names_start):
            return _Step(change=_describe(entry.key, entry.line, Action.KEEP, None, newest), new=None)
        if reason := explain_refusal(new.record, newest.record):
            raise PolicyFileInvalid(f"line {entry.line}: the change would have no effect: {reason}")
        return _Step(change=_describe(entry.key, entry.line, Action.CHANGE, new, newest), new=new)

    def _plan_removal(self, key: str, newest: StoredRecord, prune: bool, now_us: int) -> _Step:
        if not prune:
            return _Step(change=_describe(key, None, Action.STALE, None, newest), new=None)
        # A retracted version supersedes nothing; one that expires at once does, and says nothing itself.
        start_us = max(now_us, parse_instant(newest.record.effective_at, field="effective_at"))
        ended = msgspec.structs.replace(
            newest.record,
            memory_version_id=self.ids.mint_ulid(now_us),
            version=newest.record.version + 1,
            created_at=format_instant(now_us),
            effective_at=format_instant(start_us),
            expires_at=format_instant(start_us + 1),
            supersedes=(newest.record.memory_version_id,),
            contradicts=(),
        )
        new = NewRecord(
            record=ended, created_at_us=now_us, effective_at_us=start_us, expires_at_us=start_us + 1
        )
        return _Step(change=_describe(key, None, Action.REMOVE, new, newest), new=new)

    def _admit(
        self,
        request: AddRecord,
        newest: StoredRecord | None,
        now_us: int,
        line: int,
    ) -> NewRecord:
        version: int = 1
        supersedes: tuple[str, ...] = ()
        if newest is not None:
            version, supersedes = newest.record.version + 1, (newest.record.memory_version_id,)
        fresh = Fresh(memory_version_id=self.ids.mint_ulid(now_us), memory_id="", now_us=now_us)
        try:
            return admit_record(
                msgspec.structs.replace(request, version=version, supersedes=supersedes), fresh
            )
        except MemoryKernelError as error:
            raise PolicyFileInvalid(f"line {line}: {error.message}", error.details) from error

    def _load_newest(self, memory_id: str) -> StoredRecord | None:
        newest, after = None, 0
        while page := self.memory.list_versions(memory_id, after=after, limit=_PAGE):
            newest, after = page[-1], page[-1].record.version
            if len(page) < _PAGE:
                break
        return newest


def _carry_out(transaction: WriteTransaction, name: str, steps: tuple[_Step, ...]) -> PolicyReport:
    conflicts: list[PolicyConflict] = []
    truncated = False
    for step in steps:
        if step.new is None:
            continue
        named = map(transaction.load_record, step.new.record.supersedes)
        superseded = [each for each in named if each is not None]
        found = _CHECK.check_record(transaction.look_around(), step.new, superseded)
        change = step.change
        conflicts += [
            PolicyConflict(key=change.key, line=change.line, conflict=each) for each in found.conflicts
        ]
        truncated = truncated or found.truncated
        transaction.add_record(step.new)
    shown = [step.change for step in steps if step.change.key != REGISTER_KEY]
    return PolicyReport(
        set=name,
        applied=True,
        counts={action.value: sum(each.action is action for each in shown) for action in Action},
        changes=tuple(each for each in shown if each.action is not Action.KEEP),
        conflicts=tuple(conflicts[:MAX_SHOWN]),
        truncated=truncated or len(conflicts) > MAX_SHOWN,
    )


def _says_the_same(wanted: MemoryRecord, there: MemoryRecord, *, names_start: bool) -> bool:
    """Compare what a file can say; what it leaves out was filled in when the version was written."""
    same: dict[str, object] = {
        "created_at": "",
        "version": 1,
        "memory_version_id": "",
        "supersedes": (),
        "contradicts": (),
    }
    if not names_start:
        same["effective_at"] = ""
    return msgspec.structs.replace(wanted, **same) == msgspec.structs.replace(there, **same)


def _has_ended(record: MemoryRecord) -> bool:
    """Whether it is the version by which an earlier import ended a rule."""
    if not record.expires_at:
        return False
    start_us = parse_instant(record.effective_at, field="effective_at")
    return parse_instant(record.expires_at, field="expires_at") == start_us + 1


def _describe(
    key: str, line: int | None, action: Action, new: NewRecord | None, newest: StoredRecord | None
) -> PolicyChange:
    return PolicyChange(
        key=key,
        line=line,
        action=action,
        memory_version_id=None if new is None else new.record.memory_version_id,
        supersedes=None if newest is None or new is None else newest.record.memory_version_id,
    )
