"""The one thread that owns a store's connection, with a bounded queue before it and a deadline on each job.

The event loop never waits for a lock or a disk, and liveness answers while a migration runs. One thread is
enough because SQLite has one writer.

A job whose deadline passes is answered at once: in the queue it is taken out, running it is interrupted, and
either way nothing of it is kept. Only a job that has begun to commit is waited for, because then what
happened is what its reply says.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar, cast

from memorykernel.core.ticket import Ticket
from memorykernel.service.attempt import Attempt, Stoppable
from memorykernel.web.limits import Limit

Result = TypeVar("Result")

MAX_QUEUE: Final = 512
"""How many jobs may wait by default: about a quarter of a second of questions."""

_INTERRUPT_EVERY_S: Final = 0.005
"""A statement that starts just after an interrupt does not see it, so it is repeated."""


class _Job:
    """What waits or runs; its future gets what the work returned, or what its ticket brings."""

    def __init__(self, work: Callable[[], Any], attempt: Attempt) -> None:
        self.work: Callable[[], Any] | None = work
        self.attempt = attempt
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()

    def fail(self, error: BaseException) -> None:
        """Let who waits know; called on the event loop."""
        if not self.future.done():
            self.future.set_exception(error)

    def settle(self, ticket: Ticket[Any]) -> None:
        """Take the outcome of a ticket that is done; called on the event loop."""
        if self.future.done():
            return
        try:
            self.future.set_result(ticket.result)
        except BaseException as error:  # noqa: BLE001  # the failure belongs to who waits
            self.future.set_exception(error)


class Worker:
    """Runs jobs on one thread, in the order in which they came.

    Args:
        store: What the jobs work on.
        max_queue: How many jobs may wait while one runs.

    Attributes:
        store: The same; only jobs may use it, but for `interrupt`.
    """

    def __init__(self, store: Stoppable, *, max_queue: int = MAX_QUEUE) -> None:
        self.store = store
        self._max_queue = max_queue
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0
        self._running: _Job | None = None
        self._outcomes: deque[tuple[_Job, Ticket[Any]]] = deque()
        self._is_telling = False
        # A daemon: a job that never ends must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="memory", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many jobs wait, in the queue or for the commit that they share; without the one that runs."""
        return max(0, self._pending - (self._running is not None))

    async def run(self, work: Callable[[], Result | Ticket[Result]], limit: Limit) -> Result:
        """Run a job and wait for its outcome; of a ticket, until it is done.

        Raises:
            MemoryKernelError: What the job raised; or the limit's own, when the queue is full or the
                deadline passed. Then nothing of the job is kept.
        """
        # One runs. Counted here alone, on the event loop; what waits for a shared commit is waiting too.
        if self._pending > self._max_queue:
            raise limit.refuse_overload()
        job = _Job(work, Attempt(limit.deadline_s))
        timer = None
        if limit.deadline_s is not None:
            timer = job.loop.call_at(limit.deadline_s, self._expire, job, limit)
        self._pending += 1
        self._queue.put(job)
        try:
            return cast("Result", await job.future)
        except asyncio.CancelledError:
            # The grace time of a shutdown is over: who asked hears nothing, so nothing may be kept.
            job.attempt.stop()
            self._interrupt(job)
            raise
        finally:
            self._pending -= 1
            if timer is not None:
                timer.cancel()

    def close(self, timeout_s: float) -> bool:
        """Let the queue run empty and close the store.

        Returns:
            Whether it did within the time; else the thread is left to die with the process.
        """
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _expire(self, job: _Job, limit: Limit) -> None:
        if job.future.done() or not job.attempt.stop():
            # It commits: the outcome is near, and only it tells the truth.
            return
        with self._lock:
            if job.work is not None and self._running is not job:
                job.work = None
        job.fail(limit.describe_timeout())
        self._interrupt(job)

    def _interrupt(self, job: _Job) -> None:
        with self._lock:
            if self._running is not job:
                return
            self.store.interrupt()
        job.loop.call_later(_INTERRUPT_EVERY_S, self._interrupt, job)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            self._run_one(job)
        self.store.close()

    def _run_one(self, job: _Job) -> None:
        with self._lock:
            work = job.work
            if work is None:
                return
            self._running = job
        ticket: Ticket[Any]
        try:
            self.store.guard(job.attempt)
            result = work()
            ticket = result if isinstance(result, Ticket) else Ticket.done(result)
        except BaseException as error:  # noqa: BLE001  # a job's failure is its own; the thread goes on
            ticket = Ticket()
            ticket.fail(error)
        finally:
            self.store.guard(None)
            with self._lock:
                self._running = None
                job.work = None
        ticket.when_done(partial(self._tell, job))

    def _tell(self, job: _Job, ticket: Ticket[Any]) -> None:
        """Pass an outcome to the event loop; called by any thread.

        A group's outcomes come together and are told together: waking the loop costs more than what it does.
        """
        self._outcomes.append((job, ticket))
        if not self._is_telling:
            self._is_telling = True
            try:
                job.loop.call_soon_threadsafe(self._settle_all)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._outcomes.clear()
                self._is_telling = False

    def _settle_all(self) -> None:
        # First: an outcome that comes from now on is taken below, or wakes the loop again.
        self._is_telling = False
        while self._outcomes:
            job, ticket = self._outcomes.popleft()
            job.settle(ticket)
