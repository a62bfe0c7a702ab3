"""A party's key on a decision, or on a warning that both accept.

Nothing is signed on somebody else's word: the decision is recomputed from the entries before it, byte
for byte, in the approving party's own process.
Source: cutover-program, "Decision" and "Gates" (waivers).
"""

from __future__ import annotations

from datetime import datetime

from cutover.core.approval import Standing, find_standing
from cutover.core.decision import check_recomputation
from cutover.core.entry import Approved, Entry, Scope, Waived
from cutover.core.gate.table import GATES
from cutover.core.key import Party
from cutover.core.outcome import DecisionOutcome, Outcome
from cutover.errors import Refused
from cutover.service.station import Station


def approve(station: Station, party: Party, scope: Scope) -> Entry:
    """Recompute the newest decision of a scope and sign it.

    Args:
        station: With the party's key.
        party: Who approves.
        scope: Which decision.

    Raises:
        Refused: When there is no decision, it is not GO, it expired, this party approved it already,
            or it does not recompute.
    """
    case = station.read_case()
    standing = find_standing(case.entries, scope)
    if standing is None:
        raise Refused(f"no {scope} decision was taken; expected 'cutover decide --scope {scope}' first")
    _require_open(standing, party, case.now)
    verdict = check_recomputation(case, standing.entry)
    if verdict.outcome is not Outcome.PASSED:
        raise Refused(f"the decision is not signed: {verdict.reason}; decide again")
    body = Approved(scope=scope, decision_digest=standing.decided.decision_digest)
    return station.log.append(body, station.signer)


def waive(station: Station, *, gate: str, reason_code: str, reason: str, expires_at: datetime) -> Entry:
    """Accept a WARNED of one gate for one reason, until a time; counts when both parties did.

    Args:
        station: With a party's key.
        gate: Name of the gate.
        reason_code: The clause that warned.
        reason: Why it is acceptable, one line.
        expires_at: Aware, in the future.

    Raises:
        Refused: When the gate is unknown, the reason is blank or the time has passed.
    """
    known = {known.name for gates in GATES.values() for known in gates}
    if gate not in known:
        raise Refused(f"{gate} is no gate; expected one of {', '.join(sorted(known))}")
    if not reason.strip() or "\n" in reason:
        raise Refused("a waiver needs a reason of one line; say why the warning is acceptable")
    if expires_at <= station.clock.now():
        raise Refused(f"the waiver would have expired at {expires_at.isoformat()}; choose a later --until")
    body = Waived(gate=gate, reason_code=reason_code, reason=reason.strip(), expires_at=expires_at)
    return station.log.append(body, station.signer)


def _require_open(standing: Standing, party: Party, now: datetime) -> None:
    decided = standing.decided
    if decided.outcome != DecisionOutcome.GO:
        raise Refused(
            f"the newest {decided.scope} decision is {decided.outcome}; there is nothing to approve, "
            "see 'cutover status' for the gates"
        )
    if now >= decided.expires_at:
        raise Refused(f"the decision expired at {decided.expires_at.isoformat()}; decide again")
    if party in standing.approvals:
        raise Refused(f"the {party} has approved this decision already; the other party may be missing")
