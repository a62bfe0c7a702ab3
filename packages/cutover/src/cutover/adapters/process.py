"""Processes from argument lists: servers that are ready when they are handed over, commands that end.

Each gets a process group of its own, so that ending it ends everything it started. On Linux a server
that was started from the main thread dies with the process that started it, even by SIGKILL.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from cutover.errors import CommandFailed, ReleaseUnreachable
from cutover.ports import Finished, Http

MAX_OUTPUT_BYTES: Final = 1 << 20
PORTS: Final = range(20000, 32000)
"""Below the ephemeral range (32768..60999 on Linux), so that no outgoing connection takes one."""

_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.1
_PROBE_TIMEOUT_S: Final = 1.0
_TAIL_BYTES: Final = 400
_PR_SET_PDEATHSIG: Final = 1


class RunningProcess:
    """`ports.Process`: a started server and its process group."""

    def __init__(self, popen: subprocess.Popen[bytes], command: tuple[str, ...], url: str) -> None:
        self._popen = popen
        self._command = command
        self._url = url
        self._stopped = False

    @property
    def pid(self) -> int:
        """Its process id, which is the id of its group too."""
        return self._popen.pid

    @property
    def url(self) -> str:
        """Its base URL."""
        return self._url

    @property
    def command(self) -> tuple[str, ...]:
        """The argument list it was started with."""
        return self._command

    def is_alive(self) -> bool:
        """Say whether it still runs."""
        return self._popen.poll() is None

    def wait(self, timeout_s: float) -> int | None:
        """Return its exit code, or None when it still runs after `timeout_s`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(timeout_s)
        return None

    def stop(self, *, grace_s: float = 5.0) -> None:
        """SIGTERM, wait at most `grace_s`, then SIGKILL the whole group; idempotent."""
        if self._stopped:
            return
        self._stopped = True
        if self._popen.poll() is None:
            _signal_group(self.pid, signal.SIGTERM)
            self.wait(grace_s)
        _signal_group(self.pid, signal.SIGKILL)
        self._popen.wait()


class ProcessLauncher:
    """`ports.Launcher` by subprocess.

    Args:
        http: What readiness is asked with.
        environment: What processes inherit, `process_environment()` by default; variables of git and
            of proxies are left out.
    """

    def __init__(self, http: Http, environment: Mapping[str, str] | None = None) -> None:
        self._http = http
        self._environment = _inherited(process_environment() if environment is None else environment)
        self._given: set[int] = set()

    def start(
        self, command: Sequence[str], *, port: int, ready_path: str, ready_timeout_s: float, log_file: Path
    ) -> RunningProcess:
        """Start a server and return it once `ready_path` answers 200.

        Raises:
            CommandFailed: When it cannot be started, ends early or is not ready in time; it is gone then.
        """
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as log:
            popen = _spawn(
                command, stdout=log, env=self._environment, cwd=None, preexec_fn=die_with_parent_hook()
            )
        process = RunningProcess(popen, tuple(command), f"http://127.0.0.1:{port}")
        try:
            self._wait_until_ready(process, ready_path, ready_timeout_s, log_file)
        except BaseException:
            process.stop()
            raise
        return process

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> Finished:
        """Run a command to its end, or kill its group after `timeout_s`.

        Args:
            command: Argument list.
            cwd: Where it runs.
            env: Added to the inherited environment.
            timeout_s: Seconds it may take.

        Returns:
            Exit code (None when it did not end in time, negative for a signal), stdout and stderr
            joined (the first MiB), seconds.
        """
        started = time.monotonic()
        popen = _spawn(command, stdout=subprocess.PIPE, env={**self._environment, **env}, cwd=cwd)
        try:
            output = _collect(popen, started + timeout_s)
            exit_code = popen.poll()
        finally:
            _signal_group(popen.pid, signal.SIGKILL)
            popen.wait()
            if popen.stdout is not None:
                popen.stdout.close()
        return Finished(exit_code=exit_code, output=output, duration_s=time.monotonic() - started)

    def free_port(self) -> int:
        """Return a loopback port nobody listens on and that this launcher has not given out before."""
        start = random.SystemRandom().randrange(PORTS.start, PORTS.stop)
        for candidate in itertools.chain(range(start, PORTS.stop), range(PORTS.start, start)):
            if candidate not in self._given and _can_bind(candidate):
                self._given.add(candidate)
                return candidate
        raise CommandFailed(f"no loopback port is free in {PORTS.start}..{PORTS.stop - 1}; end some servers")

    def _wait_until_ready(
        self, process: RunningProcess, ready_path: str, ready_timeout_s: float, log_file: Path
    ) -> None:
        deadline = time.monotonic() + ready_timeout_s
        pause_s, seen = _FIRST_PAUSE_S, "nothing answered"
        while (left := deadline - time.monotonic()) > 0:
            try:
                reply = self._http.request(
                    "GET", process.url + ready_path, timeout_s=min(left, _PROBE_TIMEOUT_S)
                )
                seen = f"{ready_path} answered {reply.status}"
                if reply.status == 200 and process.is_alive():
                    return
            except ReleaseUnreachable as exc:
                seen = exc.kind
            # Waiting for its end is the pause: a process that dies is noticed at once.
            if (exit_code := process.wait(pause_s)) is not None:
                raise CommandFailed(
                    f"{process.command[0]} ended with exit code {exit_code} before it was ready: "
                    f"{_tail(log_file)}; read {log_file}"
                )
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        raise CommandFailed(
            f"{process.command[0]} was not ready within {ready_timeout_s:g} s ({seen}); read {log_file}"
        )


def _spawn(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes],
    env: Mapping[str, str],
    cwd: Path | None,
    preexec_fn: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    if not command:
        raise CommandFailed("the command is empty; expected an argument list")
    try:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=preexec_fn,  # async-signal-safe: one prctl, loaded before the fork
        )
    except (OSError, ValueError) as exc:
        raise CommandFailed(f"{command[0]} cannot be started: {exc}; check the command") from exc


def die_with_parent_hook() -> Callable[[], None] | None:
    """Return a `preexec_fn` that makes the kernel end the child with its parent; None where it cannot be had.

    The signal comes when the *thread* that forked ends, so only the main thread may ask for it.
    """
    if not sys.platform.startswith("linux") or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def hook() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    return hook


def process_environment() -> Mapping[str, str]:
    """Return what started processes inherit: ours, with this interpreter's own programs found first."""
    own = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join((own, os.environ.get("PATH", os.defpath)))}


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("GIT_") and not name.lower().endswith("_proxy")
    }


def _signal_group(pid: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def _collect(popen: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Read until the output ends, the process ends or time is up; keep the first MiB."""
    assert popen.stdout is not None  # noqa: S101  # it was started with a pipe
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(popen.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(min(left, _LONGEST_PAUSE_S)):
                chunk = os.read(popen.stdout.fileno(), 1 << 16)
                output += chunk[: MAX_OUTPUT_BYTES - len(output)]
                if not chunk:
                    break
            elif popen.poll() is not None:
                break  # a grandchild holds the pipe; what the command itself said has been read
    with contextlib.suppress(subprocess.TimeoutExpired):
        popen.wait(max(deadline - time.monotonic(), 0))
    return bytes(output)


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _tail(log_file: Path) -> str:
    text = log_file.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:]) or "it wrote nothing"
