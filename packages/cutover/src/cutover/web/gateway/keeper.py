"""The gateway's memory and conscience: it follows the log, stops on a breach and takes the way back.

Two threads beside the event loop: *follower* reads and verifies what others appended and swaps the
routes, *stopper* appends `Stopped` and takes the way back. The loop itself never waits for a disk. What
could not be done (a full disk, a moved ref) is tried again once a second for as long as it is needed.
Needs no executor: the log alone says what is in progress.
Source: cutover-program, "Switch" and "Stop conditions" 1.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from securesystemslib.signer import Signer

from cutover.core.entry import Observed, StopCondition, Stopped
from cutover.core.program import Program
from cutover.core.route import EMPTY, calculate_routes
from cutover.core.stop import Exchange, Failure, check_exchange
from cutover.core.switch import calculate_operation
from cutover.errors import CutoverError, ReleaseUnreachable
from cutover.ports import Clock, ConsumerControl, GatewayStats, LogStore, Repository
from cutover.service.restore import take_back
from cutover.web.gateway.traffic import Traffic

POLL_S: Final = 0.05
RETRY_S: Final = 1.0
OBSERVE_EVERY: Final = timedelta(seconds=60)
"""How often the same breach outside a move is written into the log; the counts have all of them."""
_SWAP_TIMEOUT_S: Final = 5.0

_logger = structlog.get_logger("cutover.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStation:
    """What the gateway works with; a `WayBack`.

    Args:
        folder: The program folder.
        log_file: The file behind `log`; its size says when somebody appended.
        signer: An executor key; the gateway never sees a party key.
    """

    folder: Path
    program: Program
    log: LogStore
    log_file: Path
    consumer_origin: Repository
    consumer: ConsumerControl
    clock: Clock
    signer: Signer

    def narrate(self, line: str) -> None:
        """Log one line for people."""
        _logger.info(line)


class Keeper:
    """Keeps `traffic` on the routes of the log, and takes it back when somebody says stop.

    Args:
        station: Ports.
        reply_timeout_s: How long a way back waits for the baseline's first answer.
    """

    def __init__(self, station: GatewayStation, *, reply_timeout_s: float = 3.0) -> None:
        program = station.program
        self.traffic = Traffic(
            station.clock,
            default_contract=program.baseline.service_contract_version,
            reply_timeout_s=program.watch.reply_timeout_s,
            on_breach=self._on_breach,
        )
        self._station = station
        self._reply_timeout_s = reply_timeout_s
        self._table, self._followed = EMPTY, 0
        self._size_seen = -1
        self._follower = ThreadPoolExecutor(1, thread_name_prefix="follower")
        self._stopper = ThreadPoolExecutor(1, thread_name_prefix="stopper")
        self._loop = asyncio.get_running_loop()
        self._pending: tuple[Exchange, datetime, str] | None = None
        self._is_stopping = False
        self._retry_at = 0.0
        self._observed: dict[tuple[str, str, str], datetime] = {}

    # On the event loop.

    async def run(self) -> None:
        """Follow the log until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            size = self._log_bytes()
            is_due = self._retry_at and self._loop.time() >= self._retry_at
            if size != self._size_seen or is_due:
                try:
                    await self.refresh()
                except CutoverError as exc:
                    _logger.warning("the log cannot be followed; routes stay as they are", reason=str(exc))
                self._size_seen = size

    def refresh(self) -> Awaitable[GatewayStats]:
        """Read the log now; done when routes match it.

        Raises:
            LogDamaged: When it does not verify; the routes stay as they were.
        """
        return self._loop.run_in_executor(self._follower, self._follow)

    def stats(self) -> GatewayStats:
        """Return what was counted."""
        return self.traffic.tally.read(self.traffic.table, self._followed)

    async def close(self) -> None:
        """End both threads; a way back that has begun is finished, without waiting for a first answer."""
        self.traffic.tally.close()
        for pool in (self._follower, self._stopper):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _on_breach(self, exchange: Exchange, now: datetime) -> None:
        timeouts = self.traffic.tally.timeouts
        if exchange.failure is Failure.TIMEOUT:
            timeouts[exchange.release_tag] += 1
        reason = check_exchange(
            exchange,
            timeouts=timeouts[exchange.release_tag],
            max_timeouts=self._station.program.watch.max_timeouts,
        )
        if reason is not None and self._pending is None:
            self._pending = (exchange, now, reason)
            self._wake_stopper()

    def _log_bytes(self) -> int:
        try:
            return self._station.log_file.stat().st_size
        except OSError:
            return -1

    # On any thread.

    def _wake_stopper(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._stopper.submit(self._stop_and_take_back)

    # On the follower's thread.

    def _follow(self) -> GatewayStats:
        self.apply_routes()
        state = calculate_operation(self._station.log.read().entries)
        if self._pending or (state is not None and state.stop is not None):
            self._wake_stopper()
        else:
            self._retry_at = 0.0
        return self.stats()

    # On the stopper's thread.

    def _stop_and_take_back(self) -> None:
        try:
            if self._pending is not None:
                self._stop(*self._pending)
                self._pending = None
            take_back(self._station, self, reply_timeout_s=self._reply_timeout_s)
            self._retry_at = 0.0
        except CutoverError as exc:
            _logger.warning("the way back is stuck; trying again", reason=str(exc), code=exc.code)
            self._retry_at = self._loop.time() + RETRY_S
        except Exception:
            _logger.exception("the way back failed; trying again")
            self._retry_at = self._loop.time() + RETRY_S
        finally:
            self._is_stopping = False
            if self._pending is not None and not self._retry_at:
                self._wake_stopper()  # a breach came while the last one was being dealt with

    def _stop(self, exchange: Exchange, seen_at: datetime, reason: str) -> None:
        """Stop the move in progress; outside of one, only say so."""
        state = calculate_operation(self._station.log.read().entries)
        if state is None:
            self._observe(exchange, seen_at, reason)
        elif state.stop is None:
            stopped = Stopped(condition=StopCondition.CONTRACT_MISMATCH, reason=reason, observed_at=seen_at)
            self._station.log.append(stopped, self._station.signer)

    def _observe(self, exchange: Exchange, seen_at: datetime, reason: str) -> None:
        kind = exchange.breaches[0].code if exchange.breaches else str(exchange.failure)
        key = (exchange.release_tag, exchange.route, kind)
        _logger.warning("a breaking reply was withheld", release=key[0], route=key[1], reason=reason)
        if (last := self._observed.get(key)) is None or seen_at - last >= OBSERVE_EVERY:
            self._observed[key] = seen_at
            facts = {"release": key[0], "route": key[1], "breach": kind, "reason": reason}
            self._station.log.append(Observed(subject="gateway/breach", facts=facts), self._station.signer)

    # On the follower's or the stopper's thread: the traffic, as a way back sees it.

    def apply_routes(self) -> int:
        """Swap routes to those of all entries there are; return requests in flight on the target then.

        Raises:
            ReleaseUnreachable: When the event loop did not get to it: then nothing is known of the routes.
        """
        entries = self._station.log.read().entries
        done = threading.Event()
        at_risk = 0

        def swap() -> None:
            nonlocal at_risk
            fresh = entries[self._followed :]  # the log grows meanwhile: each entry is looked at once
            self._table = calculate_routes(fresh, self._table)
            self._followed += len(fresh)
            at_risk = self.traffic.tally.in_flight[self._station.program.target.release_tag]
            self.traffic.swap(self._table)
            done.set()

        self._loop.call_soon_threadsafe(swap)
        if not done.wait(_SWAP_TIMEOUT_S):
            raise ReleaseUnreachable(
                f"the gateway did not swap its routes within {_SWAP_TIMEOUT_S:g} s; it is tried again",
                kind="timeout",
            )
        return at_risk

    def await_baseline_reply(self, since: datetime, timeout_s: float) -> datetime | None:
        """Return when the baseline's first answer after `since` was passed on."""
        tag = self._station.program.baseline.release_tag
        return self.traffic.tally.await_answer(tag, since, timeout_s)

    def counts(self) -> Mapping[str, int]:
        """Return the counters that a way back is described with."""
        return self.traffic.tally.counts()
