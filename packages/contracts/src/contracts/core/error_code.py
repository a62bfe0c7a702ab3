"""The closed set of ten error codes, and the HTTP statuses that each may come with.

Source: wire contract, section 1.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ErrorCode(StrEnum):
    """Every code that an error envelope may hold, whatever the contract."""

    INVALID_JSON = "invalid_json"
    VALIDATION_ERROR = "validation_error"
    CONTEXT_PACKAGE_NOT_FOUND = "context_package_not_found"
    WRITE_CONFLICT = "write_conflict"
    WRITE_FAILED = "write_failed"
    SCHEMA_UNAVAILABLE = "schema_unavailable"
    MIGRATION_FAILED = "migration_failed"
    QUERY_FAILED = "query_failed"
    CONTEXT_LOOKUP_FAILED = "context_lookup_failed"
    INTERNAL_ERROR = "internal_error"


ERROR_CODES: Final[frozenset[str]] = frozenset(code.value for code in ErrorCode)

STATUS_BY_CODE: Final[Mapping[ErrorCode, tuple[int, ...]]] = MappingProxyType(
    {
        ErrorCode.INVALID_JSON: (400, 413, 415, 422),
        # An unknown route and a wrong method need a code of the same set, hence 404 and 405.
        ErrorCode.VALIDATION_ERROR: (400, 404, 405),
        ErrorCode.CONTEXT_PACKAGE_NOT_FOUND: (404,),
        ErrorCode.WRITE_CONFLICT: (409,),
        ErrorCode.WRITE_FAILED: (500,),
        ErrorCode.SCHEMA_UNAVAILABLE: (503,),
        ErrorCode.MIGRATION_FAILED: (500,),
        ErrorCode.QUERY_FAILED: (500,),
        ErrorCode.CONTEXT_LOOKUP_FAILED: (500,),
        ErrorCode.INTERNAL_ERROR: (500,),
    }
)
"""Allowed HTTP statuses of each code in every contract; the first is for when nothing says otherwise.

A policy may allow more: `EnvelopePolicy.list_statuses` says what counts under it.
"""
