"""The switch: forward with the execution's pair of commits, then the watch; finish or return after a crash.

An execution needs an authorized execution decision inside the window. Started again after a crash it
first looks at refs, routes and processes, appends what it saw, and then either finishes or returns,
and says which. What stops it takes everything back; the result is a value, not an error.
Source: cutover-program, "Switch" and "The decision log".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from cutover.core.decision import check_authorization
from cutover.core.entry import Operation, Prepared, Repin, Restored, Scope, StopCondition, Stopped
from cutover.core.gate.trio import TrioGate
from cutover.core.key import Party
from cutover.core.outcome import Outcome
from cutover.core.switch import (
    OperationState,
    Resume,
    World,
    calculate_operation,
    decide_resume,
    next_attempt,
)
from cutover.errors import CutoverError, Refused
from cutover.service.collect.suite import run_suites
from cutover.service.collect.trio import collect_trio
from cutover.service.draft_probe import calculate_tally
from cutover.service.drill import open_probe
from cutover.service.forward import Forward
from cutover.service.station import Executor
from cutover.service.watch import MoveStopped, Watch


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """How an execution ended.

    Args:
        ended: `stable` on the target, or `returned` to the baseline.
        resumed: Whether it continued one that a crash had interrupted.
        stopped, restored: Why and how fast it came back, when it did.
        counts: What the executor's own drafts saw: drafts, lost, altered, applied, fallback/<reason>.
    """

    ended: Literal["stable", "returned"]
    attempt: int
    resumed: bool
    stopped: Stopped | None
    restored: Restored | None
    counts: Mapping[str, int]


def execute(executor: Executor) -> Execution:
    """Move to the target and watch it, or finish or return what a crash left half done.

    Raises:
        Refused: Without an authorized GO, or when there is nothing to do.
    """
    case = executor.read_case()
    state = calculate_operation(case.entries)
    if state is not None:
        return _resume(executor, state)
    found = case.newest(Prepared)
    if found is None:
        raise Refused("nothing is prepared; expected the consumer to run 'cutover prepare'")
    verdict = check_authorization(case, Scope.EXECUTION)
    if verdict.outcome is not Outcome.PASSED:
        raise Refused(f"no switch without an authorized decision: {verdict.reason}")
    attempt = next_attempt(case.entries, Operation.FORWARD)
    prepared = found[1]
    run = _Run(
        executor, prepared.execution, prepared.live_ref, attempt, since=len(case.entries), resumed=False
    )
    return run.forward()


def _resume(executor: Executor, state: OperationState) -> Execution:
    facts = observe_world(executor, state.live_ref)
    executor.observe("world", facts)
    world = World(live_commit=facts["live_ref"], target_answers=facts["target"] == "answers")
    authorized = check_authorization(executor.read_case(), Scope.EXECUTION).outcome is Outcome.PASSED
    choice = decide_resume(state, world, authorized=authorized)
    executor.narrate(f"found an interrupted {state.operation}: {choice.resume}, because {choice.reason}")
    if choice.resume is Resume.NOTHING:
        raise Refused(f"nothing to do: {choice.reason}")
    run = _Run(executor, state.repin, state.live_ref, state.attempt, since=state.since, resumed=True)
    return (
        run.forward() if choice.resume is Resume.FINISH else run.back(state.return_operation, choice.reason)
    )


def observe_world(executor: Executor, live_ref: str) -> Mapping[str, str]:
    """Look at ref, routes, consumer and target; never raises for what is not there."""
    facts = {"live_ref": executor.consumer_origin.resolve(live_ref) or "absent"}
    try:
        facts["consumer"] = executor.consumer.governance_commit()
    except CutoverError as exc:
        facts["consumer"] = f"unreachable ({exc})"
    try:
        routes = executor.gateway.refresh().routes
        facts["routes"] = " ".join(f"{contract}={tag}" for contract, tag in sorted(routes.items()))
    except CutoverError as exc:
        facts["routes"] = f"gateway unreachable ({exc})"
    try:
        release = executor.running_release(executor.program.target.release_tag)
        executor.http.request("GET", f"{release.url}/v1/health", timeout_s=2.0)
        facts["target"] = "answers"
    except CutoverError as exc:
        facts["target"] = f"unreachable ({exc})"
    return facts


class _Run:
    """One attempt of the execution, from its first step or from where a crash left it."""

    def __init__(
        self, executor: Executor, repin: Repin, live_ref: str, attempt: int, *, since: int, resumed: bool
    ) -> None:
        self._executor = executor
        self._repin = repin
        self._live_ref = live_ref
        self._attempt = attempt
        self._since = since
        self._resumed = resumed

    def forward(self) -> Execution:
        """Take all steps under watch; come back when anything stops it."""
        with open_probe(self._executor) as probe:
            watch = Watch(self._executor, probe, since=self._since, roles=True)
            try:
                watch.during(self._move().run)
                self._verify(watch)
                self._stabilize(watch)
                return self._end("stable", watch, None, None)
            except MoveStopped:
                pass
            except CutoverError as exc:
                watch.stop(StopCondition.SUITE_FAILURE, f"the switch could not go forward: {exc}")
            restored = watch.await_restored(Operation.ABORT, self._attempt)
            return self._end("returned", watch, watch.find_stop(), restored)

    def back(self, operation: Operation, reason: str) -> Execution:
        """Take everything back."""
        with open_probe(self._executor) as probe:
            watch = Watch(self._executor, probe, since=self._since, roles=False)
            if watch.find_stop() is None:
                watch.stop(StopCondition.MANUAL, reason)
            restored = watch.await_restored(operation, self._attempt)
            return self._end("returned", watch, watch.find_stop(), restored)

    def _move(self) -> Forward:
        return Forward(
            executor=self._executor,
            operation=Operation.FORWARD,
            attempt=self._attempt,
            repin=self._repin,
            live_ref=self._live_ref,
        )

    def _verify(self, watch: Watch) -> None:
        """Judge the live trio and run the consumer's and producer's suites against the live target."""
        for name, act in (("verify-trio", self._check_trio), ("run-suites", self._run_suites)):
            problem = watch.during(act)
            if problem is not None:
                watch.stop(StopCondition.SUITE_FAILURE, f"{name}: {problem}")
                watch.tick()

    def _check_trio(self) -> str | None:
        commit = self._repin.forward_commit
        evidence = collect_trio(self._executor, commit)
        verdict = TrioGate().check(evidence)
        self._step("verify-trio", {"commit": commit, "verdict": verdict.outcome, "reason": verdict.reason})
        return None if verdict.outcome is Outcome.PASSED else verdict.reason

    def _run_suites(self) -> str | None:
        commit = self._repin.forward_commit
        results = run_suites(self._executor, Party.CONSUMER, commit, self._executor.gateway_url)
        failed = [run.name for run in results.runs if run.exit_code != 0 or run.passed == 0]
        self._step(
            "run-suites", {run.name: f"{run.passed} passed, {run.failed} failed" for run in results.runs}
        )
        return f"{failed[0]} failed against the live target" if failed else None

    def _step(self, name: str, facts: Mapping[str, str]) -> None:
        self._executor.step(Operation.FORWARD, self._attempt, name, lambda: facts)

    def _stabilize(self, watch: Watch) -> None:
        seconds = self._executor.program.watch.stabilization_s
        watch.wait(seconds)
        tally = calculate_tally(watch.drafts)
        facts = {"seconds": f"{seconds:g}", "drafts": str(tally.drafts), "applied": str(tally.applied)}
        self._step("stabilize", facts)

    def _end(
        self,
        ended: Literal["stable", "returned"],
        watch: Watch,
        stopped: Stopped | None,
        restored: Restored | None,
    ) -> Execution:
        tally = calculate_tally(watch.drafts)
        counts = {
            "drafts": tally.drafts,
            "lost": tally.lost,
            "altered": tally.altered,
            "applied": tally.applied,
        }
        counts |= {f"fallback/{reason}": n for reason, n in tally.fallback.items()}
        return Execution(
            ended=ended,
            attempt=self._attempt,
            resumed=self._resumed,
            stopped=stopped,
            restored=restored,
            counts=counts,
        )
