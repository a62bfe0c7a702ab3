"""What a Python program says to MemoryKernel, whether it is embedded or behind a server.

`library.Kernel` and `client.Client` are both a `Surface`: the same methods take the same arguments, give the
same typed objects and raise the same errors of `memorykernel.errors`. A program moves from a file to a server
by opening another one.

Times are aware `datetime`s or RFC 3339 text in UTC. Enumerated values are their members or their text.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Required, Self, TypedDict, TypeVar, Unpack

import msgspec

from memorykernel.core.conflict import Conflicts
from memorykernel.core.context_package import ContextPackage
from memorykernel.core.explain_request import Basis, Compare
from memorykernel.core.instant import format_instant
from memorykernel.core.record import Link, MemoryRecord
from memorykernel.core.request import (
    AddConstraintV4,
    AddLink,
    AddMembership,
    AddSummaryV4,
    AskV4,
    RecallV4,
    read_request,
)
from memorykernel.core.vocabulary import (
    Authority,
    Effect,
    Field,
    Match,
    RecallMode,
    RecordType,
    Relation,
    SummaryType,
    TruthStatus,
)
from memorykernel.errors import MistypedField
from memorykernel.service.comparing import ComparedAnswers
from memorykernel.service.exclusions import ExcludedItems
from memorykernel.service.explaining import BlastRadius, WhatWouldFlip
from memorykernel.service.lineage import MemoryStory, RecordStory
from memorykernel.service.replaying import Replay

Time = datetime | str
"""A point in time: an aware `datetime`, or RFC 3339 text in UTC."""

Request = TypeVar("Request", bound=msgspec.Struct)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Provenance(TypedDict, total=False):
    """What every record is written with, as keyword arguments.

    Keys:
        writer: Who writes it; required.
        justification: Why it is right to write it; required.
        source_uri: Where it comes from; required.
        authority: How much that source binds; required.
        truth_status: How the writer came to hold it true; "asserted" if absent.
        confidence: 0 to 1; required for "inferred" and "speculative".
        memory_id: The memory that this is a version of; a new one if absent.
        version: The number of this version, from 1; 1 if absent.
        source_hash: "sha256:" and 64 hex digits of the source.
        evidence: What supports it.
        created_at: When it was created; now if absent.
        effective_at: From when on it counts; since it was created if absent.
        expires_at: From when on it counts no more; never if absent.
        supersedes: The version ids that it replaces.
        contradicts: The version ids that it contradicts.
        request_key: 1 to 200 printable ASCII characters, chosen by the caller: the same request under the
            same key is carried out once, however often it is sent.
    """

    writer: Required[str]
    justification: Required[str]
    source_uri: Required[str]
    authority: Required[Authority | str]
    truth_status: TruthStatus | str
    confidence: float | None
    memory_id: str | None
    version: int
    source_hash: str | None
    evidence: Iterable[str]
    created_at: Time | None
    effective_at: Time | None
    expires_at: Time | None
    supersedes: Iterable[str]
    contradicts: Iterable[str]
    request_key: str | None


class ConflictWarning(UserWarning):
    """A record was kept that contradicts others: some questions are inconclusive now."""


class Surface(ABC):
    """The methods of an embedded kernel and of a client; a context manager, which closes at its end.

    Every method can raise `SchemaUnavailable` (the database waits for a migration), and those that read
    `QueryFailed`, those that write `WriteFailed`: the store could not.
    """

    def add_constraint(
        self,
        *,
        actor: str,
        action: str,
        resource: str,
        effect: Effect | str,
        actor_match: Match | str = Match.EXACT,
        action_match: Match | str = Match.EXACT,
        resource_match: Match | str = Match.EXACT,
        note: str | None = None,
        **provenance: Unpack[Provenance],
    ) -> MemoryRecord:
        """Remember that an effect applies to a scope.

        Warns with `ConflictWarning` when some question has become inconclusive, unless that is refused or
        ignored.

        Args:
            actor: Who: a value, `*`, or what `actor_match` says it is.
            action: Does what.
            resource: To what.
            effect: "allow" or "deny".
            actor_match: "exact", "prefix" (the text ends with one of / : .) or "group" (a group's name).
            action_match: As `actor_match`.
            resource_match: As `actor_match`.
            note: What else there is to say.
            **provenance: Who says so, why, since when and how long; see `Provenance`.

        Raises:
            MistypedField: An id, a time or an enumerated value cannot be read.
            InvalidRequest: A required text is blank or a number is out of its range.
            WriteConflict: The version exists, a link's target does not, or a conflict of rules is refused.
        """
        scope = {"actor": actor, "action": action, "resource": resource, "effect": effect, "note": note}
        matches = {
            "actor_match": actor_match,
            "action_match": action_match,
            "resource_match": resource_match,
        }
        fields, key = _write_fields(provenance)
        return self._add_record(_read(AddConstraintV4, scope | matches | fields), key)

    def check_constraint(
        self,
        *,
        actor: str,
        action: str,
        resource: str,
        effect: Effect | str,
        actor_match: Match | str = Match.EXACT,
        action_match: Match | str = Match.EXACT,
        resource_match: Match | str = Match.EXACT,
        note: str | None = None,
        **provenance: Unpack[Provenance],
    ) -> Conflicts:
        """Say which questions a constraint would make inconclusive, each with a witness; writes nothing.

        Args as in `add_constraint`, and raises as it does, except `WriteConflict`.
        """
        scope = {"actor": actor, "action": action, "resource": resource, "effect": effect, "note": note}
        matches = {
            "actor_match": actor_match,
            "action_match": action_match,
            "resource_match": resource_match,
        }
        fields, _ = _write_fields(provenance)
        return self._check_constraint(_read(AddConstraintV4, scope | matches | fields))

    def add_decision(self, summary: str, **provenance: Unpack[Provenance]) -> MemoryRecord:
        """Remember a decision; raises as `add_constraint`."""
        return self._add_summary(SummaryType.DECISION, summary, provenance)

    def add_preference(self, summary: str, **provenance: Unpack[Provenance]) -> MemoryRecord:
        """Remember a preference; raises as `add_constraint`."""
        return self._add_summary(SummaryType.PREFERENCE, summary, provenance)

    def add_event(self, summary: str, **provenance: Unpack[Provenance]) -> MemoryRecord:
        """Remember an event; raises as `add_constraint`."""
        return self._add_summary(SummaryType.EVENT, summary, provenance)

    def add_outcome(self, summary: str, **provenance: Unpack[Provenance]) -> MemoryRecord:
        """Remember an outcome; raises as `add_constraint`."""
        return self._add_summary(SummaryType.OUTCOME, summary, provenance)

    def add_membership(
        self, *, field: Field | str, group: str, member: str, **provenance: Unpack[Provenance]
    ) -> MemoryRecord:
        """Remember that a value of a scope field belongs to a group; raises as `add_constraint`.

        Args:
            field: "actor", "action" or "resource".
            group: The group's name, as constraints with a match of "group" name it.
            member: The value.
            **provenance: See `Provenance`.
        """
        statement = {"field": field, "group": group, "member": member}
        fields, key = _write_fields(provenance)
        return self._add_record(_read(AddMembership, statement | fields), key)

    def link(
        self,
        from_id: str,
        relation: Relation | str,
        to_id: str,
        *,
        writer: str,
        justification: str,
        request_key: str | None = None,
    ) -> Link:
        """State that one version "supersedes" or "contradicts" another; stating it again changes nothing.

        Args:
            from_id: The version that speaks.
            relation: What it says.
            to_id: The version that is spoken about.
            writer: Who states it.
            justification: Why.
            request_key: As in `Provenance`.

        Raises:
            MistypedField: An id cannot be read.
            InvalidRequest: A text is blank.
            WriteConflict: An end does not exist, both are the same, a cycle of supersessions closes, or the
                version has less authority than what it would supersede.
        """
        statement = {"from": from_id, "relation": relation, "to": to_id}
        request = _read(AddLink, statement | {"writer": writer, "justification": justification})
        return self._add_link(request, request_key)

    def ask(
        self,
        *,
        actor: str,
        action: str,
        resource: str,
        text: str | None = None,
        as_of: Time | None = None,
        as_known_at: Time | None = None,
    ) -> ContextPackage:
        """Ask whether an actor may do an action to a resource; the answer is kept.

        Args:
            actor: Who.
            action: Does what.
            resource: To what.
            text: The question in words; made of the three if absent.
            as_of: The time that the question is about; now if absent.
            as_known_at: Answer from what was known then: a time, or the `snapshot_id` of an answer.

        Raises:
            MistypedField: A time cannot be read.
            InvalidRequest: A text is blank, or no state of the database has the name.
        """
        question = {"actor": actor, "action": action, "resource": resource}
        words = text if text is not None else f"May {actor} {action} {resource}?"
        times = {"as_of": write_time(as_of, "as_of"), "as_known_at": write_time(as_known_at, "as_known_at")}
        return self._ask(_read(AskV4, question | {"text": words} | times))

    def recall(
        self,
        text: str,
        *,
        record_types: Iterable[RecordType | str] = (),
        as_of: Time | None = None,
        as_known_at: Time | None = None,
        cursor: str | None = None,
        mode: RecallMode | str = RecallMode.LEXICAL,
    ) -> ContextPackage:
        """Find what is remembered about a text, in any script; the answer is kept.

        Args:
            text: What to look for.
            record_types: What to search; decisions, preferences, events and outcomes if empty.
            as_of: As in `ask`.
            as_known_at: As in `ask`.
            cursor: The `next_cursor` of the page before; None for the first page.
            mode: "lexical", by the words that a record shares with the text, or "semantic", by meaning, with
                the extra `semantic` and English texts.

        Raises:
            MistypedField: A time or the cursor cannot be read.
            InvalidRequest: The text is blank, or no state of the database has the name.
            ModeUnavailable: The database or this installation has no recall by meaning.
        """
        wanted = {"text": text, "record_types": list(record_types), "cursor": cursor, "mode": mode}
        times = {"as_of": write_time(as_of, "as_of"), "as_known_at": write_time(as_known_at, "as_known_at")}
        return self._recall(_read(RecallV4, wanted | times))

    @abstractmethod
    def find(self, context_package_id: str) -> ContextPackage:
        """A kept answer, as it was given.

        Raises:
            ContextPackageNotFound: There is none.
            ContextLookupFailed: The store could not.
        """

    @abstractmethod
    def list_exclusions(self, context_package_id: str, cursor: str | None = None) -> ExcludedItems:
        """One page of what does not count in an answer, nearest first.

        Raises:
            MistypedField: The cursor is none of this answer's.
            ContextPackageNotFound: There is no such answer.
        """

    @abstractmethod
    def show_record(self, memory_version_id: str) -> RecordStory:
        """One version of a memory with its place in the hash chain, and who speaks about it.

        Raises:
            MistypedField: The id is no ULID.
            RecordNotFound: No record has the id.
        """

    @abstractmethod
    def show_lineage(self, memory_id: str) -> MemoryStory:
        """Every version of a memory, by version number.

        Raises:
            MistypedField: The id is no ULID.
            RecordNotFound: No memory has the id.
        """

    @abstractmethod
    def replay(self, context_package_id: str) -> Replay:
        """Compute a kept answer again on the state it was given on, and compare it byte for byte.

        Raises:
            ContextPackageNotFound: There is no such answer.
            InvalidRequest: It was stored before questions were.
        """

    @abstractmethod
    def prove(self, context_package_id: str) -> bytes:
        """The proof of a kept policy answer: the JSON that `mk proof check FILE` checks without a database.

        Raises:
            ContextPackageNotFound: There is no such answer.
            InvalidRequest: The answer or the store has no proof.
        """

    @abstractmethod
    def find_counterfactual(self, context_package_id: str) -> WhatWouldFlip:
        """The smallest changes that would give a kept policy answer another result.

        Raises:
            ContextPackageNotFound: There is no such answer.
            InvalidRequest: It is a recall's, or was given by older rules.
        """

    @abstractmethod
    def find_blast_radius(
        self, memory_version_id: str, *, cursor: str | None = None, limit: int | None = None
    ) -> BlastRadius:
        """One page of the kept answers that used a record, and what each would be without it.

        Raises:
            MistypedField: The id is no ULID, or the cursor is none.
            InvalidRequest: The limit is out of its range.
            RecordNotFound: No record has the id.
        """

    def compare(
        self,
        ruleset: str,
        to_ruleset: str,
        *,
        as_known_at: Time | None = None,
        to_known_at: Time | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> ComparedAnswers:
        """One page of the kept policy questions, answered on two bases, with who is responsible for a flip.

        Args:
            ruleset: The rules of the one basis, such as "ordering.v2".
            to_ruleset: The rules of the other.
            as_known_at: What the one basis knows; all that is there if absent.
            to_known_at: What the other knows.
            cursor: The `next_cursor` of the page before; None for the first page.
            limit: How many kept answers to look at.

        Raises:
            MistypedField: A time or the cursor cannot be read.
            InvalidRequest: There is no such ruleset or state, or the limit is out of its range.
        """
        one = Basis(ruleset=ruleset, as_known_at=write_time(as_known_at, "as_known_at"))
        other = Basis(ruleset=to_ruleset, as_known_at=write_time(to_known_at, "to_known_at"))
        return self._compare(Compare(from_=one, to=other, cursor=cursor, limit=limit))

    @abstractmethod
    def close(self) -> None:
        """Let go of the file or the connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _add_record(
        self, request: AddConstraintV4 | AddSummaryV4 | AddMembership, key: str | None
    ) -> MemoryRecord: ...

    @abstractmethod
    def _add_link(self, request: AddLink, key: str | None) -> Link: ...

    @abstractmethod
    def _check_constraint(self, request: AddConstraintV4) -> Conflicts: ...

    @abstractmethod
    def _compare(self, request: Compare) -> ComparedAnswers: ...

    @abstractmethod
    def _ask(self, request: AskV4) -> ContextPackage: ...

    @abstractmethod
    def _recall(self, request: RecallV4) -> ContextPackage: ...

    def _add_summary(self, record_type: SummaryType, summary: str, provenance: Provenance) -> MemoryRecord:
        statement = {"record_type": record_type, "summary": summary}
        fields, key = _write_fields(provenance)
        return self._add_record(_read(AddSummaryV4, statement | fields), key)


def write_time(time: Time | None, field: str) -> str | None:
    """Write a time as the wire has it.

    Raises:
        MistypedField: A datetime without a time zone: nobody knows which instant it is.
    """
    if not isinstance(time, datetime):
        return time
    if time.utcoffset() is None:
        raise MistypedField(field, "has no time zone: expected an aware datetime; add tzinfo=UTC")
    return format_instant((time - _EPOCH) // _MICROSECOND)


def warn_of_conflicts(version_ids: Iterable[str], *, has_more: bool, depth: int = 4) -> None:
    """Warn whoever wrote; nothing to warn of when there are no versions.

    Args:
        version_ids: What is contradicted.
        has_more: Whether that is not all.
        depth: How many calls lie between whoever wrote and this, the two included.
    """
    if named := ", ".join(version_ids):
        more = " and more" if has_more else ""
        warnings.warn(f"this contradicts {named}{more}", ConflictWarning, stacklevel=depth)


def _write_fields(provenance: Provenance) -> tuple[dict[str, Any], str | None]:
    """The common fields of a request, what is absent as the CLI has it, and the request key."""
    fields: dict[str, Any] = {"version": 1, "truth_status": TruthStatus.ASSERTED, **provenance}
    key = fields.pop("request_key", None)
    for name in ("created_at", "effective_at", "expires_at"):
        fields[name] = write_time(fields.get(name), name)
    for name in ("evidence", "supersedes", "contradicts"):
        fields[name] = list(fields.get(name, ()))
    return fields, key


def _read(type_: type[Request], fields: dict[str, Any]) -> Request:
    """Read a request strictly: a mistyped argument name is an error here, not an ignored key."""
    return read_request(fields, type_, strict=True)
