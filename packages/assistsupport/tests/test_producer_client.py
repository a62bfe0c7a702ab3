"""The policy lane over real sockets: what a question and a close promise."""

import threading
from collections.abc import Callable

import pytest
from assistsupport.adapters.disabled_lane import DisabledLane
from assistsupport.adapters.producer_client import ProducerClient
from assistsupport.adapters.producer_pilot import LaneSettings
from assistsupport.core.breaker import BreakerSettings
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, IntegrationStatus
from assistsupport.core.policy_question import PolicyStatus
from assistsupport.ports import GovernanceSource, PolicyLane

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


def is_ready(status: IntegrationStatus) -> bool:
    return status.state is IntegrationState.READY


def test_the_lanes_are_lanes() -> None:
    lane: PolicyLane = ProducerClient(MemoryGovernance(None), FixedClock())
    source: GovernanceSource = MemoryGovernance(None)
    lane.close()
    lane = DisabledLane(FixedClock())
    assert source.describe().commit is None


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
