"""Real tickets drafted all the time, compared with the draft made with enrichment switched off.

The executor's own eyes on the consumer: used by drill and watch. A thread of its own drafts one ticket
after the other and keeps what it saw; whoever watches drains it. A probe that broke says so when it is
drained: eyes that are shut have seen nothing wrong.
Source: cutover-program, "Stop conditions" 2 and gates `answers`, `drill`.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from itertools import cycle
from types import TracebackType

import msgspec

from cutover.core.material import Ticket
from cutover.core.stop import DraftSeen
from cutover.errors import CutoverError
from cutover.ports import ConsumerControl, Drafted
from cutover.service.station import Executor

REFERENCE_TIMEOUT_S = 5.0
SETTLE_TIMEOUT_S = 5.0
BREAKING_REASONS = frozenset({"malformed-payload", "version-mismatch", "unknown"})
"""Fallback reasons that say a reply against the contract reached the consumer."""


class ProbedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one ticket.

    Args:
        seen: Delivery, time and bytes, beside the bytes with enrichment off.
        policy_status, policy_reason, release_tag: The policy field's final state; `lost` when not delivered.
    """

    seen: DraftSeen
    policy_status: str
    policy_reason: str | None
    release_tag: str | None


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over many probed drafts; `asked` leaves out drafts without a policy question."""

    drafts: int
    lost: int
    altered: int
    breaking: int
    asked: int
    applied: int
    fallback: Mapping[str, int]


def calculate_tally(drafts: Iterable[ProbedDraft]) -> Tally:
    """Count. Pure; order does not matter."""
    seen = list(drafts)
    fallback = Counter(d.policy_reason or "unknown" for d in seen if d.policy_status == "fallback")
    return Tally(
        drafts=len(seen),
        lost=sum(not d.seen.delivered for d in seen),
        altered=sum(d.seen.delivered and d.seen.sha256 != d.seen.reference_sha256 for d in seen),
        breaking=sum(fallback[reason] for reason in BREAKING_REASONS),
        asked=sum(d.policy_status in {"applied", "fallback", "pending"} for d in seen),
        applied=sum(d.policy_status == "applied" for d in seen),
        fallback=dict(sorted(fallback.items())),
    )


def read_references(
    consumer: ConsumerControl, tickets: Iterable[Ticket], *, timeout_s: float
) -> Mapping[str, str]:
    """Return ticket id -> sha256 of its draft with enrichment switched off."""
    return {
        ticket.ticket_id: consumer.draft(as_request(ticket), enrichment=False, timeout_s=timeout_s).sha256
        for ticket in tickets
    }


class DraftProbe:
    """Drafts tickets in a thread of its own until closed; a context manager.

    Args:
        consumer: The running consumer.
        tickets: Drafted round-robin.
        references: From `read_references`.
        deadline_s: A draft must be there within this.
        interval_s: Pause between drafts.
    """

    def __init__(
        self,
        consumer: ConsumerControl,
        tickets: tuple[Ticket, ...],
        references: Mapping[str, str],
        *,
        deadline_s: float,
        interval_s: float,
    ) -> None:
        self._consumer = consumer
        self._tickets = tickets
        self._references = references
        self._deadline_s = deadline_s
        self._interval_s = interval_s
        self._seen: deque[ProbedDraft] = deque()
        self._broken: Exception | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="draft-probe", daemon=True)

    def __enter__(self) -> DraftProbe:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()

    def drain(self) -> list[ProbedDraft]:
        """Return what was seen since the last call, in order; one thread drains.

        Raises:
            Exception: What broke the probe, if anything did.
        """
        if self._broken is not None:
            raise self._broken
        return [self._seen.popleft() for _ in range(len(self._seen))]

    def draft_once(self, ticket: Ticket) -> ProbedDraft:
        """Draft one ticket now and wait for its policy field to settle."""
        try:
            draft = self._consumer.draft(as_request(ticket), enrichment=True, timeout_s=2 * self._deadline_s)
        except CutoverError:
            return self._describe(ticket, None, None)
        try:
            settled = self._consumer.settle(draft, timeout_s=SETTLE_TIMEOUT_S)
        except CutoverError:
            settled = draft
        return self._describe(ticket, draft, settled)

    def _describe(self, ticket: Ticket, draft: Drafted | None, settled: Drafted | None) -> ProbedDraft:
        return ProbedDraft(
            seen=DraftSeen(
                ticket_id=ticket.ticket_id,
                delivered=draft is not None,
                elapsed_s=draft.elapsed_s if draft else 2 * self._deadline_s,
                sha256=draft.sha256 if draft else None,
                reference_sha256=self._references[ticket.ticket_id],
            ),
            policy_status=settled.policy_status if settled else "lost",
            policy_reason=settled.policy_reason if settled else None,
            release_tag=settled.release_tag if settled else None,
        )

    def _run(self) -> None:
        try:
            for ticket in cycle(self._tickets):
                self._seen.append(self.draft_once(ticket))
                if self._closing.wait(self._interval_s):
                    return
        except Exception as exc:  # noqa: BLE001  # raised again where somebody looks: see drain
            self._broken = exc


def as_request(ticket: Ticket) -> Mapping[str, str]:
    """Return a ticket as the consumer's API takes it."""
    return {"ticket_id": ticket.ticket_id, "subject": ticket.subject, "text": ticket.text}


def open_probe(executor: Executor) -> DraftProbe:
    """Return a probe of the running consumer with fresh references, not yet started.

    Raises:
        ReleaseUnreachable: When the consumer does not draft.
    """
    tickets, limits = executor.material.tickets, executor.program.thresholds
    return DraftProbe(
        executor.consumer,
        tickets,
        read_references(executor.consumer, tickets, timeout_s=REFERENCE_TIMEOUT_S),
        deadline_s=limits.draft_deadline_s,
        interval_s=executor.program.watch.probe_interval_s,
    )
