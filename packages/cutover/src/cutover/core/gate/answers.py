"""Gate `answers`: policy questions of real drafts end *applied*, on each release separately.

A consumer that always falls back delivers every draft and never gets an answer; this gate exists because
that once passed every check. Replies that the gateway made are counted apart and never count as applied.
Source: cutover-program, table "Gates" and "What February 2026 teaches".
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff, Prepared
from cutover.core.evidence import AnswerCounts, Answers
from cutover.core.gate.drill import DRILLED_AGAIN, has_begun_since
from cutover.core.gate.gate import Clause, CollectedGate, find_difference


def _on_both(
    reason_code: str,
    find: Callable[[Answers, AnswerCounts], str | None],
    break_one: Callable[[Answers, AnswerCounts], tuple[AnswerCounts, ...]],
) -> Clause[Answers]:
    """Return a clause that holds for each of the two releases, with twins of each."""
    return Clause(
        reason_code=reason_code,
        find_breach=lambda e: next(
            (
                f"{counts.release_tag}: {breach}"
                for counts in (e.baseline, e.target)
                if (breach := find(e, counts)) is not None
            ),
            None,
        ),
        break_fact=lambda e: (
            *(replace(e, baseline=twin) for twin in break_one(e, e.baseline)),
            *(replace(e, target=twin) for twin in break_one(e, e.target)),
        ),
    )


def _find_inconsistency(_evidence: Answers, counts: AnswerCounts) -> str | None:
    numbers = (counts.asked, counts.applied, counts.gateway_made, *counts.fallback.values())
    ended = counts.applied + sum(counts.fallback.values())
    if min(numbers) < 0 or ended > counts.asked:
        return f"{ended} questions ended, {counts.asked} were asked; expected counts that add up"
    return None


def _find_too_few(evidence: Answers, counts: AnswerCounts) -> str | None:
    least = max(1, evidence.min_asked)
    return (
        None if counts.asked >= least else f"{counts.asked} questions were asked, expected at least {least}"
    )


def _find_unapplied(evidence: Answers, counts: AnswerCounts) -> str | None:
    if counts.applied > 0 and counts.applied >= evidence.threshold * counts.asked:
        return None
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(counts.fallback.items())) or "no reason given"
    return (
        f"{counts.applied} of {counts.asked} policy questions were applied, "
        f"expected {evidence.threshold:.0%} ({reasons})"
    )


class AnswersGate(CollectedGate[Answers]):
    """Applied shares on baseline and target, from the drill's own drafts."""

    name = "answers"
    kind = Answers
    follows = (HandedOff, Prepared)

    def find_mismatch(self, case: Case, evidence: Answers) -> str | None:
        """Hold releases, threshold and how much must be asked against the program; one drill, one count."""
        program = case.program
        if has_begun_since(case, self.name):
            return DRILLED_AGAIN
        return find_difference(
            baseline=(evidence.baseline.release_tag, program.baseline.release_tag),
            target=(evidence.target.release_tag, program.target.release_tag),
            threshold=(evidence.threshold, program.thresholds.applied_share),
            min_asked=(evidence.min_asked, program.thresholds.min_answers),
        )

    def describe(self, evidence: Answers) -> str:
        """Return the shares."""
        return "; ".join(
            f"{counts.release_tag}: {counts.applied} of {counts.asked} policy questions applied"
            for counts in (evidence.baseline, evidence.target)
        )

    rows = (
        Clause(
            reason_code="threshold-too-low",
            find_breach=lambda e: (
                None
                if 0.5 < e.threshold <= 1.0
                else f"a share of {e.threshold:g} applied would prove nothing"
            ),
            break_fact=lambda e: (replace(e, threshold=0.0), replace(e, threshold=1.5)),
        ),
        _on_both(
            "counts-do-not-add-up",
            _find_inconsistency,
            lambda _e, c: (replace(c, applied=c.asked + 1), replace(c, gateway_made=-1)),
        ),
        _on_both(
            "too-few-questions",
            _find_too_few,
            lambda _e, c: (replace(c, asked=0, applied=0, fallback={}),),
        ),
        _on_both(
            "answers-not-applied",
            _find_unapplied,
            lambda _e, c: (replace(c, applied=0, fallback={"validation-error": c.asked}),),
        ),
    )
