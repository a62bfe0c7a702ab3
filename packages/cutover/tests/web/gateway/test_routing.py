"""Which request goes where, what passes, and what the gateway says itself."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit

import pytest
from contracts.core.envelope import POLICIES, check_reply
from cutover.core.entry import Operation, RouteClosed, RoutePointed
from cutover.ports import Reply

from packages.cutover.tests.move import V2, V3, Move
from packages.cutover.tests.web.servers import ASK, Release, RunningGateway


def error_of(reply: Reply, contract: str) -> dict[str, object]:
    """Return the error of a gateway-made reply after judging it by the contract's own policy."""
    breaches = check_reply(
        POLICIES[contract],
        status=reply.status,
        content_type=reply.headers["content-type"],
        body=reply.body,
        max_bytes=1 << 20,
    )
    assert breaches == ()
    error = json.loads(reply.body)["error"]
    assert error["details"]["origin"] == "gateway"
    assert isinstance(error, dict)
    return error


def reason_of(reply: Reply, contract: str) -> object:
    details = error_of(reply, contract)["details"]
    assert isinstance(details, dict)
    return details["reason"]


def test_a_request_goes_to_the_release_of_the_contract_it_names(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    move.forward(Operation.DRILL, address=target.address)
    assert gateway.refresh().routes == {V2: "v0.3.2", V3: "v0.4.0"}
    assert json.loads(gateway.ask(V2).body)["data"] == {"tag": "v0.3.2"}
    assert json.loads(gateway.ask(V3).body)["data"] == {"tag": "v0.4.0"}
    assert gateway.stats().served == {"v0.3.2": 1, "v0.4.0": 1}


def test_a_request_that_names_none_goes_by_the_pointer(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    move.forward(Operation.DRILL, address=target.address)
    gateway.refresh()
    assert json.loads(gateway.ask().body)["data"] == {"tag": "v0.3.2"}
    move.add(RoutePointed(service_contract=V3))
    gateway.refresh()
    assert json.loads(gateway.ask().body)["data"] == {"tag": "v0.4.0"}


def test_body_query_and_the_headers_that_matter_reach_the_release_and_no_others(
    gateway: RunningGateway, baseline: Release
) -> None:
    headers = {
        "authorization": "Bearer t",
        "x-forwarded-for": "1.2.3.4",
        "cookie": "c",
        "te": "trailers",
        "accept-encoding": "gzip",
    }
    gateway.request("POST", "/v1/query/ask?x=1", contract=V2, body=ASK, headers=headers)
    (seen,) = baseline.requests
    assert (seen.method, seen.target, seen.body) == ("POST", b"/v1/query/ask?x=1", ASK)
    assert {name for name, _ in seen.headers} == {
        *(b"host", b"content-length", b"content-type"),
        *(b"authorization", b"service-contract-version"),
    }
    assert seen.header(b"host") == urlsplit(baseline.address).netloc.encode()


@pytest.mark.parametrize("path", ["/v1/health", "/v1/ready", "/v1/context/cpkg_1_txn_2"])
def test_routes_of_the_contract_pass(gateway: RunningGateway, path: str) -> None:
    assert gateway.request("GET", path, contract=V2).status == 200


def test_head_is_answered_like_get_without_a_body(gateway: RunningGateway, baseline: Release) -> None:
    reply = gateway.request("HEAD", "/v1/health", contract=V2)
    assert (reply.status, reply.body) == (200, b"")
    assert baseline.requests[0].method == "GET"


@pytest.mark.parametrize("contract", [V2, V3])
@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/health/", "/V1/health", "/metrics", "/v1/context/", "/../x"]
)
def test_a_path_outside_the_contract_is_answered_404_and_reaches_no_release(
    gateway: RunningGateway, baseline: Release, contract: str, path: str
) -> None:
    reply = gateway.request("GET", path, contract=contract)
    assert reply.status == 404
    assert error_of(reply, contract)["code"] == "validation_error"
    assert baseline.requests == []


@pytest.mark.parametrize("contract", [V2, V3])
def test_a_wrong_method_is_answered_405_with_what_is_allowed(
    gateway: RunningGateway, baseline: Release, contract: str
) -> None:
    reply = gateway.request("DELETE", "/v1/health", contract=contract)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert reason_of(reply, contract) == "wrong-method"
    assert baseline.requests == []


@pytest.mark.parametrize("active", [V2, V3])
def test_an_unknown_contract_is_answered_400_in_the_active_one(
    move: Move, gateway: RunningGateway, active: str
) -> None:
    move.add(RoutePointed(service_contract=active))
    gateway.refresh()
    reply = gateway.ask("service.v9")
    assert reply.status == 400
    assert error_of(reply, active)["code"] == "validation_error"
    assert reason_of(reply, active) == "unknown-contract"


def test_two_contracts_at_once_are_none(gateway: RunningGateway) -> None:
    place = urlsplit(gateway.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        head = "GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        sock.sendall(
            f"{head}service-contract-version: {V2}\r\nservice-contract-version: {V3}\r\n\r\n".encode()
        )
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 400 ")


def test_a_route_that_was_never_opened_and_one_that_was_closed_answer_503(
    move: Move, gateway: RunningGateway, target: Release
) -> None:
    for message in ("not opened yet", "because"):
        reply = gateway.ask(V3)
        assert reply.status == 503
        error = error_of(reply, V3)
        assert error["code"] == "schema_unavailable"
        assert message in str(error["message"])
        move.open_route(V3, "v0.4.0", target.address)
        gateway.refresh()
        assert gateway.ask(V3).status == 200
        move.add(RouteClosed(service_contract=V3, reason="because"))
        gateway.refresh()
    assert gateway.ask(V2).status == 200


def test_a_body_over_two_mebibytes_is_answered_413(gateway: RunningGateway, baseline: Release) -> None:
    reply = gateway.request("POST", "/v1/query/ask", contract=V2, body=b" " * ((2 << 20) + 1))
    assert reply.status == 413
    assert error_of(reply, V2)["code"] == "invalid_json"
    assert baseline.requests == []


def test_what_the_gateway_made_is_counted_apart_by_reason(gateway: RunningGateway) -> None:
    gateway.ask("service.v9")
    gateway.ask(V3)
    gateway.request("GET", "/nowhere", contract=V2)
    stats = gateway.stats()
    assert stats.gateway_made == {"unknown-contract": 1, "route-closed": 1, "unknown-route": 1}
    assert stats.served == {}


def test_the_gateway_follows_the_log_by_itself(move: Move, gateway: RunningGateway, target: Release) -> None:
    move.open_route(V3, "v0.4.0", target.address)
    pause = threading.Event()
    for _ in range(500):
        if gateway.ask(V3).status == 200:
            return
        pause.wait(0.01)
    pytest.fail("the route was not opened without a refresh")


def test_a_damaged_log_changes_no_route_and_fails_the_refresh(move: Move, gateway: RunningGateway) -> None:
    with move.log_file.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(AssertionError, match="does not verify"):
        gateway.refresh()
    assert gateway.ask(V2).status == 200
