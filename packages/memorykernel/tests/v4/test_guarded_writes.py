"""Guarded writes over HTTP: request keys, conflicts, power to supersede, tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CONSTRAINT = "/v1/memory/add/constraint"


def test_a_write_under_a_key_happens_once_and_is_answered_alike(v4: Any) -> None:
    body = v4.kit.constraint("keyed")
    first = v4.call("POST", CONSTRAINT, body, Idempotency_Key="order 1")
    v4.deny("keyed in between")
    second = v4.call("POST", CONSTRAINT, {**body, "unknown": 1}, Idempotency_Key="order 1")
    assert second.body == first.body
    assert second.headers["memory-token"] == first.headers["memory-token"]
    memory_id = first.data["memory_id"]
    assert len(v4.get(f"/v1/memory/lineage/{memory_id}").data["versions"]) == 1
    assert v4.call("POST", CONSTRAINT, body).data["memory_id"] != memory_id


def test_a_key_with_another_request_is_a_conflict(v4: Any) -> None:
    v4.call("POST", CONSTRAINT, v4.kit.constraint("rekeyed"), Idempotency_Key="order-2")
    reply = v4.call("POST", CONSTRAINT, v4.kit.constraint("other"), Idempotency_Key="order-2")
    assert reply.status == 409
    assert reply.json()["error"]["code"] == "write_conflict"
    summary = v4.call("POST", "/v1/memory/add/summary", v4.kit.summary(), Idempotency_Key="order-2")
    assert summary.status == 409


def test_a_refused_write_leaves_its_key_free(v4: Any) -> None:
    taken = v4.deny("refused").data
    again = v4.kit.constraint("refused", memory_id=taken["memory_id"])
    assert v4.call("POST", CONSTRAINT, again, Idempotency_Key="order-3").status == 409
    fixed = {**again, "version": 2}
    assert v4.call("POST", CONSTRAINT, fixed, Idempotency_Key="order-3").status == 200


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_a_key_that_is_none_is_refused(v4: Any, key: str) -> None:
    reply = v4.call("POST", CONSTRAINT, v4.kit.constraint("bad key"), Idempotency_Key=key)
    assert reply.status == 400
    assert reply.json()["error"]["details"] == {"field": "Idempotency-Key"}


def test_a_link_under_a_key(v4: Any) -> None:
    one, other = (v4.deny("linked").data["memory_version_id"] for _ in range(2))
    body = {"from": one, "to": other, "relation": "contradicts", "writer": "w", "justification": "j"}
    replies = [v4.call("POST", "/v1/memory/link", body, Idempotency_Key="link-1") for _ in range(2)]
    assert replies[0].status == 200
    assert replies[0].body == replies[1].body


def test_a_conflict_is_warned_of_with_the_versions(v4: Any) -> None:
    there = v4.deny("warned").data["memory_version_id"]
    reply = v4.deny("warned", "allow")
    assert reply.status == 200
    assert reply.headers["memory-warning"] == f"conflict; versions={there}"
    assert "memory-warning" not in v4.deny("warned in peace").headers


def test_a_warning_names_five_and_says_when_there_are_more(v4: Any) -> None:
    for count, expected in ((5, []), (6, ["truncated"])):
        there = {v4.deny(f"warned of {count}").data["memory_version_id"] for _ in range(count)}
        warning = v4.deny(f"warned of {count}", "allow").headers["memory-warning"]
        named, *more = warning.removeprefix("conflict; versions=").split("; ")
        assert set(named.split(",")) <= there
        assert (named.count(",") + 1, more) == (5, expected)


def test_a_check_finds_the_conflict_with_a_witness_and_writes_nothing(v4: Any) -> None:
    there = v4.deny("org/team/", actor_match="prefix").data["memory_version_id"]
    body = v4.kit.constraint("org/team/", "allow", actor_match="prefix", action="*")
    assert v4.call("POST", "/v1/memory/check/constraint", body).data["conflicts"] == []
    at = "2030-01-01T00:00:00Z"
    body = v4.kit.constraint("org/team/", "allow", actor_match="prefix", effective_at=at)
    for _ in range(2):
        found = v4.call("POST", "/v1/memory/check/constraint", body).data
        (conflict,) = found["conflicts"]
        assert conflict["memory_version_id"] == there
        assert conflict["effect"] == "deny"
        assert conflict["overlap"]["actor"] == "org/team/"
        assert conflict["witness"]["actor"].startswith("org/team/")
        assert (conflict["from"], conflict["until"]) == (at, None)
        assert found["truncated"] is False
    witness = conflict["witness"]
    v4.call("POST", CONSTRAINT, body)
    assert v4.ask(witness["actor"], as_of=witness["as_of"])["answer"]["result"] == "inconclusive"


def test_a_membership_that_brings_two_rules_together_is_warned_of(v4: Any) -> None:
    v4.deny("m-one", actor_match="group", resource="met")
    v4.deny("m-two", "allow", actor_match="group", resource="met")
    replies = [
        v4.call(
            "POST",
            "/v1/memory/add/membership",
            {**v4.kit.summary(), "field": "actor", "group": group, "member": "mia"},
        )
        for group in ("m-one", "m-two")
    ]
    assert "memory-warning" not in replies[0].headers
    assert replies[1].headers["memory-warning"].startswith("conflict; versions=")


def test_a_supersession_that_uncovers_a_conflict_is_warned_of(v4: Any) -> None:
    v4.deny("covered")
    v4.deny("covered", "allow", supersedes=[])
    top = v4.deny("covered", truth_status="observed").data["memory_version_id"]
    reply = v4.deny("somebody", resource="far away", supersedes=[top])
    assert reply.headers["memory-warning"].startswith("conflict; versions=")


def test_a_note_cannot_supersede_an_authoritative_rule(v4: Any) -> None:
    rule = v4.deny("ruled").data["memory_version_id"]
    reply = v4.deny("ruled", authority="note", supersedes=[rule])
    assert reply.status == 409
    assert "authority note" in reply.json()["error"]["message"]
    note = v4.deny("ruled", authority="note").data["memory_version_id"]
    link = {"from": note, "to": rule, "relation": "supersedes", "writer": "w", "justification": "j"}
    assert v4.call("POST", "/v1/memory/link", link).status == 409
    assert v4.call("POST", "/v1/memory/link", {**link, "relation": "contradicts"}).status == 200


def test_a_read_with_the_token_of_a_write_sees_it(v4: Any) -> None:
    token = v4.deny("tokened").headers["memory-token"]
    reply = v4.call("POST", "/v1/query/ask", v4.kit.ask(actor="tokened"), Memory_Token=token)
    assert reply.data["answer"]["result"] == "deny"
    assert v4.get("/v1/context/cpkg_none", Memory_Token=token).status == 404


def test_a_token_of_no_write_is_refused_at_once(v4: Any) -> None:
    reply = v4.get("/v1/context/cpkg_none", Memory_Token=f"txn_{'0' * 64}")
    assert reply.status == 400
    assert reply.json()["error"]["code"] == "validation_error"
    assert "Memory-Token names no write of this database" in reply.json()["error"]["message"]
    assert v4.get("/v1/context/cpkg_none", Memory_Token="txn_1").status == 422


def test_a_server_that_refuses_conflicts(tmp_path: Path, kit: Any) -> None:
    with kit.serve(tmp_path / "m.db", "--service-contract", "service.v4", "--conflicts", "refuse") as server:
        there = server.call("POST", CONSTRAINT, kit.constraint()).data["memory_version_id"]
        reply = server.call("POST", CONSTRAINT, kit.constraint(effect="allow"))
        assert reply.status == 409
        error = reply.json()["error"]
        assert error["code"] == "write_conflict"
        assert error["details"]["versions"] == there
        assert f"this contradicts {there}: may" in error["message"]
        assert server.call("POST", "/v1/query/ask", kit.ask()).data["answer"]["result"] == "deny"
