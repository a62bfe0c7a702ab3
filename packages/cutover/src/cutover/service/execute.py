"""The switch: forward with the execution's pair of commits, then the watch; finish or return after a crash.

An execution needs an authorized execution decision inside the window. Started again after a crash it
first looks at refs, routes and processes, appends what it saw, and then either finishes or returns,
and says which. What stops it takes everything back; the result is a value, not an error.
Source: cutover-program, "Switch" and "The decision log".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from cutover.core.decision import check_authorization
from cutover.core.entry import Operation, Prepared, Restored, Scope, StopCondition, Stopped
from cutover.core.outcome import Outcome
from cutover.core.switch import ForwardStep, OperationState, Resume, calculate_operation, decide_resume
from cutover.errors import CutoverError, Refused
from cutover.service.attempt import Attempt, MoveStopped, begin_attempt
from cutover.service.draft_probe import DraftProbe, ProbedDraft, calculate_tally, open_probe
from cutover.service.forward import begin, go_forward, see_target
from cutover.service.live_check import Finding, check_live_suites, check_live_trio
from cutover.service.station import Executor
from cutover.service.turn import be_the_executor
from cutover.service.watch import Watch
from cutover.service.world import observe_world, read_world


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """How an execution ended.

    Args:
        ended: `stable` on the target, or `returned` to the baseline.
        resumed: Whether it continued what a crash had interrupted.
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
        CutoverError: When it cannot begin, or the way back does not end; the log says how far it got.
    """
    with be_the_executor(executor.folder):
        state = calculate_operation(executor.log.read().entries)
        return _start(executor) if state is None else _resume(executor, state)


def _start(executor: Executor) -> Execution:
    case = executor.read_case()
    found = case.newest(Prepared)
    if found is None:
        raise Refused("nothing is prepared; expected the consumer to run 'cutover prepare'")
    verdict = check_authorization(case, Scope.EXECUTION)
    if verdict.outcome is not Outcome.PASSED:
        raise Refused(f"no switch without an authorized decision: {verdict.reason}")
    repin, live_ref = found[1].execution, found[1].live_ref
    live = executor.consumer_origin.resolve(live_ref)
    if live != repin.base_commit:
        raise Refused(
            f"{live_ref} is at {live}, the switch starts at {repin.base_commit}; run 'cutover prepare' again"
        )
    run = _Run(begin_attempt(executor, Operation.FORWARD, repin, live_ref), resumed=False)
    ready = run.make_ready()
    # Getting ready took a while; what was revoked meanwhile authorizes nothing.
    verdict = check_authorization(executor.read_case(), Scope.EXECUTION)
    if verdict.outcome is not Outcome.PASSED:
        raise Refused(f"no switch without an authorized decision: {verdict.reason}")
    return run.forward(ready)


def _resume(executor: Executor, state: OperationState) -> Execution:
    facts = observe_world(executor, state.live_ref)
    executor.observe("world", facts)
    authorized = check_authorization(executor.read_case(), Scope.EXECUTION).outcome is Outcome.PASSED
    choice = decide_resume(state, read_world(facts), authorized=authorized)
    executor.narrate(f"found an interrupted {state.operation}: {choice.resume}, because {choice.reason}")
    run = _Run(_continue(executor, state), resumed=True)
    match choice.resume:
        case Resume.NOTHING:
            raise Refused(f"nothing to do: {choice.reason}")
        case Resume.RETURN:
            return run.back(choice.reason)
        case Resume.FINISH:
            return run.finish()


def _continue(executor: Executor, state: OperationState) -> Attempt:
    return Attempt(
        executor=executor,
        operation=state.operation,
        number=state.attempt,
        since=state.since,
        repin=state.repin,
        live_ref=state.live_ref,
    )


class _Run:
    """One attempt of the execution, from its first step or from where a crash left it."""

    def __init__(self, attempt: Attempt, *, resumed: bool) -> None:
        self._attempt = attempt
        self._executor = attempt.executor
        self._resumed = resumed

    def make_ready(self) -> DraftProbe:
        """See what it needs before anything is written; return a probe of the running consumer."""
        see_target(self._attempt)
        return open_probe(self._executor)

    def finish(self) -> Execution:
        """Go on forward; come back when what it needs is not there any more."""
        try:
            probe = self.make_ready()
        except CutoverError as exc:
            return self.back(f"it cannot be finished: {exc}")
        return self.forward(probe)

    def forward(self, probe: DraftProbe) -> Execution:
        """Take all steps under watch; come back when anything stops it."""
        with probe:
            watch = Watch(self._attempt, probe, roles=True)
            try:
                self._take_steps(watch)
                return self._end(watch.drafts, None)
            except MoveStopped:
                pass
            except CutoverError as exc:
                self._attempt.fail(f"the switch could not go forward: {exc}")
            except KeyboardInterrupt:
                self._attempt.stop(StopCondition.MANUAL, "interrupted at the keyboard")
            except BaseException as exc:
                self._attempt.stop(StopCondition.SUITE_FAILURE, f"the executor failed: {exc!r}"[:300])
                raise  # a defect: the gateway takes it back
            return self._end(watch.drafts, watch.await_restored())

    def back(self, reason: str) -> Execution:
        """Take everything back; needs neither consumer nor gateway to answer."""
        if self._attempt.find_stop() is None:
            self._attempt.stop(StopCondition.MANUAL, reason)
        return self._end((), self._attempt.await_restored())

    def _take_steps(self, watch: Watch) -> None:
        begin(self._attempt)
        watch.during(lambda: go_forward(self._attempt))
        self._verify(watch, ForwardStep.VERIFY_TRIO, lambda: check_live_trio(self._attempt))
        self._verify(watch, ForwardStep.RUN_SUITES, lambda: check_live_suites(self._attempt))
        self._attempt.step(ForwardStep.STABILIZE, lambda: self._stabilize(watch))

    def _verify(self, watch: Watch, name: ForwardStep, check: Callable[[], Finding]) -> None:
        """Take a step that only looks; what it finds wrong is a stop, and the step is not done then."""

        def act() -> Mapping[str, str]:
            finding = check()
            if finding.problem is not None:
                self._attempt.stop(StopCondition.SUITE_FAILURE, f"{name}: {finding.problem}")
            return finding.facts

        watch.during(lambda: self._attempt.step(name, act))

    def _stabilize(self, watch: Watch) -> Mapping[str, str]:
        """Look for the whole time, and at least until one draft was begun and seen to its end."""
        seconds = self._executor.program.watch.stabilization_s
        watch.wait(seconds)
        watch.see_drafts(1)
        tally = calculate_tally(watch.drafts)
        return {"seconds": f"{seconds:g}", "drafts": str(tally.drafts), "applied": str(tally.applied)}

    def _end(self, drafts: Sequence[ProbedDraft], restored: Restored | None) -> Execution:
        tally = calculate_tally(drafts)
        return Execution(
            ended="stable" if restored is None else "returned",
            attempt=self._attempt.number,
            resumed=self._resumed,
            stopped=None if restored is None else self._attempt.find_stop(),
            restored=restored,
            counts={
                "drafts": tally.drafts,
                "lost": tally.lost,
                "altered": tally.altered,
                "applied": tally.applied,
                **{f"fallback/{reason}": count for reason, count in tally.fallback.items()},
            },
        )
