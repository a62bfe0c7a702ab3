"""Raw HTTP connections for the campaign `fuzz`: requests go out in batches, replies are read one by one.

No HTTP client would send most of this. A connection that ends before all its replies came is an answer too:
the first request without one is handed back with `reply=None`, the others are sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.campaigns.fuzz_mutations import Sent

PATIENCE_S = 15.0
"""How many seconds a reply is waited for."""
_MOST_RETRIES = 50


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    content_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, its reply (None when there was none), and how long the reply was waited for.

    `in_crowd_s` is how long it was waited for before, among other requests, when it was sent again.
    """

    sent: Sent
    reply: Reply | None
    seconds: float
    in_crowd_s: float = 0.0


class Connection:
    """One connection that is opened again whenever it ends."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, batch: Sequence[Sent]) -> list[Exchange]:
        """Send a batch without waiting in between, and read the replies.

        A request of a batch of its own has a new connection, which is closed after it.
        """
        if len(batch) == 1:
            self.close()
        done: list[Exchange] = []
        for _ in range(_MOST_RETRIES):
            if len(done) == len(batch):
                break
            done += await self._try(batch[len(done) :])
        if len(batch) == 1:
            self.close()
        return done

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _try(self, batch: Sequence[Sent]) -> list[Exchange]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=2**24)
        reader, writer = self._streams
        writer.write(b"".join(sent.encode() for sent in batch))
        done: list[Exchange] = []
        for sent in batch:
            begun = time.perf_counter()
            try:
                reply = await asyncio.wait_for(_read_reply(reader, sent.method), PATIENCE_S)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                reply = None
            done.append(Exchange(sent, reply, time.perf_counter() - begun))
            if reply is None or reader.at_eof():
                self.close()
                break
        return done


async def _read_reply(reader: asyncio.StreamReader, method: str) -> Reply:
    status = 100
    while status < 200:  # an interim reply, such as 100 Continue, comes before the one that counts
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
    body = await reader.readexactly(length)
    if headers.get("connection", "").lower() == "close":
        reader.feed_eof()
    return Reply(status, headers.get("content-type"), body)
