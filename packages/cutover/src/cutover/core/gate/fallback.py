"""Gate `fallback`: whatever the producer does, drafts come in time and with the same bytes.

Every fault that the injector knows was met by at least one draft that asked for a policy answer: a fault
that nobody met proves nothing, and so does a run in which no draft fell back.
Source: cutover-program, table "Gates"; wire contract, section 4, "Invariant".
"""

from __future__ import annotations

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff, Prepared
from cutover.core.evidence import Fallback, FaultDraft
from cutover.core.fault import HARMLESS_FAULTS, PRODUCER_FAULTS
from cutover.core.gate.gate import (
    Clause,
    CollectedGate,
    calculate_change,
    calculate_stranger,
    find_difference,
)
from cutover.core.key import Party

FELL_BACK, APPLIED = "fallback", "applied"


class FallbackGate(CollectedGate[Fallback]):
    """Drafts of a scratch consumer under every fault, collected by the consumer."""

    name = "fallback"
    kind = Fallback
    collector = Party.CONSUMER
    follows = (HandedOff, Prepared)

    def find_mismatch(self, case: Case, evidence: Fallback) -> str | None:
        """Hold the deadline against the program's, and the faults against those that there are."""
        return find_difference(
            deadline_s=(evidence.deadline_s, case.program.thresholds.draft_deadline_s),
            faults_left_out=(sorted(set(PRODUCER_FAULTS) - set(evidence.faults)), []),
        )

    def describe(self, evidence: Fallback) -> str:
        """Return how many drafts met how many faults."""
        return (
            f"{len(evidence.drafts)} drafts under {len(evidence.faults)} producer faults were delivered "
            f"within {evidence.deadline_s:g} s, byte for byte as with enrichment off"
        )

    rows = (
        Clause(
            reason_code="fault-not-met",
            find_breach=lambda e: _find_unmet(e),
            break_fact=lambda e: (
                replace(e, faults=(*e.faults, calculate_stranger(*e.faults))),
                replace(e, drafts=tuple(d for d in e.drafts if d.fault != e.faults[0])),
                replace(e, drafts=tuple(replace(d, policy_status="not-asked") for d in e.drafts)),
                replace(e, faults=(), drafts=()),
            ),
        ),
        Clause(
            reason_code="draft-lost",
            find_breach=lambda e: _find_draft(e, "was not delivered", lost=True),
            break_fact=lambda e: (*_change_each(e, delivered=False), *_change_each(e, sha256=None)),
        ),
        Clause(
            reason_code="draft-late",
            find_breach=lambda e: next(
                (
                    f"{_name(d)} took {d.elapsed_s:.3f} s, at most {e.deadline_s:g} s are allowed"
                    for d in e.drafts
                    if not d.elapsed_s <= e.deadline_s
                ),
                None,
            ),
            break_fact=lambda e: _change_each(e, elapsed_s=2 * e.deadline_s + 1.0),
        ),
        Clause(
            reason_code="draft-altered",
            find_breach=lambda e: _find_draft(e, "differs from the draft with enrichment off", lost=False),
            break_fact=lambda e: tuple(
                replace(e, drafts=(*e.drafts[:i], _alter(draft), *e.drafts[i + 1 :]))
                for i, draft in enumerate(e.drafts[:MAX_TWINS])
            ),
        ),
        Clause(
            reason_code="fault-without-effect",
            find_breach=lambda e: _find_without_effect(e),
            break_fact=lambda e: (
                replace(e, drafts=tuple(replace(d, policy_status=APPLIED) for d in e.drafts)),
                replace(
                    e,
                    drafts=tuple(
                        replace(d, policy_status=APPLIED) if d.fault == _first_harmful(e) else d
                        for d in e.drafts
                    ),
                ),
            ),
        ),
        Clause(
            reason_code="live-fault-unnoticed",
            find_breach=lambda e: (
                None
                if e.live_fault.noticed
                else f"the real fault {e.live_fault.fault} went unnoticed: {e.live_fault.detail}"
            ),
            break_fact=lambda e: (replace(e, live_fault=replace(e.live_fault, noticed=False)),),
        ),
    )


def _name(draft: FaultDraft) -> str:
    return f"the draft of {draft.ticket_id} under {draft.fault}"


def _first_harmful(evidence: Fallback) -> str | None:
    return next((fault for fault in evidence.faults if fault not in HARMLESS_FAULTS), None)


def _find_without_effect(evidence: Fallback) -> str | None:
    """A fault under which every question is answered was not there."""
    fell = {d.fault for d in evidence.drafts if d.policy_status == FELL_BACK}
    for fault in evidence.faults:
        if fault not in HARMLESS_FAULTS and fault not in fell:
            return f"no draft fell back under {fault}; the fault was not real"
    return None


def _find_unmet(evidence: Fallback) -> str | None:
    if not evidence.faults:
        return "no fault is named"
    met = {d.fault for d in evidence.drafts if d.policy_status in (FELL_BACK, APPLIED)}
    unmet = sorted(set(evidence.faults) - met)
    return f"no draft asked its question under {unmet[0]}" if unmet else None


def _find_draft(evidence: Fallback, what: str, *, lost: bool) -> str | None:
    for draft in evidence.drafts:
        is_lost = not draft.delivered or draft.sha256 is None
        if is_lost if lost else draft.sha256 != draft.reference_sha256:
            return f"{_name(draft)} {what}"
    return None


def _alter(draft: FaultDraft) -> FaultDraft:
    return replace(draft, sha256=calculate_change(draft.reference_sha256))


def _change_each(evidence: Fallback, **facts: object) -> tuple[Fallback, ...]:
    return tuple(
        replace(evidence, drafts=(*evidence.drafts[:i], replace(draft, **facts), *evidence.drafts[i + 1 :]))
        for i, draft in enumerate(evidence.drafts[:MAX_TWINS])
    )


MAX_TWINS = 8
"""Drafts of which each gets twins: a gate that treated the ninth otherwise would be odd."""
