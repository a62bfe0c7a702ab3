"""The preflight of the policy lane over real sockets: kept, refreshed, quick to see a recovery."""

from collections.abc import Callable

import pytest
from assistsupport.adapters.producer_client import ProducerClient
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, IntegrationStatus
from assistsupport.core.policy_question import PolicyStatus

from packages.assistsupport.tests.fault_catalogue import CATALOGUE
from packages.assistsupport.tests.fault_server import (
    ASK,
    HEALTH,
    SCHEMA_VERSION,
    FaultServer,
    envelope,
    schema_version,
)
from packages.assistsupport.tests.policy_world import (
    QUESTION,
    await_outcome,
    await_status,
)

Serve = Callable[..., FaultServer]
StartLane = Callable[..., ProducerClient]
ALL_ROUTES = (HEALTH, SCHEMA_VERSION, ASK)


def is_ready(status: IntegrationStatus) -> bool:
    return status.state is IntegrationState.READY


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
