"""Give the gateway something to answer from: the route of the baseline, opened when it starts.

A release that was restarted listens elsewhere, so its route is opened anew; a route that fits is left
alone, and nothing is touched while a move is in progress.
"""

from __future__ import annotations

from cutover.core.entry import RouteOpened, RoutePointed
from cutover.core.route import calculate_routes
from cutover.core.switch import calculate_operation
from cutover.service.station import Station


def open_baseline(station: Station) -> bool:
    """Open and point to the route of the release that serves now; returns whether anything was appended.

    Before `complete` that is the program's baseline, after it whatever the active pointer names.

    Raises:
        Refused: When that release is not running here.
    """
    entries = station.log.read().entries
    if calculate_operation(entries) is not None:
        return False
    table = calculate_routes(entries)
    contract = table.active or station.program.baseline.service_contract_version
    release = next(
        side
        for side in (station.program.baseline, station.program.target)
        if side.service_contract_version == contract
    )
    running = station.running_release(release.release_tag)
    route = table.contracts.get(contract)
    if route is not None and route.address == running.address:
        return False
    opened = RouteOpened(
        service_contract=contract,
        release_tag=running.release_tag,
        address=running.address,
        pid=running.pid,
        command=running.command,
        tree_id=running.tree_id,
    )
    station.log.append(opened, station.signer)
    if table.active != contract:
        station.log.append(RoutePointed(service_contract=contract), station.signer)
    return True
