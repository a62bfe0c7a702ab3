"""The endpoints of service.v4 over HTTP: what each answers, and when it says no."""

from __future__ import annotations

from typing import Any

import pytest

UNKNOWN = "01J00000000000000000000000"


def test_a_record_reads_back_with_its_place_and_who_speaks_about_it(v4: Any) -> None:
    first = v4.deny("reader").data
    second = v4.deny("reader", supersedes=[first["memory_version_id"]]).data
    story = v4.get(f"/v1/memory/record/{first['memory_version_id']}").data
    assert story["record"] == first
    assert story["superseded_by"] == [second["memory_version_id"]]
    assert story["contradicted_by"] == []
    assert story["recorded_at"].endswith("Z")
    assert story["snapshot_id"].startswith("txn_")
    later = v4.get(f"/v1/memory/record/{second['memory_version_id']}").data
    assert later["entry"] > story["entry"]
    assert later["record"]["supersedes"] == [first["memory_version_id"]]


def test_the_lineage_of_a_memory_is_its_versions_in_order(v4: Any) -> None:
    first = v4.deny("lineage").data
    memory_id = first["memory_id"]
    v4.deny("lineage", "allow", memory_id=memory_id, version=3)
    v4.deny("lineage", "allow", memory_id=memory_id, version=2)
    story = v4.get(f"/v1/memory/lineage/{memory_id}").data
    assert [each["record"]["version"] for each in story["versions"]] == [1, 2, 3]
    assert story["truncated"] is False


@pytest.mark.parametrize("path", ["record", "lineage"])
def test_an_id_that_nobody_has_is_not_found(v4: Any, path: str) -> None:
    reply = v4.get(f"/v1/memory/{path}/{UNKNOWN}")
    assert reply.status == 404
    assert reply.json()["error"]["code"] == "validation_error"
    assert v4.get(f"/v1/memory/{path}/no-ulid").status == 422


def test_a_member_is_answered_by_the_rules_of_its_group(v4: Any) -> None:
    assert v4.ask("ann")["answer"]["result"] == "inconclusive"
    v4.deny("staff", actor_match="group")
    membership = {**v4.kit.summary(), "field": "actor", "group": "staff", "member": "ann"}
    record = v4.call("POST", "/v1/memory/add/membership", membership).data
    assert record["payload"] == {
        "record_type": "membership",
        "payload": {"field": "actor", "group": "staff", "member": "ann"},
    }
    answer = v4.ask("ann")
    assert answer["answer"]["result"] == "deny"
    assert answer["determinism"]["ruleset_version"] == "ordering.v3"


def test_an_answer_as_known_before_a_write_does_not_know_it(v4: Any) -> None:
    before = v4.deny("timed").headers["memory-token"]
    v4.deny("timed", "allow", authority="authoritative", truth_status="observed")
    assert v4.ask("timed")["answer"]["result"] == "allow"
    then = v4.ask("timed", as_known_at=before)
    assert then["answer"]["result"] == "deny"
    assert then["determinism"]["snapshot_id"] == before
    assert then["query"]["as_known_at"] == before


@pytest.mark.parametrize(("known", "status"), [(f"txn_{'0' * 64}", 400), ("yesterday", 422)])
def test_a_state_that_is_none_is_refused(v4: Any, known: str, status: int) -> None:
    body = v4.kit.ask(as_known_at=known)
    assert v4.call("POST", "/v1/query/ask", body).status == status


def test_an_answer_says_until_when_it_holds(v4: Any) -> None:
    v4.deny("guest", effective_at="2026-01-01T00:00:00Z", expires_at="2026-02-01T00:00:00Z")
    answer = v4.ask("guest", as_of="2026-01-15T00:00:00Z")["answer"]
    assert (answer["result"], answer["holds_until"]) == ("deny", "2026-02-01T00:00:00Z")
    assert v4.ask("guest", as_of="2026-02-01T00:00:00Z")["answer"]["result"] == "inconclusive"


def test_exclusions_are_paged_until_all_are_shown(v4: Any) -> None:
    old = [
        v4.deny("paged", expires_at="2020-01-01T00:00:00Z", effective_at="2019-01-01T00:00:00Z")
        for _ in range(30)
    ]
    answer = v4.ask("paged")
    assert answer["exclusions"]["total"] == 30
    assert answer["exclusions"]["by_reason"]["expired"] == 30
    path = f"/v1/context/{answer['context_package_id']}/exclusions"
    rest = v4.get(f"{path}?cursor={answer['exclusions']['next_cursor']}").data
    shown = [each["memory_version_id"] for each in (*answer["excluded_items"], *rest["excluded_items"])]
    assert sorted(shown) == sorted(each.data["memory_version_id"] for each in old)
    assert rest["next_cursor"] is None
    assert [each["rank"] for each in rest["excluded_items"]] == list(range(21, 31))
    assert len(v4.get(path).data["excluded_items"]) == 30
    assert v4.get(f"{path}?cursor=elsewhere").status == 422


def test_an_answer_replays_byte_for_byte_after_later_writes(v4: Any) -> None:
    v4.deny("replayed")
    answer = v4.ask("replayed")
    v4.deny("replayed", "allow", truth_status="observed")
    replay = v4.get(f"/v1/context/{answer['context_package_id']}/replay").data
    assert replay == {
        "context_package_id": answer["context_package_id"],
        "identical": True,
        "ruleset_version": "ordering.v3",
        "snapshot_id": answer["determinism"]["snapshot_id"],
        "first_difference": None,
    }


def test_an_answer_comes_with_its_proof(v4: Any) -> None:
    v4.deny("proved")
    package_id = v4.ask("proved")["context_package_id"]
    proof = v4.get(f"/v1/context/{package_id}/proof").data
    assert proof["ruleset"] == "ordering.v3"
    assert package_id in proof["package"]
    assert len(proof["inputs"]) == 1


def test_the_smallest_change_that_flips_an_answer(v4: Any) -> None:
    record = v4.deny("flipped").data
    package_id = v4.ask("flipped")["context_package_id"]
    found = v4.get(f"/v1/context/{package_id}/counterfactual").data
    assert found["result"] == "deny"
    assert found["smallest"] == {
        "change": "remove",
        "memory_version_ids": [record["memory_version_id"]],
        "result_after": "inconclusive",
    }
    assert {each["change"] for each in found["flips"]} == {"remove", "add"}


@pytest.mark.parametrize("what", ["exclusions", "replay", "proof", "counterfactual"])
def test_what_is_asked_about_no_answer_is_not_found(v4: Any, what: str) -> None:
    reply = v4.get(f"/v1/context/cpkg_none/{what}")
    assert reply.status == 404
    assert reply.json()["error"]["code"] == "context_package_not_found"


def test_a_recall_has_no_counterfactual_and_no_proof(v4: Any) -> None:
    body = {"text": "usb", "record_types": []}
    package = v4.call("POST", "/v1/query/recall", body).data
    assert package["next_cursor"] is None
    for what in ("counterfactual", "proof"):
        assert v4.get(f"/v1/context/{package['context_package_id']}/{what}").status == 400
    assert v4.get(f"/v1/context/{package['context_package_id']}/replay").data["identical"] is True
    assert v4.get(f"/v1/context/{package['context_package_id']}/exclusions").data["excluded_items"] == []


def test_the_blast_radius_of_a_record_is_the_answers_that_used_it(v4: Any) -> None:
    wide = v4.deny("*", resource="blast").data["memory_version_id"]
    narrow = v4.deny("blasted", resource="blast").data["memory_version_id"]
    used = v4.ask("blasted", resource="blast")["context_package_id"]
    v4.ask("blasted", resource="elsewhere")

    def radius(version_id: str) -> Any:
        return v4.call("POST", "/v1/explain/blast-radius", {"memory_version_id": version_id}).data

    (answer,) = radius(narrow)["answers"]
    assert (answer["context_package_id"], answer["before"], answer["after"]) == (used, "deny", "deny")
    assert answer["flips"] is False
    assert [each["context_package_id"] for each in radius(wide)["answers"]] == [used]


def test_the_blast_radius_says_what_flips_and_leaves_out_older_answers(v4: Any) -> None:
    v4.ask("radius")
    version_id = v4.deny("radius").data["memory_version_id"]
    later = v4.ask("radius")["context_package_id"]
    body = {"memory_version_id": version_id, "limit": 1}
    first = v4.call("POST", "/v1/explain/blast-radius", body).data
    assert first["answers"] == []
    assert first["examined"] == 1
    body |= {"cursor": first["next_cursor"]}
    second = v4.call("POST", "/v1/explain/blast-radius", body).data
    (answer,) = second["answers"]
    assert (answer["context_package_id"], answer["after"], answer["flips"]) == (later, "inconclusive", True)


def test_a_superseder_reaches_the_answers_that_its_target_would_have_given(v4: Any) -> None:
    target = v4.deny("retired").data["memory_version_id"]
    superseder = v4.deny("nobody", resource="other", supersedes=[target]).data["memory_version_id"]
    answered = v4.ask("retired")
    assert answered["answer"]["result"] == "inconclusive"
    body = {"memory_version_id": superseder, "limit": 500}
    found = v4.call("POST", "/v1/explain/blast-radius", body).data["answers"]
    flipped = {each["context_package_id"]: each["after"] for each in found if each["flips"]}
    assert flipped == {answered["context_package_id"]: "deny"}


def test_two_bases_are_compared_over_the_stored_questions(v4: Any) -> None:
    always = {"effective_at": "2020-01-01T00:00:00Z"}
    before = v4.deny("compared", **always).headers["memory-token"]
    package_id = v4.ask("compared")["context_package_id"]
    changed = v4.deny("compared", "allow", truth_status="observed", **always).data["memory_version_id"]
    bases = {"from": {"ruleset": "ordering.v3", "as_known_at": before}, "to": {"ruleset": "ordering.v3"}}
    found = v4.call("POST", "/v1/explain/compare", {**bases, "limit": 500}).data
    (flip,) = [each for each in found["flips"] if each["context_package_id"] == package_id]
    assert (flip["before"], flip["after"], flip["minimal"]) == ("deny", "allow", True)
    assert flip["responsible"] == [changed]
    assert found["compared"] == found["same"] + len(found["flips"])
    assert found["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("compare", {"from": {"ruleset": "ordering.v9"}, "to": {"ruleset": "ordering.v3"}}, 400),
        (
            "compare",
            {"from": {"ruleset": "ordering.v3", "as_known_at": "txn_x"}, "to": {"ruleset": "ordering.v3"}},
            422,
        ),
        ("compare", {"from": {"ruleset": "ordering.v3"}}, 422),
        ("compare", {"from": {"ruleset": "ordering.v1"}, "to": {"ruleset": "ordering.v3"}, "limit": 0}, 400),
        (
            "compare",
            {"from": {"ruleset": "ordering.v1"}, "to": {"ruleset": "ordering.v3"}, "cursor": "x"},
            422,
        ),
        ("blast-radius", {"memory_version_id": "x"}, 422),
        ("blast-radius", {"memory_version_id": UNKNOWN}, 404),
        ("blast-radius", {"memory_version_id": UNKNOWN, "limit": 501}, 400),
    ],
)
def test_explanations_that_are_refused(v4: Any, path: str, body: Any, status: int) -> None:
    assert v4.call("POST", f"/v1/explain/{path}", body).status == status
