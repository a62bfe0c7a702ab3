"""A request as it arrives: with headers that are looked up, not searched for."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope

ARRIVED: Final = "memorykernel.arrived"
"""Stands in the scope of a request whose body is there as a whole: nobody has to wait for it."""


class Arrival(Request):
    """A request; half a dozen of its headers are asked for, and most are not there."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self._known = _Headers(scope)

    @property
    def headers(self) -> Headers:
        """The headers."""
        return self._known


class _Headers(Headers):
    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        # Of a header that comes twice the first counts, as in the base class.
        self._first: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # narrower: names are text
        value = self._first.get(key.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")
