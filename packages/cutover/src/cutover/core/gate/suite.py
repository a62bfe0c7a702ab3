"""What the gates `producer-suite` and `consumer-suite` share: the judgement of a party's verification suites.

Each declared command ran once, in an export of the declared commit, exited 0 and reported at least one
executed test and no failed one. A suite that executed nothing proves nothing.
Source: cutover-program, table "Gates".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec.structs import replace

from cutover.core.evidence import SuiteResults, SuiteRun
from cutover.core.gate.gate import (
    Clause,
    CollectedGate,
    calculate_change,
    calculate_stranger,
    find_difference,
)
from cutover.core.program import Suite


class SuiteGate(CollectedGate[SuiteResults]):
    """The suites of one party; `producer_suite` and `consumer_suite` say whose."""

    kind = SuiteResults

    def describe(self, evidence: SuiteResults) -> str:
        """Return how many tests of how many suites passed."""
        tests = sum(run.passed for run in evidence.runs)
        return f"{len(evidence.runs)} suites with {tests} tests passed in an export of {evidence.commit}"

    rows = (
        Clause(
            reason_code="other-commit",
            find_breach=lambda e: find_difference(commit=(e.commit, e.declared_commit)),
            break_fact=lambda e: (replace(e, commit=calculate_change(e.commit)),),
        ),
        Clause(
            reason_code="suites-not-run",
            find_breach=lambda e: _find_unrun(e),
            break_fact=lambda e: (
                replace(e, runs=e.runs[1:]),
                replace(e, declared=(*e.declared, calculate_stranger(*e.declared))),
                replace(e, declared=(), runs=()),
            ),
        ),
        Clause(
            reason_code="other-command",
            find_breach=lambda e: next(
                (
                    f"{run.name} ran {' '.join(run.command)}, declared is {' '.join(run.declared_command)}"
                    for run in e.runs
                    if not _is_declared(run)
                ),
                None,
            ),
            break_fact=lambda e: _change_each(e, command=("true",)),
        ),
        Clause(
            reason_code="suite-not-ended",
            find_breach=lambda e: next(
                (f"{run.name} did not end in time" for run in e.runs if run.exit_code is None), None
            ),
            break_fact=lambda e: _change_each(e, exit_code=None),
        ),
        Clause(
            reason_code="suite-failed",
            find_breach=lambda e: next(
                (
                    f"{run.name} exited {run.exit_code} with {run.failed} failed tests"
                    for run in e.runs
                    if run.exit_code != 0 or run.failed != 0
                ),
                None,
            ),
            break_fact=lambda e: (*_change_each(e, exit_code=1), *_change_each(e, failed=1)),
        ),
        Clause(
            reason_code="no-test-executed",
            find_breach=lambda e: next(
                (f"{run.name} exited 0 without executing a test" for run in e.runs if run.passed < 1), None
            ),
            break_fact=lambda e: _change_each(e, passed=0),
        ),
    )


def find_undeclared(evidence: SuiteResults, suites: tuple[Suite, ...], party: str, commit: str) -> str | None:
    """Say where the evidence departs from the program's suites and the commit they must speak for."""
    commands: Mapping[str, tuple[str, ...]] = {suite.name: suite.command for suite in suites}
    difference = find_difference(
        party=(evidence.party, party),
        declared_commit=(evidence.declared_commit, commit),
        suites=(sorted(evidence.declared), sorted(commands)),
    )
    if difference is not None:
        return difference
    for run in evidence.runs:
        if run.name in commands and not _matches(run.declared_command, commands[run.name]):
            return f"the declared command of {run.name} is not the program's"
    return None


def _find_unrun(evidence: SuiteResults) -> str | None:
    if not evidence.declared:
        return "no suite is declared"
    ran = sorted(run.name for run in evidence.runs)
    if ran != sorted(evidence.declared):
        return f"the suites {ran} ran, declared are {sorted(evidence.declared)}"
    return None


def _change_each(evidence: SuiteResults, **facts: object) -> tuple[SuiteResults, ...]:
    return tuple(
        replace(evidence, runs=(*evidence.runs[:i], replace(run, **facts), *evidence.runs[i + 1 :]))
        for i, run in enumerate(evidence.runs)
    )


def _is_declared(run: SuiteRun) -> bool:
    # `true` is the twin's command; a program that declares it verifies nothing and must not pass either.
    return bool(run.command) and run.command != ("true",) and _matches(run.command, run.declared_command)


def _matches(command: tuple[str, ...], declared: tuple[str, ...]) -> bool:
    """Compare word by word; `{placeholder}` in a declared word stands for any text."""
    return len(command) == len(declared) and all(
        re.fullmatch(re.sub(r"\\\{[a-z_]+\\\}", ".+", re.escape(pattern)), word) is not None
        for word, pattern in zip(command, declared, strict=True)
    )
