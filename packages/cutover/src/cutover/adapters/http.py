"""HTTP/1.1 to loopback services by urllib3: one request, one complete reply, or the kind of failure.

No redirects, no retries, no proxies, no cookies, nothing decompressed: what a release sends is what is
judged. A request has one deadline for everything, a body that trickles included. Connections are kept
and reused with TCP_NODELAY; a pool that stood idle is dropped before a server could close it under us.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from http import client as http_client
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidChunkLength,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from cutover.errors import ReleaseUnreachable
from cutover.ports import Reply

MAX_BODY_BYTES: Final = 4 << 20
IDLE_LIMIT_S: Final = 30.0
"""Servers of this project close idle connections after 75 s; a client must be the first to let go."""

_POOL_SIZE: Final = 32
_CHUNK_BYTES: Final = 1 << 16


class LoopbackHttp:
    """`ports.Http`; thread-safe, one instance for a whole process.

    Args:
        max_body_bytes: Longest body that is read.
    """

    def __init__(self, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_body_bytes = max_body_bytes
        self._pools: dict[tuple[str, int], _IdlePool] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 5.0,
    ) -> Reply:
        """Send one request and read the whole reply.

        Args:
            method: HTTP method.
            url: `http://` and a loopback address; anything else is refused unsent.
            headers: Sent as given, beside Host, Accept-Encoding, User-Agent and Content-Length.
            body: Bytes of the body, if any.
            timeout_s: Seconds for everything: connecting, sending, and the last byte of the body.

        Raises:
            ReleaseUnreachable: With `kind` refused, reset, timeout, cut, not-http, too-large or remote.
        """
        host, port, path = _split(url)
        started = time.monotonic()
        try:
            reply = self._pool(host, port).urlopen(
                method,
                path,
                body=body,
                headers={"accept-encoding": "identity", **(headers or {})},
                timeout=Timeout(total=timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                assert_same_host=False,
            )
            data = self._read(url, reply)
        except (HTTPError, http_client.HTTPException, OSError) as exc:
            raise _unreachable(url, exc, timeout_s) from exc
        names = {name.lower(): value for name, value in reply.headers.items()}
        return Reply(status=reply.status, headers=names, body=data, elapsed_s=time.monotonic() - started)

    def close(self) -> None:
        """Close every idle connection; the instance stays usable."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def _pool(self, host: str, port: int) -> HTTPConnectionPool:
        now = time.monotonic()
        with self._lock:
            known = self._pools.get((host, port))
            if known is not None and now - known.used_at > IDLE_LIMIT_S:
                known.close()
                known = None
            if known is None:
                known = self._pools[(host, port)] = _IdlePool(host, port, maxsize=_POOL_SIZE, block=False)
            known.used_at = now
        return known

    def _read(self, url: str, reply: BaseHTTPResponse) -> bytes:
        data = bytearray()
        for chunk in _chunks(reply):
            data += chunk
            if len(data) > self._max_body_bytes:
                reply.close()
                raise ReleaseUnreachable(
                    f"{url} sent more than {self._max_body_bytes} bytes; expected a shorter body",
                    kind="too-large",
                )
        reply.release_conn()
        return bytes(data)


class _DeadlineSocket(socket.socket):
    """A socket whose timeout is a deadline: a peer that trickles bytes does not renew it."""

    _deadline: float | None = None

    def settimeout(self, value: float | None, /) -> None:
        self._deadline = None if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv_into(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # the signature is socket's
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            super().settimeout(left)
        return super().recv_into(*args, **kwargs)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        bound = _DeadlineSocket(plain.family, plain.type, plain.proto, plain.detach())
        bound.settimeout(self.timeout if isinstance(self.timeout, (int, float)) else None)
        return bound


class _IdlePool(HTTPConnectionPool):
    """A pool that knows when it was last used."""

    ConnectionCls = _Connection
    used_at: float = 0.0


def _chunks(reply: BaseHTTPResponse) -> Iterator[bytes]:
    if reply.chunked:
        yield from reply.read_chunked(_CHUNK_BYTES, decode_content=False)
        return
    while chunk := reply.read1(_CHUNK_BYTES, decode_content=False):
        yield chunk


def _split(url: str) -> tuple[str, int, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or not is_loopback(host) or parts.port is None:
        raise ReleaseUnreachable(
            f"{url} is not asked; expected http://127.0.0.1:PORT, releases are reached over loopback only",
            kind="remote",
        )
    return host, parts.port, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by itself: a loopback address or `localhost`."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _unreachable(url: str, exc: BaseException, timeout_s: float) -> ReleaseUnreachable:
    kind, fact = _classify(exc)
    bound = f" within {timeout_s:g} s" if kind == "timeout" else ""
    return ReleaseUnreachable(f"{url} {fact}{bound}; look at the process behind it", kind=kind)


def _classify(exc: BaseException) -> tuple[str, str]:
    """Name a failure by the most telling exception in its chain."""
    chain = tuple(_causes(exc))
    kinds = tuple(type(link) for link in chain)
    if any(issubclass(k, NewConnectionError) for k in kinds):
        return "refused", "refuses connections"
    if any(issubclass(k, (ReadTimeoutError, ConnectTimeoutError, TimeoutError)) for k in kinds):
        return "timeout", "gave no complete reply"
    if any(issubclass(k, (http_client.RemoteDisconnected, ConnectionError)) for k in kinds):
        return "reset", "closed the connection without a reply"
    if InvalidChunkLength in kinds:
        return "not-http", "does not speak HTTP/1.1"
    # A ProtocolError that wraps nothing is urllib3's word for an end between two chunks.
    if any(issubclass(k, http_client.IncompleteRead) for k in kinds) or kinds == (ProtocolError,):
        return "cut", "cut its reply short"
    return "not-http", "does not speak HTTP/1.1"


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception, what it wraps, and what those were raised from; bounded by their nesting."""
    seen: list[BaseException] = []
    open_: list[BaseException | None] = [exc]
    while open_:
        link = open_.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        yield link
        open_.extend(arg for arg in link.args if isinstance(arg, BaseException))
        open_.append(link.__cause__)
