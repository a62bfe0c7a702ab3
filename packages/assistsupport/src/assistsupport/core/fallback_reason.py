"""Why there is no policy answer beside a draft: the closed set of the wire contract, section 4.

The values are what users and logs see. Which reply earns which reason is `assistsupport.core.fallback`'s
business; this module has the words only, so that every record can name them without the rules.
"""

from enum import StrEnum


class FallbackReason(StrEnum):
    """One of the sixteen reasons. A draft that fell back has exactly one."""

    FEATURE_DISABLED = "feature-disabled"
    OFFLINE = "offline"
    TIMEOUT = "timeout"
    MALFORMED_PAYLOAD = "malformed-payload"
    VERSION_MISMATCH = "version-mismatch"
    SCHEMA_UNAVAILABLE = "schema-unavailable"
    DEGRADED = "degraded"
    NON_2XX = "non-2xx"
    NETWORK_ERROR = "network-error"
    QUERY_ERROR = "query-error"
    VALIDATION_ERROR = "validation-error"
    CONTEXT_NOT_FOUND = "context-not-found"
    WRITE_CONFLICT = "write-conflict"
    EMPTY_CONTEXT = "empty-context"
    ADAPTER_ERROR = "adapter-error"
    UNKNOWN = "unknown"
