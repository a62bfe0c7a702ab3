"""A move on the disk: a real log, a real bare repository with the commits of drill and execution.

`Move` plays the executor up to any step; what it leaves is what a process that starts afterwards finds.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
from cutover.adapters.clock import SystemClock
from cutover.adapters.file_log import FileLog
from cutover.adapters.git import BareRepository
from cutover.adapters.git_workspace import GitWorkspace
from cutover.core.entry import (
    Entry,
    EntryBody,
    Opened,
    Operation,
    Prepared,
    Repin,
    RouteOpened,
    RoutePointed,
    StepDone,
    StepIntended,
    StopCondition,
    Stopped,
)
from cutover.core.key import KeyKind, Party
from cutover.core.log import VerifiedLog, encode_statement, sign_line
from cutover.core.program import Program
from cutover.core.switch import ForwardStep, OperationState, calculate_operation
from cutover.errors import ReleaseUnreachable
from cutover.ports import Drafted
from cutover.web.gateway.keeper import GatewayStation

from packages.cutover.tests.good_case import make_public, make_signer
from packages.cutover.tests.good_evidence import make_program

AUTHOR = "Hanne Kolstad <hanne@norrwick.example>"
LIVE_REF = "refs/heads/main"
V2, V3 = "service.v2", "service.v3"


@dataclass
class FakeConsumer:
    """A consumer that runs on whatever its live ref says once it is told to reload.

    Args:
        origin: Where the live ref is.
        failures: How many reloads fail before one works.
        failure: How they fail, as `ReleaseUnreachable.kind`.
    """

    origin: BareRepository
    commit: str
    failures: int = 0
    failure: str = "refused"
    reloads: int = 0
    reloaded: threading.Event = field(default_factory=threading.Event)

    def reload(self) -> str:
        self.reloads += 1
        if self.failures:
            self.failures -= 1
            raise ReleaseUnreachable("the consumer does not answer", kind=self.failure)
        self.commit = self.origin.resolve(LIVE_REF) or ""
        self.reloaded.set()
        return self.commit

    def governance_commit(self) -> str:
        return self.commit

    def release_tag(self) -> str | None:
        return None

    def draft(self, ticket: Mapping[str, str], *, enrichment: bool, timeout_s: float) -> Drafted:
        raise ReleaseUnreachable(f"{ticket} is not drafted here ({enrichment}, {timeout_s})")

    def settle(self, draft: Drafted, *, timeout_s: float) -> Drafted:
        raise ReleaseUnreachable(f"{draft} is not settled here ({timeout_s})")


class Move:
    """A program folder in the middle of a move.

    Args:
        folder: A new folder.
        watch: Fields of `Program.watch` to change.
    """

    def __init__(self, folder: Path, **watch: float) -> None:
        program = make_program()
        self.program: Program = msgspec.structs.replace(
            program, watch=msgspec.structs.replace(program.watch, **watch)
        )
        self.folder = folder
        self.signer = make_signer("executor")
        self.clock = SystemClock()
        self.log_file = folder / "log" / "entries.jsonl"
        self.log = FileLog(self.log_file, self.clock)
        self.log.append_line(_opening())
        template, self.prepared = _make_template()
        shutil.copytree(template, folder / "consumer.git")
        self.origin = BareRepository(folder / "consumer.git")
        self.consumer = FakeConsumer(self.origin, self.prepared.drill.base_commit)
        self.add(self.prepared, signer="consumer")

    def add(self, body: EntryBody, *, signer: str = "executor") -> Entry:
        """Append an entry."""
        return self.log.append(body, make_signer(signer))

    def station(self) -> GatewayStation:
        """Return what a gateway (or any way back) works with; the log is opened anew."""
        return replace(make_station(self.folder), program=self.program, consumer=self.consumer)

    def open_route(self, contract: str, tag: str, address: str) -> None:
        """Open a route."""
        self.add(
            RouteOpened(
                service_contract=contract,
                release_tag=tag,
                address=address,
                pid=None,
                command=(),
                tree_id="0" * 40,
            )
        )

    def open_baseline(self, address: str = "http://127.0.0.1:1") -> None:
        """Open and point to the baseline's route."""
        self.open_route(V2, self.program.baseline.release_tag, address)
        self.add(RoutePointed(service_contract=V2))

    def repin(self, operation: Operation) -> Repin:
        """Return the pair of commits of a drill or an execution."""
        return self.prepared.drill if operation is Operation.DRILL else self.prepared.execution

    def forward(
        self,
        operation: Operation,
        *,
        until: ForwardStep = ForwardStep.RELOAD_CONSUMER,
        address: str = "http://127.0.0.1:2",
    ) -> None:
        """Take the way forward up to and with a step; an execution starts where its drill ended."""
        repin = self.repin(operation)
        if operation is Operation.FORWARD:
            assert self.origin.compare_and_swap(LIVE_REF, repin.base_commit, self.prepared.drill.base_commit)
        for step in ForwardStep:
            self.add(StepIntended(operation=operation, attempt=1, step=step))
            if step is ForwardStep.OPEN_TARGET:
                self.open_route(V3, self.program.target.release_tag, address)
            elif step is ForwardStep.MOVE_REF:
                assert self.origin.compare_and_swap(LIVE_REF, repin.forward_commit, repin.base_commit)
            elif step is ForwardStep.RELOAD_CONSUMER:
                self.consumer.commit = repin.forward_commit
            self.add(StepDone(operation=operation, attempt=1, step=step, facts={}))
            if step is until:
                return

    def stop(self, condition: StopCondition = StopCondition.MANUAL, *, signer: str = "executor") -> Stopped:
        """Say stop."""
        stopped = Stopped(condition=condition, reason="for a test", observed_at=datetime.now(UTC))
        self.add(stopped, signer=signer)
        return stopped

    def live(self) -> str | None:
        """Return where the live ref is."""
        return self.origin.resolve(LIVE_REF)

    def state(self) -> OperationState | None:
        """Return the move in progress."""
        return calculate_operation(self.log.read().entries)

    def bodies(self, kind: type[EntryBody]) -> list[EntryBody]:
        """Return the bodies of a kind, oldest first."""
        return [entry.body for entry in self.log.read().entries if isinstance(entry.body, kind)]


def make_station(folder: Path) -> GatewayStation:
    """Return what a process works with that knows nothing but the folder of a `Move`."""
    log_file, clock = folder / "log" / "entries.jsonl", SystemClock()
    origin = BareRepository(folder / "consumer.git")
    return GatewayStation(
        folder=folder,
        program=make_program(),
        log=FileLog(log_file, clock),
        log_file=log_file,
        consumer_origin=origin,
        consumer=FakeConsumer(origin, ""),
        clock=clock,
        signer=make_signer("executor"),
    )


def _opening() -> bytes:
    keys = (
        make_public("producer", KeyKind.PARTY, Party.PRODUCER),
        make_public("consumer", KeyKind.PARTY, Party.CONSUMER),
        make_public("executor", KeyKind.EXECUTOR, None),
    )
    body = Opened(program="test", program_digest="0" * 64, keys=keys)
    statement = encode_statement(body, head=VerifiedLog().head, time=datetime.now(UTC))
    return sign_line(statement, [make_signer("producer"), make_signer("consumer")])


@cache
def _make_template() -> tuple[Path, Prepared]:
    """Make the repository once per run; its commits are the same every time."""
    folder = Path(tempfile.mkdtemp(prefix="cutover-move-"))
    atexit.register(shutil.rmtree, folder)
    GitWorkspace.init_bare(folder / "consumer.git")
    clone = GitWorkspace.clone(folder / "consumer.git", folder / "consumer")
    (clone.folder / "pin.json").write_text("baseline")
    clone.commit_all(AUTHOR, datetime(2026, 2, 8, tzinfo=UTC), "Begin")
    clone.push(LIVE_REF)
    return folder / "consumer.git", _prepare(BareRepository(folder / "consumer.git"))


def _prepare(origin: BareRepository) -> Prepared:
    base = origin.resolve(LIVE_REF)
    assert base is not None
    drill = _pair(origin, base, "drill")
    return Prepared(
        live_ref=LIVE_REF, drill=drill, execution=_pair(origin, drill.inverse_commit, "execution")
    )


def _pair(origin: BareRepository, base: str, name: str) -> Repin:
    when = datetime(2026, 2, 8, tzinfo=UTC)
    forward = origin.commit_files(base, {"pin.json": f"target {name}".encode()}, "Repin", AUTHOR, when)
    inverse = origin.commit_files(forward, {"pin.json": b"baseline"}, f"Undo {name}", AUTHOR, when)
    return Repin(
        base_commit=base,
        forward_ref=f"refs/cutover/test/{name}-forward",
        forward_commit=forward,
        inverse_ref=f"refs/cutover/test/{name}-inverse",
        inverse_commit=inverse,
    )
