"""The rehearsal: shadow questions to both live releases; nobody but us sees the target's answers.

It needs an authorized rehearsal decision, because it lets the target migrate the live database (which
the `data` gate has shown to be safe) before it asks.
Source: cutover-program, gate `rehearsal`.
"""

from __future__ import annotations

from cutover.core.decision import check_authorization
from cutover.core.entry import Scope
from cutover.core.evidence import AnswerPair, DifferenceRule, Rehearsal
from cutover.core.gate.handoff import load_payload
from cutover.core.material import Question
from cutover.core.outcome import Outcome
from cutover.errors import Refused
from cutover.service.asking import ask_result
from cutover.service.collect.data import migrate
from cutover.service.station import Station


def rehearse(station: Station) -> Rehearsal:
    """Ask every question of the baseline twice and of the target once, and append the evidence.

    Raises:
        Refused: Without authorization, or when a release is not running.
    """
    verdict = check_authorization(station.read_case(), Scope.REHEARSAL)
    if verdict.outcome is not Outcome.PASSED:
        raise Refused(f"no rehearsal without an authorized decision: {verdict.reason}")
    started = station.clock.monotonic()
    target = station.running_release(station.program.target.release_tag)
    migrate(station, target.url)
    station.narrate(f"{target.release_tag} brought the database to its schema")
    evidence = Rehearsal(
        baseline_tag=station.program.baseline.release_tag,
        target_tag=station.program.target.release_tag,
        min_questions=station.program.thresholds.min_rehearsal_questions,
        pairs=_ask_all(station),
        rules=_read_rules(station),
    )
    station.collect("rehearsal", evidence, duration_s=station.clock.monotonic() - started)
    return evidence


def _ask_all(station: Station) -> tuple[AnswerPair, ...]:
    baseline = station.running_release(station.program.baseline.release_tag).address
    target = station.running_release(station.program.target.release_tag).address
    return tuple(_ask(station, question, baseline, target) for question in station.material.questions)


def _ask(station: Station, question: Question, baseline: str, target: str) -> AnswerPair:
    program, http = station.program, station.http
    return AnswerPair(
        question=question.name,
        actor=question.actor,
        action=question.action,
        resource=question.resource,
        baseline=ask_result(http, baseline, program.baseline, question, as_of=None),
        target=ask_result(http, target, program.target, question, as_of=None),
        baseline_again=ask_result(http, baseline, program.baseline, question, as_of=None),
    )


def _read_rules(station: Station) -> tuple[DifferenceRule, ...]:
    return tuple(
        DifferenceRule(
            actor=rule.question_class.actor,
            action=rule.question_class.action,
            resource=rule.question_class.resource,
            from_=rule.from_,
            to=rule.to,
            reason=rule.reason,
        )
        for rule in load_payload(station.read_case()).answer_difference_rules or ()
    )
