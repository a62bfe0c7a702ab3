"""The example program on the disk, opened: real repositories, real keys, nothing running.

For tests of what looks at the world: stations of both parties and the executor over one folder.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import timedelta
from pathlib import Path

from cutover.adapters.http import LoopbackHttp
from cutover.adapters.process import ProcessLauncher
from cutover.core.case import Case
from cutover.core.entry import Opened, RoleAcknowledged, RoleBound
from cutover.core.gate.gate import CollectedGate
from cutover.core.gate.judgement import judge
from cutover.core.gate.table import EXECUTION_GATES
from cutover.core.key import KeyKind, Party
from cutover.core.log import VerifiedLog, encode_statement, sign_line
from cutover.core.outcome import Verdict
from cutover.demo.example import find_example, load_example
from cutover.demo.world import Twist, World
from cutover.service.handoff import hand_off
from cutover.service.prepare import prepare
from cutover.service.station import Station
from cutover.wiring.workspace import Workspace

from packages.cutover.tests.good_case import make_public, make_signer


class ExampleProgram:
    """A folder with the example's world in it, handed off and prepared.

    Args:
        folder: A new folder.
        twist: What is different from the start.
    """

    def __init__(self, folder: Path, twist: Twist | None = None) -> None:
        free_port = ProcessLauncher(LoopbackHttp()).free_port
        World(folder, load_example(find_example()), free_port=free_port).build(twist or Twist())
        self.folder = folder
        self.workspace = Workspace(folder)
        self.narrated: list[str] = []
        self._open()
        hand_off(self.station("producer"))
        prepare(self.station("consumer"))

    def station(self, who: str) -> Station:
        """Return a place to work from with a party's key or the executor's."""
        return self.workspace.station(make_signer(who), self.narrated.append)

    def index_knowledge(self) -> None:
        """Let the consumer's own command index its knowledge base."""
        command = (str(Path(sys.executable).parent / "assistsupport"), "kb", "add")
        data = str(self.folder / self.workspace.program.consumer.launch.data)
        finished = self.workspace.launcher.run(
            (*command, str(self.folder / "consumer" / "knowledge"), "--data", data),
            cwd=self.folder,
            env={},
            timeout_s=60.0,
        )
        assert finished.exit_code == 0, finished.output

    def case(self) -> Case:
        """Return everything a decision may look at, now."""
        return self.workspace.read_case()

    def judge(self, gate: str) -> Verdict:
        """Return what a gate says of the newest evidence."""
        found = next(g for g in EXECUTION_GATES if g.name == gate)
        assert isinstance(found, CollectedGate)
        return judge(found, self.case()).verdict

    def _open(self) -> None:
        keys = (
            make_public("producer", KeyKind.PARTY, Party.PRODUCER),
            make_public("consumer", KeyKind.PARTY, Party.CONSUMER),
            make_public("executor", KeyKind.EXECUTOR, None),
        )
        data, now = (self.folder / "cutover.toml").read_bytes(), self.workspace.clock.now()
        body = Opened(program="service-v3", program_digest=hashlib.sha256(data).hexdigest(), keys=keys)
        statement = encode_statement(body, head=VerifiedLog().head, time=now)
        log = self.workspace.log
        log.append_line(sign_line(statement, [make_signer("producer"), make_signer("consumer")]))
        for name, role in self.workspace.program.roles.items():
            self._bind(name, role.party or Party.CONSUMER)

    def _bind(self, role: str, party: Party) -> None:
        window, holder = self.workspace.program.window, f"holder of {role}"
        bound = RoleBound(
            role=role,
            party=party,
            holder=holder,
            contact=f"{role}@norrwick.example",
            key=make_public(holder, KeyKind.HOLDER, party),
            not_before=window.not_before - timedelta(days=1),
            not_after=window.closes_at + timedelta(days=1),
        )
        self.workspace.log.append(bound, make_signer(party))
        self.workspace.log.append(RoleAcknowledged(role=role), make_signer(holder))
