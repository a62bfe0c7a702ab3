"""Reads the producer's replies: whole replies in, an envelope's data or the reason against it out.

Pure. This is where the order of the reason table (wire contract, section 4) lives: what the reply is as
HTTP, whether it can be decoded, whether its version is the pin's, whether the envelope obeys the pin's
policy, then what it says. A version is judged before every other breach of the envelope, because a reply
of another contract breaks this one in many ways and only one of them is the cause.

Readings that the table leaves open:
- A non-2xx body is an envelope when it is an object that names a service contract or holds an `error`
  object; then a forbidden, missing or mistyped key makes it malformed. Any other body is "without a
  typed error", and the status speaks.
- A non-2xx body that is JSON for a lenient reader only (duplicate keys, for one) is malformed; one that
  is no JSON at all is without a typed error.
- A known code with another status, and a success with another 2xx than 200, keep their meaning; both
  are drift.
"""

from typing import Final

import msgspec
from contracts.core.envelope import Breach, BreachCode, EnvelopePolicy, check_envelope
from contracts.core.json_value import JsonValue
from contracts.core.service import JSON_MEDIA_TYPE
from contracts.core.strict_json import parse_json
from contracts.errors import MalformedDocument

from assistsupport.core.fallback import (
    TransportFault,
    calculate_code_reason,
    calculate_status_reason,
    calculate_transport_reason,
)
from assistsupport.core.fallback_reason import FallbackReason

#: The longest body that is read; requests have the same limit (wire contract, section 1).
MAX_BODY_BYTES: Final = 2 * 1024 * 1024

#: Breaches that leave the meaning of a reply intact; the rest make it malformed.
_HARMLESS = frozenset(
    {BreachCode.WRONG_VERSION, BreachCode.UNKNOWN_ERROR_CODE, BreachCode.STATUS_CODE_MISMATCH}
)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A complete reply, as it came off the wire.

    Args:
        status: The final HTTP status.
        content_type: The header's value; None when there was none.
        content_encoding: The header's value; None when there was none.
        body: The whole body, at most `MAX_BODY_BYTES` and one.
    """

    status: int
    content_type: str | None
    content_encoding: str | None
    body: bytes


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a question has no answer.

    Args:
        reason: The fallback reason.
        detail: One line for people.
        drift: What the reply has beyond its contract; empty mostly.
    """

    reason: FallbackReason
    detail: str
    drift: tuple[str, ...] = ()


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A success that obeys its policy.

    Args:
        data: The payload; its own keys are not judged yet.
        drift: What the reply has beyond its contract; empty mostly.
    """

    data: dict[str, JsonValue]
    drift: tuple[str, ...] = ()


def refuse_transport(fault: TransportFault, detail: str) -> Refusal:
    """Return the refusal of a reply that never became one. Pure."""
    return Refusal(reason=calculate_transport_reason(fault), detail=detail)


def read_envelope(policy: EnvelopePolicy, reply: Reply) -> Envelope | Refusal:
    """Judge a whole reply against the pin's policy.

    Pure; total: every reply is an envelope or a refusal.

    Args:
        policy: The policy of the pin's contract, with the pin's versions.
        reply: The reply.

    Returns:
        The payload of a 2xx that obeys the policy, else the first reason of the table that applies.
    """
    refusal = _refuse_http(reply)
    if refusal is not None:
        return refusal
    if 200 <= reply.status <= 299:
        return _read_success(policy, reply)
    return _read_error(policy, reply)


def _refuse_http(reply: Reply) -> Refusal | None:
    if reply.status < 200:
        return refuse_transport(TransportFault.BROKEN, f"expected a final status, got {reply.status}")
    if 300 <= reply.status <= 399:
        return refuse_transport(
            TransportFault.REDIRECT, f"got a redirect ({reply.status}), which is not followed"
        )
    if (reply.content_encoding or "identity").strip().lower() != "identity":
        detail = f"expected no content encoding, got {_shown(reply.content_encoding)}"
        return refuse_transport(TransportFault.UNDECODABLE, detail)
    if len(reply.body) > MAX_BODY_BYTES:
        return refuse_transport(TransportFault.OVERLONG, f"the body is longer than {MAX_BODY_BYTES} bytes")
    return None


def _read_success(policy: EnvelopePolicy, reply: Reply) -> Envelope | Refusal:
    if not _is_json(reply):
        return _malformed(f"expected {JSON_MEDIA_TYPE}, got {_shown(reply.content_type)}")
    try:
        body = parse_json(reply.body, max_bytes=MAX_BODY_BYTES)
    except MalformedDocument as error:
        return _malformed(f"the body cannot be read: {error}")
    breaches = check_envelope(policy, status=reply.status, body=body)
    refusal = _refuse_breaches(breaches)
    if refusal is not None:
        return refusal
    # No breach is left, so body and data are objects; the checks keep the type checker's word for it.
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        return _malformed("data: expected an object")
    return Envelope(data=data, drift=_calculate_drift(breaches))


def _read_error(policy: EnvelopePolicy, reply: Reply) -> Refusal:
    try:
        reply.body.decode()
    except UnicodeDecodeError as error:
        return refuse_transport(TransportFault.UNDECODABLE, f"the body is not UTF-8 at offset {error.start}")
    if not _is_json(reply):
        return _refuse_untyped(reply.status)
    try:
        body = parse_json(reply.body, max_bytes=MAX_BODY_BYTES)
    except MalformedDocument as error:
        if _is_lenient_json(reply.body):
            return _malformed(f"the body cannot be read: {error}")
        return _refuse_untyped(reply.status)
    if not isinstance(body, dict) or not _has_envelope(body):
        return _refuse_untyped(reply.status)
    breaches = check_envelope(policy, status=reply.status, body=body)
    return _refuse_breaches(breaches) or _refuse_code(body, reply.status, _calculate_drift(breaches))


def _refuse_breaches(breaches: tuple[Breach, ...]) -> Refusal | None:
    for breach in breaches:
        if breach.code is BreachCode.WRONG_VERSION:
            return Refusal(reason=FallbackReason.VERSION_MISMATCH, detail=f"{breach.field}: {breach.detail}")
    for breach in breaches:
        if breach.code not in _HARMLESS:
            return _malformed(f"{breach.field}: {breach.detail}")
    return None


def _refuse_code(body: dict[str, JsonValue], status: int, drift: tuple[str, ...]) -> Refusal:
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(code, str):
        return _malformed("error.code: expected a string")
    reason = calculate_code_reason(code, timed_out=_has_timeout(error.get("details")))
    # The message is the producer's free text; the code is enough, and is safe to show and to log.
    return Refusal(reason=reason, detail=f"the producer answered {status} {_shown(code)}", drift=drift)


def _refuse_untyped(status: int) -> Refusal:
    detail = f"the producer answered {status} without a typed error"
    return Refusal(reason=calculate_status_reason(status), detail=detail)


def _has_envelope(body: dict[str, JsonValue]) -> bool:
    return "service_contract_version" in body or isinstance(body.get("error"), dict)


def _has_timeout(details: JsonValue) -> bool:
    """Tell whether `details.timeout_ms` is there; null says that there was no timeout."""
    return isinstance(details, dict) and details.get("timeout_ms") is not None


def _calculate_drift(breaches: tuple[Breach, ...]) -> tuple[str, ...]:
    drift = (BreachCode.UNKNOWN_ERROR_CODE, BreachCode.STATUS_CODE_MISMATCH)
    return tuple(f"{breach.field}: {breach.detail}" for breach in breaches if breach.code in drift)


def _is_json(reply: Reply) -> bool:
    return (reply.content_type or "").partition(";")[0].strip().lower() == JSON_MEDIA_TYPE


def _is_lenient_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _malformed(detail: str) -> Refusal:
    return Refusal(reason=FallbackReason.MALFORMED_PAYLOAD, detail=detail)


def _shown(value: str | None) -> str:
    """Return a stranger's short text fit for one line."""
    return "nothing" if value is None else repr(value[:80])
