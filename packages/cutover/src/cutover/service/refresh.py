"""Refresh the drill after completion: to the old release and home to the new baseline, under live traffic.

Both routes stay open all the while; only the consumer moves, over a pair of commits that `prepare` wrote.
Started again after a crash it looks at the live ref and goes home from wherever it is.
Source: cutover-program, "Switch": after `complete`, a refreshed drill against the new baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle

from cutover.core.entry import Completed, Operation, Prepared, Repin, StepDone, StepIntended
from cutover.core.evidence import Drill
from cutover.core.gate.drill import DrillGate
from cutover.core.outcome import Verdict
from cutover.core.phase import Phase, calculate_phase
from cutover.core.refreshed_drill import REFRESHED_DRILL, RefreshedDrill, check_refreshed_drill
from cutover.errors import CutoverError, Refused, RepositoryError
from cutover.service.draft_probe import DraftProbe, ProbedDraft, calculate_tally, open_probe
from cutover.service.drill import drill
from cutover.service.station import Executor
from cutover.service.turn import be_the_executor, take_turn

AWAY, HOME = "refresh-away", "refresh-home"
ATTEMPT = 1


def refresh_drill(executor: Executor) -> RefreshedDrill:
    """Run it and append what was seen.

    Raises:
        Refused: Before completion, without prepared commits, or when the live ref is somewhere else.
        CutoverError: When the consumer cannot be brought home; run it again.
    """
    with be_the_executor(executor.folder):
        repin, live_ref = _require_start(executor)
        started = executor.clock.monotonic()
        drafts = _Drafts(executor, open_probe(executor))
        away: list[ProbedDraft] = []
        try:
            _move(executor, live_ref, AWAY, repin.base_commit, repin.forward_commit)
            away = drafts.take(executor.program.thresholds.min_drill_drafts)
        except CutoverError as exc:
            executor.narrate(f"the refreshed drill could not go on: {exc}; going home")
        said_home = executor.clock.now()
        _move(executor, live_ref, HOME, repin.forward_commit, repin.inverse_commit)
        first = drafts.take_until_applied(executor.program.target.release_tag)
        restore_s = (executor.clock.now() - said_home).total_seconds() if first else None
        home = [*drafts.transition, *drafts.take(executor.program.thresholds.min_drill_drafts)]
        evidence = _describe(executor, repin, away, home, restore_s)
        executor.collect(REFRESHED_DRILL, evidence, duration_s=executor.clock.monotonic() - started)
        return evidence


def drill_or_refresh(executor: Executor) -> tuple[Drill | RefreshedDrill, Verdict]:
    """Drill; once the program is complete, refresh the drill against the new baseline.

    Returns:
        What was seen, and how it is judged.
    """
    if calculate_phase(executor.log.read().entries) is Phase.COMPLETE:
        refreshed = refresh_drill(executor)
        return refreshed, check_refreshed_drill(refreshed)
    evidence = drill(executor)
    return evidence, DrillGate().check(evidence)


class _Drafts:
    """Tickets drafted one after the other; the live traffic goes on beside them."""

    def __init__(self, executor: Executor, probe: DraftProbe) -> None:
        self._probe = probe
        self._tickets: Iterator[ProbedDraft] = map(probe.draft_once, cycle(executor.material.tickets))
        self._bound = 2 * len(executor.material.tickets)
        self.transition: list[ProbedDraft] = []

    def take(self, count: int) -> list[ProbedDraft]:
        """Draft `count` tickets now."""
        return [next(self._tickets) for _ in range(count)]

    def take_until_applied(self, release_tag: str) -> bool:
        """Draft until a release's answer is applied, at most every ticket twice; keep the drafts."""
        for _ in range(self._bound):
            draft = next(self._tickets)
            self.transition.append(draft)
            if draft.policy_status == "applied" and draft.release_tag == release_tag:
                return True
        return False


def _require_start(executor: Executor) -> tuple[Repin, str]:
    case = executor.read_case()
    prepared = case.newest(Prepared)
    if case.newest(Completed) is None or prepared is None:
        raise Refused("the drill is refreshed after 'cutover complete'; the program is not complete")
    repin, live_ref = prepared[1].refresh, prepared[1].live_ref
    if repin is None:
        raise Refused(
            "no commits were prepared for a refreshed drill; this program was prepared without them"
        )
    live = executor.consumer_origin.resolve(live_ref)
    if live == repin.inverse_commit:
        raise Refused("the drill is refreshed already; see 'cutover record'")
    if live not in {repin.base_commit, repin.forward_commit}:
        raise Refused(f"{live_ref} is at {live}, the refreshed drill starts at {repin.base_commit}")
    return repin, live_ref


def _move(executor: Executor, live_ref: str, step: str, old: str, new: str) -> None:
    """Move the live ref by compare-and-swap and see the consumer follow; repeated, it only looks."""
    intent = StepIntended(operation=Operation.COMPLETE, attempt=ATTEMPT, step=step)
    executor.log.append(intent, executor.signer)
    with take_turn(executor.folder):
        origin = executor.consumer_origin
        if origin.resolve(live_ref) != new and not origin.compare_and_swap(live_ref, new, old):
            raise RepositoryError(
                f"{live_ref} is at {origin.resolve(live_ref)}, expected {old}; who moved it?"
            )
    commit = executor.consumer.reload()
    if commit != new:
        raise RepositoryError(f"the consumer runs on {commit}, expected {new}; run 'cutover drill' again")
    facts: Mapping[str, str] = {"commit": commit}
    done = StepDone(operation=Operation.COMPLETE, attempt=ATTEMPT, step=step, facts=facts)
    executor.log.append(done, executor.signer)
    executor.narrate(f"{step}: commit {commit}")


def _describe(
    executor: Executor,
    repin: Repin,
    away: list[ProbedDraft],
    home: list[ProbedDraft],
    restore_s: float | None,
) -> RefreshedDrill:
    program, tally = executor.program, calculate_tally([*away, *home])
    return RefreshedDrill(
        home_tag=program.target.release_tag,
        away_tag=program.baseline.release_tag,
        away=len(away),
        home=len(home),
        applied_away=_count_applied(away, program.baseline.release_tag),
        applied_home=_count_applied(home, program.target.release_tag),
        lost=tally.lost,
        altered=tally.altered,
        restore_s=restore_s,
        restore_limit_s=program.thresholds.restore_limit_s,
        ended_on_commit=executor.consumer.governance_commit(),
        home_commit=repin.inverse_commit,
        finished_at=executor.clock.now(),
    )


def _count_applied(drafts: list[ProbedDraft], release_tag: str) -> int:
    return sum(d.policy_status == "applied" and d.release_tag == release_tag for d in drafts)
