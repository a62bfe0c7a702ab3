"""Gate `drill`: under live traffic to the target and back, seen by both parties, in time, nothing lost.

A drill that lists static checks is none: it needs the rehearsal's authorization, a minimum of drafts
while it moved, a measured way back, and probes whose observations each party signed itself. Those are
taken from the log, not from the executor's word. It grows stale.
Source: cutover-program, table "Gates" and "What February 2026 teaches".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from cutover.core.approval import find_authorization
from cutover.core.case import Case
from cutover.core.entry import (
    Entry,
    HandedOff,
    Observed,
    Operation,
    Prepared,
    Restored,
    Scope,
    StepIntended,
)
from cutover.core.evidence import Drill, PartyProbe
from cutover.core.gate.gate import Clause, CollectedGate, calculate_change, find_difference
from cutover.core.key import Party

PROBE_SUBJECT = "probe/"
DRILLED_AGAIN = "a drill before the newest one"


def has_begun_since(case: Case, gate: str) -> bool:
    """Say whether a drill was begun after the newest evidence for a gate was collected. Pure.

    What an earlier drill showed says nothing about a later one, least of all when that one broke off.
    """
    found, newest = case.newest_evidence(gate), _entries_of_newest_drill(case.entries)
    return found is not None and bool(newest) and newest[0].index > found[0].index


class DrillGate(CollectedGate[Drill]):
    """The newest drill, with what the entries themselves say of it."""

    name = "drill"
    kind = Drill
    follows = (HandedOff, Prepared)
    expires = False  # its own clause: a stale drill FAILS

    def bind(self, case: Case, evidence: Drill) -> Drill:
        """Take authorization, probes, way back, clock and age limit from the entries and the program."""
        entries = _entries_of_newest_drill(case.entries)
        restored = next(
            (e.body for e in entries if isinstance(e.body, Restored) and e.body.operation is Operation.DRILL),
            None,
        )
        return replace(
            evidence,
            authorized=evidence.authorized and _was_authorized(case, entries),
            restore_s=_restore_s(restored),
            probes=tuple(
                replace(probe, signer_party=_signer_of(probe, entries)) for probe in evidence.probes
            ),
            judged_at=case.now,
            max_age_s=case.program.thresholds.drill_max_age_s,
        )

    def find_mismatch(self, case: Case, evidence: Drill) -> str | None:
        """Hold releases, limits and the way back's commit against program and preparation."""
        if has_begun_since(case, self.name):
            return DRILLED_AGAIN
        program, prepared = case.program, case.newest(Prepared)
        return find_difference(
            baseline=(evidence.baseline_tag, program.baseline.release_tag),
            target=(evidence.target_tag, program.target.release_tag),
            min_drafts=(evidence.min_drafts, program.thresholds.min_drill_drafts),
            restore_limit_s=(evidence.restore_limit_s, program.thresholds.restore_limit_s),
            inverse_commit=(
                evidence.inverse_commit,
                None if prepared is None else prepared[1].drill.inverse_commit,
            ),
        )

    def describe(self, evidence: Drill) -> str:
        """Return the drill's figures."""
        return (
            f"{' -> '.join(_way(evidence))} with {evidence.drafts} drafts on the target, none lost or "
            f"altered, back in {(evidence.restore_s or 0.0) * 1000:.1f} ms, seen by both parties"
        )

    rows = (
        Clause(
            reason_code="drill-not-authorized",
            find_breach=lambda e: (
                None if e.authorized else "no approved GO for the rehearsal stood when the drill began"
            ),
            break_fact=lambda e: (replace(e, authorized=False),),
        ),
        Clause(
            reason_code="drill-without-traffic",
            find_breach=lambda e: (
                None
                if e.drafts >= max(1, e.min_drafts)
                else f"{e.drafts} drafts were made, expected at least {max(1, e.min_drafts)}"
            ),
            break_fact=lambda e: (replace(e, drafts=0), replace(e, min_drafts=e.drafts + 1)),
        ),
        Clause(
            reason_code="drafts-lost",
            find_breach=lambda e: f"{e.lost} drafts were lost" if e.lost != 0 else None,
            break_fact=lambda e: (replace(e, lost=1),),
        ),
        Clause(
            reason_code="drafts-altered",
            find_breach=lambda e: f"{e.altered} drafts had other bytes" if e.altered != 0 else None,
            break_fact=lambda e: (replace(e, altered=1),),
        ),
        Clause(
            reason_code="breaking-reply-delivered",
            find_breach=lambda e: (
                f"{e.breaking_replies_delivered} replies that break the contract were delivered"
                if e.breaking_replies_delivered != 0
                else None
            ),
            break_fact=lambda e: (replace(e, breaking_replies_delivered=1),),
        ),
        Clause(
            reason_code="not-restored",
            find_breach=lambda e: (
                "no applied answer of the baseline was seen again" if e.restore_s is None else None
            ),
            break_fact=lambda e: (replace(e, restore_s=None),),
        ),
        Clause(
            reason_code="restore-too-slow",
            find_breach=lambda e: (
                None
                if e.restore_s is not None and 0 <= e.restore_s <= e.restore_limit_s
                else f"the way back took {e.restore_s} s, expected 0 to {e.restore_limit_s:g} s"
            ),
            break_fact=lambda e: (
                replace(e, restore_s=2 * e.restore_limit_s + 1.0),
                replace(e, restore_s=-1.0),
            ),
        ),
        Clause(
            reason_code="ended-elsewhere",
            find_breach=lambda e: find_difference(
                the_consumer_afterwards=(e.ended_on_commit, e.inverse_commit)
            ),
            break_fact=lambda e: (replace(e, ended_on_commit=calculate_change(e.ended_on_commit)),),
        ),
        Clause(
            reason_code="probe-missing",
            find_breach=lambda e: _find_missing_probe(e),
            break_fact=lambda e: (
                *(replace(e, probes=tuple(p for p in e.probes if p.party != party)) for party in Party),
            ),
        ),
        Clause(
            reason_code="probe-not-signed",
            find_breach=lambda e: next(
                (
                    f"the probe of the {p.party} is signed by {p.signer_party or 'nobody'}"
                    for p in e.probes
                    if p.signer_party != p.party
                ),
                None,
            ),
            break_fact=lambda e: (
                *_change_probes(e, signer_party=None),
                *(
                    replace(e, probes=tuple(replace(p, signer_party=party) for p in e.probes))
                    for party in Party
                ),
            ),
        ),
        Clause(
            reason_code="probe-saw-otherwise",
            find_breach=lambda e: next(
                (
                    f"the probe of the {p.party} saw {', '.join(p.saw) or 'nothing'}, "
                    f"expected {', '.join(_way(e))}"
                    for p in e.probes
                    if p.saw != _way(e)
                ),
                None,
            ),
            break_fact=lambda e: (*_change_probes(e, saw=()), *_change_probes(e, saw=_way(e)[:2])),
        ),
        Clause(
            reason_code="drill-not-over",
            find_breach=lambda e: (
                f"it ends at {e.finished_at.isoformat()}, which is not past"
                if e.finished_at > e.judged_at
                else None
            ),
            break_fact=lambda e: (replace(e, finished_at=e.judged_at + timedelta(seconds=1)),),
        ),
        Clause(
            reason_code="drill-stale",
            find_breach=lambda e: (
                None
                if (e.judged_at - e.finished_at).total_seconds() <= e.max_age_s
                else f"it ended at {e.finished_at.isoformat()}, more than {e.max_age_s:g} s ago; drill again"
            ),
            break_fact=lambda e: (replace(e, max_age_s=-1.0),),
        ),
    )


def _entries_of_newest_drill(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries from the first intended step of the newest drill on."""
    attempts = [
        (entry.index, entry.body.attempt)
        for entry in entries
        if isinstance(entry.body, StepIntended) and entry.body.operation is Operation.DRILL
    ]
    if not attempts:
        return ()
    newest = attempts[-1][1]
    return entries[min(index for index, attempt in attempts if attempt == newest) :]


def _was_authorized(case: Case, drill: Sequence[Entry]) -> bool:
    """Say whether an approved GO for this rehearsal stood when the drill's first step was intended.

    One for another hand-off or another pair of commits is none.
    """
    if not drill:
        return False
    before = case.entries[: drill[0].index]
    standing = find_authorization(before, Scope.REHEARSAL, at=drill[0].time)
    moved = max((e.index for e in before if isinstance(e.body, HandedOff | Prepared)), default=-1)
    return standing is not None and standing.entry.index > moved


def _restore_s(restored: Restored | None) -> float | None:
    if restored is None or restored.t_first_baseline_reply is None:
        return None
    return (restored.t_first_baseline_reply - restored.t_observed).total_seconds()


def _signer_of(probe: PartyProbe, entries: Sequence[Entry]) -> str | None:
    """Return the party whose key signed exactly this observation during the drill."""
    for entry in entries:
        body = entry.body
        if (
            isinstance(body, Observed)
            and body.subject == f"{PROBE_SUBJECT}{probe.party}"
            and body.facts.get("saw") == ",".join(probe.saw)
        ):
            return None if entry.signer.party is None else str(entry.signer.party)
    return None


def _way(evidence: Drill) -> tuple[str, ...]:
    return evidence.baseline_tag, evidence.target_tag, evidence.baseline_tag


def _find_missing_probe(evidence: Drill) -> str | None:
    parties = sorted(probe.party for probe in evidence.probes)
    if parties == sorted(Party):
        return None
    return f"the probes of {parties} watched, expected one of each party"


def _change_probes(evidence: Drill, **facts: object) -> tuple[Drill, ...]:
    return tuple(
        replace(evidence, probes=(*evidence.probes[:i], replace(probe, **facts), *evidence.probes[i + 1 :]))
        for i, probe in enumerate(evidence.probes)
    )
