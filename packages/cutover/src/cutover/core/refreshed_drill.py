"""The drill after completion: from the new baseline back to the old one, and home again.

It is nobody's gate: the point of no return lies behind it. It shows that the way to the old release still
exists while that release is kept, measured against the new baseline, and it ends on the new baseline.
Source: cutover-program, "Switch": after `complete`, a refreshed drill against the new baseline.
"""

from __future__ import annotations

from datetime import datetime

from cutover.core.case import Case
from cutover.core.entry import Completed, EvidenceCollected
from cutover.core.evidence import Evidence
from cutover.core.outcome import Verdict, failed, passed, unknown

REFRESHED_DRILL = "refreshed-drill"
"""Name under which its evidence is collected."""


class RefreshedDrill(Evidence, frozen=True, kw_only=True):
    """What was seen.

    Args:
        home_tag: The new baseline.
        away_tag: The old one.
        away, home: Drafts seen while the consumer was away, and after it came home.
        applied_away, applied_home: Those whose policy answer came from the release that was to answer.
        lost, altered: Over all of them.
        restore_s: From saying "home" to the first applied answer of the new baseline; None when none came.
        ended_on_commit, home_commit: Where the consumer runs, and where it should.
    """

    home_tag: str
    away_tag: str
    away: int
    home: int
    applied_away: int
    applied_home: int
    lost: int
    altered: int
    restore_s: float | None
    restore_limit_s: float
    ended_on_commit: str
    home_commit: str
    finished_at: datetime


def check_refreshed_drill(evidence: RefreshedDrill) -> Verdict:
    """Judge it. Pure; the first clause that does not hold decides."""
    e = evidence
    if e.ended_on_commit != e.home_commit:
        return failed("not-home", f"the consumer runs on {e.ended_on_commit}, expected {e.home_commit}")
    if e.lost or e.altered:
        return failed("drafts", f"{e.lost} drafts were lost and {e.altered} altered, expected none")
    if not e.applied_away or not e.applied_home:
        return failed(
            "not-answered",
            f"{e.away_tag} answered {e.applied_away} questions, {e.home_tag} {e.applied_home}; expected some",
        )
    if e.restore_s is None or e.restore_s > e.restore_limit_s:
        return failed("too-slow", f"home took {e.restore_s} s, expected at most {e.restore_limit_s:g} s")
    return passed(
        f"{e.home_tag} -> {e.away_tag} -> {e.home_tag} with {e.away} drafts away, none lost or altered, "
        f"home in {1e3 * e.restore_s:.1f} ms"
    )


def judge_refreshed_drill(case: Case) -> Verdict:
    """Judge the newest refreshed drill since completion; UNKNOWN when there is none.

    Raises:
        EvidenceUnreadable: When its bytes are missing or do not parse.
    """
    completed = case.newest(Completed)
    found = case.newest_evidence(REFRESHED_DRILL)
    if completed is None or found is None or found[0].index < completed[0].index:
        return unknown("no-evidence", "the drill was not refreshed since completion")
    return check_refreshed_drill(case.read(found[1].digest, RefreshedDrill))


def is_refreshed(case: Case) -> bool:
    """Say whether any refreshed drill was collected since completion, whatever it says."""
    completed = case.newest(Completed)
    since = 0 if completed is None else completed[0].index
    return any(
        isinstance(entry.body, EvidenceCollected) and entry.body.gate == REFRESHED_DRILL
        for entry in case.entries[since:]
    )
