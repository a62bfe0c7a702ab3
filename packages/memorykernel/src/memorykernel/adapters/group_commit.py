"""Group commit: many answers and writes in one transaction, and one fsync for all of them; for every store.

One thread writes. It takes everything that waits, runs it in one transaction (each write in a savepoint of
its own, so that one that is refused spoils no other), commits once and completes the tickets. While the disk
is busy others queue up for the next group: the slower the disk, the larger the groups. A commit that fails
fails every ticket of its group, and nothing of the group is there. See docs/adr/0013.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from memorykernel.adapters.rows import encode_answer
from memorykernel.core.chain import Value
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.ticket import Ticket
from memorykernel.errors import MemoryKernelError, QueryFailed, Stopped, WriteFailed
from memorykernel.service.attempt import Attempt

Result = TypeVar("Result")

MAX_GROUP: Final = 256
"""How many answers and writes share a commit at most; bounds how long the first of them waits."""


class Refusals(NamedTuple):
    """What a write and an answer are told whose group was not kept."""

    write: WriteFailed
    answer: QueryFailed


class GroupWriter(Protocol):
    """The connection of the writing thread."""

    is_lost: bool
    """Whether the store gave up the whole group, not only what failed."""

    def group(self, *, durable: bool) -> AbstractContextManager[None]:
        """Commit at the end what is written inside, all of it or nothing."""
        ...

    def insert(self, claim: Callable[[], Sequence[tuple[Value, ...]]]) -> None:
        """Insert answers inside a group.

        Args:
            claim: Gives the values of `encode_answer`; called when there is no lock to wait for any more.
        """
        ...

    def guard(self, attempt: Attempt | None) -> None:
        """Take the writes that follow through `Attempt.begin_commit`."""
        ...

    def explain(self, error: Exception) -> Refusals | None:
        """What to tell when an error ends a group; None for an error that is not the store's."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(slots=True)
class _Answer:
    """An answer that waits to be written."""

    values: tuple[Value, ...]
    package: bytes
    attempt: Attempt | None
    ticket: Ticket[bytes] = field(default_factory=Ticket)


@dataclass(slots=True)
class _Write:
    """A piece of work that waits to be run on the writing connection."""

    work: Callable[[], Any]
    attempt: Attempt | None
    ticket: Ticket[Any] = field(default_factory=Ticket)


class CommitThread:
    """The thread that writes, and what waits for it.

    Args:
        writer: Its connection.
        durable: Answers are on disk when their tickets are done; else only safe from the death of this
            process. Writes always are.
        max_group: How many share a commit at most.
    """

    def __init__(self, writer: GroupWriter, *, durable: bool, max_group: int) -> None:
        self._writer = writer
        self._durable = durable
        self._max_group = max_group
        self._queue: SimpleQueue[_Answer | _Write | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ident: int | None = None

    @property
    def is_current(self) -> bool:
        """Whether it is this thread that asks."""
        return threading.get_ident() == self._ident

    def begin_answer(
        self, context_package_id: str, package: bytes, asked: StoredQuestion, attempt: Attempt | None
    ) -> Ticket[bytes]:
        """See `ports.AnswerKeeper`."""
        answer = _Answer(encode_answer(context_package_id, package, asked), package, attempt)
        self._enqueue(answer)
        return answer.ticket

    def begin_write(self, work: Callable[[], Result], attempt: Attempt | None) -> Ticket[Result]:
        """See `ports.WriteQueue`."""
        write = _Write(work, attempt)
        self._enqueue(write)
        return write.ticket

    def close(self) -> None:
        """Write what waits, and end the thread; what comes next starts another."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
                thread.join()

    def _enqueue(self, job: _Answer | _Write) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    # Started late: a server forks its workers after it opened the kernel.
                    self._thread = threading.Thread(target=self._work, name="memory-commit", daemon=True)
                    self._thread.start()
        self._queue.put(job)

    def _work(self) -> None:
        self._ident = threading.get_ident()
        is_open = True
        while is_open:
            group: list[_Answer | _Write] = []
            is_open = self._take(group)
            if group:
                self._write(group)
        self._writer.close()
        # A later thread may be given the same number.
        self._ident = None

    def _take(self, group: list[_Answer | _Write]) -> bool:
        """Wait for one job and take all that wait with it; False when the store is being closed."""
        job = self._queue.get()
        try:
            while job is not None:
                group.append(job)
                if len(group) >= self._max_group:
                    return True
                job = self._queue.get_nowait()
        except Empty:
            return True
        return False

    def _write(self, group: Sequence[_Answer | _Write]) -> None:
        answers = [each for each in group if isinstance(each, _Answer)]
        writes = [each for each in group if isinstance(each, _Write)]
        outcomes: list[tuple[Ticket[Any], Any]] = []
        try:
            with self._writer.group(durable=self._durable or bool(writes)):
                outcomes += self._run(writes)
                outcomes += self._insert(answers)
        except BaseException as exc:  # noqa: BLE001  # the thread goes on; who waits must hear of it
            self._fail(group, exc)
        else:
            for ticket, result in outcomes:
                ticket.resolve(result)

    def _run(self, writes: Sequence[_Write]) -> Iterator[tuple[Ticket[Any], Any]]:
        for write in writes:
            self._writer.guard(write.attempt)
            try:
                result = write.work()
            except BaseException as exc:  # a write's failure is its own
                if self._writer.is_lost:
                    raise
                write.ticket.fail(exc)
            else:
                yield write.ticket, result
            finally:
                self._writer.guard(None)

    def _insert(self, answers: Sequence[_Answer]) -> list[tuple[Ticket[Any], Any]]:
        if not answers:
            return []
        wanted: list[_Answer] = []

        def claim() -> list[tuple[Value, ...]]:
            wanted.extend(each for each in answers if _claim(each))
            return [each.values for each in wanted]

        self._writer.insert(claim)
        return [(each.ticket, each.package) for each in wanted]

    def _fail(self, group: Sequence[_Answer | _Write], cause: BaseException) -> None:
        """Tell everybody of a group that was not kept; who was refused before was told already."""
        refusals = self._explain(cause)
        for each in group:
            if each.ticket.is_done:
                continue
            if refusals is None:
                each.ticket.fail(cause)
            else:
                each.ticket.fail(refusals.write if isinstance(each, _Write) else refusals.answer)

    def _explain(self, cause: BaseException) -> Refusals | None:
        if isinstance(cause, MemoryKernelError):
            return refuse_group(cause.message)
        return self._writer.explain(cause) if isinstance(cause, Exception) else None


def refuse_group(reason: str) -> Refusals:
    """What to tell when nothing of a group was kept."""
    return Refusals(
        write=WriteFailed(f"it was not kept, nor what was to be kept with it: {reason}"),
        answer=QueryFailed(f"the answer could not be kept: {reason}"),
    )


def _claim(answer: _Answer) -> bool:
    """Take an answer past the point of no return, unless it was stopped."""
    try:
        if answer.attempt is not None:
            answer.attempt.begin_commit()
    except Stopped as exc:
        answer.ticket.fail(exc)
        return False
    return True
