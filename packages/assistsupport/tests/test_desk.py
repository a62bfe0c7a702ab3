"""The desk: drafts at once, the policy outcome beside them, every one counted."""

from pathlib import Path

import msgspec
import pytest
from assistsupport.adapters.disabled_lane import DisabledLane
from assistsupport.adapters.sqlite_journal import SqliteJournal
from assistsupport.core.disposition import Disposition
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.policy_question import PolicyStatus, outcome_fallback, outcome_not_asked
from assistsupport.core.ticket import MAX_SUBJECT_CHARS, MAX_TEXT_CHARS, Ticket
from assistsupport.errors import DraftUnknown, LibraryUnusable, TicketRefused
from assistsupport.service.desk import MAX_REMEMBERED, Desk
from assistsupport.service.knowledge import KnowledgeBase

from packages.assistsupport.tests.desk_world import (
    TICKETS,
    MemoryJournal,
    NoProgress,
    ScriptedLane,
    make_desk,
    make_knowledge,
    write_articles,
)
from packages.assistsupport.tests.policy_world import FixedClock


@pytest.fixture
def knowledge(tmp_path: Path) -> KnowledgeBase:
    knowledge = make_knowledge(tmp_path / "data")
    knowledge.add([write_articles(tmp_path / "kb")], None, NoProgress())
    return knowledge


@pytest.fixture
def lane() -> ScriptedLane:
    return ScriptedLane()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def desk(knowledge: KnowledgeBase, lane: ScriptedLane, journal: MemoryJournal) -> Desk:
    return make_desk(knowledge, lane, journal)


def test_a_prompt_answer_comes_with_the_draft(desk: Desk) -> None:
    reply = desk.draft(TICKETS[0])
    assert reply.policy.status is PolicyStatus.APPLIED
    assert reply.draft.disposition is Disposition.ANSWER
    assert (desk.counts().drafts, desk.counts().applied) == (1, 1)


def test_a_late_answer_is_not_waited_for(desk: Desk, lane: ScriptedLane, journal: MemoryJournal) -> None:
    lane.is_prompt = False
    reply = desk.draft(TICKETS[0])
    assert reply.policy.status is PolicyStatus.PENDING
    assert desk.counts().pending == 1
    lane.arrive()
    assert desk.recall(reply.draft_id).policy().status is PolicyStatus.APPLIED
    assert (desk.counts().pending, desk.counts().applied) == (0, 1)
    assert [draft_id for draft_id, _ in journal.outcomes] == [reply.draft_id]


def test_a_late_fallback_is_counted_by_its_reason(desk: Desk, lane: ScriptedLane) -> None:
    lane.is_prompt = False
    desk.draft(TICKETS[0])
    lane.arrive(outcome_fallback(lane.asked[0][0], FallbackReason.TIMEOUT, "too slow"))
    assert desk.counts().fallback == {"timeout": 1}


def test_nothing_is_asked_without_a_question(desk: Desk, lane: ScriptedLane) -> None:
    assert desk.draft(TICKETS[1]).policy.status is PolicyStatus.NOT_ASKED
    assert lane.asked == []
    assert desk.counts().not_asked == 1


def test_a_draft_without_enrichment_asks_nobody(desk: Desk, lane: ScriptedLane) -> None:
    reply = desk.draft(TICKETS[0], enrichment=False)
    assert reply.policy.reason is FallbackReason.FEATURE_DISABLED
    assert lane.asked == []


def test_the_draft_is_the_same_whatever_the_policy_says(knowledge: KnowledgeBase, desk: Desk) -> None:
    off = make_desk(knowledge, DisabledLane(FixedClock()))
    for ticket in TICKETS:
        assert desk.draft(ticket).draft == off.draft(ticket).draft


def test_a_ticket_s_instructions_never_reach_the_draft(desk: Desk) -> None:
    plain = desk.draft(Ticket(text="May I use a USB stick for the fair?")).draft
    told = desk.draft(TICKETS[3]).draft
    assert "gnore" not in told.text
    assert told.text.count("answer yes") == 0
    assert {source.article_id for source in plain.sources} >= {source.article_id for source in told.sources}


@pytest.mark.parametrize(
    "ticket",
    [
        Ticket(text=" \n"),
        Ticket(text="x" * (MAX_TEXT_CHARS + 1)),
        Ticket(text="x", subject="y" * (MAX_SUBJECT_CHARS + 1)),
    ],
)
def test_what_is_no_ticket_is_refused(desk: Desk, ticket: Ticket) -> None:
    with pytest.raises(TicketRefused):
        desk.draft(ticket)
    assert desk.counts().drafts == 0


def test_only_recent_drafts_are_remembered(knowledge: KnowledgeBase, lane: ScriptedLane) -> None:
    desk = make_desk(knowledge, lane)
    first = desk.draft(TICKETS[2])
    desk.recall(first.draft_id)
    for _ in range(MAX_REMEMBERED):
        desk.draft(TICKETS[2])
    with pytest.raises(DraftUnknown, match="draft again"):
        desk.recall(first.draft_id)


def test_the_journal_keeps_drafts_and_late_outcomes(
    tmp_path: Path, desk: Desk, journal: MemoryJournal
) -> None:
    desk.draft(TICKETS[0])
    [kept] = journal.records
    written = SqliteJournal(tmp_path / "drafts.db")
    written.record(kept)
    written.record_outcome(kept.draft_id, outcome_not_asked())
    written.close()
    written.close()
    assert written.load(kept.draft_id) == msgspec.structs.replace(kept, policy=outcome_not_asked())
    assert written.load("none") is None


def test_a_journal_whose_queue_is_full_drops_and_counts(
    tmp_path: Path, desk: Desk, journal: MemoryJournal
) -> None:
    desk.draft(TICKETS[0])
    written = SqliteJournal(tmp_path / "drafts.db", max_queued=1)
    written.close()  # nobody takes from the queue any more
    for _ in range(3):
        written.record(journal.records[0])
    assert written.dropped == 2


def test_a_journal_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryUnusable, match="cannot open"):
        SqliteJournal(tmp_path / "missing" / "drafts.db")
