"""HTTP to the producer, and nothing else: a request in, a whole reply or a transport fault out.

No redirects, no proxies, no cookies, no credentials from the environment, no decompression; bodies are cut
off at the limit. Time limits are the caller's: cancelling an exchange closes its connection.

One retry. A server may close an idle connection in the moment in which a request is put on it. When that
happens on a reused connection before the head of a reply could be read, the request is sent once more. For
`POST /v1/query/ask`, which the producer persists, that may leave the same question in its history twice and
changes no answer; nothing else that is sent here writes.
"""

from types import SimpleNamespace
from typing import Final

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from assistsupport.core.fallback import TransportFault
from assistsupport.core.producer_reply import MAX_BODY_BYTES, Refusal, Reply, refuse_transport

#: Shorter than the 75 s that our servers keep an idle connection, so that the client lets go first.
KEEP_ALIVE_S: Final = 30.0
MAX_CONNECTIONS: Final = 256

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "assistsupport",
}
_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError)


class ProducerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Args:
        method: GET or POST.
        url: The whole URL.
        headers: Beyond those that every request has.
        body: The bytes; None for no body at all.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None


class ProducerTransport:
    """A pool of connections, used and closed on one event loop; made anywhere."""

    def __init__(self) -> None:
        """Prepare; the pool opens with the first exchange, on the loop that makes it."""
        self._opened: aiohttp.ClientSession | None = None

    async def exchange(self, request: ProducerRequest) -> Reply | Refusal:
        """Send a request and read the whole reply.

        Args:
            request: What to send.

        Returns:
            The reply, or the refusal of whatever went wrong on the way. No exception of the HTTP library
            gets out; cancellation does.
        """
        attempt = SimpleNamespace(reused=False)
        try:
            return await self._send(request, attempt)
        except _BROKEN as exc:
            if not (attempt.reused and _is_stale(exc)):
                return _translate(exc)
        try:
            return await self._send(request, attempt)
        except _BROKEN as exc:
            return _translate(exc)

    async def close(self) -> None:
        """Close every connection; idempotent."""
        if self._opened is not None:
            await self._opened.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S),
            headers=_HEADERS,
            # A request without a body has no media type; strict producers answer 415 to an invented one.
            skip_auto_headers=["Content-Type"],
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
            auto_decompress=False,
            trace_configs=[trace],
        )

    async def _send(self, request: ProducerRequest, attempt: SimpleNamespace) -> Reply | Refusal:
        async with self._session().request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            trace_request_ctx=attempt,
        ) as response:
            # From here on a reply has begun, and nothing is sent twice any more.
            attempt.reused = False
            body = await _read_body(response)
            return Reply(
                status=response.status,
                content_type=response.headers.get("Content-Type"),
                content_encoding=response.headers.get("Content-Encoding"),
                body=body,
            )


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """Read at most one byte more than the limit; the rest goes down with its connection."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            response.close()
            break
    return bytes(body[: MAX_BODY_BYTES + 1])


async def _note_reuse(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.reused = True


def _is_stale(exc: BaseException) -> bool:
    """Tell whether a connection broke without a word: closed or reset, no part of a reply read."""
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return isinstance(exc.message, str)  # else it is the part of the reply that came
    return isinstance(exc, aiohttp.ClientOSError | aiohttp.ClientConnectionResetError) and not isinstance(
        exc, aiohttp.ClientConnectorError
    )


def _translate(exc: BaseException) -> Refusal:
    # The library's own text quotes addresses and raw bytes; its type says enough on one line.
    name = type(exc).__name__
    if isinstance(exc, aiohttp.ClientConnectorError) and not isinstance(exc, aiohttp.ClientSSLError):
        return refuse_transport(TransportFault.UNREACHABLE, f"the producer cannot be reached ({name})")
    return refuse_transport(TransportFault.BROKEN, f"the connection or the reply broke ({name})")
