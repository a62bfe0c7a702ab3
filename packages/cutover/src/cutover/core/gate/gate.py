"""What a gate is: where its evidence comes from, its clauses, and a twin for each clause.

A gate's `check` is a list of clauses in a fixed order; the first that does not hold decides. A twin is
the same document with one fact changed so that exactly one clause breaks; a gate that does not FAIL
its twin with that clause's reason code is void, and a void gate is UNKNOWN.
Source: cutover-program, "Gates".
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from cutover.core.case import Case
from cutover.core.evidence import Evidence
from cutover.core.outcome import Verdict

E = TypeVar("E", bound=Evidence)


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """Well-formed evidence that differs in one fact and must FAIL with `reason_code`."""

    reason_code: str
    evidence: Evidence


class Gate(Protocol[E]):
    """A row of the gate table.

    Attributes:
        name: As in the table, kebab case.
        clauses: Reason code of every clause that can FAIL, in the order of judgement.
    """

    name: str
    clauses: tuple[str, ...]

    def gather(self, case: Case) -> tuple[E, tuple[str, ...]] | None:
        """Return the newest evidence with the digests it rests on; None when nobody looked."""
        ...

    def check(self, evidence: E) -> Verdict:
        """Judge the evidence. Pure."""
        ...

    def twins(self, evidence: E) -> tuple[Twin, ...]:
        """Return at least one twin per clause. Pure."""
        ...
