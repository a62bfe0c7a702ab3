"""Every breach of an envelope has a reply in which the check finds it, and fine replies have none."""

import json
from typing import Any

import pytest
from contracts import (
    POLICIES,
    STATUS_BY_CODE,
    BreachCode,
    ErrorCode,
    check_envelope,
    check_reply,
)
from hypothesis import given, settings
from hypothesis import strategies as st

VERSIONS = sorted(POLICIES)


def success(version: str) -> dict[str, Any]:
    return {"service_contract_version": version, "api_contract_version": "api.v1", "data": {"status": "ok"}}


def failure(version: str, code: str = "write_conflict") -> dict[str, Any]:
    envelope: dict[str, Any] = {"service_contract_version": version, "error": {"code": code, "message": "no"}}
    return envelope | ({"legacy_error": "no"} if version == "service.v2" else {})


def breaches(version: str, status: int, body: Any) -> list[tuple[str, str]]:
    return [
        (breach.code.value, breach.field)
        for breach in check_envelope(POLICIES[version], status=status, body=body)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_success_is_fine(version: str) -> None:
    assert breaches(version, 200, success(version)) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_is_fine_with_each_of_its_statuses_and_no_other(version: str, code: ErrorCode) -> None:
    for status in (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 502, 503):
        is_allowed = status in POLICIES[version].list_statuses(code)
        expected = [] if is_allowed else [("status-code-mismatch", "status")]
        assert breaches(version, status, failure(version, code)) == expected


def test_service_v4_alone_allows_more_statuses() -> None:
    extra = {
        (code, status)
        for version in VERSIONS
        for code in ErrorCode
        for status in POLICIES[version].list_statuses(code)
        if status not in STATUS_BY_CODE[code]
    }
    assert extra == {
        (ErrorCode.VALIDATION_ERROR, 401),
        (ErrorCode.VALIDATION_ERROR, 403),
        (ErrorCode.QUERY_FAILED, 503),
        (ErrorCode.CONTEXT_LOOKUP_FAILED, 503),
        (ErrorCode.WRITE_FAILED, 503),
        (ErrorCode.MIGRATION_FAILED, 503),
    }
    for version in ("service.v2", "service.v3"):
        for code in ErrorCode:
            assert POLICIES[version].list_statuses(code) == STATUS_BY_CODE[code]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("details", [{}, {"origin": "gateway"}, None])
def test_details_are_optional(version: str, details: object) -> None:
    body = failure(version)
    body["error"]["details"] = details
    assert breaches(version, 409, body) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("body", [None, True, 1, 1.5, "text", []])
@pytest.mark.parametrize("status", [200, 500])
def test_a_body_that_is_no_object(version: str, body: object, status: int) -> None:
    assert breaches(version, status, body) == [("not-an-object", "$")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key", ["service_contract_version", "api_contract_version", "data"])
def test_a_success_without_a_key(version: str, key: str) -> None:
    body = success(version)
    del body[key]
    assert breaches(version, 200, body) == [("missing-key", key)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", [409, 200])
def test_a_reply_with_nothing_in_it_names_every_missing_key(version: str, status: int) -> None:
    fields = [field for code, field in breaches(version, status, {}) if code == "missing-key"]
    policy = POLICIES[version]
    top = [key for key in policy.error_requires if "." not in key] + ["error"]
    assert fields == (list(policy.success_requires) if status == 200 else top)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key", ["code", "message"])
def test_an_error_without_a_key(version: str, key: str) -> None:
    body = failure(version)
    del body["error"][key]
    assert breaches(version, 409, body) == [("missing-key", f"error.{key}")]


def test_v2_needs_legacy_error_and_v3_forbids_it() -> None:
    without = {key: value for key, value in failure("service.v2").items() if key != "legacy_error"}
    assert breaches("service.v2", 409, without) == [("missing-key", "legacy_error")]
    assert breaches("service.v3", 409, failure("service.v3") | {"legacy_error": "no"}) == [
        ("forbidden-key", "legacy_error")
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_with_the_api_version(version: str) -> None:
    body = failure(version) | {"api_contract_version": "api.v1"}
    assert breaches(version, 409, body) == [("forbidden-key", "api_contract_version")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("status", "change", "field"),
    [
        (200, {"trace": 1}, "trace"),
        (200, {"error": None}, "error"),
        (200, {"legacy_error": "no"}, "legacy_error"),
        (409, {"data": {}}, "data"),
        (409, {"error.code": "write_conflict"}, '["error.code"]'),
        (409, {"error.details": {}}, '["error.details"]'),
    ],
)
def test_a_key_that_the_policy_does_not_name(
    version: str, status: int, change: dict[str, Any], field: str
) -> None:
    body = (success(version) if status == 200 else failure(version)) | change
    assert breaches(version, status, body) == [("unknown-key", field)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_inside_error_that_the_policy_does_not_name(version: str) -> None:
    body = failure(version)
    body["error"]["hint"] = "x"
    assert breaches(version, 409, body) == [("unknown-key", "error.hint")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wrong", [None, 1, True, [], "x"])
def test_data_of_the_wrong_type(version: str, wrong: object) -> None:
    assert breaches(version, 200, success(version) | {"data": wrong}) == [("wrong-type", "data")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key", ["service_contract_version", "api_contract_version"])
@pytest.mark.parametrize("wrong", [None, 3, {}])
def test_a_version_of_the_wrong_type(version: str, key: str, wrong: object) -> None:
    assert breaches(version, 200, success(version) | {key: wrong}) == [("wrong-type", key)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wrong", [None, "no", ["no"], 4])
def test_an_error_of_the_wrong_type(version: str, wrong: object) -> None:
    assert breaches(version, 409, failure(version) | {"error": wrong}) == [("wrong-type", "error")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("key", "wrong"), [("code", 1), ("code", None), ("message", {}), ("details", "x"), ("details", [])]
)
def test_a_part_of_an_error_of_the_wrong_type(version: str, key: str, wrong: object) -> None:
    body = failure(version)
    body["error"][key] = wrong
    assert ("wrong-type", f"error.{key}") in breaches(version, 409, body)


def test_a_legacy_error_of_the_wrong_type() -> None:
    assert breaches("service.v2", 409, failure("service.v2") | {"legacy_error": 1}) == [
        ("wrong-type", "legacy_error")
    ]


@pytest.mark.parametrize(("version", "other"), [("service.v2", "service.v3"), ("service.v3", "service.v2")])
def test_the_other_contracts_version(version: str, other: str) -> None:
    assert breaches(version, 200, success(other)) == [("wrong-version", "service_contract_version")]
    body = failure(version) | {"service_contract_version": other}
    assert breaches(version, 409, body) == [("wrong-version", "service_contract_version")]


@pytest.mark.parametrize("version", VERSIONS)
def test_another_api_version(version: str) -> None:
    body = success(version) | {"api_contract_version": "api.v2"}
    assert breaches(version, 200, body) == [("wrong-version", "api_contract_version")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("code", ["teapot", "", "Write_Conflict", "write_conflict "])
def test_a_code_outside_the_set(version: str, code: str) -> None:
    assert breaches(version, 409, failure(version, code)) == [("unknown-error-code", "error.code")]


def test_a_legacy_error_that_differs() -> None:
    body = failure("service.v2") | {"legacy_error": "No"}
    assert breaches("service.v2", 409, body) == [("legacy-error-differs", "legacy_error")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", [201, 202, 204, 299])
def test_a_success_that_is_not_200(version: str, status: int) -> None:
    assert breaches(version, status, success(version)) == [("status-code-mismatch", "status")]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_under_200_and_a_success_under_500(version: str) -> None:
    assert ("missing-key", "data") in breaches(version, 200, failure(version))
    assert ("missing-key", "error") in breaches(version, 500, success(version))


@pytest.mark.parametrize(
    ("content_type", "body", "field"),
    [
        (None, b"{}", "content-type"),
        ("", b"{}", "content-type"),
        ("text/html", b"{}", "content-type"),
        ("application/jsonp", b"{}", "content-type"),
        ("application/json", b"", "$"),
        ("application/json", b"<html>", "$"),
        ("application/json", b'{"a": 1, "a": 1}', "a"),
        ("application/json", b'{"data": NaN}', "data"),
        ("application/json", b'{"data": "' + b"x" * 2000 + b'"}', "$"),
    ],
)
def test_a_reply_that_is_not_json(content_type: str | None, body: bytes, field: str) -> None:
    found = check_reply(
        POLICIES["service.v3"], status=200, content_type=content_type, body=body, max_bytes=1000
    )
    assert [(breach.code, breach.field) for breach in found] == [(BreachCode.NOT_JSON, field)]


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_reply_off_the_wire_is_parsed_and_checked(content_type: str) -> None:
    policy = POLICIES["service.v3"]
    body = json.dumps(success("service.v3")).encode()
    assert check_reply(policy, status=200, content_type=content_type, body=body, max_bytes=1000) == ()
    found = check_reply(policy, status=500, content_type=content_type, body=body, max_bytes=1000)
    assert BreachCode.MISSING_KEY in {breach.code for breach in found}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["service_contract_version", "api_contract_version", "data", "error", "legacy_error", "x.y"]
)


@settings(deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.integers(100, 599),
    st.dictionaries(keys, json_values, max_size=6),
)
def test_random_bodies_are_judged_without_a_crash(version: str, status: int, body: dict[str, Any]) -> None:
    for breach in check_envelope(POLICIES[version], status=status, body=body):
        assert breach.field
        assert breach.detail
        assert "\n" not in breach.detail + breach.field
