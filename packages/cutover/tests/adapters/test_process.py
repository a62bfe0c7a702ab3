"""Real processes: ready when handed over, gone when stopped, bounded when run."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest
from cutover.adapters.http import LoopbackHttp
from cutover.adapters.process import MAX_OUTPUT_BYTES, PORTS, ProcessLauncher
from cutover.errors import CommandFailed, ReleaseUnreachable

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ready" else 503)
        self.send_header("content-length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def launcher() -> ProcessLauncher:
    return ProcessLauncher(LoopbackHttp())


def _python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", code, *arguments)


def test_a_server_is_ready_when_it_is_handed_over_and_gone_when_stopped(
    launcher: ProcessLauncher, tmp_path: Path
) -> None:
    port = launcher.free_port()
    process = launcher.start(
        _python(SERVER, str(port)),
        port=port,
        ready_path="/ready",
        ready_timeout_s=10,
        log_file=tmp_path / "logs" / "server.log",
    )
    assert LoopbackHttp().request("GET", f"{process.url}/ready").status == 200
    assert process.is_alive()
    process.stop()
    process.stop()
    assert not process.is_alive()
    with pytest.raises(ReleaseUnreachable):
        LoopbackHttp().request("GET", f"{process.url}/ready")


def test_a_server_that_ignores_sigterm_is_killed(launcher: ProcessLauncher, tmp_path: Path) -> None:
    port = launcher.free_port()
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVER}"
    process = launcher.start(
        _python(stubborn, str(port)),
        port=port,
        ready_path="/ready",
        ready_timeout_s=10,
        log_file=tmp_path / "log",
    )
    process.stop(grace_s=0.2)
    assert not process.is_alive()
    assert process.wait(0) == -signal.SIGKILL


def test_a_server_that_ends_early_is_noticed_with_what_it_said(
    launcher: ProcessLauncher, tmp_path: Path
) -> None:
    with pytest.raises(CommandFailed, match="exit code 7 before it was ready: no such database"):
        launcher.start(
            _python("import sys; print('no such database'); sys.exit(7)"),
            port=launcher.free_port(),
            ready_path="/ready",
            ready_timeout_s=20,
            log_file=tmp_path / "log",
        )


def test_a_server_that_never_gets_ready_is_ended(launcher: ProcessLauncher, tmp_path: Path) -> None:
    port = launcher.free_port()
    with pytest.raises(CommandFailed, match=r"not ready within 1 s \(/other answered 503\)"):
        launcher.start(
            _python(SERVER, str(port)),
            port=port,
            ready_path="/other",
            ready_timeout_s=1,
            log_file=tmp_path / "log",
        )
    with pytest.raises(ReleaseUnreachable):
        LoopbackHttp().request("GET", f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("command", [(), ("/nonexistent/program",), ("bad\0name",)])
def test_a_command_that_cannot_start_is_refused(
    launcher: ProcessLauncher, tmp_path: Path, command: tuple[str, ...]
) -> None:
    with pytest.raises(CommandFailed):
        launcher.run(command, cwd=tmp_path, env={}, timeout_s=1)


def test_a_command_runs_to_its_end_with_joined_output(launcher: ProcessLauncher, tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['REPORT'], flush=True); sys.exit('bad')"
    done = launcher.run(_python(code), cwd=tmp_path, env={"REPORT": "r.json"}, timeout_s=20)
    assert done.exit_code == 1
    assert done.output.decode().split() == [str(tmp_path), "r.json", "bad"]


def test_a_command_that_does_not_end_has_no_exit_code_and_ends(
    launcher: ProcessLauncher, tmp_path: Path
) -> None:
    code = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    done = launcher.run(_python(code), cwd=tmp_path, env={}, timeout_s=0.5)
    assert done.exit_code is None
    assert done.duration_s < 5
    assert _ends(int(done.output))


def test_what_a_command_leaves_behind_is_ended_with_it(launcher: ProcessLauncher, tmp_path: Path) -> None:
    child = "import signal; signal.pause()"
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid)"
    done = launcher.run(_python(code), cwd=tmp_path, env={}, timeout_s=20)
    assert done.exit_code == 0
    assert _ends(int(done.output))


def test_output_is_bounded(launcher: ProcessLauncher, tmp_path: Path) -> None:
    code = f"import sys; sys.stdout.write('a' * {2 * MAX_OUTPUT_BYTES})"
    done = launcher.run(_python(code), cwd=tmp_path, env={}, timeout_s=20)
    assert done.exit_code == 0
    assert len(done.output) == MAX_OUTPUT_BYTES


def test_gits_variables_and_proxies_are_not_inherited(tmp_path: Path) -> None:
    environment = {"PATH": os.defpath, "GIT_DIR": "/evil", "https_proxy": "http://evil", "LANG": "C"}
    launcher = ProcessLauncher(LoopbackHttp(), environment)
    code = "import os; print(sorted(n for n in os.environ if 'GIT' in n or 'proxy' in n), os.environ['LANG'])"
    assert launcher.run(_python(code), cwd=tmp_path, env={}, timeout_s=20).output == b"[] C\n"


def test_free_ports_are_below_the_ephemeral_range_and_not_given_twice(launcher: ProcessLauncher) -> None:
    ports = [launcher.free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(port in PORTS for port in ports)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_a_server_dies_with_the_process_that_started_it(launcher: ProcessLauncher, tmp_path: Path) -> None:
    port = launcher.free_port()
    code = f"""
import os, signal, sys
from pathlib import Path
from cutover.adapters.http import LoopbackHttp
from cutover.adapters.process import ProcessLauncher
process = ProcessLauncher(LoopbackHttp()).start(
    [sys.executable, "-c", {SERVER!r}, "{port}"],
    port={port}, ready_path="/ready", ready_timeout_s=10, log_file=Path("log"))
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = launcher.run((sys.executable, "-c", code), cwd=tmp_path, env={}, timeout_s=20)
    assert done.exit_code == -signal.SIGKILL
    pid = int(done.output)
    # The kernel sends the signal as the parent dies; the server needs a moment to act on it.
    assert _ends(pid)


def _ends(pid: int) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ready, _, _ = select.select([handle], [], [], 5)
    os.close(handle)
    return bool(ready)
