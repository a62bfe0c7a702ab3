"""The decision: every gate of a scope, joined; and whether a decision that was taken authorizes anything now.

A decision is a function of program, entries, evidence bytes and one instant. Its document holds no log
position and no head, so it does not depend on the order of entries that neither supersede nor revoke one
another; anyone recomputes it byte for byte from the entries before it. A GO authorizes only while it is
approved by both parties' keys, unexpired, recomputes, still holds at this instant, and no later entry has
superseded what it rests on.
Source: cutover-program, "Decision" and "Time".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from cutover.core.approval import Standing, find_standing
from cutover.core.case import Case
from cutover.core.entry import (
    Body,
    CheckpointPacket,
    Completed,
    Decided,
    Entry,
    EvidenceCollected,
    HandedOff,
    Opened,
    Operation,
    Prepared,
    Restored,
    RoleBound,
    RoleReleased,
    Scope,
    StopCondition,
    Stopped,
    Waived,
)
from cutover.core.gate.judgement import judge
from cutover.core.gate.table import GATES, AnyGate
from cutover.core.key import KeyKind, Party
from cutover.core.log import calculate_digest, encode_canonical
from cutover.core.outcome import (
    DecisionOutcome,
    Outcome,
    Verdict,
    calculate_decision_outcome,
    failed,
    passed,
    unknown,
)

_SUPERSEDING: tuple[type[Body], ...] = (HandedOff, Prepared, RoleBound, RoleReleased, Completed)


class GateResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gate in a decision.

    Args:
        outcome: What the gate said; a waived WARNED stays WARNED here.
        evidence: sha256 hex digests that it rests on; empty for gates over the entries themselves.
        twins_tried, twins_killed: The negative control; 0 when the evidence did not pass anyway.
        waived_by: Both parties when they waived this reason, else empty.
    """

    gate: str
    outcome: Outcome
    reason_code: str
    reason: str
    evidence: tuple[str, ...]
    twins_tried: int
    twins_killed: int
    waived_by: tuple[str, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision document.

    Args:
        target: release_tag, commit_sha ("" before a hand-off), service_contract_version,
            api_contract_version and integration_baseline.
        decided_at: The instant that it was computed for.
        expires_at: From then on it authorizes nothing.
        gates: In the order of the table.
        reasons: Why it is not GO, gate by gate; empty for GO.
    """

    scope: Scope
    program: str
    program_digest: str
    target: Mapping[str, str]
    decided_at: datetime
    expires_at: datetime
    gates: tuple[GateResult, ...]
    outcome: DecisionOutcome
    reasons: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The sha256 hex digest of the canonical document: what both parties approve."""
        return calculate_digest(self)


def calculate_decision(case: Case, scope: Scope, *, expires_at: datetime | None = None) -> Decision:
    """Judge every gate of a scope and join them. Pure.

    Args:
        case: Program, verified entries, evidence and the instant to decide for.
        scope: Which of the two decisions.
        expires_at: An earlier expiry than the program's `decision_valid_s`; a later one has no effect.
    """
    results = tuple(_judge(gate, case) for gate in GATES[scope])
    outcome = calculate_decision_outcome(_effective(result) for result in results)
    reasons = tuple(
        f"{result.gate}: {result.outcome} ({result.reason_code}) {result.reason}"
        for result in results
        if _effective(result) is not Outcome.PASSED
    )
    if is_clock_behind(case):
        outcome = DecisionOutcome.HOLD
        reasons = ("clock: HOLD (clock-behind) the clock is behind the newest entry", *reasons)
    opened = case.newest(Opened)
    limit = case.now + timedelta(seconds=case.program.thresholds.decision_valid_s)
    return Decision(
        scope=scope,
        program=case.program.name,
        program_digest="" if opened is None else opened[1].program_digest,
        target=_target(case),
        decided_at=case.now,
        expires_at=limit if expires_at is None else min(limit, expires_at),
        gates=results,
        outcome=outcome,
        reasons=reasons,
    )


def encode_decision(decision: Decision) -> bytes:
    """Return the canonical document (RFC 8785); equal decisions give equal bytes. Pure."""
    return encode_canonical(decision)


def decode_decision(data: bytes) -> Decision:
    """Return the decision that `encode_decision` wrote.

    Raises:
        msgspec.MsgspecError: When the bytes are not such a document.
    """
    return msgspec.json.decode(data, type=Decision)


def recompute(case: Case, decided: Entry) -> Decision:
    """Compute the decision of a `Decided` entry anew from the entries before it. Pure.

    Args:
        case: A case over the log that contains the entry; its instant is not used.
        decided: The entry; its body must be `Decided`.
    """
    body = _body_of(decided)
    before = replace(case, entries=case.entries[: decided.index], now=body.decided_at)
    return calculate_decision(before, body.scope, expires_at=body.expires_at)


def check_recomputation(case: Case, decided: Entry) -> Verdict:
    """Say whether a `Decided` entry is what its predecessors give, byte for byte. Pure."""
    decision, body = recompute(case, decided), _body_of(decided)
    skew = timedelta(seconds=case.program.thresholds.clock_skew_s)
    if decision.digest != body.decision_digest or decision.outcome != body.outcome:
        verdict = failed(
            "decision-does-not-recompute",
            f"the entries before it give {decision.outcome} {decision.digest[:12]}, "
            f"it says {body.outcome} {body.decision_digest[:12]}",
        )
    elif body.expires_at != decision.expires_at or body.decided_at > decided.time + skew:
        verdict = failed("decision-does-not-recompute", "its times are not those of its document")
    else:
        verdict = passed(f"{decision.outcome} {decision.digest[:12]} recomputes from the entries before it")
    return replace(verdict, evidence=(body.decision_digest,))


def check_authorization(case: Case, scope: Scope) -> Verdict:
    """Say whether the newest decision of a scope authorizes its step at `case.now`. Pure.

    PASSED only when it is GO, unexpired, approved by both parties after it was appended, recomputes,
    is superseded by no later entry, and would still be GO at this instant. A later entry supersedes
    when it is a new hand-off, preparation, role binding or release, evidence for a gate of the scope,
    a checkpoint (execution), a new waiver of a waived gate, a stop other than a drill's own way back,
    the way back of an execution, or the completion.
    """
    standing = find_standing(case.entries, scope)
    if standing is None:
        return unknown("not-decided", f"no decision of scope {scope} was taken")
    verdict = _check_standing(case, standing)
    if verdict.outcome is Outcome.PASSED:
        verdict = _check_still_holds(case, standing)
    return replace(verdict, evidence=(standing.decided.decision_digest,))


def is_clock_behind(case: Case) -> bool:
    """Say whether `now` precedes the newest entry by more than the allowed skew. Pure."""
    skew = timedelta(seconds=case.program.thresholds.clock_skew_s)
    return any(entry.time - case.now > skew for entry in case.entries)


def _body_of(decided: Entry) -> Decided:
    if not isinstance(decided.body, Decided):
        raise TypeError(f"expected a Decided entry, got {type(decided.body).__name__}")
    return decided.body


def _judge(gate: AnyGate, case: Case) -> GateResult:
    judgement = judge(gate, case)
    verdict = judgement.verdict
    return GateResult(
        gate=gate.name,
        outcome=verdict.outcome,
        reason_code=verdict.reason_code,
        reason=verdict.reason,
        evidence=verdict.evidence,
        twins_tried=judgement.twins_tried,
        twins_killed=judgement.twins_killed,
        waived_by=_find_waivers(case, gate.name, verdict) if verdict.outcome is Outcome.WARNED else (),
    )


def _effective(result: GateResult) -> Outcome:
    return Outcome.PASSED if result.waived_by else result.outcome


def _find_waivers(case: Case, gate: str, verdict: Verdict) -> tuple[str, ...]:
    """Return both parties when each one's newest waiver of this reason is unexpired, else nothing.

    A waiver speaks of the release that was handed off when it was signed; a new hand-off ends it.
    """
    handed = case.newest(HandedOff)
    since = -1 if handed is None else handed[0].index
    newest: dict[Party, Waived] = {
        entry.signer.party: body
        for entry, body in case.all(Waived)
        if (body.gate, body.reason_code) == (gate, verdict.reason_code)
        and entry.index > since
        and entry.signer.kind is KeyKind.PARTY
        and entry.signer.party is not None
    }
    parties = sorted(party for party, body in newest.items() if body.expires_at > case.now)
    return tuple(parties) if parties == sorted(Party) else ()


def _target(case: Case) -> Mapping[str, str]:
    handed, target = case.newest(HandedOff), case.program.target
    return {
        "release_tag": target.release_tag,
        "commit_sha": "" if handed is None else handed[1].commit_sha,
        "service_contract_version": target.service_contract_version,
        "api_contract_version": target.api_contract_version,
        "integration_baseline": target.integration_baseline,
    }


def _check_standing(case: Case, standing: Standing) -> Verdict:
    decided = standing.decided
    if decided.outcome != DecisionOutcome.GO:
        return failed(
            "decision-not-go", f"the newest {decided.scope} decision is {decided.outcome}, expected GO"
        )
    if case.now >= decided.expires_at:
        return failed(
            "decision-expired", f"the decision expired at {decided.expires_at.isoformat()}; decide again"
        )
    if not standing.is_approved:
        missing = sorted(set(Party) - set(standing.approvals))
        return failed(
            "approval-missing",
            f"decision {decided.decision_digest[:12]} is not approved by "
            f"{' and '.join(missing) or 'two different keys'}",
        )
    if (later := _find_superseding(case, standing)) is not None:
        return failed(
            "decision-superseded",
            f"a later {type(later.body).__name__} entry supersedes what the decision rests on; decide again",
        )
    return check_recomputation(case, standing.entry)


def _check_still_holds(case: Case, standing: Standing) -> Verdict:
    """Judge the same entries at this instant: evidence, drill, waivers and the window may have run out."""
    decided = standing.decided
    before = replace(case, entries=case.entries[: standing.entry.index])
    present = calculate_decision(before, decided.scope)
    if present.outcome is not DecisionOutcome.GO or is_clock_behind(case):
        reason = present.reasons[0] if present.reasons else "the clock is behind the newest entry"
        return unknown(
            "decision-no-longer-holds", f"decided again now it would be {present.outcome}: {reason}"
        )
    return passed(f"{decided.scope} GO {decided.decision_digest[:12]} is approved by both parties and stands")


def _find_superseding(case: Case, standing: Standing) -> Entry | None:
    gates = {gate.name for gate in GATES[standing.decided.scope]}
    later: Sequence[Entry] = case.entries[standing.entry.index + 1 :]
    return next((entry for entry in later if _supersedes(entry.body, gates, standing.decided.scope)), None)


def _supersedes(body: Body, gates: set[str], scope: Scope) -> bool:
    if isinstance(body, Stopped):
        return body.condition is not StopCondition.DRILL_RETURN
    if isinstance(body, Restored):  # whatever the stop before it was called, an execution was taken back
        return body.operation is Operation.ABORT
    if isinstance(body, EvidenceCollected | Waived):
        return body.gate in gates
    return isinstance(body, _SUPERSEDING) or (isinstance(body, CheckpointPacket) and scope is Scope.EXECUTION)
