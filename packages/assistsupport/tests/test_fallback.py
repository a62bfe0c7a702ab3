"""The reason table of the wire contract, section 4, row by row and in its order."""

import json
from typing import Any

import pytest
from assistsupport.core.fallback import (
    TransportFault,
    calculate_code_reason,
    calculate_status_reason,
    calculate_transport_reason,
)
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState, calculate_state, calculate_state_reason
from assistsupport.core.producer_reply import MAX_BODY_BYTES, Envelope, Refusal, Reply, read_envelope
from contracts.core.envelope import POLICIES
from contracts.core.error_code import ERROR_CODES
from hypothesis import given
from hypothesis import strategies as st

V2, V3 = POLICIES["service.v2"], POLICIES["service.v3"]


def read(
    status: int,
    body: object,
    *,
    policy: Any = V3,
    content_type: str | None = "application/json",
    content_encoding: str | None = None,
) -> Envelope | Refusal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = Reply(status=status, content_type=content_type, content_encoding=content_encoding, body=data)
    return read_envelope(policy, reply)


def reason_of(result: Envelope | Refusal) -> str | None:
    return result.reason.value if isinstance(result, Refusal) else None


def success(**changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "service_contract_version": "service.v3",
        "api_contract_version": "api.v1",
        "data": {"status": "ok"},
    }
    return body | changes


def error(code: str = "query_failed", /, **changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "service_contract_version": "service.v3",
        "error": {"code": code, "message": "no"},
    }
    return body | changes


def test_there_are_sixteen_reasons() -> None:
    assert len(FallbackReason) == 16


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("disabled", "feature-disabled"),
        ("offline", "offline"),
        ("schema-unavailable", "schema-unavailable"),
        ("version-mismatch", "version-mismatch"),
        ("malformed-payload", "malformed-payload"),
        ("degraded", "degraded"),
        ("ready", None),
    ],
)
def test_a_state_that_is_not_ready_gives_its_own_reason(state: str, reason: str | None) -> None:
    assert calculate_state_reason(IntegrationState(state)) == reason


@pytest.mark.parametrize("reason", list(FallbackReason))
def test_a_failed_preflight_never_leaves_the_state_ready(reason: FallbackReason) -> None:
    state = calculate_state(reason)
    assert state is not IntegrationState.READY
    assert calculate_state_reason(state) in {reason, FallbackReason.DEGRADED}


def test_a_passed_preflight_leaves_the_state_ready() -> None:
    assert calculate_state(None) is IntegrationState.READY


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (TransportFault.UNREACHABLE, "offline"),
        (TransportFault.DEADLINE, "timeout"),
        (TransportFault.BROKEN, "network-error"),
        (TransportFault.REDIRECT, "malformed-payload"),
        (TransportFault.OVERLONG, "malformed-payload"),
        (TransportFault.UNDECODABLE, "malformed-payload"),
    ],
)
def test_transport_rows(fault: TransportFault, reason: str) -> None:
    assert calculate_transport_reason(fault) == reason


@pytest.mark.parametrize(
    ("code", "plain", "timed_out"),
    [
        ("invalid_json", "validation-error", "validation-error"),
        ("validation_error", "validation-error", "validation-error"),
        ("context_package_not_found", "context-not-found", "context-not-found"),
        ("write_conflict", "write-conflict", "write-conflict"),
        ("schema_unavailable", "schema-unavailable", "schema-unavailable"),
        ("query_failed", "query-error", "timeout"),
        ("context_lookup_failed", "query-error", "timeout"),
        ("write_failed", "query-error", "timeout"),
        ("migration_failed", "query-error", "timeout"),
        ("internal_error", "query-error", "timeout"),
        ("rate_limited", "unknown", "timeout"),
    ],
)
def test_code_rows(code: str, plain: str, timed_out: str) -> None:
    assert calculate_code_reason(code, timed_out=False) == plain
    assert calculate_code_reason(code, timed_out=True) == timed_out


def test_every_code_of_the_set_has_a_row() -> None:
    assert all(calculate_code_reason(code, timed_out=False) != "unknown" for code in ERROR_CODES)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (408, "timeout"),
        (504, "timeout"),
        (502, "offline"),
        (503, "offline"),
        (429, "offline"),
        (400, "validation-error"),
        (422, "validation-error"),
        (401, "non-2xx"),
        (404, "non-2xx"),
        (418, "non-2xx"),
        (500, "non-2xx"),
    ],
)
def test_status_rows(status: int, reason: str) -> None:
    assert calculate_status_reason(status) == reason
    assert reason_of(read(status, b"<h1>no</h1>", content_type="text/html")) == reason
    assert reason_of(read(status, {"detail": "no"})) == reason
    assert reason_of(read(status, b"")) == reason


def test_a_success_that_obeys_the_policy_is_an_envelope() -> None:
    result = read(200, success())
    assert isinstance(result, Envelope)
    assert result.data == {"status": "ok"}
    assert result.drift == ()


@pytest.mark.parametrize(
    "body",
    [
        success(data=[]),
        success(legacy_error="x"),
        {"service_contract_version": "service.v3", "api_contract_version": "api.v1"},
        [],
        b'{"service_contract_version":"service.v3","api_contract_version":"api.v1","data":{},"data":{}}',
        b"\xff",
        b"",
    ],
)
def test_a_success_that_does_not_is_malformed(body: object) -> None:
    assert reason_of(read(200, body)) == "malformed-payload"


@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_a_version_is_judged_before_every_other_breach(status: int) -> None:
    body = {"service_contract_version": "service.v2", "whatever": 1}
    assert reason_of(read(status, body)) == "version-mismatch"


def test_the_pin_decides_which_version_is_right() -> None:
    assert reason_of(read(200, success(), policy=V2)) == "version-mismatch"
    assert isinstance(read(200, success(service_contract_version="service.v2"), policy=V2), Envelope)


def test_each_contract_has_its_own_error_envelope() -> None:
    v2 = error(service_contract_version="service.v2", legacy_error="no")
    assert reason_of(read(500, v2, policy=V2)) == "query-error"
    assert reason_of(read(500, v2 | {"legacy_error": "other"}, policy=V2)) == "malformed-payload"
    assert (
        reason_of(read(500, error(service_contract_version="service.v2"), policy=V2)) == "malformed-payload"
    )
    assert reason_of(read(500, error(legacy_error="no"))) == "malformed-payload"


def test_a_code_outside_the_set_is_drift() -> None:
    result = read(400, error("rate_limited"))
    assert isinstance(result, Refusal)
    assert result.reason is FallbackReason.UNKNOWN
    assert "rate_limited" in result.drift[0]


def test_a_code_with_another_status_keeps_its_reason_and_is_drift() -> None:
    result = read(500, error("write_conflict"))
    assert isinstance(result, Refusal)
    assert result.reason is FallbackReason.WRITE_CONFLICT
    assert len(result.drift) == 1


def test_a_null_timeout_is_no_timeout() -> None:
    body = error()
    body["error"] = {"code": "query_failed", "message": "no", "details": {"timeout_ms": None}}
    assert reason_of(read(500, body)) == "query-error"


def test_http_is_judged_before_the_body() -> None:
    assert reason_of(read(302, success())) == "malformed-payload"
    assert reason_of(read(101, success())) == "network-error"
    assert reason_of(read(200, success(), content_encoding="gzip")) == "malformed-payload"
    assert isinstance(read(200, success(), content_encoding="identity"), Envelope)
    assert reason_of(read(500, b" " * (MAX_BODY_BYTES + 1))) == "malformed-payload"


def test_an_error_in_another_media_type_is_no_typed_error() -> None:
    assert reason_of(read(503, error("schema_unavailable"), content_type="text/plain")) == "offline"


def test_the_producers_own_words_do_not_leak_into_the_detail() -> None:
    body = error()
    body["error"] = {"code": "query_failed", "message": "password=hunter2"}
    result = read(500, body)
    assert isinstance(result, Refusal)
    assert "hunter2" not in result.detail


@given(
    status=st.integers(100, 999),
    body=st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda body: json.dumps(body).encode(),
            st.dictionaries(
                st.sampled_from(["service_contract_version", "api_contract_version", "data", "error", "x"]),
                st.one_of(
                    st.sampled_from(["service.v3", "api.v1", None, 1, [], {}]),
                    st.dictionaries(
                        st.sampled_from(["code", "message", "details"]),
                        st.sampled_from(["query_failed", "odd", None, 1, {"timeout_ms": 1}]),
                    ),
                ),
            ),
        ),
    ),
    content_type=st.sampled_from(["application/json", "text/html", None]),
)
def test_every_reply_is_an_envelope_or_a_refusal(status: int, body: bytes, content_type: str | None) -> None:
    result = read(status, body, content_type=content_type)
    if isinstance(result, Refusal):
        assert result.reason in FallbackReason
        assert "\n" not in result.detail
    else:
        assert 200 <= status <= 299
