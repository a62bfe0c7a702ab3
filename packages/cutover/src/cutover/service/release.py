"""Run a release from an export of its tag, under a supervisor that says where it is.

The export is made anew for every start, so the process runs what the tag says now; its tree id and the
argument list are written down for the executor, and are gone with the process.
Source: cutover-program, "Releases".
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cutover.core.program import Program
from cutover.errors import Refused
from cutover.ports import Launcher, Process, Repository
from cutover.service.launch import fill_placeholders
from cutover.service.station import RunningRelease


@contextmanager
def run_release(
    folder: Path,
    program: Program,
    *,
    origin: Repository,
    launcher: Launcher,
    python: str,
    release_tag: str,
    via: str | None = None,
) -> Iterator[tuple[RunningRelease, Process]]:
    """Start a release, write down where it is, and end it on leaving.

    Args:
        folder: The program folder.
        program: Says how the producer's process is launched.
        origin: The producer's origin.
        launcher: Starts it.
        python: What `{python}` in the command stands for.
        release_tag: Baseline's or target's.
        via: What routes use instead of the process's own URL, such as a fault injector.

    Yields:
        What was written to `run/releases/<tag>.json`, and the process.

    Raises:
        Refused: When the tag is not of this program, not on origin, or its process runs already.
        CommandFailed: When it does not start.
    """
    _require_known(program, release_tag)
    record = folder / "run" / "releases" / f"{release_tag}.json"
    _require_free(record, release_tag)
    export, tree_id = _export(folder, origin, release_tag)
    process = _start(folder, program, launcher, python, export)
    try:
        running = RunningRelease(
            release_tag=release_tag,
            url=process.url,
            address=via or process.url,
            pid=process.pid,
            command=process.command,
            tree_id=tree_id,
            folder=str(export.relative_to(folder)),
        )
        _write(record, running)
        yield running, process
    finally:
        record.unlink(missing_ok=True)
        process.stop()


def _start(folder: Path, program: Program, launcher: Launcher, python: str, export: Path) -> Process:
    launch, port = program.producer.launch, launcher.free_port()
    data = folder / launch.data
    data.parent.mkdir(parents=True, exist_ok=True)
    values = {"python": python, "port": str(port), "data": str(data), "release": str(export)}
    return launcher.start(
        fill_placeholders(launch.command, values),
        port=port,
        ready_path=launch.ready_path,
        ready_timeout_s=launch.ready_timeout_s,
        log_file=folder / "run" / "logs" / f"{export.name}.log",
    )


def _require_known(program: Program, release_tag: str) -> None:
    tags = (program.baseline.release_tag, program.target.release_tag)
    if release_tag not in tags:
        raise Refused(f"{release_tag} is no release of this program; expected {' or '.join(tags)}")


def _require_free(record: Path, release_tag: str) -> None:
    """A record whose process is gone was left by a supervisor that was killed."""
    try:
        running = msgspec.json.decode(record.read_bytes(), type=RunningRelease)
    except (FileNotFoundError, msgspec.MsgspecError):
        return
    if _is_running(running.pid):
        raise Refused(f"{release_tag} runs already as process {running.pid}; end its supervisor first")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _export(folder: Path, origin: Repository, release_tag: str) -> tuple[Path, str]:
    tag = origin.read_tag(release_tag)
    if tag is None:
        raise Refused(f"tag {release_tag} is not on the producer's origin; push it first")
    export = folder / "run" / "releases" / release_tag
    shutil.rmtree(export, ignore_errors=True)
    origin.export(tag.commit, export)
    return export, origin.tree_id(tag.commit)


def _write(record: Path, running: RunningRelease) -> None:
    """Write whole or not at all: others read it at any moment."""
    partial = record.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(running), indent=2) + b"\n")
    partial.replace(record)
