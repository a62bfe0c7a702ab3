"""The draft probe: what each ticket came to, counted; broken eyes say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from cutover.core.stop import DraftSeen
from cutover.errors import ReleaseUnreachable
from cutover.ports import Drafted
from cutover.service.draft_probe import (
    BREAKING_REASONS,
    DraftProbe,
    ProbedDraft,
    calculate_tally,
    open_probe,
    read_references,
)
from hypothesis import given
from hypothesis import strategies as st

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.service.fakes import TICKETS, FakeWorld


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="open")


@pytest.fixture
def probe(world: FakeWorld) -> DraftProbe:
    return open_probe(world.executor)


def wait_for(probe: DraftProbe, count: int, world: FakeWorld) -> list[ProbedDraft]:
    seen: list[ProbedDraft] = []
    for _ in range(5000):
        seen += probe.drain()
        if len(seen) >= count:
            return seen
        world.clock.pause(0.0)
    raise AssertionError(f"{len(seen)} drafts, expected {count}")


def test_references_are_drafts_without_enrichment(world: FakeWorld) -> None:
    world.consumer.alter = True  # only drafts with enrichment are
    references = read_references(world.consumer, TICKETS, timeout_s=1.0)
    assert references == {ticket.ticket_id: good.sha256(ticket.ticket_id) for ticket in TICKETS}


def test_it_drafts_ticket_after_ticket_until_closed(world: FakeWorld, probe: DraftProbe) -> None:
    with probe:
        seen = wait_for(probe, 7, world)
    assert [d.seen.ticket_id for d in seen[:4]] == ["T0", "T1", "T2", "T0"]
    drafted = world.consumer.drafted
    world.clock.pause(0.1)
    assert world.consumer.drafted == drafted


def test_an_applied_draft(probe: DraftProbe) -> None:
    draft = probe.draft_once(TICKETS[0])
    assert (draft.policy_status, draft.release_tag) == ("applied", good.BASELINE_TAG)
    assert draft.seen.sha256 == draft.seen.reference_sha256


def test_a_lost_draft(world: FakeWorld, probe: DraftProbe) -> None:
    world.consumer.lose = True
    draft = probe.draft_once(TICKETS[0])
    assert (draft.policy_status, draft.seen.delivered, draft.seen.sha256) == ("lost", False, None)
    assert draft.seen.elapsed_s > world.program.thresholds.draft_deadline_s


def test_a_draft_whose_policy_answer_cannot_be_read_stays_what_it_was(world: FakeWorld) -> None:
    class Unsettled(type(world.consumer)):  # type: ignore[misc]  # the fake's own class
        def settle(self, draft: Drafted, *, timeout_s: float) -> Drafted:
            raise ReleaseUnreachable("gone")

    world.consumer.policy = ("pending", None)
    world.consumer.__class__ = Unsettled
    draft = open_probe(world.executor).draft_once(TICKETS[0])
    assert (draft.policy_status, draft.seen.delivered) == ("pending", True)
    assert calculate_tally([draft]).asked == 1


def test_a_consumer_that_does_not_draft_opens_no_probe(world: FakeWorld) -> None:
    world.consumer.dead = True
    with pytest.raises(ReleaseUnreachable):
        open_probe(world.executor)


def test_what_breaks_it_is_raised_where_somebody_looks(world: FakeWorld, probe: DraftProbe) -> None:
    def break_down() -> None:
        raise ZeroDivisionError("the probe broke")

    world.consumer.on_draft = break_down
    with probe, pytest.raises(ZeroDivisionError, match="the probe broke"):
        wait_for(probe, 1, world)


def make_drafts() -> st.SearchStrategy[ProbedDraft]:
    reasons = st.sampled_from([*sorted(BREAKING_REASONS), "timeout", "offline", None])
    return st.builds(
        lambda status, reason, delivered, same: ProbedDraft(
            seen=DraftSeen(
                ticket_id="T",
                delivered=delivered,
                elapsed_s=0.1,
                sha256="a" if delivered else None,
                reference_sha256="a" if same else "b",
            ),
            policy_status=status if delivered else "lost",
            policy_reason=reason if status == "fallback" else None,
            release_tag=None,
        ),
        st.sampled_from(["applied", "fallback", "pending", "not-asked"]),
        reasons,
        st.booleans(),
        st.booleans(),
    )


@given(st.lists(make_drafts(), max_size=12))
def test_counts_add_up_and_order_does_not_matter(drafts: list[ProbedDraft]) -> None:
    tally = calculate_tally(drafts)
    assert tally == calculate_tally(reversed(drafts))
    pending = sum(d.policy_status == "pending" for d in drafts)
    assert tally.asked == tally.applied + sum(tally.fallback.values()) + pending
    assert tally.lost + tally.asked + sum(d.policy_status == "not-asked" for d in drafts) == tally.drafts
    assert tally.breaking == sum(n for reason, n in tally.fallback.items() if reason in BREAKING_REASONS)
    assert tally.altered <= tally.drafts - tally.lost
