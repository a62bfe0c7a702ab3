"""Where a program stands, and the one next command with who must run it: functions of the entries alone.

The phase is read off the entries: what was superseded by a later hand-off or preparation no longer counts.
The next step asks the gates themselves, so that `status` and `decide` can never disagree.
Source: cutover-program, "Order" and "Commands".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

import msgspec

from cutover.core.approval import find_standing
from cutover.core.case import Case
from cutover.core.decision import Decision, GateResult, calculate_decision, check_authorization
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
    Scope,
    StopCondition,
    Stopped,
)
from cutover.core.gate.gate import CollectedGate
from cutover.core.gate.table import EXECUTION_GATES, REHEARSAL_GATES, AnyGate
from cutover.core.key import Party
from cutover.core.outcome import DecisionOutcome, Outcome
from cutover.core.refreshed_drill import is_refreshed
from cutover.core.switch import ForwardStep, OperationState, calculate_operation


class Phase(StrEnum):
    """The phases of a program, in their order; the last four can follow any move."""

    UNOPENED = "unopened"
    OPENED = "opened"
    HANDED_OFF = "handed-off"
    PREPARED = "prepared"
    VERIFIED = "verified"
    REHEARSAL_AUTHORIZED = "rehearsal-authorized"
    REHEARSED = "rehearsed"
    DRILLING = "drilling"
    DRILLED = "drilled"
    CHECKPOINTED = "checkpointed"
    EXECUTION_AUTHORIZED = "execution-authorized"
    EXECUTING = "executing"
    WATCHING = "watching"
    STABLE = "stable"
    COMPLETE = "complete"
    STOPPED = "stopped"
    RETURNING = "returning"
    ROLLED_BACK = "rolled-back"


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """What to do next.

    Args:
        command: The command line after `cutover`; empty when nothing is left to do.
        by: Who must run it: `producer`, `consumer`, `executor`, `holder`, or `nobody`.
        why: One line.
    """

    command: str
    by: str
    why: str


def calculate_phase(entries: Sequence[Entry]) -> Phase:
    """Return the phase after the entries, oldest first. Pure."""
    if not entries:
        return Phase.UNOPENED
    if _newest(entries, Completed) > max(_newest(entries, HandedOff), _newest(entries, Prepared)):
        return Phase.COMPLETE
    state = calculate_operation(entries)
    if state is not None:
        return _phase_of_move(state)
    return _phase_after_stop(entries) or _phase_at_rest(entries)


def calculate_next_step(case: Case) -> NextStep:
    """Return the one next command. Pure.

    A move in progress comes first; then whatever keeps the next decision from GO, in the order of
    the work; then the decision, its approvals and the step that it authorizes.
    """
    phase = calculate_phase(case.entries)
    if phase is Phase.COMPLETE and _awaits_refresh(case):
        return NextStep(command="drill", by=_EXECUTOR, why="refresh the drill against the new baseline")
    if phase in _FIXED_STEPS:
        return _FIXED_STEPS[phase]
    if phase is Phase.STOPPED or phase is Phase.ROLLED_BACK:
        return NextStep(command="prepare", by=Party.CONSUMER, why=f"{phase}: {_find_stop_reason(case)}")
    authorized = _find_authorized_step(case, Scope.EXECUTION, "execute")
    if authorized is not None:
        return authorized
    return _prepare_execution(case, calculate_decision(case, Scope.EXECUTION))


def _awaits_refresh(case: Case) -> bool:
    prepared = case.newest(Prepared)
    return prepared is not None and prepared[1].refresh is not None and not is_refreshed(case)


_EXECUTOR = "executor"
_FIXED_STEPS: Mapping[Phase, NextStep] = MappingProxyType(
    {
        Phase.UNOPENED: NextStep(command="open", by=Party.PRODUCER, why="the program is not open yet"),
        Phase.OPENED: NextStep(command="handoff", by=Party.PRODUCER, why="nothing was handed off yet"),
        Phase.HANDED_OFF: NextStep(command="prepare", by=Party.CONSUMER, why="the repin is not prepared yet"),
        Phase.DRILLING: NextStep(
            command="execute", by=_EXECUTOR, why="a drill was interrupted; bring it back"
        ),
        Phase.EXECUTING: NextStep(command="execute", by=_EXECUTOR, why="the switch is not finished"),
        Phase.WATCHING: NextStep(command="execute", by=_EXECUTOR, why="the target is being watched"),
        Phase.RETURNING: NextStep(command="execute", by=_EXECUTOR, why="the way back is not finished"),
        Phase.STABLE: NextStep(
            command="complete", by=_EXECUTOR, why="the target is stable; no way back after it"
        ),
        Phase.COMPLETE: NextStep(command="", by="nobody", why="the target is the new baseline"),
    }
)
_GATE_STEPS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "handoff": ("handoff", Party.PRODUCER),
        "runtime-target": ("verify --as producer", Party.PRODUCER),
        "trio": ("verify --as consumer", Party.CONSUMER),
        "contract-change": ("verify --as executor", _EXECUTOR),
        "envelope": ("verify --as executor", _EXECUTOR),
        "data": ("verify --as executor", _EXECUTOR),
        "producer-suite": ("verify --as producer", Party.PRODUCER),
        "consumer-suite": ("verify --as consumer", Party.CONSUMER),
        "fallback": ("verify --as consumer", Party.CONSUMER),
        "rehearsal": ("rehearse", _EXECUTOR),
        "answers": ("drill", _EXECUTOR),
        "drill": ("drill", _EXECUTOR),
        "window": ("decide --scope execution", _EXECUTOR),
    }
)
"""What to run again, and who, when a gate does not pass."""


def _newest(entries: Sequence[Entry], kind: type[Body]) -> int:
    return max((entry.index for entry in entries if isinstance(entry.body, kind)), default=-1)


def _phase_of_move(state: OperationState) -> Phase:
    if state.operation is Operation.DRILL:
        return Phase.DRILLING
    if state.is_returning:
        return Phase.RETURNING
    if state.is_done(ForwardStep.STABILIZE):
        return Phase.STABLE
    return Phase.WATCHING if ForwardStep.STABILIZE in state.intended else Phase.EXECUTING


def _phase_after_stop(entries: Sequence[Entry]) -> Phase | None:
    """Say what a stop left behind, unless somebody began anew after it."""
    restarted = max(_newest(entries, kind) for kind in (HandedOff, Prepared, Decided))
    for entry in reversed(entries[restarted + 1 :]):
        body = entry.body
        if isinstance(body, Restored) and body.operation is Operation.ABORT:
            return Phase.ROLLED_BACK
        if isinstance(body, Stopped) and body.condition is not StopCondition.DRILL_RETURN:
            return Phase.STOPPED
    return None


def _phase_at_rest(entries: Sequence[Entry]) -> Phase:
    handed, prepared = _newest(entries, HandedOff), _newest(entries, Prepared)
    if handed < 0:
        return Phase.OPENED if _newest(entries, Opened) >= 0 else Phase.UNOPENED
    if prepared < handed:
        return Phase.HANDED_OFF
    if _is_authorized(entries, Scope.EXECUTION, since=prepared):
        return Phase.EXECUTION_AUTHORIZED
    if any(_is_missing(gate, entries) for gate in REHEARSAL_GATES):
        return Phase.PREPARED
    missing = {gate.name for gate in EXECUTION_GATES if _is_missing(gate, entries)}
    if not missing & {"rehearsal", "drill"}:
        packets = {e.signer.party for e in entries[prepared:] if isinstance(e.body, CheckpointPacket)}
        return Phase.CHECKPOINTED if packets == set(Party) else Phase.DRILLED
    if _is_authorized(entries, Scope.REHEARSAL, since=prepared):
        return Phase.REHEARSAL_AUTHORIZED if "rehearsal" in missing else Phase.REHEARSED
    return Phase.VERIFIED


def _is_missing(gate: AnyGate, entries: Sequence[Entry]) -> bool:
    """Say whether evidence that somebody must collect is not there, or older than what it speaks of."""
    if not isinstance(gate, CollectedGate):
        return False
    since = max(_newest(entries, kind) for kind in gate.follows)
    return not any(
        isinstance(entry.body, EvidenceCollected) and entry.body.gate == gate.name
        for entry in entries[since:]
    )


def _is_authorized(entries: Sequence[Entry], scope: Scope, *, since: int) -> bool:
    standing = find_standing(entries[since:], scope)
    return standing is not None and standing.decided.outcome == DecisionOutcome.GO and standing.is_approved


def _find_stop_reason(case: Case) -> str:
    found = case.newest(Stopped)
    return "a stop" if found is None else f"{found[1].condition}, {found[1].reason}"


def _find_authorized_step(case: Case, scope: Scope, command: str) -> NextStep | None:
    """Return the step that a standing GO authorizes or the approval it lacks; None when it needs deciding."""
    verdict = check_authorization(case, scope)
    if verdict.outcome is Outcome.PASSED:
        return NextStep(command=command, by=_EXECUTOR, why=verdict.reason)
    standing = find_standing(case.entries, scope)
    if verdict.reason_code != "approval-missing" or standing is None:
        return None
    party = min(set(Party) - set(standing.approvals), default=Party.PRODUCER)
    return NextStep(command=f"approve --scope {scope}", by=party, why=verdict.reason)


def _prepare_execution(case: Case, decision: Decision) -> NextStep:
    """Return what keeps the execution's decision from GO, in the order of the work."""
    open_gates = {
        result.gate: result
        for result in decision.gates
        if result.outcome is not Outcome.PASSED and not result.waived_by
    }
    for gate in (gate.name for gate in REHEARSAL_GATES):
        if gate in open_gates:
            return _repair(case, open_gates[gate])
    for gate in ("rehearsal", "drill", "answers"):
        if gate in open_gates:
            return _rehearse(case, open_gates[gate])
    for gate in ("fallback", "checkpoints", "window"):
        if gate in open_gates:
            return _repair(case, open_gates[gate])
    return NextStep(command="decide --scope execution", by=_EXECUTOR, why="every gate passes")


def _rehearse(case: Case, result: GateResult) -> NextStep:
    step = _GATE_STEPS[result.gate][0]
    authorized = _find_authorized_step(case, Scope.REHEARSAL, step)
    if authorized is None:
        why = f"{step} needs an approved rehearsal decision"
        return NextStep(command="decide --scope rehearsal", by=_EXECUTOR, why=why)
    return msgspec.structs.replace(authorized, why=f"{result.gate}: {result.reason}")


def _repair(case: Case, result: GateResult) -> NextStep:
    why = f"{result.gate}: {result.reason}"
    if result.outcome is Outcome.WARNED:
        command = f"waive --gate {result.gate} --reason-code {result.reason_code}"
        return NextStep(command=command, by="producer and consumer", why=why)
    if result.gate == "roles":
        return _resolve_role(case, result, why)
    if result.gate == "checkpoints":
        return NextStep(command="checkpoint", by=_find_packet_party(case), why=why)
    if result.gate == "runtime-target" and result.outcome is Outcome.FAILED:
        return NextStep(command="handoff", by=Party.PRODUCER, why=why)
    command, by = _GATE_STEPS[result.gate]
    return NextStep(command=command, by=by, why=why)


def _resolve_role(case: Case, result: GateResult, why: str) -> NextStep:
    role = next((name for name in sorted(case.program.roles) if name in result.reason), "")
    if result.reason_code == "role-unacknowledged":
        return NextStep(command=f"acknowledge --role {role}", by="holder", why=why)
    party = case.program.roles[role].party if role else None
    return NextStep(command=f"bind --role {role}".strip(), by=party or "producer or consumer", why=why)


def _find_packet_party(case: Case) -> str:
    """Return the party whose packet is missing after the newest entry that is not a packet."""
    last = max((e.index for e in case.entries if not isinstance(e.body, CheckpointPacket)), default=0)
    signed = {e.signer.party for e in case.entries[last + 1 :]}
    return min(set(Party) - signed, default=Party.PRODUCER)
