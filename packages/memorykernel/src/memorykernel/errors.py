"""Everything that MemoryKernel can refuse, as one tree with stable codes.

    MemoryKernelError
    ├── MalformedRequest           invalid_json
    │   ├── UnreadableBody             not strict JSON
    │   ├── OversizedBody              more bytes than the limit
    │   ├── UnsupportedContentType     not application/json
    │   ├── SlowBody                   it did not arrive before the deadline
    │   └── MistypedField              a field is missing, mistyped, or a bad enum, ULID or time
    ├── InvalidRequest             validation_error
    │   ├── UnknownRoute
    │   ├── RecordNotFound
    │   ├── UnsupportedMethod
    │   ├── UnknownContract            a contract is named that nobody here speaks
    │   ├── MalformedHttp              what arrived is no HTTP request
    │   ├── RefusedHost                the request is for a name that this server does not have
    │   ├── Unauthenticated            no token, or one that is not known
    │   ├── Forbidden                  a token without the scope
    │   ├── BundleInvalid              what is imported cannot be read, or is not what it says it is
    │   ├── PolicyFileInvalid          a policy file says what cannot be imported
    │   ├── ModeUnavailable            this server or database has not what the mode of a recall needs
    │   └── KeyUnusable                a key file is missing, unreadable or of another kind
    ├── ContextPackageNotFound     context_package_not_found
    ├── WriteConflict              write_conflict
    ├── SchemaUnavailable          schema_unavailable
    │   ├── DatabaseMissing
    │   └── DriverMissing              start-up only
    ├── MigrationFailed            migration_failed
    ├── WriteFailed                write_failed
    ├── QueryFailed                query_failed
    ├── ContextLookupFailed        context_lookup_failed
    ├── ServerUnreachable          internal_error (the client's, never on the wire)
    ├── ReplyInvalid               internal_error (the client's, never on the wire)
    ├── Stopped                    internal_error (its caller was answered at the deadline)
    ├── AccessInvalid              internal_error (start-up and `mk tokens`, never on the wire)
    └── ReleaseInvalid             internal_error (start-up only, never on the wire)

Invariant: `code` is one of the ten codes of the wire contract (wire contracts, section 1). Which
HTTP status a code travels with is known to `web` alone. No message holds a secret or a trace.
"""

from __future__ import annotations

from typing import ClassVar


class MemoryKernelError(Exception):
    """The root of the tree.

    Args:
        message: One line: the fact first, then "expected X, got Y", then what to do.
        details: Facts for programs, JSON values only; never secrets.
        retry_after_s: When the same request may succeed, seconds >= 1; None when waiting is no remedy.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        details: dict[str, str | int] | None = None,
        *,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s


class MalformedRequest(MemoryKernelError):
    """The request cannot be read as what the endpoint expects."""

    code = "invalid_json"


class UnreadableBody(MalformedRequest):
    """The body is not one strict JSON document."""


class OversizedBody(MalformedRequest):
    """The body has more bytes than the server reads."""


class UnsupportedContentType(MalformedRequest):
    """The body is not declared as JSON."""


class SlowBody(MalformedRequest):
    """The body did not arrive before the deadline."""


class MistypedField(MalformedRequest):
    """A field is missing, has the wrong type, or is a bad enum value, ULID or time."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"field '{field}' {reason}", {"field": field})


class InvalidRequest(MemoryKernelError):
    """The request can be read but must not be accepted."""

    code = "validation_error"


class UnknownRoute(InvalidRequest):
    """No endpoint has this path."""


class RecordNotFound(InvalidRequest):
    """No record or memory has this id."""

    def __init__(self, what: str, field: str, found_id: str) -> None:
        super().__init__(f"no {what} has this id; take it from the reply to a write", {field: found_id})


class UnsupportedMethod(InvalidRequest):
    """The endpoint exists, for other methods."""

    def __init__(self, message: str, allow: tuple[str, ...]) -> None:
        super().__init__(message, {"allow": ", ".join(allow)})
        self.allow = allow


class UnknownContract(InvalidRequest):
    """The request names a contract that this server does not speak."""


class MalformedHttp(InvalidRequest):
    """What arrived is no HTTP request."""


class RefusedHost(InvalidRequest):
    """The request is for a host name that this server was not told to answer to."""


class Unauthenticated(InvalidRequest):
    """The request has no token, or one that is not known."""


class Forbidden(InvalidRequest):
    """The token is known and lacks the scope."""


class BundleInvalid(InvalidRequest):
    """What is to be imported cannot be read, is damaged, or is not signed by the expected key."""


class PolicyFileInvalid(InvalidRequest):
    """A policy file says what cannot be imported; the message names the line."""


class ModeUnavailable(InvalidRequest):
    """A recall by meaning, where there are no weights, no vectors, or others than are needed."""


class KeyUnusable(InvalidRequest):
    """A key file is missing, unreadable, or holds another kind of key."""


class ContextPackageNotFound(MemoryKernelError):
    """No stored answer has this id."""

    code = "context_package_not_found"


class WriteConflict(MemoryKernelError):
    """What is stored forbids the write: a version taken, a link to nowhere, or a cycle."""

    code = "write_conflict"


class SchemaUnavailable(MemoryKernelError):
    """The database is not at a schema that this release can use."""

    code = "schema_unavailable"


class DatabaseMissing(SchemaUnavailable):
    """There is no database file at the path."""


class DriverMissing(SchemaUnavailable):
    """The database needs a driver that is not installed."""


class MigrationFailed(MemoryKernelError):
    """A migration did not finish; nothing of it was kept."""

    code = "migration_failed"


class WriteFailed(MemoryKernelError):
    """The store could not keep a record or a link; nothing of it was kept."""

    code = "write_failed"


class QueryFailed(MemoryKernelError):
    """The store could not read for a question or keep its answer."""

    code = "query_failed"


class ContextLookupFailed(MemoryKernelError):
    """The store could not read a stored answer."""

    code = "context_lookup_failed"


class ServerUnreachable(MemoryKernelError):
    """A client got no answer; whether a write happened is not known, `details` has its request key."""


class ReplyInvalid(MemoryKernelError):
    """A client got an answer that is none of service.v4."""


class Stopped(MemoryKernelError):
    """The work was stopped before it committed; whoever stopped it has answered already."""


class AccessInvalid(MemoryKernelError):
    """The access file is missing, readable by others, or says what it must not."""


class ReleaseInvalid(MemoryKernelError):
    """A release folder is incomplete or names what this program does not have."""
