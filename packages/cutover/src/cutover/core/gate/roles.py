"""Gate `roles`: every role of the program is resolved over the window.

Derived from the signed bindings, releases and acknowledgements; a role title without an identity holds
nothing. Source: cutover-program, table "Gates" and "Parties, roles, keys".
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.evidence import Roles, RoleState
from cutover.core.gate.gate import Clause, ClauseGate, calculate_stranger
from cutover.core.role import calculate_role_states, find_role_problem


class RolesGate(ClauseGate[Roles]):
    """Who is bound to each role over the window, from the entries."""

    name = "roles"

    def gather(self, case: Case) -> tuple[Roles, tuple[str, ...]] | None:
        """Derive the evidence for the program's execution window; None before the program is open."""
        if not case.entries:
            return None
        window = case.program.window
        states = calculate_role_states(
            case.program, case.entries, opens_at=window.opens_at, closes_at=window.closes_at
        )
        return Roles(required=tuple(sorted(case.program.roles)), states=states), ()

    def describe(self, evidence: Roles) -> str:
        """Return how many roles are held."""
        return f"each of {len(evidence.required)} roles has one acknowledged holder for the whole window"

    rows = (
        Clause(
            reason_code="role-missing",
            find_breach=lambda e: _find_missing(e),
            break_fact=lambda e: (
                replace(e, states=e.states[1:]),
                replace(e, states=(*e.states, e.states[0])),
                replace(e, required=(*e.required, calculate_stranger(*e.required))),
                replace(e, required=(), states=()),
            ),
        ),
        Clause(
            reason_code="role-unfilled",
            find_breach=lambda e: _find(e, "role-unfilled"),
            break_fact=lambda e: _change_each(e, lambda s: replace(s, holders=(), acknowledged=())),
        ),
        Clause(
            reason_code="role-ambiguous",
            find_breach=lambda e: _find(e, "role-ambiguous"),
            break_fact=lambda e: (
                *_change_each(e, lambda s: replace(s, holders=(*s.holders, calculate_stranger(*s.holders)))),
                *_change_each(e, lambda s: replace(s, partial_holders=(calculate_stranger(*s.holders),))),
            ),
        ),
        Clause(
            reason_code="role-for-a-part-only",
            find_breach=lambda e: _find(e, "role-for-a-part-only"),
            break_fact=lambda e: _change_each(e, lambda s: replace(s, holders=(), partial_holders=s.holders)),
        ),
        Clause(
            reason_code="role-unacknowledged",
            find_breach=lambda e: _find(e, "role-unacknowledged"),
            break_fact=lambda e: _change_each(e, lambda s: replace(s, acknowledged=())),
        ),
    )


def _find_missing(evidence: Roles) -> str | None:
    if not evidence.required:
        return "the program names no role"
    described = sorted(state.role for state in evidence.states)
    if described != sorted(evidence.required):
        return f"the roles {described} are described, required are {sorted(evidence.required)}"
    return None


def _find(evidence: Roles, reason_code: str) -> str | None:
    for state in evidence.states:
        problem = find_role_problem(state)
        if problem is not None and problem[0] == reason_code:
            return problem[1]
    return None


def _change_each(evidence: Roles, change: Callable[[RoleState], RoleState]) -> tuple[Roles, ...]:
    return tuple(
        replace(evidence, states=(*evidence.states[:i], change(state), *evidence.states[i + 1 :]))
        for i, state in enumerate(evidence.states)
    )
