"""The support desk: a ticket in, a draft out, the policy answer beside it.

The policy question goes out before the search begins, so that a quick producer's answer is there when
the draft is; but nobody waits for it. The draft is composed from ticket and knowledge base alone:
`compose_draft` has no parameter through which an outcome could reach it.
"""

import threading
from collections import Counter, OrderedDict
from concurrent.futures import Future

import msgspec

from assistsupport.core.catalogue import PolicyCatalogue
from assistsupport.core.desk import DeskCounts, DraftReply
from assistsupport.core.draft import compose_draft
from assistsupport.core.draft_record import DraftRecord
from assistsupport.core.extraction import Extraction, extract_question
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.policy_question import (
    PolicyOutcome,
    PolicyStatus,
    outcome_fallback,
    outcome_not_asked,
    outcome_pending,
)
from assistsupport.core.ticket import Ticket, check_ticket
from assistsupport.errors import DraftUnknown
from assistsupport.ports import Clock, DraftJournal, Ids, PolicyLane, Stopwatch
from assistsupport.service.knowledge import KnowledgeBase

MAX_REMEMBERED = 2_048
DEFAULT_DEADLINE_S = 2.5  # wire contract, section 4, when no pin says otherwise


class Remembered(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A recent draft and the future of its policy outcome."""

    reply: DraftReply
    outcome: Future[PolicyOutcome]

    def policy(self) -> PolicyOutcome:
        """Return the outcome as it is now."""
        return _collect(self.outcome, self.reply.policy)


class Desk:
    """Drafts replies; safe to call from several threads.

    Args:
        knowledge: What drafts are made from.
        catalogue: How policy questions are found.
        lane: Who answers them.
        journal: Where drafts are recorded.
        ids: Where draft ids come from.
        clock: For the records.
        stopwatch: For the figures.
    """

    def __init__(
        self,
        *,
        knowledge: KnowledgeBase,
        catalogue: PolicyCatalogue,
        lane: PolicyLane,
        journal: DraftJournal,
        ids: Ids,
        clock: Clock,
        stopwatch: Stopwatch,
    ) -> None:
        self._knowledge = knowledge
        self._catalogue = catalogue
        self._lane = lane
        self._journal = journal
        self._ids = ids
        self._clock = clock
        self._stopwatch = stopwatch
        self._recent: OrderedDict[str, Remembered] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def draft(self, ticket: Ticket, *, enrichment: bool = True) -> DraftReply:
        """Return a draft at once, with the policy outcome if it is there already.

        Args:
            ticket: What was asked.
            enrichment: False leaves the producer alone, as if the feature were switched off.

        Raises:
            TicketRefused: The ticket cannot be drafted for.
        """
        began = self._stopwatch.elapsed_ms()
        check_ticket(ticket)
        extraction = extract_question(ticket.body, self._catalogue)
        outcome = self._begin(extraction, enrichment)
        found = self._knowledge.find(ticket.body)
        draft = compose_draft(found.ranked, found.statistics, found.snapshot)
        pending = outcome_pending(extraction.found.question) if extraction.found else outcome_not_asked()
        reply = DraftReply(
            draft_id=self._ids.new_draft_id(),
            ticket=ticket,
            draft=draft,
            extraction=extraction,
            policy=_collect(outcome, pending),
            elapsed_ms=round(self._stopwatch.elapsed_ms() - began, 3),
        )
        self._remember(reply, outcome)
        return reply

    def recall(self, draft_id: str) -> Remembered:
        """Return a recent draft.

        Raises:
            DraftUnknown: There is none with this id, or it was too long ago.
        """
        with self._lock:
            remembered = self._recent.get(draft_id)
        if remembered is None:
            raise DraftUnknown(f"no recent draft has the id '{draft_id[:64]}'; draft again")
        return remembered

    def counts(self) -> DeskCounts:
        """Return what was delivered since the start."""
        with self._lock:
            counts = dict(self._counts)
        by_reason = {
            key.removeprefix("fallback:"): n
            for key, n in sorted(counts.items())
            if key.startswith("fallback:")
        }
        return DeskCounts(
            drafts=sum(counts.values()),
            applied=counts.get(PolicyStatus.APPLIED, 0),
            not_asked=counts.get(PolicyStatus.NOT_ASKED, 0),
            pending=counts.get(PolicyStatus.PENDING, 0),
            fallback=by_reason,
        )

    def _begin(self, extraction: Extraction, enrichment: bool) -> Future[PolicyOutcome]:
        if extraction.found is None:
            return _settled(outcome_not_asked())
        question = extraction.found.question
        if not enrichment:
            return _settled(
                outcome_fallback(
                    question, FallbackReason.FEATURE_DISABLED, "enrichment is switched off for this draft"
                )
            )
        pin = self._lane.status().pin
        return self._lane.begin(question, pin.default_timeout_ms / 1000 if pin else DEFAULT_DEADLINE_S)

    def _remember(self, reply: DraftReply, outcome: Future[PolicyOutcome]) -> None:
        with self._lock:
            self._counts[_count_key(reply.policy)] += 1
            self._recent[reply.draft_id] = Remembered(reply=reply, outcome=outcome)
            if len(self._recent) > MAX_REMEMBERED:
                self._recent.popitem(last=False)
        self._journal.record(_record(reply, self._clock))
        if reply.policy.status is PolicyStatus.PENDING:
            outcome.add_done_callback(lambda done: self._arrive(reply.draft_id, done.result()))

    def _arrive(self, draft_id: str, outcome: PolicyOutcome) -> None:
        with self._lock:
            self._counts[PolicyStatus.PENDING] -= 1
            self._counts[_count_key(outcome)] += 1
        self._journal.record_outcome(draft_id, outcome)


def _settled(outcome: PolicyOutcome) -> Future[PolicyOutcome]:
    future: Future[PolicyOutcome] = Future()
    future.set_result(outcome)
    return future


def _collect(outcome: Future[PolicyOutcome], otherwise: PolicyOutcome) -> PolicyOutcome:
    """Return the outcome if it is there; never wait."""
    return outcome.result() if outcome.done() else otherwise


def _count_key(outcome: PolicyOutcome) -> str:
    return f"fallback:{outcome.reason}" if outcome.reason is not None else str(outcome.status)


def _record(reply: DraftReply, clock: Clock) -> DraftRecord:
    return DraftRecord(
        draft_id=reply.draft_id,
        created_at=clock.now().isoformat(),
        ticket=reply.ticket,
        draft_sha256=reply.draft.sha256,
        disposition=reply.draft.disposition,
        knowledge_snapshot=reply.draft.knowledge_snapshot,
        policy=reply.policy,
    )
