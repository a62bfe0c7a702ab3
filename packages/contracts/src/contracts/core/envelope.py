"""What every JSON reply of MemoryKernel must look like, as data, and the check that says where one does not.

A policy is data so that a hand-off can be compared with it. The check names every breach, in the
order of the policy, because a stop needs one reason and a person fixing it wants all of them.
Replies of `GET /v1/openapi` and `/metrics` carry no envelope and are not for this module.

Source: wire contract, section 1; of service.v4, its OpenAPI document.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from contracts.core.error_code import ERROR_CODES, STATUS_BY_CODE, ErrorCode
from contracts.core.json_value import ROOT, JsonValue, encode_field_path
from contracts.core.service import API_V1, JSON_MEDIA_TYPE, SERVICE_V2, SERVICE_V3, SERVICE_V4
from contracts.core.strict_json import parse_json
from contracts.errors import MalformedDocument


class BreachCode(StrEnum):
    """Every way in which a reply can break its policy."""

    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    MISSING_KEY = "missing-key"
    FORBIDDEN_KEY = "forbidden-key"
    UNKNOWN_KEY = "unknown-key"
    WRONG_TYPE = "wrong-type"
    WRONG_VERSION = "wrong-version"
    UNKNOWN_ERROR_CODE = "unknown-error-code"
    LEGACY_ERROR_DIFFERS = "legacy-error-differs"
    STATUS_CODE_MISMATCH = "status-code-mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopePolicy:
    """The envelope of one service contract; keys inside `error` are written `error.code`.

    `success_requires` is also all that a success may hold; an error may hold what `error_requires`
    and `error_optional` name. `error_forbids` are keys that another version has and this one must not.
    `extra_statuses` are pairs of code and status that this contract allows beyond `STATUS_BY_CODE`.
    """

    service_contract_version: str
    api_contract_version: str
    success_requires: tuple[str, ...]
    error_requires: tuple[str, ...]
    error_optional: tuple[str, ...]
    error_forbids: tuple[str, ...]
    error_codes: frozenset[str]
    extra_statuses: tuple[tuple[ErrorCode, int], ...] = ()

    def list_statuses(self, code: ErrorCode) -> tuple[int, ...]:
        """List the HTTP statuses that a code may come with, the usual one first. Pure."""
        extra = (status for each, status in self.extra_statuses if each is code)
        return (*STATUS_BY_CODE[code], *extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One way in which one reply breaks its policy: stable code, field path, one line for people."""

    code: BreachCode
    field: str
    detail: str


_SUCCESS: Final = ("service_contract_version", "api_contract_version", "data")
_ERROR: Final = ("service_contract_version", "error.code", "error.message")

POLICIES: Final[Mapping[str, EnvelopePolicy]] = MappingProxyType(
    {
        SERVICE_V2: EnvelopePolicy(
            service_contract_version=SERVICE_V2,
            api_contract_version=API_V1,
            success_requires=_SUCCESS,
            error_requires=(*_ERROR, "legacy_error"),
            error_optional=("error.details",),
            error_forbids=("api_contract_version",),
            error_codes=ERROR_CODES,
        ),
        SERVICE_V3: EnvelopePolicy(
            service_contract_version=SERVICE_V3,
            api_contract_version=API_V1,
            success_requires=_SUCCESS,
            error_requires=_ERROR,
            error_optional=("error.details",),
            error_forbids=("legacy_error", "api_contract_version"),
            error_codes=ERROR_CODES,
        ),
        SERVICE_V4: EnvelopePolicy(
            service_contract_version=SERVICE_V4,
            api_contract_version=API_V1,
            success_requires=_SUCCESS,
            error_requires=_ERROR,
            error_optional=("error.details",),
            error_forbids=("legacy_error", "api_contract_version"),
            error_codes=ERROR_CODES,
            extra_statuses=(
                # No token or a bad one, and a token without the scope.
                (ErrorCode.VALIDATION_ERROR, 401),
                (ErrorCode.VALIDATION_ERROR, 403),
                # Overloaded, or not yet at the state that Memory-Token names: come back after Retry-After.
                (ErrorCode.QUERY_FAILED, 503),
                (ErrorCode.CONTEXT_LOOKUP_FAILED, 503),
                (ErrorCode.WRITE_FAILED, 503),
                (ErrorCode.MIGRATION_FAILED, 503),
            ),
        ),
    }
)
"""The policy of each known service contract."""

_TYPES: Final[Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {
        "service_contract_version": (str,),
        "api_contract_version": (str,),
        "data": (dict,),
        "error": (dict,),
        "error.code": (str,),
        "error.message": (str,),
        "error.details": (dict, type(None)),
        "legacy_error": (str,),
    }
)
_INNER: Final = "error."
_TYPE_NAMES: Final = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}


def check_reply(
    policy: EnvelopePolicy, *, status: int, content_type: str | None, body: bytes, max_bytes: int
) -> tuple[Breach, ...]:
    """Check a reply as it came off the wire: media type, strict JSON, then the envelope.

    Pure.

    Args:
        policy: What the sender must obey.
        status: HTTP status.
        content_type: Value of the header, None when there was none.
        body: The whole body.
        max_bytes: Longest body that is looked at.

    Returns:
        Every breach; empty when the reply is fine. Unparsable bytes give one `not-json`.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != JSON_MEDIA_TYPE:
        got = media_type[:80] or "none"
        return (_breach(BreachCode.NOT_JSON, "content-type", f"expected {JSON_MEDIA_TYPE}, got {got}"),)
    try:
        value = parse_json(body, max_bytes=max_bytes)
    except MalformedDocument as error:
        return (_breach(BreachCode.NOT_JSON, error.field, error.reason),)
    return check_envelope(policy, status=status, body=value)


def check_envelope(policy: EnvelopePolicy, *, status: int, body: JsonValue) -> tuple[Breach, ...]:
    """Check a parsed body against a policy.

    Pure. 2xx is judged as a success, of which only 200 is allowed; everything else as an error.

    Args:
        policy: What the sender must obey.
        status: HTTP status, 100 .. 599.
        body: The parsed body.

    Returns:
        Every breach, in the policy's order; empty when the body is fine.
    """
    if not isinstance(body, dict):
        return (_breach(BreachCode.NOT_AN_OBJECT, ROOT, f"expected an object, got {_type_name(body)}"),)
    if 200 <= status <= 299:
        return tuple(_check_success(policy, status, body))
    return tuple(_check_error(policy, status, body))


def _check_success(policy: EnvelopePolicy, status: int, body: dict[str, JsonValue]) -> Iterator[Breach]:
    if status != 200:
        yield _breach(BreachCode.STATUS_CODE_MISMATCH, "status", f"expected 200 for a success, got {status}")
    yield from _check_keys(body, (), policy.success_requires)
    yield from _check_versions(policy, body)


def _check_error(policy: EnvelopePolicy, status: int, body: dict[str, JsonValue]) -> Iterator[Breach]:
    requires, forbids = policy.error_requires, policy.error_forbids
    yield from _check_keys(body, (), (*_outer(requires), "error"), (), _outer(forbids))
    yield from _check_versions(policy, body)
    error = body.get("error")
    if not isinstance(error, dict):
        return
    yield from _check_keys(
        error, ("error",), _inner(requires), _inner(policy.error_optional), _inner(forbids)
    )
    if isinstance(code := error.get("code"), str):
        yield from _check_code(policy, status, code)
    if "legacy_error" in requires:
        yield from _check_legacy_error(body.get("legacy_error"), error.get("message"))


def _outer(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if not key.startswith(_INNER))


def _inner(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key.removeprefix(_INNER) for key in keys if key.startswith(_INNER))


def _check_keys(
    found: dict[str, JsonValue],
    path: tuple[str, ...],
    requires: tuple[str, ...],
    optional: tuple[str, ...] = (),
    forbids: tuple[str, ...] = (),
) -> Iterator[Breach]:
    """Compare the keys of one object, at `path`, with what the policy names for it."""
    for key in requires:
        if key not in found:
            yield _breach(BreachCode.MISSING_KEY, encode_field_path((*path, key)), "required, but missing")
    for key, value in found.items():
        field = encode_field_path((*path, key))
        if key in requires or key in optional:
            yield from _check_type(field, value)
        elif key in forbids:
            yield _breach(BreachCode.FORBIDDEN_KEY, field, "forbidden by the policy of this version")
        else:
            yield _breach(BreachCode.UNKNOWN_KEY, field, "not named by the policy of this version")


def _check_type(key: str, value: JsonValue) -> Iterator[Breach]:
    expected = _TYPES[key]
    if not isinstance(value, expected):
        names = " or ".join(_TYPE_NAMES[one] for one in expected)
        yield _breach(BreachCode.WRONG_TYPE, key, f"expected {names}, got {_type_name(value)}")


def _check_versions(policy: EnvelopePolicy, body: dict[str, JsonValue]) -> Iterator[Breach]:
    for key in ("service_contract_version", "api_contract_version"):
        expected, got = getattr(policy, key), body.get(key)
        if isinstance(got, str) and got != expected:
            yield _breach(BreachCode.WRONG_VERSION, key, f"expected {expected}, got {got[:80]!r}")


def _check_code(policy: EnvelopePolicy, status: int, code: str) -> Iterator[Breach]:
    if code not in policy.error_codes:
        yield _breach(BreachCode.UNKNOWN_ERROR_CODE, "error.code", f"{code[:80]!r} is not in the agreed set")
    elif code in ERROR_CODES and status not in (allowed := policy.list_statuses(ErrorCode(code))):
        expected = " or ".join(map(str, allowed))
        yield _breach(
            BreachCode.STATUS_CODE_MISMATCH, "status", f"expected {expected} for {code}, got {status}"
        )


def _check_legacy_error(legacy_error: JsonValue, message: JsonValue) -> Iterator[Breach]:
    if isinstance(legacy_error, str) and isinstance(message, str) and legacy_error != message:
        yield _breach(BreachCode.LEGACY_ERROR_DIFFERS, "legacy_error", "expected the text of error.message")


def _breach(code: BreachCode, field: str, detail: str) -> Breach:
    return Breach(code=code, field=field, detail=detail)


def _type_name(value: JsonValue) -> str:
    return _TYPE_NAMES.get(type(value), "number")
