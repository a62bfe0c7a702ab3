"""The agreement between MemoryKernel, AssistSupport and the program that moves one onto the other.

Here are the names that every reply and request needs. The readers live where their format is named:
`contracts.core.manifest`, `.pin`, `.matrix`, `.handoff`, `.integration`, `.openapi`, `.strict_json`; the
documents themselves in `contracts.documents`.
"""

from contracts.core.envelope import (
    POLICIES,
    Breach,
    BreachCode,
    EnvelopePolicy,
    check_envelope,
    check_reply,
)
from contracts.core.error_code import ERROR_CODES, STATUS_BY_CODE, ErrorCode
from contracts.core.service import (
    API_V1,
    INTEGRATION_V1,
    KNOWN_SERVICE_CONTRACTS,
    SERVICE_CONTRACT_HEADER,
    SERVICE_V2,
    SERVICE_V3,
    SERVICE_V4,
)
from contracts.errors import ContractsError, MalformedDocument, UnknownDocument

__all__ = [
    "API_V1",
    "ERROR_CODES",
    "INTEGRATION_V1",
    "KNOWN_SERVICE_CONTRACTS",
    "POLICIES",
    "SERVICE_CONTRACT_HEADER",
    "SERVICE_V2",
    "SERVICE_V3",
    "SERVICE_V4",
    "STATUS_BY_CODE",
    "Breach",
    "BreachCode",
    "ContractsError",
    "EnvelopePolicy",
    "ErrorCode",
    "MalformedDocument",
    "UnknownDocument",
    "check_envelope",
    "check_reply",
]
