"""What every gate has in common: who looked, at what, when, and whether the gate itself can say no.

The judgement of collected evidence, in order: nobody looked; the wrong party looked; the collection
did not end; its bytes are missing or altered; it is older than what it should speak of, or about
something else; it is too old. Then the gate's own clauses, then its twins. A gate that passes a twin
is void, whatever it says of the real evidence. UNKNOWN is never a pass.
Source: cutover-program, "Gates".
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

import msgspec

from cutover.core.case import Case
from cutover.core.entry import Entry, EvidenceCollected
from cutover.core.gate.gate import CollectedGate, E, Gate
from cutover.core.key import KeyKind
from cutover.core.outcome import Outcome, Verdict, failed, unknown
from cutover.errors import EvidenceUnreadable


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with its negative control.

    Args:
        verdict: What the gate says, with the digests it rests on.
        twins_tried: How many twins the gate met; 0 when the evidence did not pass anyway.
        twins_killed: How many of them it FAILED with the right reason code.
    """

    verdict: Verdict
    twins_tried: int = 0
    twins_killed: int = 0


def judge(gate: Gate[E], case: Case) -> Judgement:
    """Judge one gate over a case. Pure; never raises for what the evidence says."""
    if isinstance(gate, CollectedGate):
        found = case.newest_evidence(gate.name)
        if found is not None and (refusal := _judge_collection(gate, case, *found)) is not None:
            return _conclude(refusal, (found[1].digest,))
    try:
        return _judge_gathered(gate, case)
    except EvidenceUnreadable as exc:
        return Judgement(verdict=unknown("evidence-unreadable", str(exc)))


def _judge_gathered(gate: Gate[E], case: Case) -> Judgement:
    gathered = gate.gather(case)
    if gathered is None:
        return Judgement(verdict=unknown("no-evidence", f"nobody looked; expected evidence for {gate.name}"))
    evidence, digests = gathered
    mismatch = gate.find_mismatch(case, evidence) if isinstance(gate, CollectedGate) else None
    if mismatch is not None:
        stale = unknown("evidence-stale", f"it speaks of something else: {mismatch}; collect it again")
        return _conclude(stale, digests)
    return _control(gate, evidence, digests)


def _control(gate: Gate[E], evidence: E, digests: tuple[str, ...]) -> Judgement:
    """Judge the evidence and, when it would pass, prove that the gate can say no."""
    verdict = gate.check(evidence)
    if verdict.outcome not in (Outcome.PASSED, Outcome.WARNED):
        return _conclude(verdict, digests)
    twins = gate.twins(evidence)
    wanted = {twin.reason_code for twin in twins}
    survivors = [twin.reason_code for twin in twins if not _is_killed(gate, twin.reason_code, twin.evidence)]
    survivors += [code for code in gate.clauses if code not in wanted]
    if survivors or not twins:
        verdict = unknown(
            "gate-void",
            f"the gate let {len(survivors)} of its twins pass: {', '.join(survivors) or 'it has none'}",
        )
    return _conclude(verdict, digests, tried=len(twins), killed=len(twins) - len(survivors))


def _is_killed(gate: Gate[E], reason_code: str, twin: object) -> bool:
    verdict = gate.check(twin)  # type: ignore[arg-type]  # a twin is of the type of its evidence
    return verdict.outcome is Outcome.FAILED and verdict.reason_code == reason_code


def _conclude(verdict: Verdict, digests: tuple[str, ...], *, tried: int = 0, killed: int = 0) -> Judgement:
    return Judgement(
        verdict=msgspec.structs.replace(verdict, evidence=digests), twins_tried=tried, twins_killed=killed
    )


def _judge_collection(
    gate: CollectedGate[E], case: Case, entry: Entry, collected: EvidenceCollected
) -> Verdict | None:
    wanted = "the executor" if gate.collector is None else f"the {gate.collector}"
    kind = KeyKind.EXECUTOR if gate.collector is None else KeyKind.PARTY
    if entry.signer.kind is not kind or entry.signer.party is not gate.collector:
        return failed("wrong-collector", f"collected by {entry.signer.name}, expected {wanted}")
    if collected.exit_code != 0:
        return unknown("collection-failed", f"the collection ended with exit code {collected.exit_code}")
    if (problem := _find_altered(case, collected.digest)) is not None:
        return unknown("evidence-unreadable", problem)
    for kind_of_entry in gate.follows:
        newest = case.newest(kind_of_entry)
        if newest is None:
            return unknown("evidence-stale", f"no {kind_of_entry.__name__} entry stands before it")
        if newest[0].index > entry.index:
            return unknown(
                "evidence-stale", f"it is older than the newest {kind_of_entry.__name__}; collect it again"
            )
    limit = timedelta(seconds=case.program.thresholds.evidence_max_age_s)
    if gate.expires and case.now - entry.time > limit:
        return unknown("evidence-expired", f"it is older than {limit}; collect it again")
    return None


def _find_altered(case: Case, digest: str) -> str | None:
    try:
        data = case.evidence[digest]
    except KeyError:
        return f"evidence {digest[:12]} is missing; expected its bytes beside the log"
    if hashlib.sha256(data).hexdigest() != digest:
        return f"the bytes of evidence {digest[:12]} do not match their digest"
    return None
