"""Requests and responses as whole messages, and the bytes they are on the wire.

Bodies are complete and bounded; framing headers are made here and nowhere else, so what one side framed
is never forwarded to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

Headers = Sequence[tuple[bytes, bytes]]

MAX_BODY_BYTES: Final = 2 << 20
MAX_HEADER_BYTES: Final = 32 << 10
REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


class Problem(StrEnum):
    """What is wrong with a request that could still be parsed far enough to be answered."""

    TOO_LARGE = "too-large"


@dataclass(slots=True)
class Request:
    """A complete request; header names are lower case, values are as received.

    Args:
        target: The request target as received, query included.
        problem: Set when the body was not read; such a request is answered and the connection closed.
    """

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    problem: Problem | None = None

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header (lower-case name), or None."""
        for found, value in self.headers:
            if found == name:
                return value
        return None

    @property
    def path(self) -> str:
        """The target's path, undecoded, without query."""
        return self.target.partition(b"?")[0].decode("latin-1")


@dataclass(slots=True)
class Response:
    """A complete response; header names are lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header (lower-case name), or None."""
        for found, value in self.headers:
            if found == name:
                return value
        return None


def encode_response(response: Response, *, is_head: bool, keep_alive: bool) -> bytes:
    """Return a response as bytes with framing of our own. Pure."""
    status = response.status
    head = [b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b"Unknown"))]
    head += [b"%s: %s\r\n" % header for header in response.headers]
    if status != 204:  # RFC 9110 section 8.6: no such header there
        head.append(b"content-length: %d\r\n" % len(response.body))
    head.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    return b"".join(head) if is_head else b"".join((*head, response.body))


def encode_request(method: str, target: bytes, host: bytes, headers: Headers, body: bytes) -> bytes:
    """Return a request as bytes with framing of our own. Pure."""
    head = [b"%s %s HTTP/1.1\r\nhost: %s\r\n" % (method.encode(), target, host)]
    head += [b"%s: %s\r\n" % header for header in headers]
    if body or method not in {"GET", "HEAD"}:
        head.append(b"content-length: %d\r\n" % len(body))
    return b"".join((*head, b"\r\n", body))
