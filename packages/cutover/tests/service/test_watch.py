"""The watch: every look finds a stop, whoever said it; drafts are taken over from the probe in order."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cutover.core.entry import Operation, Prepared, StopCondition, Stopped
from cutover.core.stop import DraftSeen
from cutover.errors import ReleaseUnreachable
from cutover.service.attempt import Attempt, MoveStopped, begin_attempt
from cutover.service.draft_probe import DraftProbe, ProbedDraft
from cutover.service.forward import begin
from cutover.service.watch import Watch

from packages.cutover.tests.service.fakes import FakeWorld


class StillProbe(DraftProbe):
    """A probe whose drafts a test puts in: one batch for each look."""

    def __init__(self) -> None:
        self.batches: list[list[ProbedDraft]] = []

    def drain(self) -> list[ProbedDraft]:
        return self.batches.pop(0) if self.batches else []


def make_draft(name: str, *, sha256: str = "good") -> ProbedDraft:
    seen = DraftSeen(ticket_id=name, delivered=True, elapsed_s=0.01, sha256=sha256, reference_sha256="good")
    return ProbedDraft(seen=seen, policy_status="applied", policy_reason=None, release_tag="v0.4.0")


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    world = FakeWorld(tmp_path, until="approve-execution")
    world.gateway.idle = True
    return world


@pytest.fixture
def attempt(world: FakeWorld) -> Attempt:
    found = world.executor.read_case().newest(Prepared)
    assert found is not None
    attempt = begin_attempt(world.executor, Operation.FORWARD, found[1].execution, found[1].live_ref)
    begin(attempt)
    return attempt


@pytest.fixture
def probe() -> StillProbe:
    return StillProbe()


@pytest.fixture
def watch(attempt: Attempt, probe: StillProbe) -> Watch:
    return Watch(attempt, probe, roles=True)


def say_stop(world: FakeWorld) -> None:
    stopped = Stopped(condition=StopCondition.MANUAL, reason="enough", observed_at=world.clock.now())
    world.add(stopped, signer="consumer")


def test_a_quiet_look_changes_nothing(world: FakeWorld, watch: Watch) -> None:
    head = world.log.read().head
    watch.tick()
    watch.wait(1.0)
    assert world.log.read().head == head


def test_a_look_finds_the_stop_of_somebody_else(world: FakeWorld, watch: Watch) -> None:
    say_stop(world)
    with pytest.raises(MoveStopped) as stopped:
        watch.tick()
    assert stopped.value.stopped.condition is StopCondition.MANUAL
    with pytest.raises(MoveStopped):
        watch.wait(1.0)
    with pytest.raises(MoveStopped):
        watch.during(lambda: None)


def test_a_bad_draft_among_good_ones_stops_and_all_are_kept(watch: Watch, probe: StillProbe) -> None:
    probe.batches = [[make_draft("a"), make_draft("b", sha256="bad"), make_draft("c")]]
    with pytest.raises(MoveStopped) as stopped:
        watch.tick()
    assert stopped.value.stopped.condition is StopCondition.FALLBACK_REGRESSION
    assert [draft.seen.ticket_id for draft in watch.drafts] == ["a", "b", "c"]


def test_roles_are_watched_only_when_they_are_asked_for(
    world: FakeWorld, attempt: Attempt, probe: StillProbe
) -> None:
    world.clock.pause(40 * 86_400.0)  # past the end of every binding
    Watch(attempt, probe, roles=False).tick()
    with pytest.raises(MoveStopped) as stopped:
        Watch(attempt, probe, roles=True).tick()
    assert stopped.value.stopped.condition is StopCondition.ROLLBACK_OWNER_AMBIGUITY


def test_something_slow_is_done_while_looking(watch: Watch) -> None:
    assert watch.during(lambda: 42) == 42


def test_what_fails_meanwhile_fails_here_a_timeout_included(watch: Watch) -> None:
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(ReleaseUnreachable):
        watch.during(lambda: fail(ReleaseUnreachable("gone")))
    with pytest.raises(TimeoutError, match="its own"):
        watch.during(lambda: fail(TimeoutError("its own")))


def test_a_stop_does_not_wait_for_what_is_being_done(world: FakeWorld, watch: Watch) -> None:
    done = threading.Event()

    def hang() -> None:
        say_stop(world)
        assert done.wait(20.0)

    with pytest.raises(MoveStopped):
        watch.during(hang)
    done.set()


def test_drafts_from_before_and_the_one_in_flight_are_not_counted(watch: Watch, probe: StillProbe) -> None:
    names = (("ended before", "also before"), ("in flight",), ("first",), ("second", "third"))
    probe.batches = [[make_draft(name) for name in batch] for batch in names]
    seen = watch.see_drafts(2)
    assert [draft.seen.ticket_id for draft in seen] == ["first", "second", "third"]


def test_no_drafts_at_all_is_an_error_and_no_success(watch: Watch) -> None:
    with pytest.raises(ReleaseUnreachable, match="is the consumer up"):
        watch.see_drafts(1)


def test_after_a_stop_drafts_can_still_be_counted(world: FakeWorld, watch: Watch, probe: StillProbe) -> None:
    say_stop(world)
    probe.batches = [[make_draft(str(n), sha256="bad")] for n in range(9)]
    assert len(watch.see_drafts(3, stoppable=False)) == 3
