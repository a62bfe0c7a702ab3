"""One request on its way through the gateway: contract, route, release, judgement, reply.

Invariants: a request goes to the release that its contract leads to when it arrives, and is finished
there even when the route is closed meanwhile; it is sent once; a breaking reply reaches nobody. Lives on
the event loop; routes are swapped between two requests, never within one.
Source: cutover-program, "Switch" and "Stop conditions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from contracts.core.service import SERVICE_CONTRACT_HEADER

from cutover.core.route import EMPTY, Route, RouteTable
from cutover.core.stop import Exchange, Failure
from cutover.ports import Clock
from cutover.web.gateway.contract import ANSWER_ROUTE, CONTRACTS, Contract
from cutover.web.gateway.reply import MadeReason, make_reply
from cutover.web.gateway.tally import Tally
from cutover.web.http1.client import Client, ExchangeFailed
from cutover.web.http1.message import Problem, Request, Response
from cutover.web.http1.server import Connection

_CONTRACT: Final = SERVICE_CONTRACT_HEADER.lower().encode()
_FORWARDED: Final = frozenset(
    {_CONTRACT, b"accept", b"authorization", b"content-type", b"traceparent", b"x-request-id"}
)
_RETURNED: Final = frozenset(
    {b"allow", b"cache-control", b"content-type", b"retry-after", b"www-authenticate", b"x-request-id"}
)
"""Headers that mean something to the other end; all else, hop-by-hop headers first, stays behind."""

BreachListener = Callable[[Exchange, datetime], None]


class Traffic:
    """Answers requests by the routes it was given last.

    Args:
        clock: Stamps breaches and first answers.
        default_contract: Whose envelope a request gets that names none while nothing is pointed to.
        reply_timeout_s: For one exchange with a release.
        on_breach: Told of every breaking exchange, at once, on the loop; must not block.
    """

    def __init__(
        self, clock: Clock, *, default_contract: str, reply_timeout_s: float, on_breach: BreachListener
    ) -> None:
        self.tally = Tally()
        self.table = EMPTY
        self._clock = clock
        self._default = CONTRACTS[default_contract]
        self._timeout_s = reply_timeout_s
        self._on_breach = on_breach
        self._clients: dict[str, Client] = {}

    def swap(self, table: RouteTable) -> None:
        """Route by `table` from the next request on; what is in flight ends where it began."""
        if table == self.table:
            return
        addresses = {route.address for route in table.contracts.values()}
        for address in self._clients.keys() - addresses:
            self._clients.pop(address).close()
        for address in addresses - self._clients.keys():
            self._clients[address] = Client(address)
        self.table = table
        self.tally.restart()

    async def handle(self, request: Request, _connection: Connection) -> Response:
        """Answer one request."""
        names = [value for name, value in request.headers if name == _CONTRACT]
        contract = self._find_contract(names)
        if contract is None:
            named = b", ".join(names)[:80].decode("latin-1")
            return self._refuse(
                self._envelope(),
                MadeReason.UNKNOWN_CONTRACT,
                f"unknown service contract {named!r}, expected one of {', '.join(CONTRACTS)}",
            )
        found = contract.match(request.path)
        method = "GET" if request.method == "HEAD" else request.method
        if found is None:
            return self._refuse(contract, MadeReason.UNKNOWN_ROUTE, f"no route of {contract.name}")
        template, methods = found
        if method not in methods:
            allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
            message = f"{template} does not take {request.method[:16]}, expected {allowed}"
            allow = (b"allow", allowed.encode())
            return self._refuse(contract, MadeReason.WRONG_METHOD, message, headers=(allow,))
        if request.problem is Problem.TOO_LARGE:
            return self._refuse(contract, MadeReason.TOO_LARGE, "the body is longer than 2 MiB; send less")
        route = self.table.resolve(contract.name if names else None)
        if route is None:
            return self._refuse(contract, MadeReason.ROUTE_CLOSED, self._why_closed(contract.name))
        return await self._exchange(contract, route, method, template, request)

    def _find_contract(self, names: list[bytes]) -> Contract | None:
        if not names:
            return self._envelope()
        return CONTRACTS.get(names[0].decode("latin-1")) if len(set(names)) == 1 else None

    def _envelope(self) -> Contract:
        """Return the contract that requests belong to which name none."""
        return CONTRACTS.get(self.table.active or "", self._default)

    def _why_closed(self, contract: str) -> str:
        reason = self.table.closed.get(contract, "not opened yet")
        return f"no release answers {contract} now ({reason}); use {self.table.active or 'none'} or try later"

    async def _exchange(
        self, contract: Contract, route: Route, method: str, template: str, request: Request
    ) -> Response:
        tag, name = route.release_tag, f"{method} {template}"
        headers = [header for header in request.headers if header[0] in _FORWARDED]
        tally = self.tally
        tally.in_flight[tag] += 1
        try:
            response = await self._clients[route.address].request(
                method, request.target, headers, request.body, timeout_s=self._timeout_s
            )
        except ExchangeFailed as failed:
            exchange = Exchange(release_tag=tag, route=name, failure=failed.failure)
            return self._withhold(contract, exchange, str(failed))
        finally:
            tally.in_flight[tag] -= 1
        breaches = contract.check(template, response)
        if breaches:
            exchange = Exchange(release_tag=tag, route=name, status=response.status, breaches=breaches)
            return self._withhold(contract, exchange, f"{breaches[0].code} at {breaches[0].field}")
        self._count(tag, name, response.status)
        response.headers = [header for header in response.headers if header[0] in _RETURNED]
        return response

    def _count(self, tag: str, name: str, status: int) -> None:
        self.tally.served[tag] += 1
        if status == 200 and name == ANSWER_ROUTE:
            self.tally.answered[tag] += 1
            if not self.tally.has_answered(tag):
                self.tally.note_answer(tag, self._clock.now())

    def _withhold(self, contract: Contract, exchange: Exchange, what: str) -> Response:
        self._on_breach(exchange, self._clock.now())
        self.tally.withheld[exchange.release_tag] += 1
        where = f"{exchange.release_tag} {exchange.route}"
        if exchange.failure is Failure.TIMEOUT:
            details = {"timeout_ms": round(self._timeout_s * 1000)}
            return self._refuse(contract, MadeReason.TIMEOUT, f"{where} missed its deadline", details=details)
        if exchange.failure is not None:
            return self._refuse(contract, MadeReason.NO_REPLY, f"{where} gave no complete reply: {what}")
        return self._refuse(contract, MadeReason.WITHHELD, f"{where} broke {contract.name}: {what}")

    def _refuse(
        self,
        contract: Contract,
        reason: MadeReason,
        message: str,
        *,
        details: Mapping[str, str | int] | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Response:
        self.tally.made[reason] += 1
        return make_reply(contract, reason, message, details=details, headers=headers)
