"""The processes of a demo: started until ready, read while they talk, all gone when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cutover.adapters.process import die_with_parent_hook
from cutover.errors import CommandFailed

READY_TIMEOUT_S = 30.0
GRACE_S = 5.0
BIN = Path(sys.executable).parent


class Ready(msgspec.Struct):
    """The one line that a server of ours prints when it accepts connections."""

    event: str
    url: str
    pid: int


class Server:
    """A started server.

    Args:
        name: For people.
        process: It; its stdout is a pipe, its stderr a log file.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.process = process
        self.url = ""

    def read_ready(self, log: Path) -> Server:
        """Wait for the ready line.

        Raises:
            CommandFailed: When it ends, or says nothing in time.
        """
        timer = threading.Timer(READY_TIMEOUT_S, self.process.kill)
        timer.start()
        try:
            assert self.process.stdout is not None  # noqa: S101  # it was started with a pipe
            self.url = msgspec.json.decode(self.process.stdout.readline(), type=Ready).url
        except msgspec.MsgspecError as exc:
            raise CommandFailed(f"{self.name} did not start; read {log}") from exc
        finally:
            timer.cancel()
        return self

    def stop(self) -> None:
        """End it gracefully, then by force; idempotent."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended: exit code, its JSON (None when it printed none), its last error line."""

    exit_code: int
    document: Any
    error: str


class Cast:
    """Starts servers and runs commands of one demo.

    Args:
        folder: The program folder; also everybody's working directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers: list[Server] = []
        self._running: set[subprocess.Popen[bytes]] = set()
        self._environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}

    def start(self, name: str, *command: str, ready: bool = True) -> Server:
        """Start a server; with `ready` its first line of stdout says that it accepts connections."""
        logs = self.folder / "run" / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"{name}.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                self._resolve(command),
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                preexec_fn=die_with_parent_hook(),  # a demo that is killed leaves nothing behind
            )
        server = Server(name, process)
        self._servers.append(server)
        return server.read_ready(log) if ready else server

    def run(self, *command: str, narrate: Callable[[str], None] = lambda _line: None) -> Outcome:
        """Run a command to its end, telling its stderr line by line."""
        process = subprocess.Popen(
            self._resolve(command),
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._running.add(process)
        lines: list[str] = []
        assert process.stderr is not None  # noqa: S101  # it was started with pipes
        assert process.stdout is not None  # noqa: S101
        errors = process.stderr

        def follow() -> None:
            for raw in errors:
                line = raw.decode("utf-8", "replace").strip()
                if line:
                    lines.append(line)
                    narrate(line)

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        try:
            output = process.stdout.read()
            code = process.wait()
        except BaseException:
            _end_group(process)
            raise
        finally:
            self._running.discard(process)
        reader.join()
        return Outcome(exit_code=code, document=_parse(output), error=_last_words(lines))

    def end_running(self) -> None:
        """End every command that runs now, with whatever it started; those who wait for one go on."""
        for process in tuple(self._running):
            _end_group(process)

    def close(self) -> None:
        """End every command and every server, newest first."""
        self.end_running()
        while self._servers:
            self._servers.pop().stop()

    def _resolve(self, command: tuple[str, ...]) -> list[str]:
        own = BIN / command[0]
        return [str(own) if own.is_file() else command[0], *command[1:]]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the command's own group, then SIGKILL for what is left of it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)


def _last_words(lines: Sequence[str]) -> str:
    """Return the error a command ended with, without its prefix; box drawing of usage errors is no word."""
    words = [line.strip("│╭╮╰╯─ ") for line in lines]
    said = [line.removeprefix("error: ") for line in words if line]
    return said[-1] if said else ""


def _parse(output: bytes) -> Any:
    try:
        return msgspec.json.decode(output)
    except msgspec.MsgspecError:
        return None
