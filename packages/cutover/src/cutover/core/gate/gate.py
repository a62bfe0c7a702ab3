"""What a gate is: where its evidence comes from, its clauses, and a twin for each clause.

A gate's `check` is a list of clauses in a fixed order; the first that does not hold decides. A twin is
the same document with one fact changed so that exactly one clause breaks; a gate that does not FAIL
its twin with that clause's reason code is void, and a void gate is UNKNOWN. Here a clause carries its
own twin, so that neither can be written without the other. Clauses that FAIL stand before those that
are UNKNOWN, and those before the ones that warn: the worst that is true decides.
Source: cutover-program, "Gates".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from cutover.core.case import Case
from cutover.core.entry import Body
from cutover.core.evidence import Evidence
from cutover.core.key import Party
from cutover.core.outcome import Outcome, Verdict, passed

E = TypeVar("E", bound=Evidence)


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """Well-formed evidence that differs in one fact and must FAIL with `reason_code`."""

    reason_code: str
    evidence: Evidence


class Gate(Protocol[E]):
    """A row of the gate table."""

    @property
    def name(self) -> str:
        """Its name as in the table, kebab case."""
        ...

    @property
    def clauses(self) -> tuple[str, ...]:
        """Reason code of every clause that can FAIL, in the order of judgement."""
        ...

    def gather(self, case: Case) -> tuple[E, tuple[str, ...]] | None:
        """Return the newest evidence with the digests it rests on; None when nobody looked."""
        ...

    def check(self, evidence: E) -> Verdict:
        """Judge the evidence. Pure and total: any record of the type gets a verdict."""
        ...

    def twins(self, evidence: E) -> tuple[Twin, ...]:
        """Return at least one twin per clause, for evidence that passes or warns. Pure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause(Generic[E]):
    """One sentence of a gate's row, with the evidence that must break it.

    Args:
        reason_code: Stable kebab-case name.
        find_breach: Returns what is wrong in one line, the fact first; None when the clause holds.
        break_fact: Returns the twins: the evidence with one fact changed, in each way that is
            worth trying. Not asked for clauses that cannot FAIL.
        outcome: What a breach means; only FAILED has twins.
    """

    reason_code: str
    find_breach: Callable[[E], str | None]
    break_fact: Callable[[E], tuple[E, ...]] = lambda _evidence: ()
    outcome: Outcome = Outcome.FAILED


class ClauseGate(Generic[E]):
    """A gate made of clauses; subclasses name them and say where evidence comes from."""

    name: str
    rows: tuple[Clause[E], ...]

    @property
    def clauses(self) -> tuple[str, ...]:
        """Reason code of every clause that can FAIL, in the order of judgement."""
        return tuple(row.reason_code for row in self.rows if row.outcome is Outcome.FAILED)

    def describe(self, evidence: E) -> str:
        """Return in one line what passed; no positions, no sizes of the log, no instants."""
        raise NotImplementedError

    def check(self, evidence: E) -> Verdict:
        """Judge clause by clause; the first breach decides. Pure."""
        for row in self.rows:
            if (breach := row.find_breach(evidence)) is not None:
                return Verdict(outcome=row.outcome, reason_code=row.reason_code, reason=breach)
        return passed(self.describe(evidence))

    def twins(self, evidence: E) -> tuple[Twin, ...]:
        """Return the twins of every clause that can FAIL. Pure."""
        return tuple(
            Twin(reason_code=row.reason_code, evidence=twin)
            for row in self.rows
            if row.outcome is Outcome.FAILED
            for twin in row.break_fact(evidence)
        )


class CollectedGate(ClauseGate[E]):
    """A gate whose evidence somebody collected and signed.

    Attributes:
        kind: The record that the collector writes.
        collector: The party whose key must have signed the collection; None for the executor.
        follows: Entries that make older evidence stale: what was looked at came with them.
        expires: Whether the general age limit applies; a gate with a clause of its own says False.
    """

    kind: type[E]
    collector: Party | None = None
    follows: tuple[type[Body], ...]
    expires: bool = True

    def gather(self, case: Case) -> tuple[E, tuple[str, ...]] | None:
        """Return the newest collection, read and bound to the case.

        Raises:
            EvidenceUnreadable: When the bytes are missing, altered or malformed.
        """
        found = case.newest_evidence(self.name)
        if found is None:
            return None
        digest = found[1].digest
        return self.bind(case, case.read(digest, self.kind)), (digest,)

    def bind(self, case: Case, evidence: E) -> E:
        """Replace what the collector cannot know or need not be believed by what the entries say."""
        return evidence

    def find_mismatch(self, case: Case, evidence: E) -> str | None:
        """Say what the evidence speaks of instead of this program, hand-off and preparation."""
        return None


def calculate_change(text: str) -> str:
    """Return another text of the same shape: the last hex digit, digit or letter replaced. Pure."""
    if not text:
        return "0"
    return text[:-1] + ("1" if text[-1] == "0" else "0")


def calculate_stranger(*known: str) -> str:
    """Return a name that is none of the known ones, nor has one of them as a path prefix. Pure."""
    return "x" * (max((len(name) for name in known), default=0) + 1)


def find_difference(**facts: tuple[object, object]) -> str | None:
    """Say the first fact that is not as expected; each argument is `name=(found, expected)`. Pure."""
    for name, (found, expected) in facts.items():
        if found != expected:
            return f"{name.replace('_', ' ')} is {found}, expected {expected}"
    return None
