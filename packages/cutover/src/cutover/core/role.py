"""Who holds which role: resolved when exactly one holder is bound for the whole window and acknowledged.

None, two, a holder for a part of the window only, or one who did not sign is ambiguity: a NO-GO before
the cutover, a stop condition during it. A binding counts from its entry on; a release ends it; binding the
same key again replaces the earlier binding and needs a new acknowledgement.
Source: cutover-program, "Parties, roles, keys".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cutover.core.entry import Entry, RoleAcknowledged, RoleBound, RoleReleased
from cutover.core.evidence import RoleState
from cutover.core.key import PublicKey
from cutover.core.program import Program, Role


@dataclass(slots=True, kw_only=True)
class _Binding:
    body: RoleBound
    acknowledged: bool = False


def calculate_role_states(
    program: Program, entries: Sequence[Entry], *, opens_at: datetime, closes_at: datetime
) -> tuple[RoleState, ...]:
    """Say for every role of the program who is bound over the span, sorted by role. Pure.

    Args:
        program: Names the roles and whose they are.
        entries: Verified entries, oldest first.
        opens_at, closes_at: The span that one holder must cover.
    """
    bindings: dict[tuple[str, str], _Binding] = {}
    for entry in entries:
        _apply(program, bindings, entry)
    return tuple(
        _calculate_state(name, program.roles[name], bindings, opens_at, closes_at)
        for name in sorted(program.roles)
    )


def find_role_problem(state: RoleState) -> tuple[str, str] | None:
    """Return reason code and reason why a role is not resolved, or None. Pure."""
    bound = sorted({*state.holders, *state.partial_holders})
    if not bound:
        return "role-unfilled", f"nobody is bound to {state.role}"
    if len(bound) > 1 or len(state.holders) + len(state.partial_holders) > 1:
        return "role-ambiguous", f"{len(bound)} holders are bound to {state.role}: {', '.join(bound)}"
    if not state.holders:
        return "role-for-a-part-only", f"{bound[0]} holds {state.role} for a part of the window only"
    if bound[0] not in state.acknowledged:
        return "role-unacknowledged", f"{bound[0]} has not acknowledged {state.role} with the bound key"
    return None


def check_roles(program: Program, entries: Sequence[Entry], now: datetime) -> tuple[str, ...]:
    """Return why roles are not resolved at an instant, one line each; empty when all are. Pure."""
    states = calculate_role_states(program, entries, opens_at=now, closes_at=now)
    problems = (find_role_problem(state) for state in states)
    return tuple(problem[1] for problem in problems if problem is not None)


def _apply(program: Program, bindings: dict[tuple[str, str], _Binding], entry: Entry) -> None:
    body = entry.body
    if isinstance(body, RoleBound):
        role = program.roles.get(body.role)
        if role is not None and role.party in (None, body.party):
            bindings[body.role, body.key.keyid] = _Binding(body=body)
    elif isinstance(body, RoleReleased):
        bound = bindings.get((body.role, body.keyid))
        if bound is not None and body.party is bound.body.party is entry.signer.party:
            del bindings[body.role, body.keyid]
    elif isinstance(body, RoleAcknowledged):
        bound = bindings.get((body.role, entry.signer.keyid))
        if bound is not None:
            bound.acknowledged = True


def _calculate_state(
    name: str,
    role: Role,
    bindings: dict[tuple[str, str], _Binding],
    opens_at: datetime,
    closes_at: datetime,
) -> RoleState:
    mine = [bound for (bound_role, _), bound in sorted(bindings.items()) if bound_role == name]
    whole = [b for b in mine if b.body.not_before <= opens_at and closes_at <= b.body.not_after]
    touching = [b for b in mine if b.body.not_before <= closes_at and opens_at <= b.body.not_after]
    return RoleState(
        role=name,
        party=None if role.party is None else str(role.party),
        holders=tuple(_label(b.body.holder, b.body.key) for b in whole),
        partial_holders=tuple(_label(b.body.holder, b.body.key) for b in touching if b not in whole),
        acknowledged=tuple(_label(b.body.holder, b.body.key) for b in mine if b.acknowledged),
    )


def _label(holder: str, key: PublicKey) -> str:
    """Name a holder so that two people of one name, or two keys of one person, stay two."""
    return f"{holder} ({key.keyid[:16]})"
