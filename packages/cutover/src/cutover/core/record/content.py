"""What the decision record says, computed from program, entries and evidence; no instant of its own.

The same log gives the same record at any time and anywhere: every time in it is an entry's. Gates are
shown as the newest decision's document has them, and beside it whether that document recomputes.
Source: cutover-program, "The decision record"; the decision record of February 2026.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from cutover.core.approval import Standing, find_standing
from cutover.core.case import Case
from cutover.core.decision import (
    Decision,
    GateResult,
    check_recomputation,
    decode_decision,
    recompute,
)
from cutover.core.entry import (
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
    RoleAcknowledged,
    RoleBound,
    Scope,
    StepDone,
    StopCondition,
    Stopped,
)
from cutover.core.gate.handoff import load_payload
from cutover.core.key import PublicKey
from cutover.core.outcome import Outcome
from cutover.core.phase import Phase, calculate_phase
from cutover.core.record.model import (
    CompletionLine,
    InputLine,
    MoveLine,
    OutcomeLine,
    Record,
    RoleLine,
    Signature,
    StopLine,
    WindowLine,
)
from cutover.core.refreshed_drill import judge_refreshed_drill
from cutover.core.role import calculate_role_states, find_role_problem
from cutover.core.switch import ForwardStep
from cutover.errors import EvidenceUnreadable

SCOPE_TITLES: Mapping[Scope, str] = {
    Scope.REHEARSAL: "Rehearsal continuation",
    Scope.EXECUTION: "Runtime cutover execution",
}
STOP_CONDITIONS: tuple[tuple[StopCondition, str], ...] = (
    (StopCondition.CONTRACT_MISMATCH, "Any contract mismatch on non-2xx envelope semantics"),
    (StopCondition.FALLBACK_REGRESSION, "Any deterministic fallback regression in the consumer"),
    (StopCondition.ROLLBACK_OWNER_AMBIGUITY, "Any unresolved rollback-owner ambiguity at cutover time"),
    (StopCondition.SUITE_FAILURE, "Any failed consumer contract or CI suite command during the cutover"),
    (StopCondition.MANUAL, "Any one key that says stop"),
)


def calculate_record(case: Case) -> Record:
    """Compute the record. Pure; `case.now` is not used."""
    program = case.program
    size = len(case.entries)
    gates_of, gates = _find_gates(case)
    status, posture, why = _find_status(case)
    return Record(
        program=program.name,
        phase_name=program.phase,
        scope=program.scope,
        owner=f"{program.consumer.name} + {program.producer.name} (bilateral)",
        updated_at=max((entry.time for entry in case.entries), default=None),
        outcomes=tuple(_describe_outcome(case, scope) for scope in Scope),
        window=_describe_window(case),
        roles=_describe_roles(case),
        inputs=_describe_inputs(case),
        gates_of=gates_of,
        gates=gates,
        stops=tuple(
            StopLine(
                condition=body.condition, reason=body.reason, observed_at=body.observed_at, by=_sign(entry)
            )
            for entry, body in case.all(Stopped)
        ),
        moves=_describe_moves(case.entries),
        completion=_describe_completion(case, gates),
        status=status,
        phase=calculate_phase(case.entries),
        posture=posture,
        why=why,
        log_size=size,
        log_head=case.head_at(size).root,
    )


def _sign(entry: Entry, key: PublicKey | None = None) -> Signature:
    signer = key or entry.signer
    party = "executor" if signer.party is None else str(signer.party)
    return Signature(name=signer.name, party=party, keyid=signer.keyid, at=entry.time)


def _describe_outcome(case: Case, scope: Scope) -> OutcomeLine:
    standing = find_standing(case.entries, scope)
    if standing is None:
        return OutcomeLine(
            title=SCOPE_TITLES[scope],
            outcome="NOT DECIDED",
            digest="",
            decided_at=None,
            expires_at=None,
            recomputes=None,
            approvals=(),
            reasons=(),
        )
    return OutcomeLine(
        title=SCOPE_TITLES[scope],
        outcome=standing.decided.outcome,
        digest=standing.decided.decision_digest,
        decided_at=standing.decided.decided_at,
        expires_at=standing.decided.expires_at,
        recomputes=check_recomputation(case, standing.entry).outcome is Outcome.PASSED,
        approvals=_find_approvals(case, standing),
        reasons=load_decision(case, standing.entry, standing.decided).reasons,
    )


def _find_approvals(case: Case, standing: Standing) -> tuple[Signature, ...]:
    digest = standing.decided.decision_digest
    keys = {key.keyid for key in standing.approvals.values()}
    found: dict[str, Signature] = {}
    for entry in case.entries[standing.entry.index + 1 :]:
        if getattr(entry.body, "decision_digest", None) == digest and entry.signer.keyid in keys:
            found.setdefault(entry.signer.keyid, _sign(entry))
    return tuple(sorted(found.values(), key=lambda signature: signature.party))


def load_decision(case: Case, entry: Entry, decided: Decided) -> Decision:
    """Return the document that was approved; when its bytes are gone, what the entries give."""
    try:
        data = case.evidence[decided.decision_digest]
        if hashlib.sha256(data).hexdigest() == decided.decision_digest:
            return decode_decision(data)
    except (KeyError, msgspec.MsgspecError):
        pass
    return recompute(case, entry)


def _find_gates(case: Case) -> tuple[str, tuple[GateResult, ...]]:
    found = case.newest(Decided)
    if found is None:
        return "no decision was computed", ()
    return SCOPE_TITLES[found[1].scope], load_decision(case, *found).gates


def _describe_window(case: Case) -> WindowLine:
    program, handed, prepared = case.program, case.newest(HandedOff), case.newest(Prepared)
    target, baseline = program.target, program.baseline
    try:
        baseline_commit = load_payload(case).active_runtime_baseline.commit_sha
    except EvidenceUnreadable:
        baseline_commit = "not handed off"
    rollback = {
        "release_tag": baseline.release_tag,
        "commit_sha": baseline_commit,
        "service_contract_version": baseline.service_contract_version,
    }
    if prepared is not None:
        rollback["inverse_commit"] = prepared[1].execution.inverse_commit
        rollback["inverse_ref"] = prepared[1].execution.inverse_ref
    return WindowLine(
        target={
            "release_tag": target.release_tag,
            "commit_sha": "not handed off" if handed is None else handed[1].commit_sha,
            "tag_object": "not handed off" if handed is None else handed[1].tag_object,
            "service_contract_version": target.service_contract_version,
            "api_contract_version": target.api_contract_version,
            "integration_baseline": target.integration_baseline,
        },
        rollback_target=rollback,
        not_before=program.window.not_before,
        opens_at=program.window.opens_at,
        closes_at=program.window.closes_at,
        notice_days=program.window.notice_days,
        overlap_days=program.window.overlap_days,
    )


def _describe_roles(case: Case) -> tuple[RoleLine, ...]:
    window = case.program.window
    states = calculate_role_states(
        case.program, case.entries, opens_at=window.opens_at, closes_at=window.closes_at
    )
    lines = []
    for state in states:
        bound = [
            (e, b) for e, b in case.all(RoleBound) if b.role == state.role and _is_current(b, state.holders)
        ]
        problem = find_role_problem(state)
        body = bound[-1][1] if bound else None
        lines.append(
            RoleLine(
                title=case.program.roles[state.role].title,
                party=state.party or "joint",
                holder=", ".join((*state.holders, *state.partial_holders)) if body is None else body.holder,
                contact="" if body is None else body.contact,
                keyid="" if body is None else body.key.keyid,
                acknowledged_at=None if body is None else _find_acknowledgement(case, state.role, body),
                problem=None if problem is None else problem[1],
            )
        )
    return tuple(lines)


def _is_current(body: RoleBound, holders: tuple[str, ...]) -> bool:
    return any(body.key.keyid[:16] in holder for holder in holders)


def _find_acknowledgement(case: Case, role: str, bound: RoleBound) -> datetime | None:
    times = [
        entry.time
        for entry, body in case.all(RoleAcknowledged)
        if body.role == role and entry.signer.keyid == bound.key.keyid
    ]
    return times[-1] if times else None


def _describe_inputs(case: Case) -> tuple[InputLine, ...]:
    opened, handed = case.newest(Opened), case.newest(HandedOff)
    lines = []
    if opened is not None:
        lines += [
            InputLine(name="program file", digest=opened[1].program_digest, by=_sign(opened[0], key))
            for key in opened[0].signers
        ]
    if handed is not None:
        lines.append(
            InputLine(name="producer hand-off", digest=handed[1].handoff_digest, by=_sign(handed[0]))
        )
    newest = {body.gate: (entry, body) for entry, body in case.all(EvidenceCollected)}
    lines += [
        InputLine(name=f"evidence for {gate}", digest=body.digest, by=_sign(entry))
        for gate, (entry, body) in sorted(newest.items())
    ]
    packets = {entry.signer.party: (entry, body) for entry, body in case.all(CheckpointPacket)}
    lines += [
        InputLine(name=f"{party} checkpoint packet (log head)", digest=body.log_head, by=_sign(entry))
        for party, (entry, body) in sorted(packets.items(), key=lambda pair: str(pair[0]))
    ]
    return tuple(lines)


def _describe_moves(entries: Sequence[Entry]) -> tuple[MoveLine, ...]:
    lines, stop = [], None
    for entry in entries:
        body = entry.body
        if isinstance(body, Stopped) and stop is None:
            stop = body
        elif isinstance(body, Restored):
            lines.append(_describe_move(body, stop))
            stop = None
    return tuple(lines)


def _describe_move(body: Restored, stop: Stopped | None) -> MoveLine:
    first = body.t_first_baseline_reply
    return MoveLine(
        operation=body.operation,
        attempt=body.attempt,
        condition="" if stop is None else stop.condition,
        reason="" if stop is None else stop.reason,
        observed_at=body.t_observed,
        decided_ms=_ms(body.t_decided - body.t_observed),
        routed_ms=_ms(body.t_routed - body.t_observed),
        first_baseline_reply_ms=None if first is None else _ms(first - body.t_observed),
        requests_at_risk=body.requests_at_risk,
        counts=dict(sorted(body.counts.items())),
    )


def _ms(span: timedelta) -> float:
    return round(span / timedelta(milliseconds=1), 3)


def _describe_completion(case: Case, gates: tuple[GateResult, ...]) -> tuple[CompletionLine, ...]:
    target = case.program.target.release_tag
    producer, consumer = case.program.producer.name, case.program.consumer.name
    passed = {gate.gate: gate.reason for gate in gates if gate.outcome is Outcome.PASSED or gate.waived_by}
    steps = {b.step: b for _, b in case.all(StepDone) if b.operation is Operation.FORWARD}
    returned = any(body.operation is Operation.ABORT for _, body in case.all(Restored))
    moved, suites = steps.get(ForwardStep.MOVE_REF), steps.get(ForwardStep.RUN_SUITES)
    drill = [body for _, body in case.all(Restored) if body.operation is Operation.DRILL]
    return (
        CompletionLine(
            text=f"{producer} published an immutable runtime target ({target}, tag on origin)",
            is_shown="runtime-target" in passed,
            fact=passed.get("runtime-target", "not shown"),
        ),
        CompletionLine(
            text=f"{consumer} repinned atomically (pin + matrix + mirrored producer manifest)",
            is_shown=moved is not None and not returned,
            fact="taken back" if moved and returned else _name_facts(moved),
        ),
        CompletionLine(
            text="The consumer verification suite passed against the runtime target",
            is_shown=suites is not None and not returned,
            fact="taken back" if suites and returned else _name_facts(suites),
        ),
        CompletionLine(
            text="Rollback drill evidence with runtime baseline references",
            is_shown="drill" in passed,
            fact=passed.get("drill", "a drill ran, but its gate did not pass" if drill else "not shown"),
        ),
        *_describe_refreshed_drill(case),
    )


def _describe_refreshed_drill(case: Case) -> Iterator[CompletionLine]:
    """Only a completed program that was prepared for it has anything to refresh."""
    prepared = case.newest(Prepared)
    if case.newest(Completed) is None or prepared is None or prepared[1].refresh is None:
        return
    verdict = judge_refreshed_drill(case)
    yield CompletionLine(
        text="Rollback drill refreshed against the new baseline",
        is_shown=verdict.outcome is Outcome.PASSED,
        fact=verdict.reason,
    )


def _name_facts(step: StepDone | None) -> str:
    if step is None:
        return "not shown"
    return ", ".join(f"{name} {value}" for name, value in sorted(step.facts.items())) or "done"


def _find_status(case: Case) -> tuple[str, str, tuple[str, ...]]:
    """Return status, operational posture, and what stands in the way."""
    phase, baseline = calculate_phase(case.entries), case.program.baseline.release_tag
    completed, stopped = case.newest(Completed), case.newest(Stopped)
    if phase is Phase.COMPLETE and completed is not None:
        return "COMPLETE", completed[1].posture, ()
    on_baseline = f"on the baseline {baseline}"
    if phase is Phase.UNOPENED:
        return "NOT OPENED", on_baseline, ("entry 0 does not stand: it needs a key of each party",)
    if phase in (Phase.ROLLED_BACK, Phase.RETURNING, Phase.STOPPED) and stopped is not None:
        status = "ROLLED BACK" if phase is Phase.ROLLED_BACK else "STOPPED"
        return status, on_baseline, (f"{stopped[1].condition}: {stopped[1].reason}",)
    found = case.newest(Decided)
    if found is not None:
        standing = find_standing(case.entries, found[1].scope)
        if found[1].outcome != "GO":
            return "REFUSED", on_baseline, load_decision(case, *found).reasons
        if standing is not None and not standing.is_approved:
            given = " and ".join(sorted(standing.approvals)) or "nobody"
            return "NOT APPROVED", on_baseline, (f"the {found[1].scope} GO is approved by {given} only",)
    moving = phase in (Phase.EXECUTING, Phase.WATCHING, Phase.STABLE, Phase.DRILLING)
    return "IN PROGRESS", "moving" if moving else on_baseline, ()
