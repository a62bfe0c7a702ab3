"""The worker thread: its queue has an end, its jobs have deadlines, and what was stopped was not kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.core.ticket import Ticket
from memorykernel.errors import QueryFailed, Stopped, WriteFailed
from memorykernel.service.attempt import Attempt
from memorykernel.web.limits import Limit, choose_limit
from memorykernel.web.worker import Worker

BEGUN_MS = 500
"""A deadline by which a job has begun, on a busy machine too."""


class Idle:
    """A store that does nothing, and counts its interrupts."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.interrupted = threading.Event()

    def guard(self, attempt: Attempt | None) -> None:
        self.attempt = attempt

    def interrupt(self) -> None:
        self.interrupts += 1
        self.interrupted.set()

    def require_writable(self) -> None: ...

    def close(self) -> None: ...


def within(timeout_ms: int, path: str = "/v1/query/ask") -> Limit:
    return choose_limit(path, asyncio.get_running_loop().time(), timeout_ms)


async def pass_by(limit: Limit) -> None:
    """Wait until a limit is over, and who acts on it has acted."""
    over = asyncio.Event()
    assert limit.deadline_s is not None
    asyncio.get_running_loop().call_at(limit.deadline_s + 0.02, over.set)
    await over.wait()


def test_a_result_and_an_error_come_back() -> None:
    async def scenario() -> None:
        worker = Worker(Idle())
        assert await worker.run(lambda: 7, within(1000)) == 7
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0, within(1000))
        assert worker.close(5)

    asyncio.run(scenario())


def test_a_ticket_is_waited_for() -> None:
    async def scenario() -> None:
        worker = Worker(Idle())
        ticket: Ticket[str] = Ticket()
        begin: Callable[[], str | Ticket[str]] = lambda: ticket  # noqa: E731  # typed by its name
        waiting = asyncio.create_task(worker.run(begin, within(5000)))
        assert await worker.run(lambda: "free meanwhile", within(5000)) == "free meanwhile"
        assert not waiting.done()
        ticket.resolve("durable")
        assert await waiting == "durable"

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    async def scenario() -> None:
        worker = Worker(Idle(), max_queue=2)
        gate, started = threading.Event(), threading.Event()

        def hold() -> bool:
            started.set()
            return gate.wait(10)

        first = asyncio.create_task(worker.run(hold, within(9000)))
        await asyncio.to_thread(started.wait, 10)
        rest = [asyncio.create_task(worker.run(lambda: True, within(9000))) for _ in range(2)]
        await asyncio.sleep(0)
        assert worker.depth == 2
        with pytest.raises(WriteFailed) as caught:
            await worker.run(lambda: True, within(9000, "/v1/memory/add/constraint"))
        assert (caught.value.retry_after_s, caught.value.details) == (1, {"reason": "overload"})
        gate.set()
        assert await asyncio.gather(first, *rest) == [True, True, True]
        assert worker.depth == 0

    asyncio.run(scenario())


def test_a_job_that_waits_past_its_deadline_never_runs() -> None:
    async def scenario() -> None:
        worker = Worker(Idle())
        gate, ran = threading.Event(), threading.Event()
        first = asyncio.create_task(worker.run(lambda: gate.wait(10), within(9000)))
        await asyncio.sleep(0)
        with pytest.raises(QueryFailed) as caught:
            await worker.run(ran.set, within(20))
        assert caught.value.details == {"timeout_ms": 20}
        assert worker.depth == 0
        gate.set()
        await first
        assert worker.close(5)
        assert not ran.is_set()

    asyncio.run(scenario())


def test_a_running_job_is_interrupted_until_it_ends_and_cannot_commit() -> None:
    async def scenario() -> None:
        store = Idle()
        worker = Worker(store)
        outcome: list[BaseException] = []

        def write() -> None:
            store.interrupted.wait(10)
            try:
                assert store.attempt is not None
                store.attempt.begin_commit()
            except Stopped as error:
                outcome.append(error)
                raise

        with pytest.raises(WriteFailed) as caught:
            await worker.run(write, within(BEGUN_MS, "/v1/memory/link"))
        assert caught.value.details == {"timeout_ms": BEGUN_MS}
        assert await worker.run(lambda: store.interrupts, within(5000)) >= 1
        assert len(outcome) == 1

    asyncio.run(scenario())


def test_a_job_that_commits_is_waited_for_whatever_the_deadline() -> None:
    async def scenario() -> None:
        store = Idle()
        worker = Worker(store)
        begun, gate, limit = threading.Event(), threading.Event(), within(BEGUN_MS)

        def write() -> str:
            assert store.attempt is not None
            store.attempt.begin_commit()
            begun.set()
            gate.wait(10)
            return "kept"

        waiting = asyncio.create_task(worker.run(write, limit))
        assert await asyncio.to_thread(begun.wait, 10)
        await pass_by(limit)
        assert not waiting.done()
        gate.set()
        assert await waiting == "kept"
        assert store.interrupts == 0

    asyncio.run(scenario())


def test_only_one_of_stop_and_commit_wins() -> None:
    attempt = Attempt()
    assert attempt.stop()
    with pytest.raises(Stopped):
        attempt.begin_commit()
    attempt = Attempt()
    attempt.begin_commit()
    assert not attempt.stop()
    assert not attempt.is_stopped


def test_a_statement_of_sqlite_is_interrupted(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = SqliteFile(tmp_path / "x.db")
        with file.writing(durable=False, create=True) as connection:
            connection.execute("CREATE TABLE t (a)")
        worker = Worker(file)
        endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

        def count() -> Any:
            with file.reading() as connection:
                return connection.execute(endless).fetchone()

        with pytest.raises(QueryFailed):
            await worker.run(count, within(50))
        assert await worker.run(lambda: "next", within(30_000)) == "next"
        assert worker.close(5)

    asyncio.run(scenario())


def test_a_lock_is_not_waited_for_past_the_deadline(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "x.db"
        file, other = SqliteFile(path, busy_timeout_ms=600_000), SqliteFile(path)
        with other.writing(durable=False, create=True) as connection:
            connection.execute("CREATE TABLE t (a)")
        worker = Worker(file)

        def write() -> None:
            with file.writing(durable=True) as connection:
                connection.execute("INSERT INTO t VALUES (1)")

        with other.writing(durable=False):
            with pytest.raises(WriteFailed):
                await worker.run(write, within(60, "/v1/memory/link"))
            await worker.run(lambda: None, within(30_000))  # the thread is free again
        # With more time the same file waits as long as ever.
        await worker.run(write, within(5000, "/v1/memory/link"))
        with other.reading() as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
        other.close()
        assert worker.close(5)

    asyncio.run(scenario())
