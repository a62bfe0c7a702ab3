"""Collect for `drill` and `answers`: what the drill's own drafts, its way back and both probes showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cutover.core.entry import Observed, Restored
from cutover.core.evidence import AnswerCounts, Answers, Drill, PartyProbe
from cutover.core.gate.drill import PROBE_SUBJECT
from cutover.core.program import Program
from cutover.errors import ReleaseUnreachable
from cutover.service.attempt import Attempt
from cutover.service.draft_probe import ProbedDraft, calculate_tally
from cutover.service.station import Executor

NOT_KNOWN = -1
"""A count that could not be taken; no gate accepts it."""
_SLACK_S = 5.0
_LOOK_S = 0.05


@dataclass(slots=True, kw_only=True)
class Leg:
    """Drafts made while one release was to answer them.

    Args:
        withheld: Replies of the release that the gateway withheld meanwhile, and made itself instead;
            None when it could not be asked.
    """

    drafts: list[ProbedDraft] = field(default_factory=list)
    withheld: int | None = 0

    def __add__(self, other: Leg) -> Leg:
        """Join two legs of one release."""
        known = self.withheld is not None and other.withheld is not None
        withheld = (self.withheld or 0) + (other.withheld or 0)
        return Leg(drafts=self.drafts + other.drafts, withheld=withheld if known else None)


def collect_drill(
    attempt: Attempt,
    *,
    authorized: bool,
    on_target: Sequence[ProbedDraft],
    drafts: Sequence[ProbedDraft],
    restored: Restored,
) -> Drill:
    """Wait for both parties' probes and put everything beside its limits.

    Args:
        attempt: The drill that has ended.
        authorized: Whether the rehearsal decision was in force when it began.
        on_target: Drafts while the target was to answer.
        drafts: All drafts, transitions included.
        restored: The measured way back.
    """
    executor, program, tally = attempt.executor, attempt.executor.program, calculate_tally(drafts)
    first, finished_at = restored.t_first_baseline_reply, executor.clock.now()
    ended_on_commit, probes = _read_commit(executor), await_probes(attempt)
    return Drill(
        authorized=authorized,
        baseline_tag=program.baseline.release_tag,
        target_tag=program.target.release_tag,
        drafts=len(on_target),
        min_drafts=program.thresholds.min_drill_drafts,
        lost=tally.lost,
        altered=tally.altered,
        breaking_replies_delivered=tally.breaking,
        restore_s=None if first is None else (first - restored.t_observed).total_seconds(),
        restore_limit_s=program.thresholds.restore_limit_s,
        probes=probes,
        ended_on_commit=ended_on_commit,
        inverse_commit=attempt.repin.inverse_commit,
        finished_at=finished_at,
        judged_at=executor.clock.now(),
        max_age_s=program.thresholds.drill_max_age_s,
    )


def _read_commit(executor: Executor) -> str:
    try:
        return executor.consumer.governance_commit()
    except ReleaseUnreachable as exc:
        return f"unreachable ({exc.kind})"


def await_probes(attempt: Attempt) -> tuple[PartyProbe, ...]:
    """Wait until both parties' probes have written what they saw; fewer is evidence too."""
    clock = attempt.executor.clock
    deadline = clock.monotonic() + attempt.executor.program.thresholds.restore_limit_s + _SLACK_S
    found = _read_probes(attempt)
    while len({probe.party for probe in found}) < 2 and clock.monotonic() < deadline:
        clock.pause(_LOOK_S)
        found = _read_probes(attempt)
    return found


def _read_probes(attempt: Attempt) -> tuple[PartyProbe, ...]:
    return tuple(
        PartyProbe(
            party=entry.body.subject.removeprefix(PROBE_SUBJECT),
            signer_party=entry.signer.party,
            saw=tuple(filter(None, entry.body.facts.get("saw", "").split(","))),
        )
        for entry in attempt.executor.log.read().entries[attempt.since :]
        if isinstance(entry.body, Observed) and entry.body.subject.startswith(PROBE_SUBJECT)
    )


def collect_answers(program: Program, baseline: Leg, target: Leg) -> Answers:
    """Count how the policy questions of both legs ended. Pure."""
    return Answers(
        threshold=program.thresholds.applied_share,
        min_asked=program.thresholds.min_drill_drafts // 2,
        baseline=_count(program.baseline.release_tag, baseline),
        target=_count(program.target.release_tag, target),
    )


def _count(release_tag: str, leg: Leg) -> AnswerCounts:
    tally = calculate_tally(leg.drafts)
    return AnswerCounts(
        release_tag=release_tag,
        asked=tally.asked,
        applied=sum(d.policy_status == "applied" and d.release_tag == release_tag for d in leg.drafts),
        fallback=tally.fallback,
        gateway_made=NOT_KNOWN if leg.withheld is None else leg.withheld,
    )


def count_withheld(executor: Executor, release_tag: str) -> int | None:
    """Return how many replies of a release the gateway has withheld; None when it does not say."""
    try:
        return executor.gateway.stats().withheld.get(release_tag, 0)
    except ReleaseUnreachable:
        return None
