"""Every OpenAPI document is valid and complete; they differ in nothing but what the contracts say."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
from contracts.core.envelope import POLICIES
from contracts.core.error_code import ERROR_CODES, ErrorCode
from contracts.core.openapi import parse_openapi
from contracts.core.service import KNOWN_SERVICE_CONTRACTS
from contracts.documents import load_openapi
from openapi_spec_validator import OpenAPIV31SpecValidator

ENDPOINTS = {
    ("get", "/v1/health"): {200, 405, 500},
    ("get", "/v1/ready"): {200, 405, 500, 503},
    ("get", "/v1/openapi"): {200, 405, 500},
    ("post", "/v1/db/schema-version"): {200, 405, 413, 500, 503},
    ("post", "/v1/db/migrate"): {200, 400, 405, 413, 415, 422, 500, 503},
    ("post", "/v1/memory/add/constraint"): {200, 400, 405, 409, 413, 415, 422, 500, 503},
    ("post", "/v1/memory/add/summary"): {200, 400, 405, 409, 413, 415, 422, 500, 503},
    ("post", "/v1/memory/link"): {200, 400, 405, 409, 413, 415, 422, 500, 503},
    ("post", "/v1/query/ask"): {200, 400, 405, 413, 415, 422, 500, 503},
    ("post", "/v1/query/recall"): {200, 400, 405, 413, 415, 422, 500, 503},
    ("get", "/v1/context/{context_package_id}"): {200, 404, 405, 500, 503},
}
READING = {200, 400, 401, 403, 405, 500, 503}
WITH_BODY = {413, 415, 422}
WRITING = {*READING, *WITH_BODY, 409}
ENDPOINTS_V4 = {
    ("get", "/v1/health"): {200, 400, 401, 403, 405, 500},
    ("get", "/v1/ready"): READING,
    ("get", "/v1/openapi"): {200, 400, 401, 403, 405, 500},
    ("post", "/v1/db/schema-version"): {*READING, 413},
    ("post", "/v1/db/migrate"): READING | WITH_BODY,
    ("post", "/v1/memory/add/constraint"): WRITING,
    ("post", "/v1/memory/add/summary"): WRITING,
    ("post", "/v1/memory/add/membership"): WRITING,
    ("post", "/v1/memory/check/constraint"): READING | WITH_BODY,
    ("post", "/v1/memory/link"): WRITING,
    ("get", "/v1/memory/record/{memory_version_id}"): {*READING, 404, 422},
    ("get", "/v1/memory/lineage/{memory_id}"): {*READING, 404, 422},
    ("post", "/v1/query/ask"): READING | WITH_BODY,
    ("post", "/v1/query/recall"): READING | WITH_BODY,
    ("get", "/v1/context/{context_package_id}"): {*READING, 404},
    ("get", "/v1/context/{context_package_id}/exclusions"): {*READING, 404, 422},
    ("get", "/v1/context/{context_package_id}/replay"): {*READING, 404},
    ("get", "/v1/context/{context_package_id}/proof"): {*READING, 404},
    ("get", "/v1/context/{context_package_id}/counterfactual"): {*READING, 404},
    ("post", "/v1/explain/blast-radius"): {*READING, *WITH_BODY, 404},
    ("post", "/v1/explain/compare"): READING | WITH_BODY,
}
ULID = "01J0SQQP7M70P6Y3R4T8D8G8M2"
WRITE: dict[str, Any] = {
    "version": 1,
    "writer": "policy-team",
    "justification": "Reviewed by security.",
    "source_uri": "file:///policies/usb.md",
    "evidence": [],
    "truth_status": "asserted",
    "authority": "authoritative",
    "supersedes": [],
    "contradicts": [],
}
CONSTRAINT = {**WRITE, "actor": "user", "action": "use", "resource": "usb_drive", "effect": "deny"}


@pytest.fixture(params=KNOWN_SERVICE_CONTRACTS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@cache
def load(version: str) -> dict[str, Any]:
    document: dict[str, Any] = parse_openapi(load_openapi(version))
    return document


def schema_errors(version: str, schema: dict[str, Any], value: object) -> list[str]:
    components = load(version)["components"]
    validator = jsonschema.Draft202012Validator({**schema, "components": components})
    return [error.message for error in validator.iter_errors(value)]


def named(version: str, name: str, value: object) -> list[str]:
    return schema_errors(version, {"$ref": f"#/components/schemas/{name}"}, value)


def test_each_document_is_valid_openapi(version: str) -> None:
    OpenAPIV31SpecValidator(load(version)).validate()


def test_each_document_has_its_endpoints_with_their_statuses(version: str) -> None:
    found = {
        (method, path): {int(status) for status in operation["responses"]}
        for path, item in load(version)["paths"].items()
        for method, operation in item.items()
    }
    assert found == (ENDPOINTS_V4 if version == "service.v4" else ENDPOINTS)
    assert ENDPOINTS.keys() < ENDPOINTS_V4.keys()


def differences(left: object, right: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    """Every place where two trees differ, keys of one side only included."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({*left, *right}):
            yield from differences(left.get(key), right.get(key), f"{path}/{key}")
    elif left != right:
        yield path, left, right


def test_v2_and_v3_differ_only_where_the_contract_says() -> None:
    found = {path: (old, new) for path, old, new in differences(load("service.v2"), load("service.v3"))}
    envelope = "/components/schemas/ErrorEnvelope"
    assert found.pop(f"{envelope}/properties/legacy_error")[1] is None
    assert found == {
        "/info/version": ("2.0.0", "3.0.0"),
        "/components/schemas/ServiceContractVersion/const": ("service.v2", "service.v3"),
        f"{envelope}/required": (
            ["service_contract_version", "error", "legacy_error"],
            ["service_contract_version", "error"],
        ),
    }


def test_v4_takes_what_v3_takes_and_answers_what_v3_answers_and_more() -> None:
    """Every property and every requirement of a v3 schema is one of the v4 schema of the same name."""
    old, new = (load(version)["components"]["schemas"] for version in ("service.v3", "service.v4"))
    assert old.keys() < new.keys()
    for name, schema in old.items():
        assert set(schema.get("properties", ())) <= set(new[name].get("properties", ())), name
        assert set(schema.get("enum", ())) <= set(new[name].get("enum", ())), name
        if name.endswith("Request") or name == "WriteFields":
            assert schema.get("required") == new[name].get("required"), name
        else:
            assert set(schema.get("required", ())) <= set(new[name].get("required", ())), name


def test_the_code_enum_is_the_closed_set(version: str) -> None:
    enum = load(version)["components"]["schemas"]["ErrorCode"]["enum"]
    assert set(enum) == ERROR_CODES
    assert len(enum) == len(ERROR_CODES)


def envelope(version: str, code: str) -> dict[str, Any]:
    body: dict[str, Any] = {"service_contract_version": version, "error": {"code": code, "message": "no"}}
    return body | ({"legacy_error": "no"} if "legacy_error" in POLICIES[version].error_requires else {})


def test_each_error_response_allows_exactly_the_codes_of_its_status(version: str) -> None:
    responses = load(version)["paths"]["/v1/memory/link"]["post"]["responses"]
    names = {int(status): response["$ref"] for status, response in responses.items() if status != "200"}
    for status, reference in names.items():
        schema = load(version)["components"]["responses"][reference.rpartition("/")[2]]
        schema = schema["content"]["application/json"]["schema"]
        for code in ErrorCode:
            is_allowed = status in POLICIES[version].list_statuses(code)
            assert (schema_errors(version, schema, envelope(version, code)) == []) is is_allowed, (
                status,
                code,
            )


def test_the_error_envelope_allows_what_the_policy_allows_and_no_more(version: str) -> None:
    fine = envelope(version, "write_conflict")
    assert named(version, "ErrorEnvelope", fine) == []
    assert named(version, "ErrorEnvelope", {**fine, "error": {**fine["error"], "details": {"a": 1}}}) == []
    for key in POLICIES[version].error_forbids:
        assert named(version, "ErrorEnvelope", {**fine, key: "x"}) != []
    for key in fine:
        assert named(version, "ErrorEnvelope", {name: fine[name] for name in fine if name != key}) != []
    assert named(version, "ErrorEnvelope", {**fine, "service_contract_version": "service.v9"}) != []
    assert named(version, "ErrorEnvelope", {**fine, "error": {**fine["error"], "hint": "x"}}) != []


def test_a_405_must_name_the_allowed_methods(version: str) -> None:
    headers = load(version)["components"]["responses"]["MethodNotAllowed"]["headers"]
    assert headers["Allow"]["required"] is True


def test_properties_stand_in_the_order_in_which_they_are_required(version: str) -> None:
    schemas = load(version)["components"]["schemas"]
    for name in ("MemoryRecord", "ContextPackage", "Item", "Query", "Determinism", "RuleScores", "Link"):
        required = schemas[name]["required"]
        properties = [
            key for key in schemas[name]["properties"] if version != "service.v4" or key in required
        ]
        assert properties == required
        assert schemas[name]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AskRequest", {"text": "May I?", "actor": "user", "action": "use", "resource": "usb_drive"}),
        (
            "AskRequest",
            {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_of": None, "trace": 1},
        ),
        (
            "AskRequest",
            {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_of": "2024-02-29T00:00:00Z"},
        ),
        ("RecallRequest", {"text": "t", "record_types": []}),
        ("AddConstraintRequest", CONSTRAINT),
        ("AddConstraintRequest", {**CONSTRAINT, "note": None, "memory_id": ULID, "x-client": "published"}),
        ("AddConstraintRequest", {**CONSTRAINT, "truth_status": "inferred", "confidence": 0.5}),
        ("AddSummaryRequest", {**WRITE, "record_type": "decision", "summary": "Keep it."}),
        (
            "LinkRequest",
            {"from": ULID, "to": ULID, "relation": "supersedes", "writer": "w", "justification": "j"},
        ),
        ("MigrateRequest", {"dry_run": True}),
    ],
)
def test_requests_that_are_accepted(version: str, name: str, value: object) -> None:
    assert named(version, name, value) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AskRequest", {"actor": "user", "action": "use", "resource": "usb_drive"}),
        ("AskRequest", {"text": " \n", "actor": "u", "action": "a", "resource": "r"}),
        ("AskRequest", {"text": "t", "actor": "", "action": "a", "resource": "r"}),
        (
            "AskRequest",
            {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_of": "2023-02-29T00:00:00Z"},
        ),
        (
            "AskRequest",
            {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_of": "2024-02-28T24:00:00Z"},
        ),
        ("AskRequest", {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_of": "2024-02-28"}),
        ("AskRequest", {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_of": 5}),
        ("RecallRequest", {"text": "t"}),
        ("RecallRequest", {"text": "t", "record_types": ["policy"]}),
        ("AddConstraintRequest", {**CONSTRAINT, "effect": "maybe"}),
        ("AddConstraintRequest", {**CONSTRAINT, "version": 0}),
        ("AddConstraintRequest", {**CONSTRAINT, "version": 2**63}),
        ("AddConstraintRequest", {**CONSTRAINT, "confidence": 1.5}),
        ("AddConstraintRequest", {**CONSTRAINT, "truth_status": "inferred"}),
        ("AddConstraintRequest", {**CONSTRAINT, "truth_status": "speculative", "confidence": None}),
        ("AddConstraintRequest", {**CONSTRAINT, "supersedes": ["8" + ULID[1:]]}),
        ("AddConstraintRequest", {**CONSTRAINT, "source_hash": "md5:00"}),
        ("AddSummaryRequest", {**WRITE, "record_type": "constraint", "summary": "x"}),
        (
            "LinkRequest",
            {"from": ULID, "to": ULID, "relation": "blocks", "writer": "w", "justification": "j"},
        ),
        ("MigrateRequest", {"dry_run": "yes"}),
    ],
)
def test_requests_that_are_refused(version: str, name: str, value: object) -> None:
    assert named(version, name, value) != []


def record(version: str, payload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "memory_version_id": ULID,
        "memory_id": ULID,
        "version": 1,
        "created_at": "2026-02-08T13:19:53.000001Z",
        "effective_at": "2026-02-08T13:19:53Z",
        "truth_status": "asserted",
        "authority": "authoritative",
        "confidence": None,
        "writer": "w",
        "justification": "j",
        "provenance": {"source_uri": "s", "source_hash": None, "evidence": []},
        "supersedes": [],
        "contradicts": [],
        "payload": payload,
    }
    return found | ({"expires_at": None} if version == "service.v4" else {})


SCOPE = {"actor": "user", "action": "use", "resource": "usb_drive"}
DENY: dict[str, Any] = {"scope": SCOPE, "effect": "deny", "note": None}
MATCHES = {"actor_match": "exact", "action_match": "prefix", "resource_match": "group"}


def test_the_payload_of_a_record_is_nested_twice(version: str) -> None:
    scope = {**SCOPE, **MATCHES} if version == "service.v4" else SCOPE
    fine: list[dict[str, Any]] = [{"record_type": "constraint", "payload": {**DENY, "scope": scope}}]
    fine += [
        {"record_type": kind, "payload": {"summary": "s"}}
        for kind in ("decision", "preference", "event", "outcome")
    ]
    for payload in fine:
        assert named(version, "MemoryRecord", record(version, payload)) == []
    for payload in (
        DENY,
        {"record_type": "decision", "payload": DENY},
        {"record_type": "rule", "payload": DENY},
    ):
        assert named(version, "MemoryRecord", record(version, payload)) != []


def test_the_golden_answer_fits_once_its_placeholders_are_filled(version: str, published: Any) -> None:
    package = published("query-ask.golden.json")
    del package["contract_version"]  # the command line's envelope, not the package's
    package["generated_at"] = package["query"]["as_of"] = "2026-02-08T13:19:53Z"
    for item in package["selected_items"]:
        item["memory_id"] = item["memory_version_id"] = ULID
        item["confidence"] = item["why"]["rule_scores"]["confidence"] = 0.5
    assert named(version, "ContextPackage", package) == []
    assert named(version, "ContextPackage", {**package, "answer": {"result": "maybe", "why": "x"}}) != []


def test_a_request_may_name_the_senders_contract_but_need_not(version: str) -> None:
    parameter = load(version)["components"]["parameters"]["ServiceContractVersion"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == (
        "Service-Contract-Version",
        "header",
        False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AddConstraintRequest", {**CONSTRAINT, "expires_at": "2027-01-01T00:00:00Z"}),
        ("AddConstraintRequest", {**CONSTRAINT, "action": "use/", "action_match": "prefix"}),
        ("AddConstraintRequest", {**CONSTRAINT, "actor": "staff", "actor_match": "group"}),
        ("AddSummaryRequest", {**WRITE, "record_type": "decision", "summary": "Keep.", "expires_at": None}),
        ("AddMembershipRequest", {**WRITE, "field": "actor", "group": "staff", "member": "ann"}),
        ("RecallRequest", {"text": "t", "record_types": ["membership"], "as_known_at": None, "cursor": None}),
        (
            "AskRequest",
            {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_known_at": f"txn_{'0' * 64}"},
        ),
        ("BlastRadiusRequest", {"memory_version_id": ULID, "limit": 5}),
        ("CompareRequest", {"from": {"ruleset": "ordering.v1"}, "to": {"ruleset": "ordering.v3"}}),
    ],
)
def test_requests_that_service_v4_accepts(name: str, value: object) -> None:
    assert named("service.v4", name, value) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AddConstraintRequest", {**CONSTRAINT, "expires_at": "tomorrow"}),
        ("AddConstraintRequest", {**CONSTRAINT, "action": "use", "action_match": "prefix"}),
        ("AddConstraintRequest", {**CONSTRAINT, "actor": "*", "actor_match": "group"}),
        ("AddConstraintRequest", {**CONSTRAINT, "actor_match": "regex"}),
        ("AddMembershipRequest", {**WRITE, "field": "effect", "group": "staff", "member": "ann"}),
        ("AddMembershipRequest", {**WRITE, "field": "actor", "group": " ", "member": "ann"}),
        (
            "AskRequest",
            {"text": "t", "actor": "u", "action": "a", "resource": "r", "as_known_at": "txn_1"},
        ),
        ("RecallRequest", {"text": "t", "record_types": [], "cursor": ""}),
        ("BlastRadiusRequest", {"memory_version_id": ULID, "limit": 0}),
        ("CompareRequest", {"from": {"ruleset": "ordering.v9"}, "to": {"ruleset": "ordering.v3"}}),
    ],
)
def test_requests_that_service_v4_refuses(name: str, value: object) -> None:
    assert named("service.v4", name, value) != []


def test_a_token_is_asked_for_in_v4_only_where_the_server_wants_one() -> None:
    document = load("service.v4")
    assert document["security"] == [{}, {"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    challenge = document["components"]["responses"]["Unauthorized"]["headers"]["WWW-Authenticate"]
    assert challenge["required"] is True


def test_every_write_in_v4_takes_a_key_and_gives_a_token_and_every_read_takes_one() -> None:
    document = load("service.v4")
    for (method, path), statuses in ENDPOINTS_V4.items():
        operation = document["paths"][path][method]
        parameters = {each["$ref"].rpartition("/")[2] for each in operation["parameters"]}
        success = operation["responses"]["200"]
        if "$ref" in success:
            success = document["components"]["responses"][success["$ref"].rpartition("/")[2]]
        assert ("IdempotencyKey" in parameters) is (409 in statuses)
        assert ("Memory-Token" in success.get("headers", {})) is (409 in statuses)
        is_read = path.startswith(("/v1/memory/", "/v1/query/", "/v1/context/", "/v1/explain/"))
        assert ("MemoryToken" in parameters) is (is_read and 409 not in statuses)
