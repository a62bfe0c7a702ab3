"""Everything at a glance: phase, decisions, gates, roles, routes, and the one next command.

A function of the entries, the evidence and one instant: it works on a folder that was left behind.
Source: cutover-program, "Commands".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from cutover.core.approval import find_standing
from cutover.core.case import Case
from cutover.core.decision import (
    Decision,
    GateResult,
    calculate_decision,
    check_authorization,
)
from cutover.core.entry import Scope
from cutover.core.evidence import RoleState
from cutover.core.outcome import Outcome
from cutover.core.phase import NextStep, Phase, calculate_next_step, calculate_phase
from cutover.core.record.content import load_decision
from cutover.core.role import calculate_role_states, find_role_problem
from cutover.core.route import calculate_routes

_CARRIED_OUT = "carried out; the program is complete"


class DecisionState(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two decisions.

    Args:
        outcome: Of the newest document; empty when none was made.
        approved_by: Parties whose keys are on it.
        standing: Whether it authorizes its step now, and why not.
        authorizes: The same as one word.
    """

    scope: str
    outcome: str
    digest: str
    approved_by: tuple[str, ...]
    standing: str
    authorizes: bool


class RoleHolding(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a role over the window; `problem` is empty when it is resolved."""

    role: str
    title: str
    holders: tuple[str, ...]
    problem: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program stands.

    Args:
        phase: See `cutover.core.phase`.
        gates: As the execution decision would judge them now; once complete or rolled back, as it did.
        gates_decided_at: When they were decided; None when they are judged now.
        routes: Service contract -> release tag, from the entries.
        active_contract: Where requests go that name no contract.
        entries: How many entries the log has.
        head: Root of the log over them.
        next: The one next command and who must run it.
    """

    program: str
    phase: str
    decisions: tuple[DecisionState, ...]
    gates: tuple[GateResult, ...]
    gates_decided_at: datetime | None
    roles: tuple[RoleHolding, ...]
    routes: Mapping[str, str]
    active_contract: str | None
    entries: int
    head: str
    next: NextStep


def calculate_status(case: Case) -> Status:
    """Compute the status at `case.now`. Pure but for the evidence it reads."""
    table = calculate_routes(case.entries)
    size = len(case.entries)
    phase = calculate_phase(case.entries)
    taken = _load_execution(case) if phase in (Phase.COMPLETE, Phase.ROLLED_BACK) else None
    shown = taken or (calculate_decision(case, Scope.EXECUTION) if size else None)
    return Status(
        program=case.program.name,
        phase=phase,
        decisions=tuple(_state(case, scope, phase) for scope in Scope),
        gates=() if shown is None else shown.gates,
        gates_decided_at=None if taken is None else taken.decided_at,
        roles=_holdings(case),
        routes={contract: route.release_tag for contract, route in sorted(table.contracts.items())},
        active_contract=table.active,
        entries=size,
        head=case.head_at(size).root,
        next=calculate_next_step(case),
    )


def _load_execution(case: Case) -> Decision | None:
    """Return the newest execution decision as it was taken."""
    standing = find_standing(case.entries, Scope.EXECUTION)
    return None if standing is None else load_decision(case, standing.entry, standing.decided)


def _state(case: Case, scope: Scope, phase: Phase) -> DecisionState:
    standing, verdict = find_standing(case.entries, scope), check_authorization(case, scope)
    return DecisionState(
        scope=scope,
        outcome="" if standing is None else standing.decided.outcome,
        digest="" if standing is None else standing.decided.decision_digest,
        approved_by=() if standing is None else tuple(sorted(standing.approvals)),
        standing=_CARRIED_OUT if phase is Phase.COMPLETE and standing is not None else verdict.reason,
        authorizes=verdict.outcome is Outcome.PASSED,
    )


def _holdings(case: Case) -> tuple[RoleHolding, ...]:
    window = case.program.window
    states = calculate_role_states(
        case.program, case.entries, opens_at=window.opens_at, closes_at=window.closes_at
    )
    return tuple(_holding(case, state) for state in states)


def _holding(case: Case, state: RoleState) -> RoleHolding:
    problem = find_role_problem(state)
    return RoleHolding(
        role=state.role,
        title=case.program.roles[state.role].title,
        holders=(*state.holders, *state.partial_holders),
        problem="" if problem is None else problem[1],
    )
