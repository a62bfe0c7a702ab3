"""An answer over time: when each rule that matches a question counts, and what would be answered when.

Rules of `policy_view_v3`, drawn on the axis of valid time. A bar is as long as its record says it is valid;
inside it lies the time during which it counts, which ends earlier where it is superseded and is broken where
it matches through a membership. The answers follow from all rules, also from those that are not shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from memorykernel.core.activity_v3 import FOREVER, Span, find_span
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.ordering_v3 import decide_policy_v3
from memorykernel.core.policy_view_v3 import JudgedRule, PolicyView, time_rules, view_policy
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent
from memorykernel.core.validity import find_change, meet_spans
from memorykernel.core.vocabulary import Result

MAX_BARS: Final = 24
"""How many rules are drawn: more than an eye can follow already."""

MAX_STRETCHES: Final = 60
"""How many changes of the answer are followed; what comes later belongs to the last stretch."""

DAY_US: Final = 86_400_000_000
_FEWEST_DAYS: Final = 14
_MARGIN: Final = 0.06
_EARLIEST: Final = -62_135_596_800_000_000
_LATEST: Final = 253_402_300_799_000_000
"""What can be written as RFC 3339: the years 1 to 9999."""


class RuleBar(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that matches the question.

    Attributes:
        valid: From its effective_at to its expires_at.
        counting: The parts of it during which the rule counts; none for a retracted rule.
        is_active: Whether it counts when the question is asked.
        decides: Whether it is among the rules that decide then.
        reasons: Why it does not count then; empty when it does.
    """

    candidate: Candidate
    content: ConstraintContent
    valid: Span
    counting: tuple[Span, ...]
    is_active: bool
    decides: bool
    reasons: tuple[str, ...]


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A time during which the same is answered."""

    span: Span
    result: Result


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The picture of one question.

    Attributes:
        window: What is shown; it holds the instant that the question is about.
        bars: By precedence, at most `MAX_BARS`.
        hidden: How many rules more there are.
        answers: Cover the window, without gaps, in order; neighbors differ.
    """

    question: PolicyQuestion
    window: Span
    bars: tuple[RuleBar, ...]
    hidden: int
    answers: tuple[Stretch, ...]


def draw_timeline(question: PolicyQuestion, evidence: PolicyEvidence) -> Timeline:
    """Draw a question on its evidence. Pure.

    Args:
        question: The question.
        evidence: Read with patterns, as for ordering.v3.
    """
    view = view_policy(question, evidence)
    rules = sorted((*view.active, *view.inactive), key=lambda each: each.key)
    bars = tuple(_draw_bar(each, view) for each in rules[:MAX_BARS])
    window = choose_window(bars, question.as_of_us)
    return Timeline(
        question=question,
        window=window,
        bars=bars,
        hidden=len(rules) - len(bars),
        answers=answer_over(question, evidence, window),
    )


def choose_window(bars: Iterable[RuleBar], as_of_us: int) -> Span:
    """Choose what to show: all ends of bars and the instant asked about, with a margin. Pure."""
    instants = [as_of_us]
    for bar in bars:
        ends = (bar.valid, *bar.counting)
        instants += [at for span in ends for at in span if at < FOREVER]
    first, last = min(instants), max(instants)
    margin = max(int((last - first) * _MARGIN), DAY_US, (_FEWEST_DAYS * DAY_US - (last - first)) // 2)
    return Span(max(first - margin, _EARLIEST), min(last + margin, _LATEST))


def answer_over(question: PolicyQuestion, evidence: PolicyEvidence, window: Span) -> tuple[Stretch, ...]:
    """What is answered during a window. Pure."""
    rules = time_rules(view_policy(question, evidence))
    stretches: list[Stretch] = []
    start = window.start
    while start < window.end:
        change = find_change(rules, start)
        is_last = len(stretches) + 1 == MAX_STRETCHES
        end = window.end if change is None or is_last else min(change, window.end)
        asked = msgspec.structs.replace(question, as_of_us=start)
        stretches.append(Stretch(span=Span(start, end), result=decide_policy_v3(asked, evidence)))
        start = end
    return tuple(stretches)


def find_result(answers: Iterable[Stretch], at_us: int) -> Result:
    """What is answered at an instant of the window."""
    return next(
        (each.result for each in answers if each.span.start <= at_us < each.span.end), Result.INCONCLUSIVE
    )


def _draw_bar(rule: JudgedRule, view: PolicyView) -> RuleBar:
    expires = rule.candidate.expires_at_us
    is_active = rule.standing.exclusion is None
    return RuleBar(
        candidate=rule.candidate,
        content=rule.content,
        valid=Span(rule.candidate.effective_at_us, FOREVER if expires is None else expires),
        counting=_find_counting(rule, view),
        is_active=is_active,
        decides=is_active and rule.precedence == view.active[0].precedence,
        reasons=() if is_active else rule.standing.reasons,
    )


def _find_counting(rule: JudgedRule, view: PolicyView) -> tuple[Span, ...]:
    span = find_span(rule.candidate, view.claims)
    if span is None:
        return ()
    return meet_spans((span,), view.memberships.find_spans(rule.places)) if rule.places else (span,)
