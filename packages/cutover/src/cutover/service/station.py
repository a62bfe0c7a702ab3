"""A place to work from: the ports, one signing key, and the habit of writing down what was seen.

A `Station` collects evidence with the key of whoever runs the command. An `Executor` also moves things:
its key is an executor key (observations and stops, nothing else), and it never sees a party key.
Source: cutover-program, "Parties, roles, keys" and "Switch".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from securesystemslib.signer import Signer

from cutover.core.case import Case
from cutover.core.entry import Entry, EvidenceCollected, HandedOff, Observed
from cutover.core.evidence import Evidence
from cutover.core.log import encode_canonical
from cutover.core.material import Material
from cutover.core.program import Program
from cutover.errors import Refused
from cutover.ports import (
    Clock,
    ConsumerControl,
    EvidenceStore,
    GatewayControl,
    Http,
    Launcher,
    LogStore,
    Repository,
)
from cutover.service.case_reader import read_case


class RunningRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release process as its supervisor wrote it down in `run/releases/<tag>.json`.

    Args:
        url: Where the process itself listens.
        address: Where routes send requests: `url`, or what stands before it.
        tree_id: Git tree id of the export it runs from.
        folder: The export.
    """

    release_tag: str
    url: str
    address: str
    pid: int
    command: tuple[str, ...]
    tree_id: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Station:
    """Ports and habits of whoever collects evidence.

    Args:
        folder: The program folder.
        signer: The key of whoever works here.
        connect_consumer: Base URL -> a consumer's control, for consumers started on scratch.
        tool: Argument list that starts this program again, for the processes it needs.
        python: The interpreter that `{python}` in declared commands stands for.
        environment: Platform and tool versions, written into evidence.
        narrate: Told one line for people at each step; does nothing by default.
    """

    folder: Path
    program: Program
    material: Material
    log: LogStore
    evidence: EvidenceStore
    producer_origin: Repository
    consumer_origin: Repository
    http: Http
    launcher: Launcher
    clock: Clock
    signer: Signer
    connect_consumer: Callable[[str], ConsumerControl]
    tool: tuple[str, ...]
    python: str
    environment: Mapping[str, str]
    narrate: Callable[[str], None] = lambda _line: None

    def read_case(self) -> Case:
        """Return the log as it is now, with all evidence it names, at the current instant."""
        return read_case(self.program, self.log.read(), self.evidence, self.clock.now())

    def handed_off(self) -> HandedOff:
        """Return the newest hand-off.

        Raises:
            Refused: When nothing was handed off.
        """
        found = self.read_case().newest(HandedOff)
        if found is None:
            raise Refused("nothing was handed off yet; expected the producer to run 'cutover handoff' first")
        return found[1]

    def observe(self, subject: str, facts: Mapping[str, str]) -> Entry:
        """Append what the world showed."""
        return self.log.append(Observed(subject=subject, facts=dict(facts)), self.signer)

    def collect(self, gate: str, evidence: Evidence, *, duration_s: float) -> Entry:
        """Keep an evidence document and append that it was collected."""
        return self.log.append(
            EvidenceCollected(
                gate=gate,
                digest=self.evidence.store(encode_canonical(evidence)),
                exit_code=0,
                duration_s=round(duration_s, 3),
                environment=dict(self.environment),
            ),
            self.signer,
        )

    def running_release(self, release_tag: str) -> RunningRelease:
        """Return what the supervisor of a release wrote down.

        Raises:
            Refused: When no such process was started here.
        """
        path = self.folder / "run" / "releases" / f"{release_tag}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=RunningRelease)
        except FileNotFoundError:
            raise Refused(
                f"{release_tag} is not running here; start 'cutover release run --tag {release_tag}'"
            ) from None
        except msgspec.MsgspecError as exc:
            raise Refused(f"{path.name} is damaged ({exc}); restart 'cutover release run'") from exc


@dataclass(frozen=True, kw_only=True)
class Executor(Station):
    """A station that moves routes and refs; `gateway` and `consumer` are the running ones.

    Args:
        gateway_url: Where the gateway takes traffic.
    """

    gateway: GatewayControl
    gateway_url: str
    consumer: ConsumerControl
