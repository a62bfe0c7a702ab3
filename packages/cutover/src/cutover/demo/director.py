"""Plays a whole program: every step is a command in a process of its own, with the keys of whoever takes it.

The director starts the world's processes, runs the commands in order, and touches the world where the
scenario says so. It reads the log to know the moment; it never writes to it.
Source: cutover-program, "Order".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from cutover.adapters.clock import SystemClock
from cutover.adapters.file_log import FileLog
from cutover.adapters.gateway_client import HttpGateway
from cutover.adapters.http import LoopbackHttp
from cutover.adapters.process import ProcessLauncher
from cutover.core.entry import EntryBody, Operation, Restored, StepDone, StopCondition, Stopped
from cutover.core.key import Party
from cutover.core.material import parse_material
from cutover.core.program import Program
from cutover.core.program_file import parse_program
from cutover.demo.cast import BIN, Cast, Outcome, Server
from cutover.demo.example import Example, RoleHolder
from cutover.demo.hand import Hand
from cutover.demo.scenario import Moment, Scenario, Touch
from cutover.demo.screen import Screen
from cutover.demo.traffic import Snapshot
from cutover.demo.world import World
from cutover.errors import CommandFailed, CutoverError
from cutover.ports import GatewayStats
from cutover.service.seed import fill
from cutover.service.station import RunningRelease

TICK_S = 0.05


class StepRefused(CutoverError):
    """A command of the program said no: that is how some demos end."""

    def __init__(self, step: str, outcome: Outcome) -> None:
        super().__init__(f"{step}: {outcome.error}")
        self.step = step
        self.outcome = outcome


class Director:
    """One demo.

    Args:
        world: Its folder and example.
        screen: Told about everything.
        scenario: What goes wrong; None for a whole cutover.
    """

    def __init__(self, world: World, screen: Screen, scenario: Scenario | None) -> None:
        self._world = world
        self._folder = world.folder
        self._example: Example = world.example
        self._screen = screen
        self._scenario = scenario
        self._cast = Cast(world.folder)
        self._http = LoopbackHttp()
        self._launcher = ProcessLauncher(self._http)
        self._log = FileLog(world.folder / "log" / "entries.jsonl", SystemClock())
        self._hand = Hand(world, self._cast, self._http)
        self._traffic: Server | None = None
        self._marks: dict[str, Snapshot] = {}
        self.snapshot: Snapshot | None = None
        self.decisions: dict[str, str] = {}
        self.gateway_made: Mapping[str, int] = {}

    @property
    def marks(self) -> Mapping[str, Snapshot]:
        """Traffic counts at named moments."""
        return self._marks

    @property
    def program(self) -> Program:
        """The program as it is written in the folder."""
        return parse_program((self._folder / "cutover.toml").read_bytes())

    def close(self) -> None:
        """End everything that was started."""
        self._cast.close()

    # -- the acts, in order ------------------------------------------------------------------------

    def open(self) -> None:
        """Keys, entry 0, roles."""
        self._keys()
        self._touch(Moment.KEYS_MADE)
        keys = self._folder / "keys"
        others = {
            "producer": (keys / "consumer" / "party.pub.json", keys / "executor" / "executor.pub.json"),
            "consumer": (keys / "producer" / "party.pub.json", keys / "executor" / "executor.pub.json"),
        }
        for party, files in others.items():
            given = [argument for file in files for argument in ("--with", str(file))]
            self._step(party, "sign entry 0", "open", "--as", party, *given, keys=party)
        self._together([partial(self._give_role, holder) for holder in self._example.roles])
        self._screen.end("world", "five roles bound and acknowledged", good=True, result="")

    def start(self) -> None:
        """The baseline release with its policies, the knowledge base, gateway, consumer, tickets."""
        self._begin("world", "start the baseline, the gateway and the consumer")
        release = self._release(self.program.baseline.release_tag)
        data = self._folder / self.program.consumer.launch.data
        if not (data / "indexed").exists():
            self._fill(release.url)
            knowledge = str(self._folder / "consumer" / "knowledge")
            added = self._cast.run("assistsupport", "kb", "add", knowledge, "--data", str(data), "--json")
            if added.exit_code != 0:
                raise CommandFailed(f"assistsupport kb add failed: {added.error}")
            (data / "indexed").touch()
        self._cast.start("gateway", "cutover", "gateway", "--program", ".", "--keys", "keys/executor")
        self._consumer()
        self._screen.end("world", "start the baseline, the gateway and the consumer", good=True, result="")
        self._begin("world", "measure the consumer's peak and let tickets come in")
        self._start_traffic()
        peak = self.snapshot.peak if self.snapshot else 0.0
        self._end("world", "measure the consumer's peak and let tickets come in", f"peak {peak:.0f} drafts/s")

    def hand_off(self) -> None:
        """Hand-off, prepared repin."""
        target = self._world.example.moved.target.release_tag
        self._step("producer", f"hand {target} off", "handoff", keys="producer")
        self._touch(Moment.HANDED_OFF)
        self._step("consumer", "prepare the repin and its inverse on side refs", "prepare", keys="consumer")

    def verify(self) -> None:
        """All three verify at once, each in a process of its own."""
        whos = ("executor", "consumer", "producer")
        steps = [partial(self._step, w, f"verify as {w}", "verify", "--as", w, keys=w) for w in whos]
        self._together(steps, at_once=len(steps))

    def rehearse(self) -> None:
        """The rehearsal decision with both keys, the rehearsal, the drill."""
        self._decide("rehearsal")
        self._begin("world", "start the target from an export of its tag")
        self._release(self.program.target.release_tag)
        self._end("world", "start the target from an export of its tag", "")
        self._step("executor", "rehearse: shadow questions to both releases", "rehearse", keys="executor")
        self._touch(Moment.REHEARSED)
        self._mark("before the drill")
        probes = [
            self._cast.start(
                f"probe-{party}", "cutover", "probe", "--as", party, "--keys", f"keys/{party}", ready=False
            )
            for party in Party
        ]
        try:
            self._step("executor", "drill: to the target and back", "drill", keys="executor", may_say_no=True)
        finally:
            for probe in probes:
                probe.stop()
        self._mark("during the drill")

    def decide(self) -> None:
        """Both packets, the execution decision, both keys."""
        self._step(
            "producer", "look at the tag once more", "verify", "--as", "producer", "--gate", "runtime-target",
            keys="producer",
        )  # fmt: skip
        for party in Party:
            self._step(party, "sign the checkpoint packet", "checkpoint", "--as", party, keys=party)
        self._decide("execution")

    def execute(self) -> None:
        """The switch and its watch; a scenario touches the world while it runs."""
        self._mark("before the switch")
        watcher = threading.Thread(target=self._touch_during_execution, daemon=True)
        watcher.start()
        try:
            self._step("executor", "execute: switch, verify, watch", "execute", keys="executor")
        finally:
            self._mark("after the switch")

    def complete(self) -> None:
        """The point of no return."""
        self._step("executor", "complete: the target is the new baseline", "complete", keys="executor")
        self._step("executor", "drill again, from the new baseline and home", "drill", keys="executor")

    def record(self) -> Path:
        """Render the record and verify what was rendered; an empty log has nothing to verify."""
        self._step("world", "render the decision record", "record", keys=None)
        if self._log.read().entries:
            self._step("world", "verify the log and the record", "log", "verify", keys=None)
        self._command("record", "--verify", keys=None)
        return self._folder / "record.md"

    def find_stop(self) -> Stopped | None:
        """Return the stop of an execution, if there was one; a drill's planned way back is none."""
        bodies = [entry.body for entry in self._log.read().entries]
        stops = [
            b for b in bodies if isinstance(b, Stopped) and b.condition is not StopCondition.DRILL_RETURN
        ]
        return stops[0] if stops else None

    def find_restored(self) -> Mapping[str, Restored]:
        """Return the newest way back of drill and abort."""
        bodies = (entry.body for entry in self._log.read().entries)
        return {str(body.operation): body for body in bodies if isinstance(body, Restored)}

    def stop_traffic(self) -> None:
        """End the tickets and keep their final counts."""
        if self._traffic is not None:
            self._traffic.stop()
            self._reader.join(5)
            self._traffic = None
            self.gateway_made = self._read_gateway().gateway_made

    # -- the world's processes -----------------------------------------------------------------------

    def _release(self, tag: str) -> RunningRelease:
        """Start a release behind an injector of its own."""
        via, control = self._launcher.free_port(), self._launcher.free_port()
        self._cast.start(
            f"release-{tag}", "cutover", "release", "run", "--tag", tag, "--via", f"http://127.0.0.1:{via}"
        )
        record = self._folder / "run" / "releases" / f"{tag}.json"
        running = msgspec.json.decode(record.read_bytes(), type=RunningRelease)
        self._inject_before(tag, running.url, via, control)
        return running

    def _inject_before(self, name: str, upstream: str, port: int, control: int) -> None:
        self._cast.start(
            f"injector-{name}", "cutover", "inject", "--upstream", upstream, "--bind", f"127.0.0.1:{port}",
            "--control", f"127.0.0.1:{control}",
        )  # fmt: skip
        self._hand.injectors[name] = f"http://127.0.0.1:{control}"

    def _fill(self, url: str) -> None:
        files = (self.program.traffic.questions, self.program.traffic.tickets, self.program.traffic.seed)
        material = parse_material(*((self._folder / name).read_bytes() for name in files))
        headers = {"Service-Contract-Version": self.program.baseline.service_contract_version}
        fill(self._http, url, material.seed, headers=headers)

    def _consumer(self) -> None:
        """Start the consumer where the program says; behind an injector when the scenario needs one."""
        side, gateway = self.program.consumer, f"http://{self.program.traffic.bind}"
        port = int(side.url.rsplit(":", 1)[1])
        touched = self._scenario is not None and self._scenario.touch is Touch.FAULT_AT_CONSUMER
        own = self._launcher.free_port() if touched else port
        values = {
            "repository": side.origin, "ref": side.live_ref, "data": side.launch.data, "port": str(own),
            "producer_url": gateway, "token_file": side.token_file, "python": str(BIN / "python"),
        }  # fmt: skip
        command = tuple(argument.format_map(values) for argument in side.launch.command)
        server = self._cast.start("consumer", *command)
        if touched:
            self._inject_before("consumer", server.url, port, self._launcher.free_port())

    def _read_gateway(self) -> GatewayStats:
        return HttpGateway(self._http, self._folder).stats()

    def _start_traffic(self) -> None:
        first = threading.Event()
        self._traffic = self._cast.start(
            "traffic", str(BIN / "python"), "-m", "cutover.demo.traffic",
            "--consumer", self.program.consumer.url, "--tickets", self.program.traffic.tickets,
            ready=False,
        )  # fmt: skip
        stream = self._traffic.process.stdout
        assert stream is not None  # noqa: S101  # the cast starts servers with a pipe

        def follow() -> None:
            for line in stream:
                self.snapshot = msgspec.json.decode(line, type=Snapshot)
                self._screen.traffic(self.snapshot)
                first.set()
            first.set()

        self._reader = threading.Thread(target=follow, daemon=True)
        self._reader.start()
        if not first.wait(60) or self.snapshot is None:
            raise CommandFailed("the tickets did not start; read run/logs/traffic.log")

    # -- commands ------------------------------------------------------------------------------------

    def _together(self, tasks: Sequence[Callable[[], object]], *, at_once: int = 2) -> None:
        """Run tasks side by side; the first that fails, or Ctrl-C, ends the commands of all."""
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            jobs = [pool.submit(task) for task in tasks]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._cast.end_running()
                raise

    def _keys(self) -> None:
        wanted: list[tuple[str, tuple[str, ...]]] = [("executor", ("executor", "--name", "executor"))]
        wanted += [(party, (party, "--name", f"{party} release team")) for party in Party]
        wanted += [
            (person.party, ("holder", "--name", person.id, "--party", person.party))
            for person in self._example.people.values()
        ]
        self._together([partial(self._command, "keys", *words, keys=keys) for keys, words in wanted])
        self._screen.end("world", "each party makes its own keys", good=True, result="")

    def _give_role(self, given: RoleHolder) -> None:
        person = self._example.people[given.holder]
        public = f"keys/{person.party}/holder-{person.id}.pub.json"
        self._command(
            "bind", "--role", given.role_id, "--as", person.party, "--key", public, "--contact", person.email,
            keys=person.party,
        )  # fmt: skip
        self._command("acknowledge", "--role", given.role_id, "--as", person.id, keys=person.party)

    def _decide(self, scope: str) -> None:
        step = f"decide: {scope}"
        self._begin("executor", step)
        outcome = self._command("decide", "--scope", scope, keys="executor", allowed=(0, 1, 3))
        document = outcome.document or {}
        self.decisions[scope] = str(document.get("outcome", "?"))
        reason = (
            _first_reason(document) if outcome.exit_code else f"GO  {str(document.get('digest', ''))[:16]}"
        )
        self._screen.end("executor", step, good=outcome.exit_code == 0, result=reason)
        if outcome.exit_code != 0:
            raise StepRefused(step, Outcome(exit_code=outcome.exit_code, document=document, error=reason))
        self._touch(Moment.APPROVING)
        for party in Party:
            if scope == "execution" and party is Party.CONSUMER and self._skips_approval():
                self._screen.say("        the consumer does not approve", style="yellow")
                continue
            self._step(
                party, f"approve the {scope} decision", "approve", "--as", party, "--scope", scope, keys=party
            )

    def _skips_approval(self) -> bool:
        return self._scenario is not None and self._scenario.touch is Touch.NO_CONSUMER_APPROVAL

    def _step(
        self, who: str, step: str, *command: str, keys: str | None, may_say_no: bool = False
    ) -> Outcome:
        self._begin(who, step)
        allowed = (0, 1) if may_say_no else (0,)
        try:
            outcome = self._command(
                *command, keys=keys, allowed=allowed, narrate=lambda line: self._screen.detail(step, line)
            )
        except StepRefused as refused:
            self._screen.end(who, step, good=False, result=_find_reason(refused.outcome))
            raise
        self._end(who, step, "")
        return outcome

    def _command(
        self,
        *command: str,
        keys: str | None,
        allowed: Sequence[int] = (0,),
        narrate: Callable[[str], None] = lambda _line: None,
    ) -> Outcome:
        own = ("--keys", f"keys/{keys}") if keys else ()
        outcome = self._cast.run("cutover", *command, *own, "--json", narrate=narrate)
        if outcome.exit_code not in allowed:
            raise StepRefused(" ".join(command[:1]), outcome)
        return outcome

    def _begin(self, who: str, step: str) -> None:
        self._screen.begin(who, step)

    def _end(self, who: str, step: str, result: str) -> None:
        self._screen.end(who, step, good=True, result=result)

    def _mark(self, name: str) -> None:
        if self.snapshot is not None:
            self._marks[name] = self.snapshot

    # -- what a scenario does to the world -----------------------------------------------------------

    def _touch(self, moment: Moment) -> None:
        scenario = self._scenario
        if scenario is None or scenario.touch is None or scenario.moment is not moment:
            return
        self._screen.say(f"        {scenario.story}", style="yellow")
        self._hand.touch(scenario)

    def _touch_during_execution(self) -> None:
        """Wait for the moment in the log, then touch."""
        moment = self._scenario.moment if self._scenario else None
        if moment not in _STEP_OF:
            return
        wanted, since = _STEP_OF[moment], len(self._log.read().entries)
        while not any(_is_step(entry.body, wanted) for entry in self._log.read().entries[since:]):
            time.sleep(TICK_S)
        self._touch(moment)


_STEP_OF = {Moment.TARGET_OPEN: "open-target", Moment.WATCHING: "run-suites"}


def _is_step(body: EntryBody, step: str) -> bool:
    return isinstance(body, StepDone) and body.operation is Operation.FORWARD and body.step == step


def _find_reason(outcome: Outcome) -> str:
    """Return why a command said no: the stop that its result names, else its last words."""
    document = outcome.document
    stopped = document.get("stopped") if isinstance(document, dict) else None
    return f"{stopped['condition']}: {stopped['reason']}" if stopped else outcome.error


def _first_reason(document: Mapping[str, Any]) -> str:
    """Return what a decision that is not GO says first: gate, code and reason."""
    for gate in document.get("gates", ()):
        if gate.get("outcome") in {"FAILED", "UNKNOWN", "WARNED"}:
            verdict = f"{gate['gate']} {gate['outcome']} ({gate['reason_code']})"
            return f"{document.get('outcome')}: {verdict}: {gate['reason']}"
    return f"{document.get('outcome')}: " + "; ".join(document.get("reasons", ()))
