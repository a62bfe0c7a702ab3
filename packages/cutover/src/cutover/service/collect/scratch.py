"""Processes and databases for one collection; the processes are gone when it ends, their logs stay.

Probes may write, so they never meet the live database: releases are started from exports of their tags
on a database of their own that is filled from `traffic.seed` through their HTTP API.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import msgspec

from cutover.core.program import ReleaseTarget
from cutover.errors import CommandFailed, ReleaseUnreachable, RepositoryError
from cutover.ports import Process
from cutover.service.launch import export_tree, fill_placeholders
from cutover.service.seed import fill
from cutover.service.station import Station

CONTRACT_HEADER = "Service-Contract-Version"


class Injector:
    """A running fault injector.

    Args:
        station: Ports.
        process: It, reachable at its control URL.
        url: Where requests go in.
    """

    def __init__(self, station: Station, process: Process, url: str) -> None:
        self._station = station
        self._process = process
        self.url = url

    def inject(self, kind: str) -> None:
        """Switch one fault on, in place of any other."""
        self._call("POST", msgspec.json.encode({"kind": kind}))

    def clear(self) -> None:
        """Pass everything through again."""
        self._call("DELETE", None)

    def _call(self, method: str, body: bytes | None) -> None:
        headers = {"Content-Type": "application/json"}
        reply = self._station.http.request(method, f"{self._process.url}/fault", headers=headers, body=body)
        if reply.status not in {200, 204}:
            raise ReleaseUnreachable(
                f"the injector answered {reply.status} to {method} /fault: {reply.body[:200]!r}"
            )


class Scratch:
    """A context in which releases, injectors and a consumer can be started.

    Args:
        station: Ports.
        name: Of the collection; its folder is `run/scratch/<name>`, made new.
    """

    def __init__(self, station: Station, name: str) -> None:
        self._station = station
        self.folder = station.folder / "run" / "scratch" / name
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Scratch:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start_release(self, target: ReleaseTarget, data: Path) -> Process:
        """Start a release on `data` from an export of its tag and wait until it lives.

        Raises:
            RepositoryError: When the tag is not on origin.
            CommandFailed: When it does not start.
        """
        launch = self._station.program.producer.launch
        tag = self._station.producer_origin.read_tag(target.release_tag)
        if tag is None:
            raise RepositoryError(f"{target.release_tag} is not on the producer's origin; push the tag")
        folder = self.folder / "releases" / target.release_tag
        export = export_tree(self._station.producer_origin, tag.commit, folder)
        return self._start(
            launch.command, launch.ready_path, launch.ready_timeout_s, data=str(data), release=str(export)
        )

    def start_seeded(self, target: ReleaseTarget) -> Process:
        """Start a release on a new database and fill it."""
        process = self.start_release(target, self.folder / f"{target.release_tag}.db")
        headers = {CONTRACT_HEADER: target.service_contract_version}
        fill(self._station.http, process.url, self._station.material.seed, headers=headers)
        return process

    def start_injector(self, upstream: str) -> Injector:
        """Start a fault injector before `upstream`."""
        port, control = self._station.launcher.free_port(), self._station.launcher.free_port()
        command = (
            *self._station.tool,
            "inject",
            "--upstream",
            upstream,
            "--bind",
            f"127.0.0.1:{port}",
            "--control",
            f"127.0.0.1:{control}",
        )
        process = self._run(command, control, "/fault", 20.0)
        return Injector(self._station, process, f"http://127.0.0.1:{port}")

    def start_consumer(self, ref: str, producer_url: str) -> Process:
        """Start the consumer on its own copy of data, governed by `ref` of its origin.

        Raises:
            CommandFailed: When its data cannot be copied, or it does not start.
        """
        side = self._station.program.consumer
        data = self.folder / "consumer"
        source = self._station.folder / side.launch.data
        try:
            shutil.copytree(source, data, ignore=shutil.ignore_patterns("*.lock"))
        except OSError as exc:
            raise CommandFailed(f"the consumer's data cannot be copied: {exc}; check {source}") from exc
        return self._start(
            side.launch.command,
            side.launch.ready_path,
            side.launch.ready_timeout_s,
            data=str(data),
            repository=str(self._station.folder / side.origin),
            ref=ref,
            producer_url=producer_url,
            token_file=str(self._station.folder / side.token_file),
        )

    def _start(
        self, command: tuple[str, ...], ready_path: str, ready_timeout_s: float, **values: str
    ) -> Process:
        port = self._station.launcher.free_port()
        values |= {"port": str(port), "python": self._station.python}
        return self._run(fill_placeholders(command, values), port, ready_path, ready_timeout_s)

    def _run(self, command: tuple[str, ...], port: int, ready_path: str, ready_timeout_s: float) -> Process:
        self._count += 1
        process = self._station.launcher.start(
            command,
            port=port,
            ready_path=ready_path,
            ready_timeout_s=ready_timeout_s,
            log_file=self.folder / f"{self._count:02d}-{Path(command[0]).name}.log",
        )
        self._stack.callback(process.stop)
        return process
