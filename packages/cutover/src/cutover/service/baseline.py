"""Lead traffic to the baseline: the first routes of a program, and again after its process moved.

Source: cutover-program, "Switch" (routes opened and closed only by signed log entries).
"""

from __future__ import annotations

from collections.abc import Callable

from securesystemslib.signer import Signer

from cutover.core.entry import Completed, RouteOpened, RoutePointed
from cutover.core.program import Program
from cutover.core.route import calculate_routes
from cutover.errors import Refused
from cutover.ports import LogStore
from cutover.service.station import RunningRelease


def lead_to_baseline(
    program: Program, log: LogStore, signer: Signer, find: Callable[[str], RunningRelease]
) -> bool:
    """Open the baseline's route and point the unnamed requests at it, where that is not so yet.

    Idempotent; after completion it does nothing.

    Args:
        program: Names the baseline.
        log: Where routes are.
        signer: An executor key.
        find: Release tag -> its running process; raises `Refused` when it does not run.

    Returns:
        Whether anything was appended.

    Raises:
        Refused: When the program is not open, or the baseline has no route and does not run.
    """
    entries = log.read().entries
    if not entries:
        raise Refused("the program is not open yet; expected 'cutover open' by both parties first")
    if any(isinstance(entry.body, Completed) for entry in entries):
        return False
    size, contract = len(entries), program.baseline.service_contract_version
    table = calculate_routes(entries)
    known = table.contracts.get(contract)
    release = _find(program.baseline.release_tag, find, is_needed=known is None)
    if release is not None and (known is None or known.address != release.address):
        log.append(_opening(contract, release), signer)
    if table.active is None:
        log.append(RoutePointed(service_contract=contract), signer)
    return len(log.read().entries) > size


def _find(
    release_tag: str, find: Callable[[str], RunningRelease], *, is_needed: bool
) -> RunningRelease | None:
    """A route that is open stays as it is while its process is being started again."""
    try:
        return find(release_tag)
    except Refused:
        if is_needed:
            raise
        return None


def _opening(contract: str, release: RunningRelease) -> RouteOpened:
    return RouteOpened(
        service_contract=contract,
        release_tag=release.release_tag,
        address=release.address,
        pid=release.pid,
        command=release.command,
        tree_id=release.tree_id,
    )
