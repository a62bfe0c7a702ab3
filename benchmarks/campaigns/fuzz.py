"""Malformed and hostile requests to a live service.v4, also in the name of the older contracts.

Every reply must be a valid envelope of the contract that the request names, none may be a server error, and
none may take longer than a second; what does among others is sent once more by itself. `GET /v1/openapi` and
`/metrics` carry no envelope. Every so often the server and its database are new, so that what was written
before does not slow what is asked later.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from contracts.core.envelope import POLICIES, check_reply

from benchmarks.ask import serving
from benchmarks.campaigns.fuzz_mutations import CONTRACTS, Sent, deal_request
from benchmarks.campaigns.fuzz_valid import Known
from benchmarks.campaigns.fuzz_wire import Connection, Exchange, Reply
from benchmarks.campaigns.outcome import Outcome

_CONNECTIONS: Final = 4
_BATCH: Final = 8
_PER_SERVER: Final = 20_000
SLOWEST_S: Final = 1.0
_MAX_REPLY: Final = 64 * 1024 * 1024
_OPTIONS: Final = ("--service-contract", "service.v4", "--durability", "normal")
_NO_HTTP: Final = b"what arrived is no HTTP request"
_COMMON: Final[dict[str, Any]] = {
    "version": 1,
    "writer": "w",
    "justification": "j",
    "source_uri": "u",
    "evidence": [],
    "truth_status": "asserted",
    "authority": "note",
    "supersedes": [],
    "contradicts": [],
}


def run(count: int, seed: int, slowest_s: float = SLOWEST_S) -> Outcome:
    """Send so many requests, none of which may take longer, by itself, than `slowest_s`."""
    begun = time.perf_counter()
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    slowest = 0.0
    for first in range(0, count, _PER_SERVER):
        numbers = range(first, min(first + _PER_SERVER, count))
        for number, exchange in asyncio.run(_fuzz_one_server(seed, numbers, slowest_s)):
            counts[_describe_kind(exchange)] += 1
            counts["slow among others only"] += exchange.in_crowd_s > 0
            slowest = max(slowest, exchange.seconds)
            wrong += [
                f"{seed}/{number}: {each} <- {_show(exchange.sent)}"
                for each in find_breaches(exchange, slowest_s)
            ]
    numbers_found = {**dict(sorted(counts.items())), "slowest ms": round(slowest * 1000)}
    return Outcome(
        campaign="fuzz",
        seed=seed,
        count=count,
        numbers=numbers_found,
        wrong=tuple(wrong),
        seconds=time.perf_counter() - begun,
    )


def find_breaches(exchange: Exchange, slowest_s: float = SLOWEST_S) -> Iterator[str]:
    """What is not as it must be."""
    sent, reply = exchange.sent, exchange.reply
    if exchange.seconds > slowest_s:
        yield f"took {exchange.seconds:.2f} s"
    if reply is None:
        yield "no reply"
        return
    if reply.status >= 500:
        yield f"status {reply.status}: {reply.body[:300]!r}"
    if sent.method == "HEAD" or (reply.status == 200 and _is_bare(reply)):
        return
    # What is no HTTP, such as a path that is not ASCII, names no contract either.
    named = CONTRACTS[-1] if _NO_HTTP in reply.body else sent.name_contract()
    breaches = {
        contract: check_reply(
            POLICIES[contract],
            status=reply.status,
            content_type=reply.content_type,
            body=reply.body,
            max_bytes=_MAX_REPLY,
        )
        for contract in (CONTRACTS if named is None else (named,))
    }
    if all(breaches.values()):
        yield f"{reply.status} {reply.body[:300]!r}: {next(iter(breaches.values()))[:3]}"


async def _fuzz_one_server(seed: int, numbers: range, slowest_s: float) -> list[tuple[int, Exchange]]:
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        serving(Path(folder) / "memory.db", *_OPTIONS) as connection,
    ):
        known = plant(connection)
        dealt = [(number, deal_request(random.Random(f"{seed}/{number}"), known)) for number in numbers]
        clients = [Connection(connection.host, connection.port) for _ in range(_CONNECTIONS)]
        shares = [dealt[each::_CONNECTIONS] for each in range(_CONNECTIONS)]
        done = await asyncio.gather(*map(_send, clients, shares))
        return [
            (number, await _repeat_slow(clients[0], each, slowest_s))
            for share in done
            for number, each in share
        ]


async def _repeat_slow(connection: Connection, exchange: Exchange, slowest_s: float) -> Exchange:
    """Send a request once more, by itself, whose reply was waited for too long."""
    if exchange.seconds <= slowest_s:
        return exchange
    (alone,) = await connection.exchange([exchange.sent])
    return replace(alone, in_crowd_s=exchange.seconds)


async def _send(connection: Connection, share: list[tuple[int, Sent]]) -> list[tuple[int, Exchange]]:
    done: list[tuple[int, Exchange]] = []
    waiting: list[tuple[int, Sent]] = []
    for number, sent in share:
        if sent.alone:
            done += [(number, each) for each in await connection.exchange([sent])]
        else:
            waiting.append((number, sent))
        if len(waiting) == _BATCH:
            done += await _send_batch(connection, waiting)
            waiting = []
    done += await _send_batch(connection, waiting)
    connection.close()
    return done


async def _send_batch(connection: Connection, batch: list[tuple[int, Sent]]) -> list[tuple[int, Exchange]]:
    exchanges = await connection.exchange([sent for _, sent in batch])
    return [(number, exchange) for (number, _), exchange in zip(batch, exchanges, strict=True)]


def plant(connection: http.client.HTTPConnection) -> Known:
    """Write and ask what the requests are about; the ids and cursors that were given out."""

    def post(path: str, body: dict[str, Any]) -> Any:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["data"]

    scope = {"actor": "ann", "action": "use", "resource": "usb", "effect": "deny"}
    said = {**_COMMON, "record_type": "decision", "summary": "usb drive"}
    records = [post("/v1/memory/add/constraint", {**_COMMON, **scope}) for _ in range(3)]
    expired = {**scope, "effective_at": "2020-01-01T00:00:00Z", "expires_at": "2021-01-01T00:00:00Z"}
    records += [post("/v1/memory/add/constraint", {**_COMMON, **expired}) for _ in range(25)]
    records += [post("/v1/memory/add/summary", said) for _ in range(55)]
    question = {"text": "may I?", "actor": "ann", "action": "use", "resource": "usb"}
    answers = [
        post("/v1/query/ask", question),
        post("/v1/query/recall", {"text": "usb drive", "record_types": ["decision"]}),
    ]
    cursors = [answers[0]["exclusions"]["next_cursor"], answers[1]["next_cursor"], "ans_1"]
    return Known(
        packages=tuple(each["context_package_id"] for each in answers),
        versions=tuple(each["memory_version_id"] for each in records),
        memories=tuple(each["memory_id"] for each in records),
        cursors=tuple(each for each in cursors if each is not None),
        snapshots=tuple(each["determinism"]["snapshot_id"] for each in answers),
    )


def _is_bare(reply: Reply) -> bool:
    """Whether it is one of the documents that carry no envelope."""
    return (reply.content_type or "").startswith(("application/yaml", "text/plain", "text/html"))


def _describe_kind(exchange: Exchange) -> str:
    return "no reply" if exchange.reply is None else f"status {exchange.reply.status}"


def _show(sent: Sent) -> str:
    shown = sent.encode()
    return repr(shown if len(shown) <= 1200 else shown[:600] + b" ... " + shown[-600:])
