"""Which reason a failed question gets: the table of the wire contract, section 4, row by row.

Pure. The rows are judged in the table's order by `assistsupport.core.producer_reply`; this module says
what each single fact comes to. Switched off and preflight not ready are `calculate_state_reason`'s row,
an open breaker is `assistsupport.core.breaker`'s.
"""

from enum import StrEnum
from typing import assert_never

from contracts.core.error_code import ERROR_CODES, ErrorCode

from assistsupport.core.fallback_reason import FallbackReason

_R = FallbackReason


class TransportFault(StrEnum):
    """What can go wrong before a whole reply is in hand."""

    UNREACHABLE = "unreachable"  # connect refused, DNS, no route
    DEADLINE = "deadline"  # any deadline, slow body included
    BROKEN = "broken"  # reset, cut body, bad HTTP
    REDIRECT = "redirect"
    OVERLONG = "overlong"
    UNDECODABLE = "undecodable"


def calculate_transport_reason(fault: TransportFault) -> FallbackReason:
    """Return the reason of a reply that never became one. Pure."""
    match fault:
        case TransportFault.UNREACHABLE:
            return _R.OFFLINE
        case TransportFault.DEADLINE:
            return _R.TIMEOUT
        case TransportFault.BROKEN:
            return _R.NETWORK_ERROR
        case TransportFault.REDIRECT | TransportFault.OVERLONG | TransportFault.UNDECODABLE:
            return _R.MALFORMED_PAYLOAD
    assert_never(fault)


_REFUSALS = {
    ErrorCode.INVALID_JSON: _R.VALIDATION_ERROR,
    ErrorCode.VALIDATION_ERROR: _R.VALIDATION_ERROR,
    ErrorCode.CONTEXT_PACKAGE_NOT_FOUND: _R.CONTEXT_NOT_FOUND,
    ErrorCode.WRITE_CONFLICT: _R.WRITE_CONFLICT,
    ErrorCode.SCHEMA_UNAVAILABLE: _R.SCHEMA_UNAVAILABLE,
}


def calculate_code_reason(code: str, *, timed_out: bool) -> FallbackReason:
    """Return the reason of a typed error. Pure; the HTTP status does not matter.

    Args:
        code: `error.code` as it came.
        timed_out: The error carries `details.timeout_ms`.

    Returns:
        A code's own reason first, then timeout, then query-error for the rest of the set; unknown for
        a code outside it (the caller reports drift).
    """
    if code not in ERROR_CODES:
        return _R.TIMEOUT if timed_out else _R.UNKNOWN
    refusal = _REFUSALS.get(ErrorCode(code))
    if refusal is not None:
        return refusal
    return _R.TIMEOUT if timed_out else _R.QUERY_ERROR


def calculate_status_reason(status: int) -> FallbackReason:
    """Return the reason of a non-2xx reply that carries no typed error. Pure."""
    match status:
        case 408 | 504:
            return _R.TIMEOUT
        case 429 | 502 | 503:
            return _R.OFFLINE
        case 400 | 422:
            return _R.VALIDATION_ERROR
        case _:
            return _R.NON_2XX
