"""A world of fakes around a real log: both origins, the consumer, the gateway, releases and a clock.

What must outlive a killed process (refs, the consumer's commit, the log, evidence) is on the disk, so a
test can kill one and start the next over the same world.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import quote

import msgspec
from contracts.core.manifest import encode_manifest, parse_manifest
from contracts.core.matrix import CompatibilityMatrix, VersionPair, render_matrix
from contracts.core.pin import Pin, encode_pin
from contracts.documents import load_fixture
from cutover.adapters.evidence_folder import EvidenceFolder
from cutover.adapters.file_log import FileLog
from cutover.core.entry import Entry, EntryBody, Observed, Operation, Restored, RouteOpened, RoutePointed
from cutover.core.key import Party
from cutover.core.material import Material, Question, SeedWrite, Ticket
from cutover.core.program import Program, Watch
from cutover.core.route import calculate_routes
from cutover.core.switch import OperationState, calculate_operation
from cutover.errors import CommandFailed, CutoverError, ReleaseUnreachable
from cutover.ports import Drafted, Finished, GatewayStats, Process, Reply, Tag
from cutover.service.restore import take_back
from cutover.service.station import Executor, RunningRelease

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase, make_signer

LIVE_REF = "refs/heads/main"
V2, V3 = "service.v2", "service.v3"
TARGET_URL = "http://127.0.0.1:2"
OPENAPI = b"openapi v3"
TICKETS = tuple(Ticket(ticket_id=f"T{n}", subject="s", text=f"text {n}") for n in range(3))
QUESTIONS = tuple(
    Question(name=f"q{n}", text="may I?", actor="staff", action="use", resource=f"thing-{n}")
    for n in range(3)
)


class FakeClock:
    """A clock that moves when it is looked at or let pass; a pause is over almost at once."""

    def __init__(self, start: datetime) -> None:
        self._start, self._elapsed, self._lock = start, timedelta(), threading.Lock()

    def _move(self, seconds: float) -> timedelta:
        with self._lock:
            self._elapsed += timedelta(seconds=seconds)
            return self._elapsed

    def now(self) -> datetime:
        return self._start + self._move(0.0001)

    def monotonic(self) -> float:
        return self._move(0.0001).total_seconds()

    def pause(self, seconds: float) -> None:
        self._move(seconds)
        time.sleep(0.001)


class FakeRepository:
    """An origin whose refs are files and whose commits are what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.parents: dict[str, str] = {}
        self.tags: dict[str, Tag] = {}
        self.changed: tuple[str, ...] = ()

    def put(self, ref: str, commit: str) -> None:
        (self._folder / quote(ref, safe="")).write_text(commit)

    def resolve(self, ref: str) -> str | None:
        path = self._folder / quote(ref, safe="")
        if path.exists():
            return path.read_text()
        return ref if any(commit == ref for commit, _ in self.blobs) else None

    def read_tag(self, name: str) -> Tag | None:
        return self.tags.get(name)

    def read_blob(self, commit: str, path: str) -> bytes | None:
        return self.blobs.get((commit, path))

    def parent(self, commit: str) -> str | None:
        return self.parents.get(commit)

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        return ancestor == descendant or self.parents.get(descendant) == ancestor

    def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        return () if old == new else self.changed

    def tree_id(self, commit: str) -> str:
        return good.sha(f"tree of {commit}")

    def export(self, commit: str, folder: Path) -> None:
        folder.mkdir(parents=True)

    def commit_files(
        self, parent: str, files: Mapping[str, bytes], message: str, author: str, when: datetime
    ) -> str:
        raise NotImplementedError

    def compare_and_swap(self, ref: str, new: str, old: str | None) -> bool:
        if self.resolve(ref) != old:
            return False
        self.put(ref, new)
        return True


@dataclass
class FakeConsumer:
    """Drafts at once; its policy answer is applied when its contract's route is open."""

    world: FakeWorld
    dead: bool = False
    lose: bool = False
    alter: bool = False
    slow_s: float = 0.01
    reload_error: CutoverError | None = None
    policy: tuple[str, str | None] | None = None
    drafted: int = 0
    on_draft: Callable[[], object] = lambda: None
    on_reload: Callable[[], object] = lambda: None

    def _require(self) -> None:
        if self.dead:
            raise ReleaseUnreachable("the consumer does not answer", kind="refused")

    @property
    def _file(self) -> Path:
        return self.world.folder / "consumer.commit"

    def draft(self, ticket: Mapping[str, str], *, enrichment: bool, timeout_s: float) -> Drafted:
        self._require()
        self.on_draft()
        if self.lose:
            raise ReleaseUnreachable("the draft was lost", kind="timeout")
        self.drafted += 1
        text = ticket["ticket_id"] + ("!" if self.alter and enrichment else "")
        status, reason = self._policy() if enrichment else ("not-asked", None)
        return Drafted(
            draft_id=f"d{self.drafted}",
            sha256=good.sha256(text),
            policy_status=status,
            policy_reason=reason,
            release_tag=self.release_tag(),
            elapsed_s=self.slow_s,
        )

    def _policy(self) -> tuple[str, str | None]:
        if self.policy is not None:
            return self.policy
        contract = V3 if self.release_tag() == good.TARGET_TAG else V2
        is_open = contract in calculate_routes(self.world.log.read().entries).contracts
        return ("applied", None) if is_open else ("fallback", "schema-unavailable")

    def settle(self, draft: Drafted, *, timeout_s: float) -> Drafted:
        self._require()
        return draft

    def governance_commit(self) -> str:
        self._require()
        return self._file.read_text()

    def release_tag(self) -> str | None:
        self._require()
        on_target = self._file.read_text() in (good.FORWARD, good.DRILL_FORWARD, HOME)
        return good.TARGET_TAG if on_target else good.BASELINE_TAG

    def reload(self) -> str:
        self._require()
        self.on_reload()
        if self.reload_error is not None:
            raise self.reload_error
        self._file.write_text(self.world.live() or "")
        return self._file.read_text()


@dataclass
class FakeGateway:
    """Routes from the log; takes the way back when it is told to look, unless it is dead or idle."""

    world: FakeWorld
    dead: bool = False
    idle: bool = False
    withheld: dict[str, int] = field(default_factory=dict)
    on_refresh: Callable[[], object] = lambda: None

    def refresh(self) -> GatewayStats:
        stats = self.stats()
        self.on_refresh()
        state = self.world.state()
        if not self.idle and state is not None and state.stop is not None:
            take_back(self.world.executor, _Traffic(self.world))
            self.world.let_probes_write()
            stats = self.stats()
        return stats

    def stats(self) -> GatewayStats:
        if self.dead:
            raise ReleaseUnreachable("the gateway does not answer", kind="refused")
        entries = self.world.log.read().entries
        table = calculate_routes(entries)
        return GatewayStats(
            served={},
            withheld=dict(self.withheld),
            gateway_made={},
            in_flight={},
            first_reply_after={},
            routes={contract: route.release_tag for contract, route in table.contracts.items()},
            log_size=len(entries),
        )


@dataclass
class _Traffic:
    world: FakeWorld

    def apply_routes(self) -> int:
        return 2

    def await_baseline_reply(self, since: datetime, timeout_s: float) -> datetime | None:
        return max(since, self.world.clock.now())

    def counts(self) -> Mapping[str, int]:
        return {"enriched": 5}


@dataclass
class FakeHttp:
    """Answers what a test put there; everything else is refused."""

    replies: dict[str, Reply | Callable[[bytes | None], Reply]] = field(default_factory=dict)
    requests: list[tuple[str, str, bytes | None]] = field(default_factory=list)

    def put(self, url: str, status: int = 200, body: bytes = b"{}") -> None:
        self.replies[url] = make_reply(status, body)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 5.0,
    ) -> Reply:
        self.requests.append((method, url, body))
        contract = (headers or {}).get("Service-Contract-Version", "")
        found = self.replies.get(f"{url}#{contract}", self.replies.get(url))
        if found is None:
            raise ReleaseUnreachable(f"{url} does not answer", kind="refused")
        return found if isinstance(found, Reply) else found(body)


def make_reply(status: int = 200, body: bytes = b"{}") -> Reply:
    return Reply(status=status, headers={"content-type": "application/json"}, body=body, elapsed_s=0.001)


@dataclass
class FakeLauncher:
    """Runs suites: writes the report they are told to write."""

    exit_code: int | None = 0
    passed: int = 7
    failed: int = 0
    report: bytes | None = None
    commands: list[tuple[str, ...]] = field(default_factory=list)
    on_run: Callable[[], object] = lambda: None

    def start(
        self, command: Sequence[str], *, port: int, ready_path: str, ready_timeout_s: float, log_file: Path
    ) -> Process:
        raise CommandFailed(f"{command[0]} cannot be started here")

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> Finished:
        self.commands.append(tuple(command))
        self.on_run()
        if "--report" in command:
            counts = msgspec.json.encode({"passed": self.passed, "failed": self.failed})
            data = counts if self.report is None else self.report
            Path(command[list(command).index("--report") + 1]).write_bytes(data)
        return Finished(exit_code=self.exit_code, output=b"ran\n", duration_s=0.1)

    def free_port(self) -> int:
        return 20000


class FakeWorld:
    """A program whose log is in order up to a phase of `GoodCase`, and everything it speaks of.

    Args:
        folder: A new folder.
        until: The phase that the log ends with; what a drill leaves behind is there when it was run.
    """

    def __init__(self, folder: Path, *, until: str) -> None:
        lines, stored, now = _write_log(until)
        self.folder = folder
        self.program = _make_program()
        self.clock = FakeClock(now)
        self.log_file = folder / "log" / "entries.jsonl"
        self.log = FileLog(self.log_file, self.clock)
        self.log_file.parent.mkdir()
        self.log_file.write_bytes(b"".join(line + b"\n" for line in lines))
        self.evidence = EvidenceFolder(folder / "evidence")
        (folder / "evidence").mkdir()
        for data in stored:
            (folder / "evidence" / good.sha256(data)).write_bytes(data)
        self.narrated: list[str] = []
        self.probes_write = True
        self.producer_origin = self._make_producer()
        self.consumer_origin = self._make_consumer()
        self.consumer, self.gateway = FakeConsumer(self), FakeGateway(self)
        self.http, self.launcher = FakeHttp(), FakeLauncher()
        drilled = any(isinstance(entry.body, RouteOpened) for entry in self.log.read().entries)
        self.move_live(good.DRILL_INVERSE if drilled else good.LIVE)
        self._open_baseline()
        self.start_target()

    @property
    def executor(self) -> Executor:
        """An executor over this world; every one reads the log anew."""
        return Executor(
            folder=self.folder,
            program=self.program,
            material=Material(
                questions=QUESTIONS,
                tickets=TICKETS,
                seed=(SeedWrite(name="a", path="/v1/memory/add/constraint", body=msgspec.Raw(b"{}")),),
            ),
            log=FileLog(self.log_file, self.clock),
            evidence=self.evidence,
            producer_origin=self.producer_origin,
            consumer_origin=self.consumer_origin,
            http=self.http,
            launcher=self.launcher,
            clock=self.clock,
            signer=make_signer("executor"),
            connect_consumer=lambda _url: self.consumer,
            tool=("cutover",),
            python="python3",
            environment={"platform": "test"},
            narrate=self.narrated.append,
            gateway=self.gateway,
            gateway_url="http://127.0.0.1:9",
            consumer=self.consumer,
        )

    def add(self, body: EntryBody, *, signer: str = "executor") -> Entry:
        return self.log.append(body, make_signer(signer))

    def live(self) -> str | None:
        return self.consumer_origin.resolve(LIVE_REF)

    def move_live(self, commit: str) -> None:
        """Put the live ref and the consumer on a commit."""
        self.consumer_origin.put(LIVE_REF, commit)
        (self.folder / "consumer.commit").write_text(commit)

    def state(self) -> OperationState | None:
        return calculate_operation(self.log.read().entries)

    def routes(self) -> dict[str, str]:
        table = calculate_routes(self.log.read().entries)
        return {contract: route.release_tag for contract, route in table.contracts.items()}

    def bodies(self, kind: type[EntryBody]) -> list[EntryBody]:
        return [entry.body for entry in self.log.read().entries if isinstance(entry.body, kind)]

    def start_target(self) -> None:
        """Write down where the target runs, and let it answer."""
        running = RunningRelease(
            release_tag=good.TARGET_TAG,
            url=TARGET_URL,
            address=TARGET_URL,
            pid=4711,
            command=("mk", "serve"),
            tree_id=good.sha("tree"),
            folder="run/releases/v0.4.0",
        )
        path = self.folder / "run" / "releases" / f"{good.TARGET_TAG}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(running))
        self.http.put(f"{TARGET_URL}/v1/openapi", body=OPENAPI)
        self.http.put(f"{TARGET_URL}/v1/health")

    def let_probes_write(self) -> None:
        """Both parties' probes write what they saw, once the newest drill has ended."""
        entries = self.log.read().entries
        ends = [
            e.index for e in entries if isinstance(e.body, Restored) and e.body.operation is Operation.DRILL
        ]
        seen = [e.index for e in entries if isinstance(e.body, Observed) and "probe/" in e.body.subject]
        if self.probes_write and ends and (not seen or seen[-1] < ends[-1]):
            for party in Party:
                saw = f"{good.BASELINE_TAG},{good.TARGET_TAG},{good.BASELINE_TAG}"
                self.add(Observed(subject=f"probe/{party}", facts={"saw": saw}), signer=party)

    def _open_baseline(self) -> None:
        self.add(
            RouteOpened(
                service_contract=V2,
                release_tag=good.BASELINE_TAG,
                address="http://127.0.0.1:1",
                pid=None,
                command=(),
                tree_id=good.sha("tree"),
            )
        )
        self.add(RoutePointed(service_contract=V2))

    def _make_producer(self) -> FakeRepository:
        origin = FakeRepository(self.folder / "producer.refs")
        tag = Tag(name=good.TARGET_TAG, tag_object=good.TAG_OBJECT, commit=good.TARGET_COMMIT, annotated=True)
        origin.tags[good.TARGET_TAG] = tag
        origin.blobs[good.TARGET_COMMIT, "openapi.yaml"] = OPENAPI
        origin.blobs[good.sha("manifest"), "contracts/manifest.json"] = _make_manifest()
        return origin

    def _make_consumer(self) -> FakeRepository:
        origin = FakeRepository(self.folder / "consumer.refs")
        side, manifest = self.program.consumer, _make_manifest()
        for commit, trio in {
            good.LIVE: (b"pin", b"matrix", b"manifest"),
            good.DRILL_FORWARD: (b"pin", b"matrix", manifest),
            good.DRILL_INVERSE: (b"pin", b"matrix", b"manifest"),
            good.FORWARD: (_make_pin(manifest), _make_matrix(manifest), manifest),
            good.INVERSE: (b"pin", b"matrix", b"manifest"),
        }.items():
            for path, data in zip((side.pin_path, side.matrix_path, side.manifest_path), trio, strict=True):
                origin.blobs[commit, path] = data
        line = (good.LIVE, good.DRILL_FORWARD, good.DRILL_INVERSE, good.FORWARD, good.INVERSE)
        origin.parents = dict(zip(line[1:], line[:-1], strict=True))
        origin.changed = (side.manifest_path, side.pin_path, side.matrix_path)
        return origin


def _make_program() -> Program:
    program = good.make_program()
    watch = Watch(stabilization_s=0.3, probe_interval_s=0.001)
    return msgspec.structs.replace(program, watch=watch)


@cache
def _write_log(until: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...], datetime]:
    case = GoodCase(program=_make_program()).run(until=until)
    return tuple(case.lines), tuple(case.stored.values()), case.now


@cache
def _make_manifest() -> bytes:
    published = parse_manifest(load_fixture("producer-contract-manifest.v0.4.0.json"))
    return encode_manifest(
        msgspec.structs.replace(published, release_tag=good.TARGET_TAG, commit_sha=good.TARGET_COMMIT)
    )


def _make_pin(manifest: bytes) -> bytes:
    return encode_pin(
        Pin(
            memorykernel_repo="https://git.example/memorykernel",
            default_base_url="http://127.0.0.1:4010",
            default_timeout_ms=2500,
            expected_producer_manifest_sha256=hashlib.sha256(manifest).hexdigest(),
            release_tag=good.TARGET_TAG,
            commit_sha=good.TARGET_COMMIT,
            expected_service_contract_version=V3,
            expected_api_contract_version="api.v1",
            expected_integration_baseline="integration/v1",
        )
    )


def _make_matrix(manifest: bytes) -> bytes:
    row = VersionPair(
        consumer_version="1.0.0",
        consumer_commit=good.DRILL_INVERSE,
        producer_tag=good.TARGET_TAG,
        producer_commit=good.TARGET_COMMIT,
        service=V3,
        api="api.v1",
        integration="integration/v1",
        status="Approved",
    )
    baseline = {
        "release_tag": good.TARGET_TAG,
        "commit_sha": good.TARGET_COMMIT,
        "expected_service_contract_version": V3,
        "expected_api_contract_version": "api.v1",
        "expected_integration_baseline": "integration/v1",
        "expected_producer_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }
    return render_matrix(CompatibilityMatrix(baseline_pin=baseline, pairs=(row,)))


HOME = good.sha("home")
"""Where a refreshed drill ends."""
