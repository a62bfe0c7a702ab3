"""What is verified again once the switch is made: the live trio, and the consumer's suites.

The same gates judge it that judged the prepared commit; only now the commit is the one that the live ref
is on, and the producer is the live target behind the gateway.
Source: cutover-program, gates `trio` ("and again on the live ref after the switch") and `consumer-suite`,
"Stop conditions" 4.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cutover.core.gate.consumer_suite import ConsumerSuiteGate
from cutover.core.gate.trio import TrioGate
from cutover.core.key import Party
from cutover.core.outcome import Outcome, Verdict
from cutover.service.attempt import Attempt
from cutover.service.collect.suite import run_suites
from cutover.service.collect.trio import collect_trio


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check saw, and what is wrong with it."""

    facts: Mapping[str, str]
    problem: str | None


def check_live_trio(attempt: Attempt) -> Finding:
    """Judge pin, matrix and mirrored manifest of the commit that the live ref is on.

    Raises:
        CutoverError: When they cannot be read.
    """
    live = attempt.executor.consumer_origin.resolve(attempt.live_ref)
    if live is None or live != attempt.repin.forward_commit:
        problem = f"{attempt.live_ref} is at {live}, expected {attempt.repin.forward_commit}"
        return Finding(facts={"commit": live or "none"}, problem=problem)
    verdict = TrioGate().check(collect_trio(attempt.executor, live))
    return Finding(
        facts={"commit": live, "verdict": verdict.outcome, "reason": verdict.reason},
        problem=_find_problem(verdict),
    )


def check_live_suites(attempt: Attempt) -> Finding:
    """Run the consumer's suites against the live target, through the gateway.

    Raises:
        CutoverError: When they cannot be run.
    """
    executor, commit = attempt.executor, attempt.repin.forward_commit
    results = run_suites(executor, Party.CONSUMER, commit, executor.gateway_url)
    return Finding(
        facts={run.name: f"{run.passed} passed, {run.failed} failed" for run in results.runs},
        problem=_find_problem(ConsumerSuiteGate().check(results)),
    )


def _find_problem(verdict: Verdict) -> str | None:
    return None if verdict.outcome is Outcome.PASSED else verdict.reason
