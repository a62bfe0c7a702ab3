"""A client of a MemoryKernel server that speaks service.v4.

    with Client("http://127.0.0.1:4010", token="mk_...") as client:
        client.ask(actor="contractor", action="use", resource="vpn").answer.result

It has the methods of `library.Kernel` and raises the same errors, with the server's message and details. A
client may be used by any number of threads. What it reads includes what it wrote: it sends the token of its
newest write with every read.

A request is repeated when no answer came, or when the server said that it was too busy. That is safe: reads
change nothing, an answer to a question is kept once however often it is given, and every write has a
request key, so that it happens once.
"""

from __future__ import annotations

import time
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from contracts.core.service import SERVICE_CONTRACT_HEADER, SERVICE_V4

try:
    import urllib3
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(
        "the client needs urllib3; install memorykernel-service with its extra 'client'"
    ) from exc

from memorykernel.adapters.system import RandomIds, SystemClock
from memorykernel.core.conflict import Conflicts
from memorykernel.core.context_package import ContextPackage
from memorykernel.core.explain_request import Compare, FindBlastRadius
from memorykernel.core.record import Link, MemoryRecord
from memorykernel.core.record_reader import read_record
from memorykernel.core.request import AddConstraintV4, AddLink, AddMembership, AddSummaryV4, AskV4, RecallV4
from memorykernel.errors import (
    ContextLookupFailed,
    ContextPackageNotFound,
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    MemoryKernelError,
    MigrationFailed,
    MistypedField,
    OversizedBody,
    QueryFailed,
    RecordNotFound,
    ReplyInvalid,
    SchemaUnavailable,
    ServerUnreachable,
    Unauthenticated,
    WriteConflict,
    WriteFailed,
)
from memorykernel.service.comparing import ComparedAnswers
from memorykernel.service.exclusions import ExcludedItems
from memorykernel.service.explaining import BlastRadius, WhatWouldFlip
from memorykernel.service.lineage import MemoryStory, RecordStory
from memorykernel.service.replaying import Replay
from memorykernel.surface import Surface, warn_of_conflicts

TIMEOUT_S: Final = 15.0
"""How long a request may take by default: longer than a server's own limit, which says more."""

ATTEMPTS: Final = 3
MAX_WAIT_S: Final = 5.0
"""How long is waited before a repetition at most, whatever the server asks for."""

_FIRST_WAIT_S: Final = 0.1
_TOKEN: Final = "Memory-Token"  # noqa: S105  # the name of a state, no secret
_KEY: Final = "Idempotency-Key"
_WARNING: Final = "Memory-Warning"
_KINDS: Final[dict[str, type[MemoryKernelError]]] = {
    "invalid_json": MalformedRequest,
    "validation_error": InvalidRequest,
    "context_package_not_found": ContextPackageNotFound,
    "write_conflict": WriteConflict,
    "schema_unavailable": SchemaUnavailable,
    "migration_failed": MigrationFailed,
    "write_failed": WriteFailed,
    "query_failed": QueryFailed,
    "context_lookup_failed": ContextLookupFailed,
    "internal_error": MemoryKernelError,
}
_NEARER: Final[dict[tuple[str, int], type[MemoryKernelError]]] = {
    ("invalid_json", 422): MistypedField,
    ("invalid_json", 413): OversizedBody,
    ("validation_error", 401): Unauthenticated,
    ("validation_error", 403): Forbidden,
    ("validation_error", 404): RecordNotFound,
}

Reply = TypeVar("Reply")


class _Error(msgspec.Struct):
    code: str
    message: str
    details: dict[str, Any] | None = None


class _Envelope(msgspec.Struct):
    service_contract_version: str
    data: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None


class Client(Surface):
    """A client of one server.

    Args:
        url: Where it is, such as `http://127.0.0.1:4010`.
        token: What `mk tokens add` printed; None for a server that asks for none.
        timeout_s: How long one attempt may take.
        attempts: How often a request is sent at most; 1 to never repeat one.
        memory_token: The state that reads must include: from `memory_token` of another client.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        memory_token: str | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._attempts = max(1, attempts)
        self._memory_token = memory_token
        self._ids, self._clock = RandomIds(), SystemClock()
        self._headers = {SERVICE_CONTRACT_HEADER: SERVICE_V4, "Accept": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        # Redirects would carry the token elsewhere, and repetitions are ours to decide.
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=timeout_s)

    @property
    def memory_token(self) -> str | None:
        """The newest state that this client has written; None before its first write."""
        return self._memory_token

    def find(self, context_package_id: str) -> ContextPackage:
        return _decode(self._get(_context(context_package_id)), ContextPackage)

    def list_exclusions(self, context_package_id: str, cursor: str | None = None) -> ExcludedItems:
        query = "" if cursor is None else f"?cursor={quote(cursor, safe='')}"
        return _decode(self._get(f"{_context(context_package_id)}/exclusions{query}"), ExcludedItems)

    def show_record(self, memory_version_id: str) -> RecordStory:
        path = f"/v1/memory/record/{quote(memory_version_id, safe='')}"
        return _read_story(msgspec.json.decode(self._get(path)))

    def show_lineage(self, memory_id: str) -> MemoryStory:
        story = msgspec.json.decode(self._get(f"/v1/memory/lineage/{quote(memory_id, safe='')}"))
        versions = tuple(map(_read_story, story["versions"]))
        return MemoryStory(memory_id=story["memory_id"], versions=versions, truncated=story["truncated"])

    def replay(self, context_package_id: str) -> Replay:
        return _decode(self._get(f"{_context(context_package_id)}/replay"), Replay)

    def prove(self, context_package_id: str) -> bytes:
        return self._get(f"{_context(context_package_id)}/proof")

    def find_counterfactual(self, context_package_id: str) -> WhatWouldFlip:
        return _decode(self._get(f"{_context(context_package_id)}/counterfactual"), WhatWouldFlip)

    def find_blast_radius(
        self, memory_version_id: str, *, cursor: str | None = None, limit: int | None = None
    ) -> BlastRadius:
        asked = FindBlastRadius(memory_version_id=memory_version_id, cursor=cursor, limit=limit)
        return _decode(self._post("/v1/explain/blast-radius", asked), BlastRadius)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._pool.clear()

    def _add_record(
        self, request: AddConstraintV4 | AddSummaryV4 | AddMembership, key: str | None
    ) -> MemoryRecord:
        return read_record(msgspec.json.decode(self._write(_choose_path(request), request, key)))

    def _add_link(self, request: AddLink, key: str | None) -> Link:
        return _decode(self._write("/v1/memory/link", request, key), Link)

    def _check_constraint(self, request: AddConstraintV4) -> Conflicts:
        return _decode(self._post("/v1/memory/check/constraint", request), Conflicts)

    def _compare(self, request: Compare) -> ComparedAnswers:
        return _decode(self._post("/v1/explain/compare", request), ComparedAnswers)

    def _ask(self, request: AskV4) -> ContextPackage:
        return _decode(self._post("/v1/query/ask", request), ContextPackage)

    def _recall(self, request: RecallV4) -> ContextPackage:
        return _decode(self._post("/v1/query/recall", request), ContextPackage)

    def _get(self, path: str) -> bytes:
        return self._read("GET", path, None)

    def _post(self, path: str, request: msgspec.Struct) -> bytes:
        return self._read("POST", path, msgspec.json.encode(request))

    def _read(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {} if self._memory_token is None else {_TOKEN: self._memory_token}
        return _open_envelope(self._send(method, path, body, headers))

    def _write(self, path: str, request: msgspec.Struct, key: str | None) -> bytes:
        named = self._ids.mint_ulid(self._clock.now_us()) if key is None else key
        reply = self._send("POST", path, msgspec.json.encode(request), {_KEY: named})
        data = _open_envelope(reply)
        self._memory_token = reply.headers.get(_TOKEN, self._memory_token)
        _pass_warning_on(reply.headers.get(_WARNING, ""))
        return data

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        sent = self._headers | headers
        if body is not None:
            sent["Content-Type"] = "application/json"
        for attempt in range(1, self._attempts + 1):
            is_last = attempt == self._attempts
            wait_s = _FIRST_WAIT_S * 2 ** (attempt - 1)
            try:
                reply = self._pool.request(method, f"{self._url}{path}", body=body, headers=sent)
            except urllib3.exceptions.HTTPError as exc:
                if is_last:
                    raise _describe_silence(self._url, exc, headers.get(_KEY)) from exc
            else:
                busy = reply.headers.get("Retry-After", "") if reply.status == 503 else ""
                if is_last or not busy.isdecimal():
                    return reply
                wait_s = float(busy)
            time.sleep(min(wait_s, MAX_WAIT_S))
        raise AssertionError("the last attempt returns or raises")


def _context(context_package_id: str) -> str:
    return f"/v1/context/{quote(context_package_id, safe='')}"


def _choose_path(request: AddConstraintV4 | AddSummaryV4 | AddMembership) -> str:
    match request:
        case AddConstraintV4():
            return "/v1/memory/add/constraint"
        case AddSummaryV4():
            return "/v1/memory/add/summary"
        case AddMembership():
            return "/v1/memory/add/membership"


def _open_envelope(reply: urllib3.BaseHTTPResponse) -> bytes:
    """The data of a reply, as it was sent.

    Raises:
        ReplyInvalid: It is no reply of service.v4.
        MemoryKernelError: What the server says.
    """
    try:
        envelope = msgspec.json.decode(reply.data, type=_Envelope)
    except msgspec.DecodeError as exc:
        raise ReplyInvalid(
            f"the reply (HTTP {reply.status}) is no envelope; expected a MemoryKernel at this address"
        ) from exc
    if envelope.error is not None:
        raise _read_error(envelope.error, reply)
    data = bytes(envelope.data)
    if envelope.service_contract_version != SERVICE_V4 or not data:
        raise ReplyInvalid(
            f"the server speaks {envelope.service_contract_version}, expected {SERVICE_V4};"
            f" start it with --service-contract {SERVICE_V4}"
        )
    return data


def _read_error(said: _Error, reply: urllib3.BaseHTTPResponse) -> MemoryKernelError:
    kind = _NEARER.get((said.code, reply.status), _KINDS.get(said.code, MemoryKernelError))
    wait = reply.headers.get("Retry-After", "")
    # Kinds are made of different facts here; on the wire all are a message and details.
    error = kind.__new__(kind)
    MemoryKernelError.__init__(
        error, said.message, said.details, retry_after_s=int(wait) if wait.isdecimal() else None
    )
    return error


def _describe_silence(url: str, cause: Exception, key: str | None) -> ServerUnreachable:
    if key is None:
        return ServerUnreachable(f"no answer from {url}: {cause}; see that it runs, and repeat the request")
    return ServerUnreachable(
        f"no answer from {url}: {cause}; whether the write happened is not known, repeat it with the same"
        " request_key",
        {"request_key": key},
    )


def _pass_warning_on(header: str) -> None:
    """Warn as the library does of what `Memory-Warning: conflict; versions=A,B; truncated` says."""
    parts = [part.strip() for part in header.split(";")]
    named = next((part.removeprefix("versions=") for part in parts if part.startswith("versions=")), "")
    warn_of_conflicts(filter(None, named.split(",")), has_more="truncated" in parts, depth=6)


def _read_story(document: dict[str, Any]) -> RecordStory:
    return RecordStory(
        record=read_record(document["record"]),
        recorded_at=document["recorded_at"],
        entry=document["entry"],
        snapshot_id=document["snapshot_id"],
        superseded_by=tuple(document["superseded_by"]),
        contradicted_by=tuple(document["contradicted_by"]),
    )


def _decode(data: bytes, type_: type[Reply]) -> Reply:
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.DecodeError as exc:
        raise ReplyInvalid(f"the reply is not as {SERVICE_V4} has it: {exc}; update this client") from exc
