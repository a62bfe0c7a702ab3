"""Gate `data`: the way back still works after the target has opened and migrated the database.

The baseline is still ready, answers a fixed set of questions byte for byte as before, and reads what was
written through the target. If not, the move is one-way, and the reason says so.
Source: cutover-program, table "Gates".
"""

from __future__ import annotations

from msgspec.structs import replace

from cutover.core.entry import HandedOff
from cutover.core.evidence import Data
from cutover.core.gate.gate import Clause, CollectedGate, calculate_change, calculate_stranger

_ONE_WAY = "the move is one-way"


class DataGate(CollectedGate[Data]):
    """The one database, seen through the baseline before and after the target."""

    name = "data"
    kind = Data
    follows = (HandedOff,)

    def describe(self, evidence: Data) -> str:
        """Return what was compared."""
        return (
            f"on the schema {evidence.schema_after}, moved from {evidence.schema_before}, the baseline is "
            f"ready, answers {len(evidence.answers_before)} questions byte for byte as before and reads "
            f"{len(evidence.written_through_target)} records written through the target"
        )

    rows = (
        Clause(
            reason_code="baseline-was-not-ready",
            find_breach=lambda e: (
                None if e.baseline_ready_before else "the baseline was not ready to begin with"
            ),
            break_fact=lambda e: (replace(e, baseline_ready_before=False),),
        ),
        Clause(
            reason_code="schema-went-back",
            find_breach=lambda e: (
                f"the schema went from {e.schema_before} to {e.schema_after}"
                if e.schema_after < e.schema_before
                else None
            ),
            break_fact=lambda e: (replace(e, schema_after=e.schema_before - 1),),
        ),
        Clause(
            reason_code="baseline-not-ready",
            find_breach=lambda e: (
                None
                if e.baseline_ready_after
                else f"{_ONE_WAY}: the baseline is not ready on schema {e.schema_after}"
            ),
            break_fact=lambda e: (replace(e, baseline_ready_after=False),),
        ),
        Clause(
            reason_code="no-question-compared",
            find_breach=lambda e: None if e.answers_before else "no question was asked before the migration",
            break_fact=lambda e: (replace(e, answers_before={}),),
        ),
        Clause(
            reason_code="answers-changed",
            find_breach=lambda e: _find_changed(e),
            break_fact=lambda e: _change_answers(e),
        ),
        Clause(
            reason_code="nothing-written",
            find_breach=lambda e: (
                None if e.written_through_target else "nothing was written through the target"
            ),
            break_fact=lambda e: (replace(e, written_through_target=()),),
        ),
        Clause(
            reason_code="write-not-readable",
            find_breach=lambda e: _find_unreadable(e),
            break_fact=lambda e: (
                replace(e, read_through_baseline=()),
                replace(
                    e,
                    written_through_target=(
                        *e.written_through_target,
                        calculate_stranger(*e.read_through_baseline),
                    ),
                ),
            ),
        ),
    )


def _find_changed(evidence: Data) -> str | None:
    for name in sorted({*evidence.answers_before, *evidence.answers_after}):
        before, after = evidence.answers_before.get(name), evidence.answers_after.get(name)
        if before is None or before != after:
            return f"{_ONE_WAY}: the baseline answers {name} with other bytes than before the migration"
    return None


def _change_answers(evidence: Data) -> tuple[Data, ...]:
    name = min(evidence.answers_after)
    changed = {**evidence.answers_after, name: calculate_change(evidence.answers_after[name])}
    lost = {key: value for key, value in evidence.answers_after.items() if key != name}
    return replace(evidence, answers_after=changed), replace(evidence, answers_after=lost)


def _find_unreadable(evidence: Data) -> str | None:
    lost = sorted(set(evidence.written_through_target) - set(evidence.read_through_baseline))
    return (
        f"{_ONE_WAY}: {lost[0]}, written through the target, is not read through the baseline"
        if lost
        else None
    )
