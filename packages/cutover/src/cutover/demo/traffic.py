"""Tickets that keep coming in: a process of its own that drafts at the consumer and checks every draft.

    python -m cutover.demo.traffic --consumer URL --tickets FILE [--share 0.55] [--min-rate 30]

It reads each ticket's draft with enrichment off once, measures the consumer's peak in a closed loop, then
drafts at a share of that peak until SIGTERM. Every half second one JSON line goes to stdout: `Snapshot`.
A draft counts as lost when no complete reply came, as altered when its bytes differ from the reference.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from cutover.core.material import Ticket
from cutover.service.draft_probe import BREAKING_REASONS

PEAK_S = 2.0
PEAK_WORKERS = 4
REPORT_S = 0.5
LATE_S = 1.0
MAX_IN_FLIGHT = 32


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the start of the paced part; times in seconds.

    Args:
        peak: Drafts per second in a closed loop, measured before.
        rate: Drafts per second over the whole paced part so far.
        asked: Drafts with a policy question whose end is known.
        breaking: Replies against the contract that reached the consumer.
        applied_by: Release tag -> applied answers.
    """

    elapsed_s: float
    peak: float
    rate: float
    drafts: int
    lost: int
    late: int
    altered: int
    breaking: int
    asked: int
    applied: int
    fallback: Mapping[str, int]
    applied_by: Mapping[str, int]
    p50_ms: float
    p99_ms: float


class Traffic:
    """The load and its counts.

    Args:
        session: Towards the consumer.
        url: Of the consumer.
        tickets: Drafted round-robin.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, tickets: tuple[Ticket, ...]) -> None:
        self._session = session
        self._url = url
        self._tickets = tickets
        self._references: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._fallback: Counter[str] = Counter()
        self._applied_by: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._peak = 0.0
        self._started = 0.0

    async def prepare(self) -> float:
        """Read the references, then measure the peak; returns drafts per second."""
        for ticket in self._tickets:
            text, _ = await self._draft(ticket, enrichment=False)
            self._references[ticket.ticket_id] = hashlib.sha256(text.encode()).hexdigest()
        end, done = time.perf_counter() + PEAK_S, 0

        async def work(offset: int) -> None:
            nonlocal done
            number = offset
            while time.perf_counter() < end:
                await self._draft(self._tickets[number % len(self._tickets)], enrichment=True)
                number += PEAK_WORKERS
                done += 1

        await asyncio.gather(*(work(offset) for offset in range(PEAK_WORKERS)))
        self._peak = done / PEAK_S
        return self._peak

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Draft at `rate` per second until `stop`; falls behind rather than pile up more than it may."""
        self._started = time.perf_counter()
        limit, running, number = asyncio.Semaphore(MAX_IN_FLIGHT), set[asyncio.Task[None]](), 0
        while not stop.is_set():
            due = self._started + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await limit.acquire()
            task = asyncio.create_task(self._one(self._tickets[number % len(self._tickets)]))
            running.add(task)
            task.add_done_callback(running.discard)
            task.add_done_callback(lambda _: limit.release())
            number += 1
        await asyncio.gather(*running)

    def snapshot(self) -> Snapshot:
        """Return the counts so far."""
        elapsed = max(time.perf_counter() - self._started, 1e-9)
        ordered = sorted(self._latencies) or [0.0]
        return Snapshot(
            elapsed_s=round(elapsed, 3),
            peak=round(self._peak, 1),
            rate=round(self._counts["drafts"] / elapsed, 1),
            drafts=self._counts["drafts"],
            lost=self._counts["lost"],
            late=self._counts["late"],
            altered=self._counts["altered"],
            breaking=sum(self._fallback[reason] for reason in BREAKING_REASONS),
            asked=self._counts["applied"] + sum(self._fallback.values()),
            applied=self._counts["applied"],
            fallback=dict(sorted(self._fallback.items())),
            applied_by=dict(sorted(self._applied_by.items())),
            p50_ms=round(1e3 * ordered[len(ordered) // 2], 2),
            p99_ms=round(1e3 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 2),
        )

    async def _one(self, ticket: Ticket) -> None:
        began = time.perf_counter()
        self._counts["drafts"] += 1
        try:
            text, reply = await self._draft(ticket, enrichment=True)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, KeyError):
            self._counts["lost"] += 1
            return
        elapsed = time.perf_counter() - began
        self._latencies.append(elapsed)
        self._counts["late"] += elapsed > LATE_S
        self._counts["altered"] += (
            hashlib.sha256(text.encode()).hexdigest() != self._references[ticket.ticket_id]
        )
        self._count_policy(await self._settle(reply))

    def _count_policy(self, policy: Mapping[str, Any]) -> None:
        if policy["status"] == "applied":
            self._counts["applied"] += 1
            self._applied_by[policy.get("release_tag") or "?"] += 1
        elif policy["status"] in {"fallback", "pending"}:
            self._fallback[policy.get("reason") or "pending"] += 1

    async def _settle(self, reply: Mapping[str, Any]) -> Mapping[str, Any]:
        policy: Mapping[str, Any] = reply["policy"]
        if policy["status"] != "pending":
            return policy
        path = f"/api/v1/drafts/{reply['draft_id']}/policy?wait_ms=3000"
        try:
            async with self._session.get(self._url + path) as response:
                settled: Mapping[str, Any] = msgspec.json.decode(await response.read())
                return settled if response.status == 200 else policy
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError):
            return policy

    async def _draft(self, ticket: Ticket, *, enrichment: bool) -> tuple[str, Mapping[str, Any]]:
        body = {
            "ticket_id": ticket.ticket_id,
            "subject": ticket.subject,
            "text": ticket.text,
            "enrichment": enrichment,
        }
        async with self._session.post(
            f"{self._url}/api/v1/drafts",
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
        ) as response:
            data = await response.read()
            response.raise_for_status()
            reply: Mapping[str, Any] = msgspec.json.decode(data)
            return str(reply["draft"]["text"]), reply


async def _main(arguments: argparse.Namespace, tickets: tuple[Ticket, ...]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connector = aiohttp.TCPConnector(limit=MAX_IN_FLIGHT, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=4 * LATE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
        traffic = Traffic(session, arguments.consumer, tickets)
        peak = await traffic.prepare()
        work = asyncio.create_task(traffic.run(max(arguments.min_rate, arguments.share * peak), stop))
        while not work.done():
            await asyncio.wait({work}, timeout=REPORT_S)
            print(msgspec.json.encode(traffic.snapshot()).decode(), flush=True)
        await work


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description="draft tickets at a consumer and check every draft")
    parser.add_argument("--consumer", required=True, help="base URL of the consumer")
    parser.add_argument("--tickets", required=True, help="JSON lines of tickets")
    parser.add_argument("--share", type=float, default=0.55, help="share of the measured peak to drive")
    parser.add_argument("--min-rate", type=float, default=30.0, help="drafts per second at least")
    arguments = parser.parse_args()
    lines = Path(arguments.tickets).read_bytes().splitlines()
    tickets = tuple(msgspec.json.decode(line, type=Ticket) for line in lines if line.strip())
    asyncio.run(_main(arguments, tickets))


if __name__ == "__main__":
    main()
