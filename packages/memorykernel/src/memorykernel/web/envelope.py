"""The envelopes of service.v2 and service.v3, written with their keys in the contract's order.

Source: wire contracts, section 1. A success holds two versions and the data; an error holds the
service version and the error, and under service.v2 its message once more as `legacy_error`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from contracts.core.service import API_V1, SERVICE_V2, SERVICE_V3

from memorykernel.errors import (
    ContextPackageNotFound,
    Forbidden,
    InvalidRequest,
    MemoryKernelError,
    MistypedField,
    OversizedBody,
    RecordNotFound,
    SchemaUnavailable,
    SlowBody,
    Unauthenticated,
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
    SlowBody: 400,
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

_STATUS_SINCE_V4: Final[dict[type[MemoryKernelError], int]] = {Unauthenticated: 401, Forbidden: 403}
_OLDER: Final = frozenset({SERVICE_V2, SERVICE_V3})


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

    def find_status(self, error: MemoryKernelError) -> int:
        """The HTTP status of an error: that of its nearest class in the tree.

        Since service.v4 a failure that passes by itself is 503, and a missing right has a status of its own;
        the older contracts do not have these pairs of code and status.
        """
        if self.service_contract not in _OLDER:
            if error.retry_after_s is not None:
                return 503
            if type(error) in _STATUS_SINCE_V4:
                return _STATUS_SINCE_V4[type(error)]
        return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)

    def list_headers(self, error: MemoryKernelError) -> dict[str, str]:
        """The headers that say how to do better."""
        headers: dict[str, str] = {}
        if isinstance(error, UnsupportedMethod):
            headers["allow"] = ", ".join(error.allow)
        if isinstance(error, Unauthenticated):
            headers["www-authenticate"] = "Bearer"
        if error.retry_after_s is not None:
            headers["retry-after"] = str(error.retry_after_s)
        if isinstance(error, SlowBody):
            # The rest of the body is still to come: nobody waits for it.
            headers["connection"] = "close"
        return headers
