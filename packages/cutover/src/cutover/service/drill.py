"""The rollback drill: to the target and back to the baseline, with live traffic, measured.

It needs an authorized rehearsal decision, takes the steps of the real thing with the drill's pair of
commits, and comes back through the same way back that an abort takes. Both parties watch with probes
of their own (`cutover probe`). What it saw becomes the evidence of two gates, `drill` and `answers`.
Source: cutover-program, gates `drill` and `answers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cutover.core.decision import check_authorization
from cutover.core.entry import Operation, Prepared, Restored, Scope, StopCondition
from cutover.core.evidence import Drill
from cutover.core.outcome import Outcome, Verdict
from cutover.core.switch import calculate_operation
from cutover.errors import CutoverError, Refused
from cutover.service.attempt import Attempt, MoveStopped, begin_attempt
from cutover.service.collect.drill import Leg, collect_answers, collect_drill, count_withheld
from cutover.service.draft_probe import DraftProbe, ProbedDraft, open_probe
from cutover.service.forward import begin, go_forward, see_target
from cutover.service.station import Executor
from cutover.service.turn import be_the_executor
from cutover.service.watch import Watch


def drill(executor: Executor) -> Drill:
    """Run the drill and append its evidence, also when it was stopped on the way.

    Raises:
        Refused: Without authorization, during a move, or when the live ref is not where the drill starts.
        CutoverError: When the target is not the one handed off, or the way back does not end.
    """
    with be_the_executor(executor.folder):
        verdict, prepared = _require_start(executor)
        started = executor.clock.monotonic()
        probe = open_probe(executor)
        attempt = begin_attempt(executor, Operation.DRILL, prepared.drill, prepared.live_ref)
        see_target(attempt)
        seen, restored = _there_and_back(attempt, probe)
        evidence = collect_drill(
            attempt,
            authorized=verdict.outcome is Outcome.PASSED,
            on_target=seen.target.drafts,
            drafts=seen.drafts,
            restored=restored,
        )
        duration_s = executor.clock.monotonic() - started
        executor.collect("drill", evidence, duration_s=duration_s)
        answers = collect_answers(executor.program, seen.baseline, seen.target)
        executor.collect("answers", answers, duration_s=duration_s)
        return evidence


def _require_start(executor: Executor) -> tuple[Verdict, Prepared]:
    case = executor.read_case()
    state = calculate_operation(case.entries)
    if state is not None:
        raise Refused(
            f"a {state.operation} is in progress; 'cutover execute' finishes or takes back what a crash left"
        )
    verdict = check_authorization(case, Scope.REHEARSAL)
    if verdict.outcome is not Outcome.PASSED:
        raise Refused(f"no drill without an authorized rehearsal: {verdict.reason}")
    found = case.newest(Prepared)
    if found is None:
        raise Refused("nothing is prepared; expected the consumer to run 'cutover prepare'")
    live, base = executor.consumer_origin.resolve(found[1].live_ref), found[1].drill.base_commit
    if live != base:
        raise Refused(
            f"{found[1].live_ref} is at {live}, the drill starts at {base}; run 'cutover prepare' again"
        )
    return verdict, found[1]


@dataclass(slots=True, kw_only=True)
class _Seen:
    """Drafts by the release that should have answered them; those of transitions are in `drafts` only."""

    baseline: Leg = field(default_factory=Leg)
    target: Leg = field(default_factory=Leg)
    drafts: list[ProbedDraft] = field(default_factory=list)


def _there_and_back(attempt: Attempt, probe: DraftProbe) -> tuple[_Seen, Restored]:
    seen = _Seen()
    with probe:
        watch = Watch(attempt, probe, roles=False)
        try:
            begin(attempt)
            _go_there(attempt, watch, seen)
        except MoveStopped as stop:
            attempt.executor.narrate(f"the drill was stopped: {stop.stopped.reason}")
        except CutoverError as exc:
            attempt.fail(f"the drill could not go forward: {exc}")
        except KeyboardInterrupt:
            attempt.stop(StopCondition.MANUAL, "interrupted at the keyboard")
        except BaseException as exc:
            attempt.stop(StopCondition.SUITE_FAILURE, f"the executor failed: {exc!r}"[:300])
            raise  # a defect: the gateway takes it back
        restored = watch.await_restored()
        count = attempt.executor.program.thresholds.min_drill_drafts
        baseline_tag = attempt.executor.program.baseline.release_tag
        seen.baseline += _look(attempt, baseline_tag, lambda: watch.see_drafts(count, stoppable=False))
        seen.drafts = watch.drafts
    return seen, restored


def _go_there(attempt: Attempt, watch: Watch, seen: _Seen) -> None:
    """Look at the baseline, go forward, look at the target, and say stop as planned."""
    program = attempt.executor.program
    count = program.thresholds.min_drill_drafts
    seen.baseline += _look(attempt, program.baseline.release_tag, lambda: watch.see_drafts(count))
    watch.during(lambda: go_forward(attempt))
    target = _look(attempt, program.target.release_tag, lambda: watch.see_drafts(count))
    attempt.stop(StopCondition.DRILL_RETURN, "planned way back of the drill")
    stopped = attempt.find_stop()
    if stopped is not None and stopped.condition is StopCondition.DRILL_RETURN:
        seen.target += target  # whoever said stop before had a reason: then the target was not seen through


def _look(attempt: Attempt, release_tag: str, see: Callable[[], list[ProbedDraft]]) -> Leg:
    before = count_withheld(attempt.executor, release_tag)
    drafts = see()
    after = count_withheld(attempt.executor, release_tag)
    if before is None or after is None or after < before:  # unknown, or the gateway was started anew
        return Leg(drafts=drafts, withheld=None)
    return Leg(drafts=drafts, withheld=after - before)
