"""What the server counts, in Prometheus's text format.

No label holds a name that a user chose: no tenant, no id, no path but those of the endpoints. With worker
processes each writes its numbers to files of its own in one folder, and whoever is asked sums all of them up;
the files are named by the worker's slot, so a worker that is started again goes on counting.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 10.0)
_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSlot:
    """Which of the worker processes this is, and where all of them keep their numbers."""

    number: int
    folder: Path


class Metrics:
    """The counters of one process, or of all workers when there are several.

    Args:
        read_version: Tells this program's version; called when the numbers are asked for.
        service_contract: The contract that the server was started in.
        slot: This worker's place; None for a server of one process.
    """

    def __init__(
        self, *, read_version: Callable[[], str], service_contract: str, slot: WorkerSlot | None = None
    ) -> None:
        if slot is not None:
            _share_values(slot)
        # Imported after the choice above: the library decides at import where values are kept.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._slot = slot
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        served = ("route", "status", "contract")
        requests = counter("memorykernel_requests", "Requests answered.", served)
        answers = counter("memorykernel_answers", "Answers given.", ("query", "result"))
        failures = counter("memorykernel_store_errors", "Requests that the store failed.", ("code",))
        refusals = counter("memorykernel_refusals", "Requests and connections turned away.", ("reason",))
        about = "Time from the last header to the last byte handed to the connection."
        seconds = Histogram(
            "memorykernel_request_seconds", about, ("route",), buckets=_BUCKETS_S, registry=self._registry
        )
        self._requests: Callable[..., Counter] = cache(requests.labels)
        self._seconds: Callable[..., Histogram] = cache(seconds.labels)
        self._answers: Callable[..., Counter] = cache(answers.labels)
        self._failures: Callable[..., Counter] = cache(failures.labels)
        self._refusals: Callable[..., Counter] = cache(refusals.labels)
        waiting, opened = "Requests that wait for the store.", "Open connections."
        self._depth = gauge("memorykernel_queue_depth", waiting, multiprocess_mode="livesum")
        self._connections = gauge("memorykernel_connections", opened, multiprocess_mode="livesum")
        runs, named = "What runs here; always 1.", ("version", "contract", "python", "sqlite")
        self._build = gauge("memorykernel_build_info", runs, named, multiprocess_mode="max")
        self._read_version, self._service_contract = read_version, service_contract
        counter("memorykernel_worker_starts", "Starts of serving processes.").inc()
        self._depth.set(0)
        self._connections.set(0)

    def count_request(self, route: str, status: int, contract: str, seconds: float) -> None:
        """Count an answered request.

        Args:
            route: The endpoint's path with its parameters by name, or `none`.
            status: Of HTTP.
            contract: The contract of the reply.
            seconds: How long it took.
        """
        self._requests(route, str(status), contract).inc()
        self._seconds(route).observe(seconds)

    def count_answer(self, query: str, result: str) -> None:
        """Count an answer: `ask` or `recall`, and allow, deny or inconclusive."""
        self._answers(query, result).inc()

    def count_store_error(self, code: str) -> None:
        """Count a failure of the store, by its error code."""
        self._failures(code).inc()

    def count_refusal(self, reason: str) -> None:
        """Count a request or connection that was turned away."""
        self._refusals(reason).inc()

    def set_depth(self, waiting: int) -> None:
        """Say how many requests wait for the store."""
        self._depth.set(waiting)

    def set_connections(self, connections: int) -> None:
        """Say how many connections are open."""
        self._connections.set(connections)

    def render(self) -> bytes:
        """Everything that was counted, as text."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        self._build.labels(
            self._read_version(), self._service_contract, platform.python_version(), sqlite3.sqlite_version
        ).set(1)
        if self._slot is None:
            return generate_latest(self._registry)
        summed = CollectorRegistry()
        MultiProcessCollector(summed, path=str(self._slot.folder))  # type: ignore[no-untyped-call]  # the library's
        return generate_latest(summed)


def forget_worker(slot: WorkerSlot) -> None:
    """Drop the gauges of a worker that died: what it had in its queue, nobody has."""
    (slot.folder / f"gauge_livesum_{slot.number}.db").unlink(missing_ok=True)


def _share_values(slot: WorkerSlot) -> None:
    os.environ[_FOLDER_VARIABLE] = str(slot.folder)
    from prometheus_client import values

    shared = values.MultiProcessValue(lambda: slot.number)  # type: ignore[no-untyped-call]  # the library's
    values.ValueClass = shared
