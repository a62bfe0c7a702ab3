"""Every fault of the catalogue, over real sockets: its reason, in time, and nothing raised."""

from collections.abc import Callable
from concurrent.futures import Future

from assistsupport.adapters.producer_client import ProducerClient
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, calculate_state, calculate_state_reason
from assistsupport.core.policy_question import PolicyStatus

from packages.assistsupport.tests.fault_catalogue import CATALOGUE, FAULTS
from packages.assistsupport.tests.fault_server import ASK, HEALTH, SCHEMA_VERSION, FaultServer
from packages.assistsupport.tests.policy_world import QUESTION, await_outcome, await_status

#: Short where the deadline is what ends the question, long where a slow machine must not end it first.
HANGING_DEADLINE_S = 0.2
DEADLINE_S = 10.0
SLACK_S = 2.0

Serve = Callable[..., FaultServer]
StartLane = Callable[..., ProducerClient]


def test_the_catalogue_is_large_enough() -> None:
    assert len(FAULTS) >= 40
    assert set(FAULTS.values()) <= set(FallbackReason)


def test_a_fault_gives_its_reason_in_time(
    policy_fault: str, serve_fault: Serve, start_lane: StartLane
) -> None:
    lane = start_lane(serve_fault(policy_fault).url)
    await_status(lane, lambda status: status.state is IntegrationState.READY)
    deadline_s = HANGING_DEADLINE_S if FAULTS[policy_fault] == "timeout" else DEADLINE_S
    future = lane.begin(QUESTION, deadline_s)
    assert isinstance(future, Future)
    outcome = await_outcome(future)
    assert (outcome.status, outcome.reason) == (PolicyStatus.FALLBACK, FAULTS[policy_fault]), outcome.detail
    assert outcome.answer is None
    assert outcome.detail
    assert outcome.elapsed_ms is not None
    assert outcome.elapsed_ms < (deadline_s + SLACK_S) * 1000


def test_a_fault_of_the_preflight_gives_the_state_of_its_reason(
    preflight_fault: str, serve_fault: Serve, start_lane: StartLane
) -> None:
    server = serve_fault(preflight_fault, routes=(HEALTH, SCHEMA_VERSION))
    reason = FallbackReason(CATALOGUE[preflight_fault].reason)
    lane = start_lane(server.url, timeout_ms=150 if reason is FallbackReason.TIMEOUT else 10_000)
    expected = calculate_state(reason)
    status = await_status(lane, lambda status: status.checked_at is not None)
    assert status.state is expected, status
    outcome = await_outcome(lane.begin(QUESTION, DEADLINE_S))
    assert outcome.reason is calculate_state_reason(expected)
    assert server.count(ASK) == 0


def test_a_question_is_answered_when_the_producer_is_healthy(
    serve_fault: Serve, start_lane: StartLane
) -> None:
    for contract in ("service.v2", "service.v3"):
        lane = start_lane(serve_fault(None, contract=contract).url, contract)
        outcome = await_outcome(lane.begin(QUESTION, 5))
        assert outcome.status is PolicyStatus.APPLIED, outcome
        assert outcome.answer is not None
        assert outcome.answer.result == "deny"
        assert outcome.service_contract_version == contract
        assert (outcome.ruleset_version, outcome.snapshot_id) == ("ordering.v2", "txn_0123456789abcdef")
        assert [item.rank for item in outcome.deciding_items] == [1]
