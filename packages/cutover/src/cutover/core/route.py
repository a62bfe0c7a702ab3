"""Routes from the log: which release answers which service contract, and which answers the unnamed.

Only signed entries open, close and point routes, so whoever has the same entries has the same table.
When two releases speak one contract, the one opened last is the one that the contract leads to.
Source: cutover-program, "Switch".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cutover.core.entry import Entry, RouteClosed, RouteOpened, RoutePointed


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """An open route's end: the release and the http://host:port that requests are sent to."""

    release_tag: str
    address: str


class RouteTable(msgspec.Struct, frozen=True, kw_only=True):
    """All routes at one point of the log.

    Args:
        contracts: Service contract -> open route.
        closed: Service contract -> why its route was closed; only contracts that are closed now.
        active: The service contract that a request belongs to which names none; None before any was pointed.
    """

    contracts: Mapping[str, Route] = {}
    closed: Mapping[str, str] = {}
    active: str | None = None

    def resolve(self, service_contract: str | None) -> Route | None:
        """Return the open route for a named contract (None: for a request that names none)."""
        named = self.active if service_contract is None else service_contract
        return None if named is None else self.contracts.get(named)

    def is_open(self, service_contract: str, release_tag: str) -> bool:
        """Say whether this contract leads to this release."""
        route = self.contracts.get(service_contract)
        return route is not None and route.release_tag == release_tag


EMPTY = RouteTable()


def calculate_routes(entries: Iterable[Entry], start: RouteTable = EMPTY) -> RouteTable:
    """Return the table after `entries`, oldest first, that follow on `start`.

    Pure, and incremental: `calculate_routes(b, calculate_routes(a)) == calculate_routes(a + b)`.
    """
    contracts, closed, active = dict(start.contracts), dict(start.closed), start.active
    for entry in entries:
        match entry.body:
            case RouteOpened(service_contract=contract, release_tag=tag, address=address):
                contracts[contract] = Route(release_tag=tag, address=address)
                closed.pop(contract, None)
            case RouteClosed(service_contract=contract, reason=reason):
                contracts.pop(contract, None)
                closed[contract] = reason
            case RoutePointed(service_contract=contract):
                active = contract
            case _:
                continue
    return RouteTable(contracts=contracts, closed=closed, active=active)
