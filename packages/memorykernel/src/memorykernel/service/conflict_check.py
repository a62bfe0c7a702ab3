"""What a write would make undecidable: the evidence that the check needs, gathered around the write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from memorykernel.core.admission import NewRecord
from memorykernel.core.conflict import Conflicts, find_conflicts
from memorykernel.core.evidence import PolicyEvidence, Supersession
from memorykernel.core.instant import parse_instant
from memorykernel.core.record import ConstraintContent, Content, MembershipContent, MemoryRecord, Scope
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.vocabulary import WILDCARD, Effect, Field, Match
from memorykernel.core.write_check import check_write, describe_candidate

MAX_SCOPES: Final = 50
"""How many different scopes are read around: a write can supersede any number of records."""

NOTHING: Final = Conflicts(conflicts=(), truncated=False)


class Readable(Protocol):
    """What a check reads: the store, or a write transaction on it."""

    def load_record(self, memory_version_id: str) -> StoredRecord | None:
        """See `ports.Memory`."""
        ...

    def read_overlapping(self, scope: Scope, *, effect: Effect | None, limit: int) -> PolicyEvidence:
        """See `ports.WriteTransaction`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictCheck:
    """Checks writes against what is there.

    Attributes:
        max_constraints: How many constraints are read around each scope, the newest first.
        max_steps: How long is searched; see `conflict.MAX_STEPS`.
    """

    max_constraints: int
    max_steps: int

    def check_record(self, store: Readable, new: NewRecord) -> Conflicts:
        """What a new record would make undecidable; `truncated` when there may be more."""
        superseded = [
            found for each in new.record.supersedes if (found := store.load_record(each)) is not None
        ]
        contents = (new.record, *(each.record for each in superseded))
        scopes = dict.fromkeys(scope for each in contents for scope in list_scopes(each.payload.payload))
        if not scopes:
            return NOTHING
        conflicts = self._check(
            store,
            tuple(scopes)[:MAX_SCOPES],
            lambda evidence: check_write(
                describe_candidate(new), new.record.supersedes, evidence, max_steps=self.max_steps
            ),
        )
        is_cut = len(scopes) > MAX_SCOPES
        return msgspec.structs.replace(conflicts, truncated=conflicts.truncated or is_cut)

    def check_supersession(self, store: Readable, maker: StoredRecord, target: StoredRecord) -> Conflicts:
        """What a record that supersedes another from now on would make undecidable."""
        scopes = [*list_scopes(target.record.payload.payload), *list_scopes(maker.record.payload.payload)]
        if not list_scopes(target.record.payload.payload):
            return NOTHING

        def check(evidence: PolicyEvidence) -> Conflicts:
            made = _claim(maker.record, target.record.memory_version_id)
            after = msgspec.structs.replace(evidence, supersessions=(*evidence.supersessions, made))
            return find_conflicts(evidence, after, max_steps=self.max_steps)

        return self._check(store, scopes, check)

    def _check(
        self, store: Readable, scopes: Iterable[Scope], check: Callable[[PolicyEvidence], Conflicts]
    ) -> Conflicts:
        read = [
            store.read_overlapping(scope, effect=None, limit=self.max_constraints + 1) for scope in scopes
        ]
        found = check(_merge(read))
        is_cut = any(_count_constraints(each) > self.max_constraints for each in read)
        return msgspec.structs.replace(found, truncated=found.truncated or is_cut)


def list_scopes(content: Content) -> tuple[Scope, ...]:
    """The scopes whose questions a record can be about: none for a summary."""
    if isinstance(content, ConstraintContent):
        return (content.scope,)
    if isinstance(content, MembershipContent):
        return (
            _open_scope(content.field, content.member, Match.EXACT),
            _open_scope(content.field, content.group, Match.GROUP),
        )
    return ()


def _open_scope(field: Field, value: str, match: Match) -> Scope:
    """A scope that says something in one field only."""
    values = dict.fromkeys(Field, WILDCARD) | {field: value}
    matches = dict.fromkeys(Field, Match.EXACT) | {field: match}
    return Scope(
        actor=values[Field.ACTOR],
        action=values[Field.ACTION],
        resource=values[Field.RESOURCE],
        actor_match=matches[Field.ACTOR],
        action_match=matches[Field.ACTION],
        resource_match=matches[Field.RESOURCE],
    )


def _merge(read: Iterable[PolicyEvidence]) -> PolicyEvidence:
    """The evidence of several scopes of one state."""
    every = tuple(read)
    candidates = {each.memory_version_id: each for evidence in every for each in evidence.candidates}
    supersessions = {each for evidence in every for each in evidence.supersessions}
    return PolicyEvidence(
        head=every[0].head, candidates=tuple(candidates.values()), supersessions=tuple(supersessions)
    )


def _count_constraints(evidence: PolicyEvidence) -> int:
    return sum(isinstance(each.content, ConstraintContent) for each in evidence.candidates)


def _claim(maker: MemoryRecord, target_version_id: str) -> Supersession:
    return Supersession(
        superseded_id=target_version_id,
        superseder_id=maker.memory_version_id,
        authority=maker.authority,
        truth_status=maker.truth_status,
        effective_at_us=parse_instant(maker.effective_at, field="effective_at"),
    )
