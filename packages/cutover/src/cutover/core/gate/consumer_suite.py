"""Gate `consumer-suite`: the consumer's suites passed in an export of the prepared commit.

Source: cutover-program, table "Gates".
"""

from __future__ import annotations

from cutover.core.case import Case
from cutover.core.entry import HandedOff, Prepared
from cutover.core.evidence import SuiteResults
from cutover.core.gate.suite import SuiteGate, find_undeclared
from cutover.core.key import Party


class ConsumerSuiteGate(SuiteGate):
    """The consumer's suites, run and signed by the consumer."""

    name = "consumer-suite"
    collector = Party.CONSUMER
    follows = (HandedOff, Prepared)

    def find_mismatch(self, case: Case, evidence: SuiteResults) -> str | None:
        """Hold suites and commit against the program and the preparation."""
        found = case.newest(Prepared)
        commit = "" if found is None else found[1].execution.forward_commit
        return find_undeclared(evidence, case.program.consumer.suites, Party.CONSUMER, commit)
