"""Gate `rehearsal`: the target answers as the baseline does, or a signed rule says why not.

A question on which the baseline disagrees with itself is noise and left out; more than a tenth of noise
means that the comparison cannot be trusted. An error is no answer: two errors never agree, and any error
FAILS. Every rule must explain at least one difference that was seen, and every difference needs a rule.
Source: cutover-program, table "Gates".
"""

from __future__ import annotations

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff
from cutover.core.evidence import AnswerPair, DifferenceRule, Rehearsal
from cutover.core.gate.gate import Clause, CollectedGate, calculate_stranger, find_difference
from cutover.core.gate.handoff import load_payload

ANY = "*"
ANSWERS = ("allow", "deny", "inconclusive")
MAX_NOISE = 0.1
"""Share of questions on which the baseline may disagree with itself; our choice, see the docstring."""

_RULE_TWIN = DifferenceRule(
    actor=ANY, action=ANY, resource=ANY, from_="allow", to="allow", reason="a twin: it explains nothing"
)


class RehearsalGate(CollectedGate[Rehearsal]):
    """Shadow questions to both releases beside the hand-off's signed rules."""

    name = "rehearsal"
    kind = Rehearsal
    follows = (HandedOff,)

    def find_mismatch(self, case: Case, evidence: Rehearsal) -> str | None:
        """Hold releases, threshold and rules against program and hand-off: only signed rules count."""
        signed = sorted(
            (r.question_class.actor, r.question_class.action, r.question_class.resource, r.from_, r.to)
            for r in load_payload(case).answer_difference_rules or ()
        )
        used = sorted((r.actor, r.action, r.resource, r.from_, r.to) for r in evidence.rules)
        program = case.program
        return find_difference(
            baseline=(evidence.baseline_tag, program.baseline.release_tag),
            target=(evidence.target_tag, program.target.release_tag),
            min_questions=(evidence.min_questions, program.thresholds.min_rehearsal_questions),
            rules_handed_off=(used, signed),
        )

    def describe(self, evidence: Rehearsal) -> str:
        """Return how many questions agree, differ as announced, or were noise."""
        compared = _compared(evidence)
        differing = sum(pair.target != pair.baseline for pair in compared)
        return (
            f"{len(compared)} questions compared, {differing} answers differ as {len(evidence.rules)} "
            f"signed rules say, {len(evidence.pairs) - len(compared)} left out as noise"
        )

    rows = (
        Clause(
            reason_code="baseline-error",
            find_breach=lambda e: _find_answer(e, of_target=False, wanted=(*ANSWERS,)),
            break_fact=lambda e: (
                *_change_each(e, baseline=None),
                *_change_each(e, baseline_again=None),
                *_change_each(e, baseline=None, baseline_again=None, target=None),
            ),
        ),
        Clause(
            reason_code="target-error",
            find_breach=lambda e: _find_answer(e, of_target=True, wanted=(*ANSWERS,)),
            break_fact=lambda e: (*_change_each(e, target=None), *_change_each(e, target="error")),
        ),
        Clause(
            reason_code="too-much-noise",
            find_breach=lambda e: _find_noise(e),
            break_fact=lambda e: (replace(e, pairs=tuple(_make_noise(pair) for pair in e.pairs)),),
        ),
        Clause(
            reason_code="too-few-questions",
            find_breach=lambda e: (
                None
                if _count_questions(e) >= max(1, e.min_questions)
                else f"{_count_questions(e)} questions were compared, expected at least {e.min_questions}"
            ),
            break_fact=lambda e: (replace(e, min_questions=_count_questions(e) + 1), replace(e, pairs=())),
        ),
        Clause(
            reason_code="rule-explains-nothing",
            find_breach=lambda e: next(
                (
                    f"the rule for {_class_of(rule)} goes from {rule.from_} to {rule.to} for the reason "
                    f"{rule.reason!r}"
                    for rule in e.rules
                    if rule.from_ == rule.to or not rule.reason.strip()
                ),
                None,
            ),
            break_fact=lambda e: (
                replace(e, rules=(*e.rules, _RULE_TWIN)),
                replace(e, rules=(*e.rules, replace(_RULE_TWIN, to="deny", reason=" "))),
            ),
        ),
        Clause(
            reason_code="unmatched-difference",
            find_breach=lambda e: _find_unmatched(e),
            break_fact=lambda e: _remove_explanation(e),
        ),
        Clause(
            reason_code="unused-rule",
            find_breach=lambda e: next(
                (
                    f"no answer went from {rule.from_} to {rule.to} for {_class_of(rule)}, "
                    "as a rule announces"
                    for rule in e.rules
                    if not any(_explains(rule, pair) for pair in _differences(e))
                ),
                None,
            ),
            break_fact=lambda e: (
                replace(e, rules=(*e.rules, replace(_RULE_TWIN, to="deny", actor=_nobody(e)))),
            ),
        ),
    )


def _is_noise(pair: AnswerPair) -> bool:
    return pair.baseline != pair.baseline_again


def _compared(evidence: Rehearsal) -> tuple[AnswerPair, ...]:
    return tuple(pair for pair in evidence.pairs if not _is_noise(pair))


def _differences(evidence: Rehearsal) -> tuple[AnswerPair, ...]:
    return tuple(pair for pair in _compared(evidence) if pair.target != pair.baseline)


def _count_questions(evidence: Rehearsal) -> int:
    """Count what was compared; the same question asked twice is one question."""
    return len({(p.question, p.actor, p.action, p.resource) for p in _compared(evidence)})


def _explains(rule: DifferenceRule, pair: AnswerPair) -> bool:
    parts = ((rule.actor, pair.actor), (rule.action, pair.action), (rule.resource, pair.resource))
    return (rule.from_, rule.to) == (pair.baseline, pair.target) and all(
        mine in (ANY, asked) for mine, asked in parts
    )


def _class_of(rule: DifferenceRule) -> str:
    return f"{{{rule.actor}, {rule.action}, {rule.resource}}}"


def _find_answer(evidence: Rehearsal, *, of_target: bool, wanted: tuple[str, ...]) -> str | None:
    for pair in evidence.pairs:
        for answer in (pair.target,) if of_target else (pair.baseline, pair.baseline_again):
            if answer not in wanted:
                release = evidence.target_tag if of_target else evidence.baseline_tag
                return f"{release} answers {pair.question} with {answer or 'an error'}, expected an answer"
    return None


def _find_noise(evidence: Rehearsal) -> str | None:
    noise = sum(_is_noise(pair) for pair in evidence.pairs)
    if noise <= MAX_NOISE * len(evidence.pairs):
        return None
    return f"the baseline disagrees with itself on {noise} of {len(evidence.pairs)} questions"


def _find_unmatched(evidence: Rehearsal) -> str | None:
    for pair in _differences(evidence):
        if not any(_explains(rule, pair) for rule in evidence.rules):
            return f"{pair.question} goes from {pair.baseline} to {pair.target}, and no signed rule says why"
    return None


def _other_answer(answer: str | None) -> str:
    return ANSWERS[1] if answer == ANSWERS[0] else ANSWERS[0]


def _make_noise(pair: AnswerPair) -> AnswerPair:
    return replace(pair, baseline_again=_other_answer(pair.baseline))


def _nobody(evidence: Rehearsal) -> str:
    return calculate_stranger(*(pair.actor for pair in evidence.pairs))


def _remove_explanation(evidence: Rehearsal) -> tuple[Rehearsal, ...]:
    """Take the rules away where there are any, else change the target's answer to a compared question."""
    if evidence.rules:
        return (replace(evidence, rules=()),)
    at = next(i for i, pair in enumerate(evidence.pairs) if not _is_noise(pair))
    pair = evidence.pairs[at]
    changed = replace(pair, target=_other_answer(pair.baseline))
    return (replace(evidence, pairs=(*evidence.pairs[:at], changed, *evidence.pairs[at + 1 :])),)


def _change_each(evidence: Rehearsal, **facts: str | None) -> tuple[Rehearsal, ...]:
    """Change first, middle and last pair, each in a twin of its own."""
    places = sorted({0, len(evidence.pairs) // 2, len(evidence.pairs) - 1})
    return tuple(
        replace(
            evidence,
            pairs=(*evidence.pairs[:i], replace(evidence.pairs[i], **facts), *evidence.pairs[i + 1 :]),
        )
        for i in places
    )
