"""Gate `producer-suite`: the producer's suites passed in an export of the commit it handed off.

Source: cutover-program, table "Gates".
"""

from __future__ import annotations

from cutover.core.case import Case
from cutover.core.entry import HandedOff
from cutover.core.evidence import SuiteResults
from cutover.core.gate.suite import SuiteGate, find_undeclared
from cutover.core.key import Party


class ProducerSuiteGate(SuiteGate):
    """The producer's suites, run and signed by the producer."""

    name = "producer-suite"
    collector = Party.PRODUCER
    follows = (HandedOff,)

    def find_mismatch(self, case: Case, evidence: SuiteResults) -> str | None:
        """Hold suites and commit against the program and the hand-off."""
        found = case.newest(HandedOff)
        commit = "" if found is None else found[1].commit_sha
        return find_undeclared(evidence, case.program.producer.suites, Party.PRODUCER, commit)
