"""Reloads of the policy lane over real sockets: preflight first, then swap; the newest reading decides."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from assistsupport.adapters.producer_client import ProducerClient
from assistsupport.adapters.producer_pilot import LaneSettings
from assistsupport.core.breaker import BreakerSettings
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, IntegrationStatus
from assistsupport.core.policy_question import PolicyStatus

from packages.assistsupport.tests.fault_catalogue import CATALOGUE
from packages.assistsupport.tests.fault_server import (
    ASK,
    HEALTH,
    SCHEMA_VERSION,
    Connection,
    FaultServer,
)
from packages.assistsupport.tests.policy_world import (
    PATIENCE_S,
    QUESTION,
    FixedClock,
    MemoryGovernance,
    await_outcome,
    await_status,
    make_governance,
)

Serve = Callable[..., FaultServer]
StartLane = Callable[..., ProducerClient]
ALL_ROUTES = (HEALTH, SCHEMA_VERSION, ASK)
OLD, NEW = "0d" * 20, "4e" * 20


def is_ready(status: IntegrationStatus) -> bool:
    return status.state is IntegrationState.READY


#: Settings under which the poll never interferes.
STILL = LaneSettings(poll_s=3600)


def runs(commit: str) -> Callable[[IntegrationStatus], bool]:
    return lambda status: status.governance is not None and status.governance.commit == commit


def test_a_reload_swaps_to_a_pin_whose_preflight_passes(serve_fault: Serve, start_lane: StartLane) -> None:
    old, new = serve_fault(None, contract="service.v2"), serve_fault(None)
    source = MemoryGovernance(make_governance(old.url, "service.v2", commit=OLD))
    lane = start_lane("", source=source, settings=STILL)
    assert await_outcome(lane.begin(QUESTION, 5)).governance_commit == OLD
    source.governance = make_governance(new.url, commit=NEW)
    outcome = lane.reload()
    assert (outcome.outcome, outcome.commit, outcome.reason) == ("swapped", NEW, None)
    status = lane.status()
    assert is_ready(status)
    assert status.last_reload == outcome
    assert status.pin is not None
    assert status.pin.release_tag == "v0.4.0"
    assert status.governance is not None
    assert (status.governance.repository, status.governance.commit) == ("memory", NEW)
    applied = await_outcome(lane.begin(QUESTION, 5))
    assert (applied.service_contract_version, applied.governance_commit) == ("service.v3", NEW)


def test_a_reload_of_the_same_commit_changes_nothing(serve_fault: Serve, start_lane: StartLane) -> None:
    lane = start_lane(serve_fault(None).url, settings=STILL)
    await_status(lane, is_ready)
    assert lane.reload().outcome == "unchanged"


@pytest.mark.parametrize("fault", ["closed-route", "error-of-other-version", "close-before-status"])
def test_a_reload_is_refused_when_the_new_pins_preflight_fails_and_the_old_pin_runs_on(
    serve_fault: Serve, start_lane: StartLane, fault: str
) -> None:
    old, new = serve_fault(None), serve_fault(fault, routes=ALL_ROUTES)
    source = MemoryGovernance(make_governance(old.url, commit=OLD))
    lane = start_lane("", source=source, settings=STILL)
    await_status(lane, is_ready)
    source.governance = make_governance(new.url, commit=NEW)
    outcome = lane.reload()
    assert (outcome.outcome, outcome.commit) == ("refused", OLD)
    assert outcome.reason is not None
    assert CATALOGUE[fault].reason in outcome.reason
    assert await_outcome(lane.begin(QUESTION, 5)).governance_commit == OLD


def test_a_reload_of_unreadable_governance_is_refused(serve_fault: Serve, start_lane: StartLane) -> None:
    source = MemoryGovernance(make_governance(serve_fault(None).url, commit=OLD))
    lane = start_lane("", source=source, settings=STILL)
    await_status(lane, is_ready)
    source.governance = None
    outcome = lane.reload()
    assert (outcome.outcome, outcome.commit) == ("refused", OLD)
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED


def test_a_question_in_flight_finishes_where_it_began(serve_fault: Serve, start_lane: StartLane) -> None:
    old, new = serve_fault(None), serve_fault(None)
    arrived, released = threading.Event(), threading.Event()

    def answer_late(connection: Connection) -> None:
        arrived.set()
        assert released.wait(PATIENCE_S)
        connection.reply_json(connection.package())

    old.act = answer_late
    source = MemoryGovernance(make_governance(old.url, commit=OLD))
    lane = start_lane("", source=source, settings=STILL)
    await_status(lane, is_ready)
    early = lane.begin(QUESTION, 5)
    assert arrived.wait(PATIENCE_S)
    source.governance = make_governance(new.url, commit=NEW)
    assert lane.reload().outcome == "swapped"
    assert await_outcome(lane.begin(QUESTION, 5)).governance_commit == NEW
    assert not early.done()
    released.set()
    outcome = await_outcome(early)
    assert (outcome.status, outcome.governance_commit) == (PolicyStatus.APPLIED, OLD)


def test_a_swap_starts_with_a_closed_breaker(serve_fault: Serve, start_lane: StartLane) -> None:
    old, new = serve_fault("code-query_failed"), serve_fault(None)
    source = MemoryGovernance(make_governance(old.url, commit=OLD))
    shut = BreakerSettings(threshold=1, open_s=3600, open_max_s=3600)
    lane = start_lane("", source=source, settings=LaneSettings(poll_s=3600, breaker=shut))
    await_outcome(lane.begin(QUESTION, 5))
    assert lane.status().breaker.state == "open"
    source.governance = make_governance(new.url, commit=NEW)
    lane.reload()
    assert lane.status().breaker.state == "closed"
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED


def test_the_way_back_does_not_queue_behind_a_way_forward_that_hangs(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    old, new = serve_fault(None), serve_fault(None)
    arrived = threading.Event()

    def hang(connection: Connection) -> None:
        arrived.set()
        connection.hang()

    new.routes, new.act = ALL_ROUTES, hang
    source = MemoryGovernance(make_governance(old.url, commit=OLD))
    lane = start_lane("", source=source, settings=STILL)
    await_status(lane, is_ready)
    source.governance = make_governance(new.url, commit=NEW, timeout_ms=30_000)
    forward: list[str | None] = []
    waiting = threading.Thread(target=lambda: forward.append(lane.reload().reason))
    waiting.start()
    assert arrived.wait(PATIENCE_S)
    source.governance = make_governance(old.url, commit=OLD)
    back = lane.reload()
    waiting.join(PATIENCE_S)
    assert (back.outcome, back.commit) == ("unchanged", OLD)
    assert forward == ["superseded by a newer reload"]
    assert lane.status().last_reload == back
    assert await_outcome(lane.begin(QUESTION, 5)).governance_commit == OLD


def test_reloads_that_find_the_same_commit_agree(serve_fault: Serve, start_lane: StartLane) -> None:
    old, new = serve_fault(None), serve_fault(None)
    arrived = threading.Event()

    def hang(connection: Connection) -> None:
        new.act = None
        arrived.set()
        connection.hang()

    new.routes, new.act = ALL_ROUTES, hang
    source = MemoryGovernance(make_governance(old.url, commit=OLD))
    lane = start_lane("", source=source, settings=STILL)
    await_status(lane, is_ready)
    source.governance = make_governance(new.url, commit=NEW, timeout_ms=30_000)
    first: list[str] = []
    waiting = threading.Thread(target=lambda: first.append(lane.reload().outcome))
    waiting.start()
    assert arrived.wait(PATIENCE_S)
    assert lane.reload().outcome == "swapped"
    waiting.join(PATIENCE_S)
    assert first == ["swapped"]


def test_the_last_of_many_racing_reloads_decides(serve_fault: Serve, start_lane: StartLane) -> None:
    server = serve_fault(None)
    governances = [make_governance(server.url, commit=f"{number:02x}" * 20) for number in range(4)]
    source = MemoryGovernance(governances[0])
    lane = start_lane("", source=source, settings=STILL)
    await_status(lane, is_ready)
    for turn in range(30):
        source.governance = governances[turn % 4]
        racing = [threading.Thread(target=lane.reload) for _ in range(3)]
        for thread in racing:
            thread.start()
        source.governance = governances[(turn + 1) % 4]
        assert lane.reload().outcome in {"swapped", "unchanged"}
        for thread in racing:
            thread.join(PATIENCE_S)
        assert runs(governances[(turn + 1) % 4].commit)(lane.status())


def test_a_moved_ref_is_followed_without_being_told(serve_fault: Serve, start_lane: StartLane) -> None:
    old, new = serve_fault(None), serve_fault(None)
    source = MemoryGovernance(make_governance(old.url, commit=OLD))
    lane = start_lane("", source=source, settings=LaneSettings(poll_s=0.01))
    await_status(lane, is_ready)
    source.governance = make_governance(new.url, commit=NEW)
    status = await_status(
        lane, lambda status: status.governance is not None and status.governance.commit == NEW
    )
    assert is_ready(status)
    reads = source.reads
    await_outcome(lane.begin(QUESTION, 5))
    assert source.reads == reads  # a ref that stands still is resolved, not read


def test_the_poll_tries_a_refused_pin_again(serve_fault: Serve, start_lane: StartLane) -> None:
    old, new = serve_fault(None), serve_fault("closed-route", routes=ALL_ROUTES)
    source = MemoryGovernance(make_governance(old.url, commit=OLD))
    lane = start_lane("", source=source, settings=LaneSettings(poll_s=0.01))
    await_status(lane, is_ready)
    source.governance = make_governance(new.url, commit=NEW)
    await_status(lane, lambda status: status.last_reload is not None)
    assert lane.status().governance == source.describe().__class__(
        repository="memory", ref="main", commit=OLD
    )
    new.act = None
    await_status(lane, lambda status: status.governance is not None and status.governance.commit == NEW)


def test_governance_that_becomes_readable_later_is_taken_up(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    source = MemoryGovernance(None)
    lane = start_lane("", source=source, settings=LaneSettings(poll_s=0.01))
    outcome = await_outcome(lane.begin(QUESTION, 5))
    assert outcome.reason is FallbackReason.DEGRADED
    assert outcome.detail is not None
    assert "no commit named" in outcome.detail
    assert lane.status().pin is None
    source.governance = make_governance(serve_fault(None).url)
    await_status(lane, is_ready)
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED


def test_a_base_url_of_our_own_overrides_the_pins(serve_fault: Serve, closing: ExitStack) -> None:
    source = MemoryGovernance(make_governance("http://127.0.0.1:1"))
    lane = ProducerClient(source, FixedClock(), base_url=serve_fault(None).url + "/")
    closing.callback(lane.close)
    lane.start()
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED


class BrokenGovernance(MemoryGovernance):
    """A source with a defect."""

    def _find(self) -> None:  # type: ignore[override]  # the defect
        raise ZeroDivisionError


def test_a_defect_in_the_source_is_a_refusal(start_lane: StartLane) -> None:
    lane = start_lane("", source=BrokenGovernance(None), settings=LaneSettings(poll_s=0.01))
    assert await_outcome(lane.begin(QUESTION, 5)).reason is FallbackReason.DEGRADED
    assert lane.reload().outcome == "refused"
    assert "ZeroDivisionError" in (lane.status().detail or "")
