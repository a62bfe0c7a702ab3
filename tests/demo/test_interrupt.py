"""Ctrl-C in the middle of a demo: it says so, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CUTOVER = Path(sys.executable).parent / "cutover"
pytestmark = pytest.mark.demo


def hear_sigint() -> None:
    """A run in the background ignores SIGINT and hands that down; a terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def find_processes(folder: Path) -> list[str]:
    """Return the command lines of live processes that work in or on a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            at = (entry / "cwd").readlink()
        except OSError:
            continue
        if command and (str(folder) in command or at == folder):
            found.append(command)
    return found


def test_ctrl_c_ends_every_process_and_says_what_stays(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    said = []
    with subprocess.Popen(
        [str(CUTOVER), "demo", "--keep", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=hear_sigint,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if "prepare the repin" in line:  # verify comes next: three commands at once, each with children
                os.kill(process.pid, signal.SIGINT)
        code = process.wait(60)
    assert code != 0
    assert any("interrupted" in line and str(folder) in line for line in said), said[-5:]
    assert find_processes(folder) == []
