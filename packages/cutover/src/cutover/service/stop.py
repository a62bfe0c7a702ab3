"""One key says stop; and the ordered way back after an execution that nothing stopped.

A stop is one signed entry and a nudge to the gateway, which takes the way back by itself. Any key of
the program may sign it; it needs no agreement, no gateway and no executor to be valid.
Source: cutover-program, "Stop conditions".
"""

from __future__ import annotations

from cutover.core.entry import Completed, Entry, Operation, Restored, StopCondition, Stopped
from cutover.core.switch import OperationState, calculate_operation
from cutover.errors import Refused, ReleaseUnreachable
from cutover.ports import GatewayControl
from cutover.service.station import Station

RETURN_TIMEOUT_S = 30.0
_LOOK_S = 0.05


def stop(station: Station, gateway: GatewayControl, *, reason: str) -> tuple[Entry, bool]:
    """Sign a stop of the move in progress and wake the gateway.

    Args:
        station: With any key of the program.
        gateway: Told to look at the log; the stop stands without it.
        reason: One line.

    Returns:
        The entry, and whether the gateway took note. If not, 'cutover execute' of the executor takes
        the way back.

    Raises:
        Refused: When nothing is in progress, or it was stopped already.
    """
    state = _require_move(station)
    if state.is_returning:
        raise Refused(f"the {state.operation} is on its way back already; see 'cutover status'")
    return _stop(station, gateway, reason)


def roll_back(station: Station, gateway: GatewayControl, *, reason: str) -> Restored:
    """Take an execution back to the baseline and wait until it is there.

    Args:
        station: With a party's, a holder's or an executor's key.
        gateway: Takes the way back.
        reason: One line.

    Raises:
        Refused: When no execution is in progress: before it, or after the point of no return.
        ReleaseUnreachable: When the way back did not end in time.
    """
    state = _require_move(station)
    if state.operation is not Operation.FORWARD:
        raise Refused(f"a {state.operation} is in progress; it comes back by itself, or use 'cutover stop'")
    if state.stop is None:
        _stop(station, gateway, reason)
    return _await_restored(station, state)


def check_roll_back(station: Station) -> OperationState:
    """Return the execution that `roll_back` would take back; refuses as it does, changes nothing."""
    state = _require_move(station)
    if state.operation is not Operation.FORWARD:
        raise Refused(f"a {state.operation} is in progress; it comes back by itself, or use 'cutover stop'")
    return state


def _stop(station: Station, gateway: GatewayControl, reason: str) -> tuple[Entry, bool]:
    if not reason.strip() or "\n" in reason:
        raise Refused("a stop needs a reason of one line; say what was seen")
    body = Stopped(condition=StopCondition.MANUAL, reason=reason.strip(), observed_at=station.clock.now())
    entry = station.log.append(body, station.signer)
    try:
        gateway.refresh()
    except ReleaseUnreachable:
        station.narrate(
            "the gateway does not answer; the executor must run 'cutover execute' to take it back"
        )
        return entry, False
    return entry, True


def _require_move(station: Station) -> OperationState:
    case = station.read_case()
    if case.newest(Completed) is not None:
        raise Refused("the program is complete: the point of no return; the way back is a program of its own")
    state = calculate_operation(case.entries)
    if state is None:
        raise Refused("nothing is in progress, so there is nothing to take back; see 'cutover status'")
    return state


def _await_restored(station: Station, state: OperationState) -> Restored:
    deadline = station.clock.monotonic() + RETURN_TIMEOUT_S
    while station.clock.monotonic() < deadline:
        for entry in station.log.read().entries[state.since :]:
            body = entry.body
            if isinstance(body, Restored) and body.operation is state.return_operation:
                return body
        station.clock.pause(_LOOK_S)
    raise ReleaseUnreachable(
        f"the way back did not end within {RETURN_TIMEOUT_S:g} s; the executor runs 'cutover execute'",
        kind="timeout",
    )
