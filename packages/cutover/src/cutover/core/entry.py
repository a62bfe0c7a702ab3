"""What an entry of the decision log can say: one record per kind, a closed union.

Every body is immutable and self-contained; times are aware UTC. Who may sign which kind is
`SIGNERS`, checked for every line by `cutover.core.log`.
Source: cutover-program, "The decision log", "Order" and "Switch".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

import msgspec

from cutover.core.key import KeyKind, Party, PublicKey


class Scope(StrEnum):
    """The two decisions of a program."""

    REHEARSAL = "rehearsal"
    EXECUTION = "execution"


class Operation(StrEnum):
    """The moves that change routes or refs."""

    DRILL = "drill"
    FORWARD = "forward"
    ABORT = "abort"
    COMPLETE = "complete"


class StopCondition(StrEnum):
    """Why a cutover is stopped; the first four are the record's, the fifth is a person,
    the last is the planned way back of a drill."""

    CONTRACT_MISMATCH = "contract-mismatch"
    FALLBACK_REGRESSION = "fallback-regression"
    ROLLBACK_OWNER_AMBIGUITY = "rollback-owner-ambiguity"
    SUITE_FAILURE = "suite-failure"
    MANUAL = "manual-stop"
    DRILL_RETURN = "drill-return"


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of all bodies; `kind` on the wire is the class name in kebab case."""


def _tag(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class Opened(Body, frozen=True, kw_only=True, tag=_tag):
    """Entry 0, signed by both parties: the program and every key that may speak.

    Args:
        program: Name of the program.
        program_digest: sha256 of the bytes of cutover.toml (kept as evidence).
        keys: Party and executor keys. Holder keys come with `RoleBound`.
    """

    program: str
    program_digest: str
    keys: tuple[PublicKey, ...]


class RoleBound(Body, frozen=True, kw_only=True, tag=_tag):
    """A party binds a holder to a role for a window and certifies the holder's key."""

    role: str
    party: Party
    holder: str
    contact: str
    key: PublicKey
    not_before: datetime
    not_after: datetime


class RoleReleased(Body, frozen=True, kw_only=True, tag=_tag):
    """A party ends a binding; the role is unresolved until somebody else is bound."""

    role: str
    party: Party
    keyid: str


class RoleAcknowledged(Body, frozen=True, kw_only=True, tag=_tag):
    """A holder accepts a role with the key that the party certified."""

    role: str


class HandedOff(Body, frozen=True, kw_only=True, tag=_tag):
    """The producer hands a release over.

    Args:
        handoff_digest: sha256 of the payload (kept as evidence).
        release_tag: vX.Y.Z.
        commit_sha: 40 hex digits, what the tag stands for.
        tag_object: 40 hex digits, the annotated tag object on `origin` at this moment.
        manifest_commit: 40 hex digits, the commit whose tree holds the manifest handed over.
    """

    handoff_digest: str
    release_tag: str
    commit_sha: str
    tag_object: str
    manifest_commit: str


class Repin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A forward commit and its inverse on side refs: base -> forward -> inverse, each the parent of the next.

    The inverse restores the base's pin, matrix and mirrored manifest byte for byte.
    """

    base_commit: str
    forward_ref: str
    forward_commit: str
    inverse_ref: str
    inverse_commit: str


class Prepared(Body, frozen=True, kw_only=True, tag=_tag):
    """The consumer's repin, written but not live.

    A drill leaves the live ref on the drill's inverse commit, which therefore is the base of the
    execution's pair. `refresh` is the pair of the drill after completion: from the execution's forward
    commit over its inverse to the new baseline again. A later `Prepared` supersedes an earlier one.
    """

    live_ref: str
    drill: Repin
    execution: Repin
    refresh: Repin | None = None


class EvidenceCollected(Body, frozen=True, kw_only=True, tag=_tag):
    """Somebody looked at something for a gate.

    A later one for the same gate supersedes an earlier one.

    Args:
        gate: Name of the gate (`cutover.core.gate`).
        digest: sha256 of the evidence document; the bytes are kept beside the log.
        exit_code: 0 when the collection itself ran to its end.
        duration_s: Seconds the collection took.
        environment: Where it ran: platform, python, tool versions.
    """

    gate: str
    digest: str
    exit_code: int
    duration_s: float
    environment: Mapping[str, str]


class Waived(Body, frozen=True, kw_only=True, tag=_tag):
    """One party accepts a WARNED for one gate and reason, until a time; counts when both did."""

    gate: str
    reason_code: str
    reason: str
    expires_at: datetime


class CheckpointPacket(Body, frozen=True, kw_only=True, tag=_tag):
    """A party's packet: this target, this log.

    Args:
        log_head: Hex root of the log over the first `log_size` entries.
        log_size: How many entries the head covers.
    """

    release_tag: str
    commit_sha: str
    service_contract_version: str
    log_head: str
    log_size: int


class Decided(Body, frozen=True, kw_only=True, tag=_tag):
    """A computed decision; the document is kept as evidence and recomputed by anyone.

    Args:
        scope: Which of the two decisions.
        outcome: GO, NO-GO or HOLD, as in the document.
        decision_digest: sha256 of the canonical decision document.
        decided_at: The instant the decision was computed for.
        expires_at: From then on it authorizes nothing.
    """

    scope: Scope
    outcome: str
    decision_digest: str
    decided_at: datetime
    expires_at: datetime


class Approved(Body, frozen=True, kw_only=True, tag=_tag):
    """A party's key on a decision."""

    scope: Scope
    decision_digest: str


class RouteOpened(Body, frozen=True, kw_only=True, tag=_tag):
    """From now on requests that name `service_contract` are answered by this release.

    Args:
        address: http://host:port of the release.
        pid: Process id; None when somebody else runs it.
        command: The argument list it was started with.
        tree_id: Git tree id of the release folder it was started from.
    """

    service_contract: str
    release_tag: str
    address: str
    pid: int | None
    command: tuple[str, ...]
    tree_id: str


class RouteClosed(Body, frozen=True, kw_only=True, tag=_tag):
    """From now on requests that name `service_contract` get the gateway's own valid error."""

    service_contract: str
    reason: str


class RoutePointed(Body, frozen=True, kw_only=True, tag=_tag):
    """Requests that name no contract go to the release of this one."""

    service_contract: str


class StepIntended(Body, frozen=True, kw_only=True, tag=_tag):
    """About to do a step of an operation; durable before the step is taken."""

    operation: Operation
    attempt: int
    step: str


class StepDone(Body, frozen=True, kw_only=True, tag=_tag):
    """A step was taken and seen to hold; `facts` is what was seen."""

    operation: Operation
    attempt: int
    step: str
    facts: Mapping[str, str]


class Observed(Body, frozen=True, kw_only=True, tag=_tag):
    """What the world showed, by looking: after a crash, and when a watch reports.

    Args:
        subject: What was looked at, as `world`, `stabilization`, `probe/producer`.
        facts: Name to value, flat, for people and for the rules that read them.
    """

    subject: str
    facts: Mapping[str, str]


class Stopped(Body, frozen=True, kw_only=True, tag=_tag):
    """One key says stop.

    Args:
        condition: Which stop condition.
        reason: One line, the fact first.
        observed_at: When the breach was seen.
    """

    condition: StopCondition
    reason: str
    observed_at: datetime


class Restored(Body, frozen=True, kw_only=True, tag=_tag):
    """An operation brought traffic back to the baseline; how long each part took.

    Args:
        operation: DRILL or ABORT.
        t_observed, t_decided, t_routed, t_first_baseline_reply: Instants, in this order.
        requests_at_risk: Requests in flight on the target when it was closed.
        counts: enriched, gateway-made and fallback/<reason> counts.
    """

    operation: Operation
    attempt: int
    t_observed: datetime
    t_decided: datetime
    t_routed: datetime
    t_first_baseline_reply: datetime | None
    requests_at_risk: int
    counts: Mapping[str, int]


class Completed(Body, frozen=True, kw_only=True, tag=_tag):
    """The point of no return: the target is the new baseline."""

    release_tag: str
    commit_sha: str
    governance_commit: str
    posture: str


EntryBody = (
    Opened
    | RoleBound
    | RoleReleased
    | RoleAcknowledged
    | HandedOff
    | Prepared
    | EvidenceCollected
    | Waived
    | CheckpointPacket
    | Decided
    | Approved
    | RouteOpened
    | RouteClosed
    | RoutePointed
    | StepIntended
    | StepDone
    | Observed
    | Stopped
    | Restored
    | Completed
)

_P, _H, _X = KeyKind.PARTY, KeyKind.HOLDER, KeyKind.EXECUTOR

SIGNERS: Mapping[type[Body], frozenset[KeyKind]] = MappingProxyType(
    {
        Opened: frozenset({_P}),
        RoleBound: frozenset({_P}),
        RoleReleased: frozenset({_P}),
        RoleAcknowledged: frozenset({_H}),
        HandedOff: frozenset({_P}),
        Prepared: frozenset({_P}),
        EvidenceCollected: frozenset({_P, _X}),
        Waived: frozenset({_P}),
        CheckpointPacket: frozenset({_P}),
        Decided: frozenset({_X}),
        Approved: frozenset({_P}),
        RouteOpened: frozenset({_X}),
        RouteClosed: frozenset({_X}),
        RoutePointed: frozenset({_X}),
        StepIntended: frozenset({_X}),
        StepDone: frozenset({_X}),
        Observed: frozenset({_P, _X}),
        Stopped: frozenset({_P, _H, _X}),
        Restored: frozenset({_X}),
        Completed: frozenset({_X}),
    }
)
"""Kinds of key that may sign each kind of entry; source: cutover-program, "Parties, roles, keys"."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A verified entry of the log.

    Args:
        index: Zero-based position.
        time: When its author wrote it, aware UTC.
        body: What it says.
        signers: The keys whose signatures verified; two on entry 0, one elsewhere.
        leaf: Hex RFC 6962 leaf hash of the raw stored line.
    """

    index: int
    time: datetime
    body: EntryBody
    signers: tuple[PublicKey, ...]
    leaf: str

    @property
    def signer(self) -> PublicKey:
        """The first (after entry 0: the only) signer."""
        return self.signers[0]
