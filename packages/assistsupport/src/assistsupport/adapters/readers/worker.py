"""The parent's side of the reading child: starts it, gives it documents, ends it when it takes too long."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Final

import msgspec

from assistsupport.adapters.readers.frame import Job, Outcome, read_frame, write_frame
from assistsupport.core.article import Article, DocumentFormat, ReaderStamp, verify_article
from assistsupport.errors import ArticleRefused

CHILD: Final = ("-I", "-m", "assistsupport.adapters.readers.child")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLimits:
    """What reading one document may take.

    Args:
        memory_bytes: Address space of the child, its program included.
        cpu_s: Seconds of processor time.
        wall_s: Seconds by the clock.
    """

    memory_bytes: int = 1024 * 1_048_576
    cpu_s: int = 20
    wall_s: float = 40.0


class ReadingChild:
    """One child process, kept for many documents and started anew after a crash; safe between threads.

    Args:
        limits: For each document.
        command: Arguments of the interpreter that make it the child.
    """

    def __init__(self, limits: ReadingLimits | None = None, command: tuple[str, ...] = CHILD) -> None:
        self._limits = limits or ReadingLimits()
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, article_id: str, format_: DocumentFormat, reader: ReaderStamp, data: bytes) -> Article:
        """Return the article in a document.

        Raises:
            ArticleRefused: It cannot be read, breaks a limit, or ended the child.
        """
        job = Job(
            article_id=article_id,
            format=format_,
            reader=reader,
            data=data,
            memory_bytes=self._limits.memory_bytes,
            cpu_s=self._limits.cpu_s,
        )
        with self._lock:
            outcome = self._ask(job)
            if outcome.is_spent:
                self._stop()
        if outcome.article is None:
            raise ArticleRefused(outcome.reason or "it cannot be read")
        verify_article(outcome.article, article_id, data)
        return outcome.article

    @property
    def process_id(self) -> int | None:
        """The child's, or None when none is running."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the child; idempotent."""
        with self._lock:
            self._stop()

    def _ask(self, job: Job) -> Outcome:
        if self._process is not None and self._process.poll() is not None:
            self._stop()  # somebody ended it while it had nothing to do: no fault of this document
        process = self._process = self._process or self._start()
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._limits.wall_s, end)
        timer.start()
        try:
            return self._exchange(process, job)
        except (OSError, msgspec.MsgspecError, EOFError):
            self._stop()
            if late.is_set():
                return Outcome(reason=f"reading it takes longer than {self._limits.wall_s:g} s; split it")
            return Outcome(reason=_explain(process.returncode, self._limits))
        finally:
            timer.cancel()
            if late.is_set():  # perhaps just after the answer: the next document gets a new child
                self._stop()

    def _exchange(self, process: subprocess.Popen[bytes], job: Job) -> Outcome:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        write_frame(process.stdin, msgspec.msgpack.encode(job))  # type: ignore[arg-type] # IO[bytes] of Popen
        answer = read_frame(process.stdout)  # type: ignore[arg-type] # the same
        if answer is None:
            raise EOFError
        return msgspec.msgpack.decode(answer, type=Outcome)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},  # it needs nothing of ours
            close_fds=True,
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was not sent any more
                pass
        try:
            process.wait(0.5)  # it ends at the end of its input; one that ended itself keeps its reason
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _explain(returncode: int | None, limits: ReadingLimits) -> str:
    if returncode == -24:  # SIGXCPU
        return f"reading it takes more than {limits.cpu_s} s of processor time; split it"
    if returncode is not None and returncode < 0:
        return f"its reader crashed (signal {-returncode}), or was out of memory; the file may be damaged"
    return "its reader ended without an answer; the file may be damaged"
