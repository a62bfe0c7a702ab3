"""Replies that the gateway makes itself: valid errors of the contract that the request named.

Status and code are fixed per reason, and `error.details` always holds `origin: "gateway"` and the reason,
so that nobody takes them for a release's. Source: cutover-program, "Switch".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec
from contracts.core.error_code import ErrorCode

from cutover.web.gateway.contract import Contract
from cutover.web.http1.message import Response

ORIGIN: Final = "gateway"


class MadeReason(StrEnum):
    """Why the gateway answered itself."""

    UNKNOWN_CONTRACT = "unknown-contract"
    UNKNOWN_ROUTE = "unknown-route"
    WRONG_METHOD = "wrong-method"
    TOO_LARGE = "too-large"
    ROUTE_CLOSED = "route-closed"
    WITHHELD = "withheld"
    NO_REPLY = "no-reply"
    TIMEOUT = "timeout"


STATUS_AND_CODE: Final[Mapping[MadeReason, tuple[int, ErrorCode]]] = MappingProxyType(
    {
        MadeReason.UNKNOWN_CONTRACT: (400, ErrorCode.VALIDATION_ERROR),
        MadeReason.UNKNOWN_ROUTE: (404, ErrorCode.VALIDATION_ERROR),
        MadeReason.WRONG_METHOD: (405, ErrorCode.VALIDATION_ERROR),
        MadeReason.TOO_LARGE: (413, ErrorCode.INVALID_JSON),
        MadeReason.ROUTE_CLOSED: (503, ErrorCode.SCHEMA_UNAVAILABLE),
        MadeReason.WITHHELD: (500, ErrorCode.INTERNAL_ERROR),
        MadeReason.NO_REPLY: (500, ErrorCode.INTERNAL_ERROR),
        MadeReason.TIMEOUT: (500, ErrorCode.INTERNAL_ERROR),
    }
)
"""Fixed for each reason."""


def make_reply(
    contract: Contract,
    reason: MadeReason,
    message: str,
    *,
    details: Mapping[str, str | int] | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Response:
    """Return an error reply of `contract`. Pure.

    Args:
        contract: Whose envelope it is.
        reason: Decides status and code.
        message: One line for people.
        details: Joined to origin and reason.
        headers: Beside the content type.
    """
    status, code = STATUS_AND_CODE[reason]
    error = {
        "code": code.value,
        "message": message,
        "details": {"origin": ORIGIN, "reason": reason.value, **(details or {})},
    }
    body: dict[str, object] = {"service_contract_version": contract.name, "error": error}
    if "legacy_error" in contract.policy.error_requires:
        body["legacy_error"] = message
    return Response(status, [(b"content-type", b"application/json"), *headers], msgspec.json.encode(body))
