"""Collect for `fallback`: tickets drafted by a scratch consumer while its producer misbehaves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from cutover.core.entry import Prepared
from cutover.core.evidence import Fallback, FaultDraft, LiveFault
from cutover.core.fault import PRODUCER_FAULTS
from cutover.core.gate.fallback import APPLIED
from cutover.core.material import Ticket
from cutover.errors import Refused, ReleaseUnreachable
from cutover.ports import ConsumerControl, Drafted
from cutover.service.collect.scratch import Injector, Scratch
from cutover.service.draft_probe import as_request, read_references
from cutover.service.station import Station

LIVE_FAULT = "altered"
NOT_ASKED, LOST = "not-asked", "lost"
TICKETS_PER_FAULT = 4
"""Few enough that one fault's failures do not open a usual circuit breaker before the next is met."""
READY_TIMEOUT_S = 20.0
SETTLE_TIMEOUT_S = 8.0
_LOOK_S = 0.05


def collect_fallback(station: Station) -> Fallback:
    """Draft under every producer fault, with the consumer governed by the prepared commit.

    Before each fault the producer is well again, and a draft shows it: what is met is this fault.

    Raises:
        Refused: When nothing is prepared.
        ReleaseUnreachable: When the consumer gets no answers even without a fault.
    """
    prepared = station.read_case().newest(Prepared)
    if prepared is None:
        raise Refused("nothing is prepared; expected the consumer to run 'cutover prepare' first")
    deadline_s = station.program.thresholds.draft_deadline_s
    with Scratch(station, "fallback") as scratch:
        producer = scratch.start_injector(scratch.start_seeded(station.program.target).url)
        consumer = scratch.start_consumer(prepared[1].execution.forward_ref, producer.url)
        desk = _Desk(station, station.connect_consumer(consumer.url))
        drafts: list[FaultDraft] = []
        for fault in PRODUCER_FAULTS:
            desk.await_answers()
            producer.inject(fault)
            drafts += desk.draft_all(fault)
            producer.clear()
            station.narrate(f"{fault}: {len(desk.tickets)} drafts")
        live_fault = _meet_fault(station, desk, scratch.start_injector(consumer.url))
    return Fallback(
        deadline_s=deadline_s, faults=PRODUCER_FAULTS, drafts=tuple(drafts), live_fault=live_fault
    )


class _Desk:
    """The scratch consumer, with tickets that ask a policy question and their drafts without enrichment."""

    def __init__(self, station: Station, consumer: ConsumerControl) -> None:
        self._consumer = consumer
        self._clock = station.clock
        self._give_up_s = 4 * station.program.thresholds.draft_deadline_s
        self.tickets = self._find_asking(station.material.tickets)
        self.references = read_references(consumer, self.tickets, timeout_s=10.0)

    def draft_all(self, fault: str) -> list[FaultDraft]:
        """Draft every ticket, then wait until every policy field is final."""
        made = [(ticket, self._draft(ticket)) for ticket in self.tickets]
        return [self._describe(fault, ticket, draft, self._settle(draft)) for ticket, draft in made]

    def await_answers(self) -> None:
        """Wait until a ticket's question is answered.

        Raises:
            ReleaseUnreachable: When none is within `READY_TIMEOUT_S`.
        """
        deadline = self._clock.monotonic() + READY_TIMEOUT_S
        while self._settle(self._draft(self.tickets[0])) != APPLIED:
            if self._clock.monotonic() > deadline:
                raise ReleaseUnreachable(
                    f"the scratch consumer got no answer within {READY_TIMEOUT_S:g} s without any fault; "
                    "read the logs in run/scratch/fallback"
                )
            self._clock.pause(_LOOK_S)

    def _find_asking(self, tickets: Sequence[Ticket]) -> tuple[Ticket, ...]:
        asking = (ticket for ticket in tickets if self._settle(self._draft(ticket)) != NOT_ASKED)
        found = tuple(islice(asking, TICKETS_PER_FAULT))
        if not found:
            raise ReleaseUnreachable("no ticket asks a policy question; give some in traffic.tickets")
        return found

    def _draft(self, ticket: Ticket) -> Drafted | None:
        try:
            return self._consumer.draft(as_request(ticket), enrichment=True, timeout_s=self._give_up_s)
        except ReleaseUnreachable:
            return None

    def _settle(self, draft: Drafted | None) -> str:
        if draft is None:
            return LOST
        try:
            return self._consumer.settle(draft, timeout_s=SETTLE_TIMEOUT_S).policy_status
        except ReleaseUnreachable:
            return draft.policy_status

    def _describe(self, fault: str, ticket: Ticket, draft: Drafted | None, status: str) -> FaultDraft:
        return FaultDraft(
            fault=fault,
            ticket_id=ticket.ticket_id,
            delivered=draft is not None,
            elapsed_s=round(self._give_up_s if draft is None else draft.elapsed_s, 6),
            sha256=None if draft is None else draft.sha256,
            reference_sha256=self.references[ticket.ticket_id],
            policy_status=status,
        )


def _meet_fault(station: Station, desk: _Desk, between: Injector) -> LiveFault:
    """Let a draft be altered on its way to us; without the fault it must pass unharmed."""
    consumer, ticket = station.connect_consumer(between.url), desk.tickets[0]
    expected = desk.references[ticket.ticket_id]
    clean = _read_digest(consumer, ticket)
    between.inject(LIVE_FAULT)
    seen = _read_digest(consumer, ticket)
    return LiveFault(
        fault=LIVE_FAULT,
        noticed=clean == expected and seen is not None and seen != expected,
        detail=f"expected {expected[:12]}, without it {_shown(clean)}, with it {_shown(seen)}",
    )


def _read_digest(consumer: ConsumerControl, ticket: Ticket) -> str | None:
    try:
        return consumer.draft(as_request(ticket), enrichment=True, timeout_s=10.0).sha256
    except ReleaseUnreachable:
        return None


def _shown(digest: str | None) -> str:
    return "nothing" if digest is None else digest[:12]
