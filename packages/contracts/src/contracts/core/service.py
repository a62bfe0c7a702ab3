"""The names by which the two ends call their versions, and the header that carries one."""

from typing import Final

SERVICE_V2: Final = "service.v2"
SERVICE_V3: Final = "service.v3"
SERVICE_V4: Final = "service.v4"
KNOWN_SERVICE_CONTRACTS: Final = (SERVICE_V2, SERVICE_V3, SERVICE_V4)
"""Contracts this package has a document and a policy for, oldest first."""

API_V1: Final = "api.v1"
INTEGRATION_V1: Final = "integration/v1"

SERVICE_CONTRACT_HEADER: Final = "Service-Contract-Version"
"""Request header naming the contract that the sender is pinned to; servers of service.v2 and v3 ignore it."""

JSON_MEDIA_TYPE: Final = "application/json"
OPENAPI_MEDIA_TYPE: Final = "application/yaml"
