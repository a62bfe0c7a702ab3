"""Collect for `fallback`: tickets drafted by a scratch consumer while its producer misbehaves."""

from __future__ import annotations

from collections.abc import Mapping

from cutover.core.entry import Prepared
from cutover.core.evidence import Fallback, FaultDraft, LiveFault
from cutover.core.fault import PRODUCER_FAULTS
from cutover.core.material import Ticket
from cutover.errors import Refused, ReleaseUnreachable
from cutover.ports import ConsumerControl
from cutover.service.collect.scratch import Scratch
from cutover.service.draft_probe import as_request, read_references
from cutover.service.station import Station

LIVE_FAULT = "altered"
TICKETS_PER_FAULT = 8


def collect_fallback(station: Station) -> Fallback:
    """Draft under every producer fault, with the consumer governed by the prepared commit.

    Raises:
        Refused: When nothing is prepared.
    """
    prepared = station.read_case().newest(Prepared)
    if prepared is None:
        raise Refused("nothing is prepared; expected the consumer to run 'cutover prepare' first")
    deadline_s = station.program.thresholds.draft_deadline_s
    tickets = station.material.tickets[:TICKETS_PER_FAULT]
    with Scratch(station, "fallback") as scratch:
        producer = scratch.start_injector(scratch.start_seeded(station.program.target).url)
        consumer = scratch.start_consumer(prepared[1].execution.forward_ref, producer.url)
        control = station.connect_consumer(consumer.url)
        references = read_references(control, tickets, timeout_s=10.0)
        drafts: list[FaultDraft] = []
        for fault in PRODUCER_FAULTS:
            producer.inject(fault)
            drafts += [_draft(control, fault, t, references, deadline_s) for t in tickets]
            station.narrate(f"{fault}: {len(tickets)} drafts")
        producer.clear()
        between = scratch.start_injector(consumer.url)
        between.inject(LIVE_FAULT)
        seen = _draft(station.connect_consumer(between.url), LIVE_FAULT, tickets[0], references, deadline_s)
    noticed = not seen.delivered or seen.sha256 != seen.reference_sha256
    return Fallback(
        deadline_s=deadline_s,
        faults=tuple(PRODUCER_FAULTS),
        drafts=tuple(drafts),
        live_fault=LiveFault(fault=LIVE_FAULT, noticed=noticed, detail=f"got {seen.sha256}"),
    )


def _draft(
    consumer: ConsumerControl, fault: str, ticket: Ticket, references: Mapping[str, str], deadline_s: float
) -> FaultDraft:
    try:
        draft = consumer.draft(as_request(ticket), enrichment=True, timeout_s=4 * deadline_s)
    except ReleaseUnreachable:
        sha256, elapsed_s, status = None, 4 * deadline_s, "lost"
    else:
        sha256, elapsed_s, status = draft.sha256, draft.elapsed_s, draft.policy_status
    return FaultDraft(
        fault=fault,
        ticket_id=ticket.ticket_id,
        delivered=sha256 is not None,
        elapsed_s=round(elapsed_s, 6),
        sha256=sha256,
        reference_sha256=references[ticket.ticket_id],
        policy_status=status,
    )
