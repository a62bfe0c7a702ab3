"""Compute a decision from the entries, keep its document and append it.

The executor computes; it cannot make it true: anyone recomputes the document byte for byte, and without
both parties' approvals it authorizes nothing.
Source: cutover-program, "Decision".
"""

from __future__ import annotations

from cutover.core.decision import Decision, calculate_decision, encode_decision
from cutover.core.entry import Completed, Decided, Entry, Scope
from cutover.core.switch import calculate_operation
from cutover.errors import Refused
from cutover.service.station import Station


def decide(station: Station, scope: Scope) -> tuple[Entry, Decision]:
    """Decide one of the two questions for now.

    Args:
        station: With an executor key.
        scope: Which question.

    Returns:
        The entry and the decision, whatever its outcome.

    Raises:
        Refused: While a move is in progress, or when the program is complete.
    """
    case = station.read_case()
    if case.newest(Completed) is not None:
        raise Refused("the program is complete; there is nothing left to decide")
    state = calculate_operation(case.entries)
    if state is not None:
        raise Refused(f"a {state.operation} is in progress; finish it or take it back before deciding anew")
    decision = calculate_decision(case, scope)
    body = Decided(
        scope=scope,
        outcome=decision.outcome,
        decision_digest=station.evidence.store(encode_decision(decision)),
        decided_at=decision.decided_at,
        expires_at=decision.expires_at,
    )
    return station.log.append(body, station.signer), decision
