"""The policy lane over real sockets: what a question, a preflight, a reload and a close promise."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from assistsupport.adapters.disabled_lane import DisabledLane
from assistsupport.adapters.producer_client import ProducerClient
from assistsupport.adapters.producer_pilot import LaneSettings
from assistsupport.core.breaker import BreakerSettings
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, IntegrationStatus
from assistsupport.core.policy_question import PolicyStatus
from assistsupport.ports import GovernanceSource, PolicyLane

from packages.assistsupport.tests.fault_catalogue import CATALOGUE
from packages.assistsupport.tests.fault_server import (
    ASK,
    HEALTH,
    SCHEMA_VERSION,
    Connection,
    FaultServer,
    context_package,
    encode,
    envelope,
    render_head,
    schema_version,
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


def test_the_lanes_are_lanes() -> None:
    lane: PolicyLane = ProducerClient(MemoryGovernance(None), FixedClock())
    source: GovernanceSource = MemoryGovernance(None)
    lane.close()
    lane = DisabledLane(FixedClock())
    assert source.describe().commit is None


# -- a question ----------------------------------------------------------------------------------------


def test_every_request_names_the_pinned_contract_and_every_question_has_as_of(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    server = serve_fault(None, contract="service.v2")
    lane = start_lane(server.url, "service.v2")
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED
    assert [request.path for request in server.requests] == [HEALTH, SCHEMA_VERSION, ASK]
    assert all(request.headers["service-contract-version"] == "service.v2" for request in server.requests)
    assert all(request.headers["accept-encoding"] == "identity" for request in server.requests)
    assert server.requests[1].body == b""
    assert "content-type" not in server.requests[1].headers
    assert server.requests[2].headers["content-type"] == "application/json"
    assert b'"as_of":null' in server.requests[2].body
    assert server.connections == 1


def test_a_question_ahead_of_the_first_preflight_waits_for_it(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    lane = start_lane(serve_fault(None).url)
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED


def test_a_question_ahead_of_a_preflight_that_hangs_times_out(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    lane = start_lane(serve_fault("hang-before-status", routes=ALL_ROUTES).url)
    outcome = await_outcome(lane.begin(QUESTION, 0.1))
    assert outcome.reason is FallbackReason.TIMEOUT


@pytest.mark.parametrize("deadline_s", [0.0, -1.0])
def test_a_deadline_that_has_passed_is_a_timeout(
    serve_fault: Serve, start_lane: StartLane, deadline_s: float
) -> None:
    lane = start_lane(serve_fault("hang-before-status").url)
    await_status(lane, is_ready)
    assert await_outcome(lane.begin(QUESTION, deadline_s)).reason is FallbackReason.TIMEOUT


def test_a_late_reader_finds_the_same_outcome_and_nobody_can_cancel_it(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    lane = start_lane(serve_fault(None).url)
    future = lane.begin(QUESTION, 5)
    assert not future.cancel()
    assert await_outcome(future) is await_outcome(future)


def test_questions_share_connections(serve_fault: Serve, start_lane: StartLane) -> None:
    server = serve_fault(None)
    lane = start_lane(server.url)
    for _ in range(20):
        assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED
    assert server.connections == 1
    assert lane.status().in_flight == 0


def test_a_connection_that_went_stale_costs_no_answer(serve_fault: Serve, start_lane: StartLane) -> None:
    server = serve_fault(None)
    lane = start_lane(server.url)
    await_status(lane, is_ready)
    seen = threading.Event()

    def drop_once(connection: Connection) -> None:
        if seen.is_set():
            connection.reply_json(connection.package())
        seen.set()

    server.act = drop_once
    outcome = await_outcome(lane.begin(QUESTION, 5))
    assert outcome.status is PolicyStatus.APPLIED, outcome
    assert server.count(ASK) == 2


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        ("close-before-status", 2),
        ("reset-before-status", 2),
        ("close-mid-status", 1),
        ("close-mid-headers", 1),
        ("hang-before-status", 1),
        ("code-query_failed", 1),
    ],
)
def test_a_question_is_repeated_once_at_most_and_never_after_a_byte_of_a_reply(
    serve_fault: Serve, start_lane: StartLane, fault: str, requests: int
) -> None:
    server = serve_fault(fault)
    lane = start_lane(server.url)
    await_status(lane, is_ready)
    assert await_outcome(lane.begin(QUESTION, 0.2)).status is PolicyStatus.FALLBACK
    assert server.count(ASK) == requests


@pytest.mark.parametrize("is_late", [False, True])
def test_a_stray_reply_never_answers_the_next_question(
    serve_fault: Serve, start_lane: StartLane, is_late: bool
) -> None:
    server = serve_fault(None)
    lane = start_lane(server.url)
    await_status(lane, is_ready)
    first_is_in = threading.Event()
    stray = encode(envelope("service.v3", context_package({"actor": "ceo"}, "allow")))

    def answer_twice(connection: Connection) -> None:
        server.act = None
        answer = encode(connection.package())
        connection.send(render_head(200, len(answer)) + answer)
        if is_late:
            assert first_is_in.wait(PATIENCE_S)
        connection.send(render_head(200, len(stray)) + stray)
        connection.hang()

    server.act = answer_twice
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED
    first_is_in.set()
    for _ in range(5):
        outcome = await_outcome(lane.begin(QUESTION, 0.5))
        assert outcome.answer is None or outcome.answer.result == "deny"
    assert outcome.status is PolicyStatus.APPLIED


def test_an_unknown_code_is_reported_as_drift_once(serve_fault: Serve, start_lane: StartLane) -> None:
    lane = start_lane(serve_fault("code-teapot").url)
    for _ in range(3):
        assert await_outcome(lane.begin(QUESTION, 5)).reason is FallbackReason.UNKNOWN
    drift = lane.status().drift
    assert len(drift) == 1
    assert "teapot" in drift[0]


def test_a_question_that_cannot_be_written_is_our_own_defect(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    lane = start_lane(serve_fault(None).url)
    broken = type(QUESTION)(text=object(), actor="a", action="b", resource="c")  # type: ignore[arg-type]  # the defect
    outcome = await_outcome(lane.begin(broken, 5))
    assert outcome.reason is FallbackReason.ADAPTER_ERROR
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED


def test_an_open_breaker_gives_the_reason_that_opened_it_without_asking(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    server = serve_fault("code-query_failed")
    shut = LaneSettings(breaker=BreakerSettings(threshold=2, open_s=60, open_max_s=60))
    lane = start_lane(server.url, settings=shut)
    for _ in range(5):
        assert await_outcome(lane.begin(QUESTION, 5)).reason is FallbackReason.QUERY_ERROR
    assert server.count(ASK) == 2
    breaker = lane.status().breaker
    assert (breaker.state, breaker.reason) == ("open", FallbackReason.QUERY_ERROR)


def test_a_breaker_closes_when_the_producer_has_recovered(serve_fault: Serve, start_lane: StartLane) -> None:
    server = serve_fault("code-query_failed")
    quick = LaneSettings(breaker=BreakerSettings(threshold=1, open_s=0.001, open_max_s=0.001))
    lane = start_lane(server.url, settings=quick)
    assert await_outcome(lane.begin(QUESTION, 5)).reason is FallbackReason.QUERY_ERROR
    server.act = None
    tries = [await_outcome(lane.begin(QUESTION, 5)).status for _ in range(200)]
    assert tries[-1] is PolicyStatus.APPLIED
    assert lane.status().breaker.state == "closed"


# -- the preflight ---------------------------------------------------------------------------------------


def test_one_preflight_serves_many_tickets(serve_fault: Serve, start_lane: StartLane) -> None:
    server = serve_fault(None)
    lane = start_lane(server.url)
    for _ in range(30):
        await_outcome(lane.begin(QUESTION, 5))
    assert (server.count(HEALTH), server.count(SCHEMA_VERSION)) == (1, 1)


def test_a_state_that_is_not_ready_answers_at_once_without_asking(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    server = serve_fault("closed-route", routes=ALL_ROUTES)
    lane = start_lane(server.url)
    await_status(lane, lambda status: status.state is IntegrationState.SCHEMA_UNAVAILABLE)
    future = lane.begin(QUESTION, 5)
    assert future.done()
    assert future.result().reason is FallbackReason.SCHEMA_UNAVAILABLE
    assert server.count(ASK) == 0


def test_the_state_recovers_by_itself(serve_fault: Serve, start_lane: StartLane) -> None:
    server = serve_fault("closed-route", routes=ALL_ROUTES)
    lane = start_lane(server.url)
    await_status(lane, lambda status: status.state is IntegrationState.SCHEMA_UNAVAILABLE)
    server.act = None
    await_status(lane, is_ready)
    assert await_outcome(lane.begin(QUESTION, 5)).status is PolicyStatus.APPLIED


def test_a_question_that_failed_has_the_producer_checked_at_once(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    server = serve_fault(None)
    lane = start_lane(server.url)
    await_status(lane, is_ready)
    server.routes = ALL_ROUTES
    server.act = CATALOGUE["other-service-version"].act
    assert await_outcome(lane.begin(QUESTION, 5)).reason is FallbackReason.VERSION_MISMATCH
    # The regular look is 15 s away; only the failure can have led here so soon.
    status = await_status(lane, lambda status: status.state is not IntegrationState.READY)
    assert status.reason is not None


@pytest.mark.parametrize(
    ("route", "data", "state"),
    [
        (HEALTH, {"status": "sick"}, IntegrationState.DEGRADED),
        (HEALTH, {}, IntegrationState.MALFORMED_PAYLOAD),
        (SCHEMA_VERSION, schema_version(3), IntegrationState.SCHEMA_UNAVAILABLE),
        (SCHEMA_VERSION, {"current_version": "3"}, IntegrationState.MALFORMED_PAYLOAD),
    ],
)
def test_what_the_preflight_reads_decides_the_state(
    serve_fault: Serve, start_lane: StartLane, route: str, data: object, state: IntegrationState
) -> None:
    server = serve_fault(None)
    server.routes = (route,)
    server.act = lambda connection: connection.reply_json(envelope("service.v3", data))
    lane = start_lane(server.url)
    assert await_status(lane, lambda status: status.checked_at is not None).state is state


# -- a reload ----------------------------------------------------------------------------------------------


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


# -- the end -----------------------------------------------------------------------------------------------


def test_a_close_settles_what_is_in_flight(serve_fault: Serve, start_lane: StartLane) -> None:
    lane = start_lane(serve_fault("hang-before-status").url)
    await_status(lane, is_ready)
    futures = [lane.begin(QUESTION, 30) for _ in range(10)]
    lane.close()
    lane.close()
    assert {await_outcome(future).reason for future in futures} == {FallbackReason.ADAPTER_ERROR}


def test_a_lane_that_is_not_running_answers_all_the_same(serve_fault: Serve) -> None:
    lane = ProducerClient(MemoryGovernance(make_governance(serve_fault(None).url)), FixedClock())
    assert lane.begin(QUESTION, 5).result().reason is FallbackReason.ADAPTER_ERROR
    assert lane.reload().outcome == "refused"
    lane.close()
    assert lane.begin(QUESTION, 5).result().reason is FallbackReason.ADAPTER_ERROR
    assert lane.reload().outcome == "refused"


def test_a_lane_leaves_no_thread_and_no_socket_behind(serve_fault: Serve, start_lane: StartLane) -> None:
    lane = start_lane(serve_fault(None).url)
    await_outcome(lane.begin(QUESTION, 5))
    lane.close()
    assert all(thread.name != "producer-client" for thread in threading.enumerate())


def test_a_switched_off_lane_says_so() -> None:
    lane = DisabledLane(FixedClock())
    lane.start()
    future = lane.begin(QUESTION, 5)
    assert future.done()
    assert future.result().reason is FallbackReason.FEATURE_DISABLED
    assert lane.status().state is IntegrationState.DISABLED
    assert lane.reload().outcome == "refused"
    lane.close()
