"""The one place where a command's end becomes words and an exit code."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from cutover.cli.output import show_table

from packages.cutover.tests.cli.world import World

CUTOVER = (sys.executable, "-m", "cutover.cli")


def hear_sigint() -> None:
    """A run in the background ignores SIGINT and hands that down; a terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_says_once_where_to_look(opened: World) -> None:
    """The probe asks a gateway that never answers; it is interrupted while it waits."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (opened.folder / "run").mkdir(exist_ok=True)
        (opened.folder / "run" / "gateway.json").write_text(
            f'{{"url": "{url}", "control_url": "{url}", "pid": 1}}'
        )
        command = (*CUTOVER, "probe", "--as", "producer", "--timeout", "60", "--program", str(opened.folder))
        with subprocess.Popen(
            (*command, "--keys", str(opened.keys("producer"))),
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_sigint,
        ) as process:
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.count("error: interrupted; run 'cutover status' to see where things stand") == 1
    assert "Traceback" not in said
    assert "Aborted" not in said


def test_the_version_is_that_of_the_distribution(world: World) -> None:
    ran = subprocess.run((*CUTOVER, "--version"), capture_output=True, check=True, text=True, timeout=30)
    assert ran.stdout.strip() == metadata.version("cutover-program")


def test_a_folder_that_is_no_program_is_wrong_usage(tmp_path: Path) -> None:
    command = (*CUTOVER, "status", "--program", str(tmp_path / "nope"))
    ran = subprocess.run(command, capture_output=True, check=False, text=True, timeout=30)
    assert ran.returncode == 2
    assert f"error: {tmp_path}/nope/cutover.toml cannot be read" in ran.stderr


def test_a_digest_too_wide_for_a_table_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("what", "commit"), [("forward", "c" * 400)])
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert shown.count("c") == 400 + len("c")


def test_the_times_of_a_binding_are_explained(world: World) -> None:
    said = " ".join(world.run("bind", "--help").out.replace("│", " ").split())
    assert "Start of the binding, e.g." in said
    assert "End of the binding, e.g." in said
