"""The envelopes of service.v2 and service.v3, written with their keys in the contract's order.

Source: wire contracts, section 1. A success holds two versions and the data; an error holds the
service version and the error, and under service.v2 its message once more as `legacy_error`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from contracts.core.service import API_V1, SERVICE_V2

from memorykernel.errors import (
    ContextPackageNotFound,
    InvalidRequest,
    MemoryKernelError,
    MistypedField,
    OversizedBody,
    RecordNotFound,
    SchemaUnavailable,
    UnknownRoute,
    UnreadableBody,
    UnsupportedContentType,
    UnsupportedMethod,
    WriteConflict,
)

_STATUS: Final[dict[type[MemoryKernelError], int]] = {
    UnreadableBody: 400,
    OversizedBody: 413,
    UnsupportedContentType: 415,
    MistypedField: 422,
    InvalidRequest: 400,
    UnknownRoute: 404,
    RecordNotFound: 404,
    UnsupportedMethod: 405,
    ContextPackageNotFound: 404,
    WriteConflict: 409,
    SchemaUnavailable: 503,
    MemoryKernelError: 500,
}


class _Error(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    code: str
    message: str
    details: dict[str, str | int] | None = None


class _ErrorEnvelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    service_contract_version: str
    error: _Error
    legacy_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelopes:
    """Writes the envelopes of one service contract."""

    service_contract: str

    def wrap_success(self, data: bytes) -> bytes:
        """Put encoded data into a success envelope; the data's bytes are kept as they are."""
        head = b'{"service_contract_version":"%b","api_contract_version":"%b","data":%b}'
        return head % (self.service_contract.encode(), API_V1.encode(), data)

    def wrap_error(self, error: MemoryKernelError) -> bytes:
        """Write an error envelope."""
        body = _Error(code=error.code, message=error.message, details=error.details)
        legacy = error.message if self.service_contract == SERVICE_V2 else None
        return msgspec.json.encode(
            _ErrorEnvelope(service_contract_version=self.service_contract, error=body, legacy_error=legacy)
        )


def find_status(error: MemoryKernelError) -> int:
    """The HTTP status of an error: that of its nearest class in the tree."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
