"""The worker threads of a process: each database has its own, so that no tenant waits for another's."""

from __future__ import annotations

import time
from typing import Final

from memorykernel.service.attempt import Stoppable
from memorykernel.web.worker import Worker

_CLOSE_S: Final = 2.0


class Workers:
    """Starts workers and ends all of them.

    Args:
        max_queue: How many jobs may wait for each.
    """

    def __init__(self, *, max_queue: int) -> None:
        self._max_queue = max_queue
        self._workers: list[Worker] = []

    @property
    def depth(self) -> int:
        """How many jobs wait, in all queues."""
        return sum(worker.depth for worker in self._workers)

    def start(self, store: Stoppable) -> Worker:
        """A worker on a store."""
        worker = Worker(store, max_queue=self._max_queue)
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        """End all; a store that hangs is left to the end of the process."""
        deadline_s = time.monotonic() + _CLOSE_S
        for worker in self._workers:
            worker.close(max(0.0, deadline_s - time.monotonic()))
