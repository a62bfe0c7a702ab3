"""A server of service.v4 answers each request in the contract that it names; older servers do not listen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contracts.core.envelope import POLICIES, check_reply
from contracts.documents import load_openapi
from memorykernel.core.negotiation import list_spoken
from memorykernel.core.release import default_release

MIB = 1024 * 1024
RULES = {
    "service.v2": ("ordering.v1", "recall-ordering.v1"),
    "service.v3": ("ordering.v2", "recall-ordering.v2"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Iterator[Any]:
    path = tmp_path_factory.mktemp("v4") / "memory.db"
    with kit.serve(path, "--service-contract", "service.v4", "--log-requests") as running:
        yield running


def naming(contract: str) -> dict[str, str]:
    return {"content-type": "application/json", "service-contract-version": contract}


def list_keys(value: object, path: str = "") -> frozenset[str]:
    if not isinstance(value, dict):
        return frozenset()
    inner = (list_keys(item, f"{path}.{key}") for key, item in value.items())
    return frozenset({f"{path}.{key}" for key in value}).union(*inner)


@pytest.mark.parametrize("contract", ["service.v2", "service.v3", "service.v4"])
def test_a_named_contract_gives_its_envelope_rules_and_document(server: Any, kit: Any, contract: str) -> None:
    headers = naming(contract)
    replies = [
        server.call("GET", "/v1/health", headers=headers),
        server.call("POST", "/v1/query/ask", kit.ask(), headers=headers),
        server.call("POST", "/v1/query/ask", {"text": 5}, headers=headers),
        server.call("GET", "/nowhere", headers=headers),
        server.call("DELETE", "/v1/health", headers=headers),
    ]
    assert [reply.status for reply in replies] == [200, 200, 422, 404, 405]
    for reply in replies:
        check = check_reply(
            POLICIES[contract],
            status=reply.status,
            content_type=reply.headers["content-type"],
            body=reply.body,
            max_bytes=MIB,
        )
        assert check == ()
    if contract in RULES:
        assert replies[1].data["determinism"]["ruleset_version"] == RULES[contract][0]
    assert server.call("GET", "/v1/openapi", headers=headers).body == load_openapi(contract)


def test_an_older_contract_shows_an_answer_of_a_newer_one_without_its_keys(server: Any, kit: Any) -> None:
    asked = {
        contract: server.call("POST", "/v1/query/ask", kit.ask(as_of=None), headers=naming(contract)).data
        for contract in ("service.v3", "service.v4")
    }
    paths = {contract: f"/v1/context/{data['context_package_id']}" for contract, data in asked.items()}
    for contract, path in paths.items():
        assert server.call("GET", path, headers=naming("service.v4")).data == asked[contract]
    assert server.call("GET", paths["service.v3"], headers=naming("service.v3")).data == asked["service.v3"]
    shown = server.call("GET", paths["service.v4"], headers=naming("service.v3")).data
    assert list_keys(shown) == list_keys(asked["service.v3"]) < list_keys(asked["service.v4"])
    assert (shown["answer"]["result"], shown["determinism"]["ruleset_version"]) == (
        "inconclusive",
        "ordering.v3",
    )


def test_a_request_that_names_none_gets_the_started_one(server: Any) -> None:
    assert server.call("GET", "/v1/health").json()["service_contract_version"] == "service.v4"


@pytest.mark.parametrize("named", ["service.v9", "", "SERVICE.V3", "service.v3, service.v4", "x" * 5000])
def test_an_unknown_contract_is_refused_in_the_started_one(server: Any, named: str) -> None:
    reply = server.call("GET", "/v1/health", headers={"service-contract-version": named})
    assert (reply.status, reply.json()["error"]["code"]) == (400, "validation_error")
    assert reply.json()["service_contract_version"] == "service.v4"
    assert "expected one of service.v2, service.v3, service.v4" in reply.json()["error"]["message"]


@pytest.mark.parametrize("started", ["service.v2", "service.v3"])
def test_the_bytes_of_an_older_contract_are_those_of_a_server_of_that_contract(
    tmp_path: Path, kit: Any, server: Any, started: str
) -> None:
    """What does not depend on what is stored: errors, and an answer on nothing."""
    question = kit.ask(as_of="2026-02-08T13:00:00Z", actor="nobody-asked-about")
    with kit.serve(tmp_path / "old.db", "--service-contract", started) as old:
        for method, path, body in (
            ("GET", "/v1/health", None),
            ("GET", "/nowhere", None),
            ("PATCH", "/v1/query/ask", None),
            ("POST", "/v1/query/ask", {}),
            ("POST", "/v1/query/ask", kit.ask(text=" ")),
            ("GET", "/v1/context/cpkg_unknown", None),
        ):
            there, here = (each.call(method, path, body, headers=naming(started)) for each in (old, server))
            assert (there.status, there.body) == (here.status, here.body)
            kept = {name: value for name, value in there.headers.items() if name != "date"}
            assert kept == {name: value for name, value in here.headers.items() if name != "date"}
        ignored = old.call("POST", "/v1/query/ask", question, headers=naming("service.v9"))
        assert ignored.json()["service_contract_version"] == started
        assert list(ignored.data) == list(
            server.call("POST", "/v1/query/ask", question, headers=naming(started)).data
        )


def test_a_request_id_is_echoed_in_service_v4_only(server: Any) -> None:
    given = {"x-request-id": "abc-1"}
    assert server.call("GET", "/v1/health", headers=given).headers["x-request-id"] == "abc-1"
    assert (
        "x-request-id"
        not in server.call("GET", "/v1/health", headers={**given, **naming("service.v3")}).headers
    )
    forged = server.call("GET", "/v1/health", headers={"x-request-id": 'a" b'}).headers["x-request-id"]
    assert forged != 'a" b'


@pytest.mark.parametrize("contract", ["service.v2", "service.v3"])
def test_an_older_release_speaks_itself_only(contract: str) -> None:
    release = default_release(contract)
    assert list_spoken(release) == (release,)


def test_a_release_of_service_v4_speaks_the_older_ones_with_their_published_rules() -> None:
    started = default_release("service.v4")
    spoken = {each.service_contract: each for each in list_spoken(started)}
    assert list(spoken) == ["service.v4", "service.v2", "service.v3"]
    assert {key: (spoken[key].ruleset, spoken[key].recall_ruleset) for key in RULES} == RULES
    assert {each.schema_version for each in spoken.values()} == {started.schema_version}
