"""The rollback drill: to the target and back to the baseline, with live traffic, measured.

It needs an authorized rehearsal decision, takes the steps of the real thing with the drill's pair of
commits, and comes back through the same way back that an abort takes. Both parties watch with probes
of their own (`cutover probe`). What it saw becomes the evidence of two gates, `drill` and `answers`.
Source: cutover-program, gates `drill` and `answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cutover.core.case import Case
from cutover.core.decision import check_authorization
from cutover.core.entry import Observed, Operation, Prepared, Restored, Scope, StopCondition
from cutover.core.evidence import AnswerCounts, Answers, Drill, PartyProbe
from cutover.core.outcome import Outcome
from cutover.core.switch import next_attempt
from cutover.errors import CutoverError, Refused
from cutover.service.draft_probe import DraftProbe, ProbedDraft, calculate_tally, read_references
from cutover.service.forward import Forward
from cutover.service.station import Executor
from cutover.service.watch import MoveStopped, Watch

PROBE_SUBJECT = "probe/"


@dataclass(slots=True, kw_only=True)
class _Seen:
    """Drafts by the release that should have answered them; transitions are in `all` only."""

    baseline: list[ProbedDraft] = field(default_factory=list)
    target: list[ProbedDraft] = field(default_factory=list)
    all: list[ProbedDraft] = field(default_factory=list)


def drill(executor: Executor) -> Drill:
    """Run the drill and append its evidence, also when it was stopped on the way.

    Raises:
        Refused: Without authorization, or when the live ref is not where the drill starts.
    """
    case = executor.read_case()
    prepared = _require_start(executor, case)
    started, since = executor.clock.monotonic(), len(case.entries)
    attempt = next_attempt(case.entries, Operation.DRILL)
    seen, restored = _there_and_back(executor, prepared, attempt, since)
    evidence = _describe(executor, prepared, seen, restored, _await_probes(executor, since))
    duration_s = executor.clock.monotonic() - started
    executor.collect("drill", evidence, duration_s=duration_s)
    executor.collect("answers", _count(executor, seen), duration_s=duration_s)
    return evidence


def _require_start(executor: Executor, case: Case) -> Prepared:
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
    return found[1]


def _there_and_back(
    executor: Executor, prepared: Prepared, attempt: int, since: int
) -> tuple[_Seen, Restored]:
    seen, count = _Seen(), executor.program.thresholds.min_drill_drafts
    with open_probe(executor) as probe:
        watch = Watch(executor, probe, since=since, roles=False)
        seen.baseline += watch.see_drafts(count)
        move = Forward(
            executor=executor,
            operation=Operation.DRILL,
            attempt=attempt,
            repin=prepared.drill,
            live_ref=prepared.live_ref,
        )
        try:
            watch.during(move.run)
            seen.target += watch.see_drafts(count)
            watch.stop(StopCondition.DRILL_RETURN, "planned way back of the drill")
        except MoveStopped as stop:
            executor.narrate(f"the drill was stopped: {stop.stopped.reason}")
        except CutoverError as exc:
            watch.stop(StopCondition.SUITE_FAILURE, f"the drill could not go forward: {exc}")
        restored = watch.await_restored(Operation.DRILL, attempt)
        seen.baseline += watch.see_drafts(count, stoppable=False)
        seen.all = watch.drafts
    return seen, restored


def open_probe(executor: Executor) -> DraftProbe:
    """Return a draft probe with fresh references, not yet started."""
    tickets, limits = executor.material.tickets, executor.program.thresholds
    return DraftProbe(
        executor.consumer,
        tickets,
        read_references(executor.consumer, tickets, timeout_s=5.0),
        deadline_s=limits.draft_deadline_s,
        interval_s=executor.program.watch.probe_interval_s,
    )


def _await_probes(executor: Executor, since: int) -> Sequence[PartyProbe]:
    """Wait until both parties' probes have written what they saw; fewer is evidence too."""
    deadline = executor.clock.monotonic() + executor.program.thresholds.restore_limit_s + 5.0
    while executor.clock.monotonic() < deadline:
        found = _read_probes(executor, since)
        if len(found) == 2:
            return found
        executor.clock.pause(0.05)
    return _read_probes(executor, since)


def _read_probes(executor: Executor, since: int) -> tuple[PartyProbe, ...]:
    return tuple(
        PartyProbe(
            party=entry.body.subject.removeprefix(PROBE_SUBJECT),
            signer_party=entry.signer.party,
            saw=tuple(filter(None, entry.body.facts.get("saw", "").split(","))),
        )
        for entry in executor.log.read().entries[since:]
        if isinstance(entry.body, Observed) and entry.body.subject.startswith(PROBE_SUBJECT)
    )


def _describe(
    executor: Executor, prepared: Prepared, seen: _Seen, restored: Restored, probes: Sequence[PartyProbe]
) -> Drill:
    program, tally = executor.program, calculate_tally(seen.all)
    first = restored.t_first_baseline_reply
    return Drill(
        authorized=True,
        baseline_tag=program.baseline.release_tag,
        target_tag=program.target.release_tag,
        drafts=len(seen.target),
        min_drafts=program.thresholds.min_drill_drafts,
        lost=tally.lost,
        altered=tally.altered,
        breaking_replies_delivered=tally.breaking,
        restore_s=None if first is None else (first - restored.t_observed).total_seconds(),
        restore_limit_s=program.thresholds.restore_limit_s,
        probes=tuple(probes),
        ended_on_commit=executor.consumer.governance_commit(),
        inverse_commit=prepared.drill.inverse_commit,
        finished_at=executor.clock.now(),
        judged_at=executor.clock.now(),
        max_age_s=program.thresholds.drill_max_age_s,
    )


def _count(executor: Executor, seen: _Seen) -> Answers:
    program = executor.program
    return Answers(
        threshold=program.thresholds.applied_share,
        min_asked=program.thresholds.min_drill_drafts // 2,
        baseline=_count_release(program.baseline.release_tag, seen.baseline),
        target=_count_release(program.target.release_tag, seen.target),
    )


def _count_release(release_tag: str, drafts: Sequence[ProbedDraft]) -> AnswerCounts:
    tally = calculate_tally(drafts)
    applied_here = sum(d.policy_status == "applied" and d.release_tag == release_tag for d in drafts)
    return AnswerCounts(
        release_tag=release_tag,
        asked=tally.asked,
        applied=applied_here,
        fallback=tally.fallback,
        gateway_made=0,
    )
