"""A program folder becomes ports and stations; nothing is opened before it is needed.

Reading status or record of a folder that a demo left behind needs neither repositories nor processes.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from securesystemslib.signer import Signer

from cutover.adapters.clock import SystemClock
from cutover.adapters.evidence_folder import EvidenceFolder
from cutover.adapters.file_log import FileLog
from cutover.core.case import Case
from cutover.core.entry import Opened
from cutover.core.material import Material, parse_material
from cutover.core.program import Program
from cutover.core.program_file import parse_program
from cutover.errors import InvalidProgram, Refused, ReleaseUnreachable
from cutover.ports import ConsumerControl, GatewayControl, Http, Launcher, Repository
from cutover.service.case_reader import read_case
from cutover.service.station import Executor, Station
from cutover.wiring.missing import ProgramMissing

PROGRAM_FILE = "cutover.toml"
PROPOSAL_FILE = "opening.json"
TOOL = (sys.executable, "-m", "cutover.cli")
"""How this program starts itself again, in the same environment whatever the PATH says."""


class GatewayFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway wrote down in `run/gateway.json`."""

    url: str
    control_url: str
    pid: int


class Workspace:
    """A program folder.

    Args:
        folder: Holds `cutover.toml`, `log/`, `evidence/` and `run/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.clock = SystemClock()

    @cached_property
    def program_bytes(self) -> bytes:
        """The bytes of `cutover.toml`.

        Raises:
            ProgramMissing: When there is none.
        """
        path = self.folder / PROGRAM_FILE
        try:
            return path.read_bytes()
        except OSError as exc:
            raise ProgramMissing(path, exc.strerror) from exc

    @cached_property
    def program(self) -> Program:
        """The program; once it is open, only if the file is the one that entry 0 fixed.

        Raises:
            InvalidProgram: With every problem of the file.
            Refused: When the file was changed after both parties signed it.
        """
        program = parse_program(self.program_bytes)
        entries = self.log.read().entries
        opened = entries[0].body if entries else None
        digest = hashlib.sha256(self.program_bytes).hexdigest()
        if isinstance(opened, Opened) and opened.program_digest != digest:
            raise Refused(
                f"cutover.toml was changed after both parties signed it: expected sha256 "
                f"{opened.program_digest[:12]}, got {digest[:12]}; restore it from evidence/"
            )
        return program

    @cached_property
    def log(self) -> FileLog:
        """The decision log."""
        return FileLog(self.folder / "log" / "entries.jsonl", self.clock)

    @cached_property
    def evidence(self) -> EvidenceFolder:
        """The evidence beside it."""
        return EvidenceFolder(self.folder / "evidence")

    @property
    def proposal_path(self) -> Path:
        """Where the first party leaves entry 0 for the other one to countersign."""
        return self.folder / "log" / PROPOSAL_FILE

    @cached_property
    def material(self) -> Material:
        """Questions, tickets and seed writes.

        Raises:
            InvalidProgram: When a file is missing or a line does not read.
        """
        traffic = self.program.traffic
        try:
            files = [
                (self.folder / name).read_bytes()
                for name in (traffic.questions, traffic.tickets, traffic.seed)
            ]
        except OSError as exc:
            raise InvalidProgram((f"{exc.filename} cannot be read: {exc.strerror}; add it",)) from exc
        return parse_material(*files)

    @cached_property
    def producer_origin(self) -> Repository:
        """The producer's bare origin."""
        from cutover.adapters.git import BareRepository

        return BareRepository(self.folder / self.program.producer.origin)

    @cached_property
    def consumer_origin(self) -> Repository:
        """The consumer's bare origin."""
        from cutover.adapters.git import BareRepository

        return BareRepository(self.folder / self.program.consumer.origin)

    @cached_property
    def http(self) -> Http:
        """Loopback HTTP."""
        from cutover.adapters.http import LoopbackHttp

        return LoopbackHttp()

    @cached_property
    def launcher(self) -> Launcher:
        """Starts processes."""
        from cutover.adapters.process import ProcessLauncher

        return ProcessLauncher(self.http)

    def consumer(self, url: str | None = None) -> ConsumerControl:
        """Return the control of the running consumer, or of one at `url`."""
        from cutover.adapters.consumer_client import HttpConsumer

        side = self.program.consumer
        return HttpConsumer(self.http, url or side.url, self.folder / side.token_file)

    def gateway_facts(self) -> GatewayFacts:
        """Return where the gateway is.

        Raises:
            ReleaseUnreachable: When none was started here.
        """
        path = self.folder / "run" / "gateway.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=GatewayFacts)
        except (OSError, msgspec.MsgspecError) as exc:
            raise ReleaseUnreachable(
                f"no gateway is known here: {path} does not read; start 'cutover gateway'", kind="refused"
            ) from exc

    def gateway(self) -> GatewayControl:
        """Return the gateway's control endpoint."""
        from cutover.adapters.gateway_client import HttpGateway

        return HttpGateway(self.http, self.folder)

    def read_case(self) -> Case:
        """Return everything a decision may look at, now."""
        return read_case(self.program, self.log.read(), self.evidence, self.clock.now())

    def station(self, signer: Signer, narrate: Callable[[str], None]) -> Station:
        """Return a place to work from with one key."""
        return Station(**self._ports(signer, narrate))

    def executor(self, signer: Signer, narrate: Callable[[str], None]) -> Executor:
        """Return a place to move things from; needs the gateway to have been started."""
        facts = self.gateway_facts()
        ports = self._ports(signer, narrate)
        return Executor(**ports, gateway=self.gateway(), gateway_url=facts.url, consumer=self.consumer())

    def _ports(self, signer: Signer, narrate: Callable[[str], None]) -> dict[str, Any]:
        return {
            "folder": self.folder,
            "program": self.program,
            "material": self.material,
            "log": self.log,
            "evidence": self.evidence,
            "producer_origin": self.producer_origin,
            "consumer_origin": self.consumer_origin,
            "http": self.http,
            "launcher": self.launcher,
            "clock": self.clock,
            "signer": signer,
            "connect_consumer": self.consumer,
            "tool": TOOL,
            "python": sys.executable,
            "environment": describe_environment(),
            "narrate": narrate,
        }


def find_program(name: str) -> str | None:
    """Return where a declared command's program is, on the PATH that it will be started with."""
    from cutover.adapters.process import process_environment

    return shutil.which(name, path=process_environment()["PATH"])


def describe_environment() -> Mapping[str, str]:
    """Return what is written beside evidence: where it was collected."""
    return {
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
