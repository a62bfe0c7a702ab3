"""Several worker processes on one listening socket.

The parent opens the socket and starts the workers; it serves nothing itself. All workers accept from the same
queue, so a worker that dies takes only its own connections with it. A worker that dies is started again,
sooner the longer it lived. A signal to the parent drains all of them; when the parent dies, each worker
sees its pipe close and drains by itself.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from memorykernel.errors import MemoryKernelError

FIRST_BACKOFF_S: Final = 0.1
LONGEST_BACKOFF_S: Final = 5.0
SETTLED_S: Final = 10.0
"""A worker that lived so long is taken to be well; the next pause is the first again."""

MAX_FAILED_STARTS: Final = 5
"""After so many deaths before any worker was ready the parent gives up."""

_LOOK_S: Final = 0.02
_KILL_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeat:
    """What a worker gets from its parent.

    Attributes:
        number: Its slot, from 0; a worker that replaces another has the same.
        parent: A pipe that closes when the parent dies.
        announce: Call it when connections are accepted.
    """

    number: int
    parent: int
    announce: Callable[[], None]


@dataclass(slots=True)
class _Slot:
    number: int
    pid: int = 0
    started_s: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S
    start_at_s: float = 0.0
    ready: bool = False
    pipe: int = -1


@dataclass(slots=True)
class Supervisor:
    """Keeps a number of workers running.

    Attributes:
        count: How many.
        run_worker: What a worker does until a signal ends it; called in the new process.
        announce: Called once, when all workers accept connections.
        on_death: Told the slot of a worker that died, and how.
        grace_s: How long workers may take to drain.
    """

    count: int
    run_worker: Callable[[WorkerSeat], None]
    announce: Callable[[], None]
    on_death: Callable[[int, str], None]
    grace_s: float
    _slots: list[_Slot] = field(init=False)
    _life: tuple[int, int] = field(init=False, default=(-1, -1))
    _ending: bool = field(init=False, default=False)
    _announced: bool = field(init=False, default=False)
    _failed: int = field(init=False, default=0)

    def run(self) -> None:
        """Run until SIGINT or SIGTERM.

        Raises:
            MemoryKernelError: Workers died again and again before they were ready.
        """
        self._slots = [_Slot(number) for number in range(self.count)]
        self._life = os.pipe()
        previous = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            while not self._ending:
                self._look()
                time.sleep(_LOOK_S)
        finally:
            self._end_workers()
            for number, handler in previous.items():
                signal.signal(number, handler)
            for descriptor in self._life:
                os.close(descriptor)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._ending = True

    def _look(self) -> None:
        now_s = time.monotonic()
        for slot in self._slots:
            if slot.pid:
                self._hear(slot)
                self._reap(slot, now_s)
            elif now_s >= slot.start_at_s:
                self._start(slot, now_s)
        if not self._announced and all(slot.ready for slot in self._slots):
            self._announced = True
            self.announce()

    def _start(self, slot: _Slot, now_s: float) -> None:
        read_end, write_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(read_end)
            self._become_worker(slot.number, write_end)
        os.close(write_end)
        os.set_blocking(read_end, False)
        slot.pid, slot.started_s, slot.ready, slot.pipe = pid, now_s, False, read_end

    def _become_worker(self, number: int, write_end: int) -> None:
        """Never returns: the parent's stack is not the worker's."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(self._life[1])
            for slot in self._slots:
                if slot.pipe >= 0:
                    os.close(slot.pipe)

            def announce() -> None:
                os.write(write_end, b"1")
                os.close(write_end)

            self.run_worker(WorkerSeat(number=number, parent=self._life[0], announce=announce))
            code = 0
        except MemoryKernelError as error:
            sys.stderr.write(f"error: worker {number}: {error.message}\n")
        except BaseException:  # noqa: BLE001  # nothing of the parent's must run in the worker
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _hear(self, slot: _Slot) -> None:
        if slot.ready or slot.pipe < 0:
            return
        try:
            slot.ready = os.read(slot.pipe, 1) == b"1"
        except BlockingIOError:
            return
        os.close(slot.pipe)
        slot.pipe = -1

    def _reap(self, slot: _Slot, now_s: float) -> None:
        pid, status = os.waitpid(slot.pid, os.WNOHANG)
        if not pid:
            return
        if slot.pipe >= 0:
            os.close(slot.pipe)
        if not self._announced:
            self._failed += 1
            if self._failed >= MAX_FAILED_STARTS:
                slot.pid = 0
                raise MemoryKernelError(
                    f"worker processes ended {self._failed} times before all were ready;"
                    " their lines above say why, correct that and start again"
                )
        well = now_s - slot.started_s >= SETTLED_S
        slot.backoff_s = FIRST_BACKOFF_S if well else min(slot.backoff_s * 2, LONGEST_BACKOFF_S)
        slot.pid, slot.pipe, slot.ready, slot.start_at_s = 0, -1, False, now_s + slot.backoff_s
        self.on_death(slot.number, _describe_end(status))

    def _end_workers(self) -> None:
        self._signal_all(signal.SIGTERM)
        deadline_s = time.monotonic() + self.grace_s + _KILL_AFTER_S
        while any(slot.pid for slot in self._slots):
            for slot in self._slots:
                if slot.pid and os.waitpid(slot.pid, os.WNOHANG)[0]:
                    slot.pid = 0
            if time.monotonic() >= deadline_s:
                self._signal_all(signal.SIGKILL)
            time.sleep(_LOOK_S)

    def _signal_all(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, number)


def _describe_end(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
