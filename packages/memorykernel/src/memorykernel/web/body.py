"""Reading request bodies: declared as JSON, bounded before they are read, parsed strictly."""

from __future__ import annotations

import asyncio
from typing import Final

from contracts.core.json_value import JsonValue
from contracts.core.strict_json import parse_json
from contracts.errors import MalformedDocument
from starlette.requests import Request

from memorykernel.errors import OversizedBody, UnreadableBody, UnsupportedContentType
from memorykernel.web.arrival import ARRIVED
from memorykernel.web.limits import CURRENT

MAX_BODY_BYTES: Final = 2 * 1024 * 1024
"""The largest body that is read (wire contracts, section 1)."""

MAX_DISCARDED_BYTES: Final = 16 * MAX_BODY_BYTES
"""How much of a body that is refused is read off the connection, so that the refusal arrives."""

_MEDIA_TYPE: Final = "application/json"


def require_json(request: Request) -> None:
    """Pass when the body is declared as JSON in UTF-8.

    Raises:
        UnsupportedContentType: It is not.
    """
    media_type, *parameters = request.headers.get("content-type", "").split(";")
    charsets = [value for name, _, value in map(_split_parameter, parameters) if name == "charset"]
    if media_type.strip().lower() != _MEDIA_TYPE or any(each != "utf-8" for each in charsets):
        raise UnsupportedContentType(
            "the content type is not supported; send 'Content-Type: application/json'"
        )


async def read_body(request: Request) -> bytes:
    """Read a body of at most `MAX_BODY_BYTES`, whether its length is announced or not.

    Of a longer body nothing is kept, but up to `MAX_DISCARDED_BYTES` are taken off the connection: who is
    still sending would else see a reset instead of the refusal. Who waits for `100 Continue` is refused
    at once.

    Raises:
        OversizedBody: It is longer.
        SlowBody: It did not arrive before the request's deadline.
    """
    announced = request.headers.get("content-length", "0")
    too_large = announced.isdecimal() and int(announced) > MAX_BODY_BYTES
    if too_large and (int(announced) > MAX_DISCARDED_BYTES or "expect" in request.headers):
        raise _refuse_size()
    limit = CURRENT.get()
    # Nearly every body is there with its head, and a timer would cost more than reading it.
    deadline_s = None if ARRIVED in request.scope else limit.deadline_s
    try:
        body = await _receive_by(deadline_s, request)
    except TimeoutError as exc:
        raise limit.describe_slow_body() from exc
    if too_large or body is None:
        raise _refuse_size()
    return body


async def _receive_by(deadline_s: float | None, request: Request) -> bytes | None:
    if deadline_s is None:
        return await _receive(request)
    async with asyncio.timeout_at(deadline_s):
        return await _receive(request)


async def _receive(request: Request) -> bytes | None:
    """The body; None when it is longer than the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_DISCARDED_BYTES:
            break
        if size > MAX_BODY_BYTES:
            chunks.clear()
        else:
            chunks.append(chunk)
    return b"".join(chunks) if size <= MAX_BODY_BYTES else None


def parse_body(body: bytes) -> JsonValue:
    """Parse a body as one strict JSON document.

    Raises:
        UnreadableBody: It is none: bad syntax, bad UTF-8, a duplicate key, NaN, or too deep.
    """
    try:
        return parse_json(body, max_bytes=MAX_BODY_BYTES)
    except MalformedDocument as exc:
        raise UnreadableBody(f"the body is not strict JSON: {exc}; send one JSON object") from exc


def _split_parameter(parameter: str) -> tuple[str, str, str]:
    name, equals, value = parameter.partition("=")
    return name.strip().lower(), equals, value.strip().strip('"').lower()


def _refuse_size() -> OversizedBody:
    return OversizedBody(
        f"the body is too large: expected at most {MAX_BODY_BYTES} bytes; send less",
        {"max_bytes": MAX_BODY_BYTES},
    )
