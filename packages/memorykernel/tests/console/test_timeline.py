"""The timeline: the band is the answer at every instant, and the bars are when the rules count."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from memorykernel import Kernel
from memorykernel.core.activity_v3 import FOREVER
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.instant import parse_instant
from memorykernel.core.ordering_v3 import decide_policy_v3, resolve_policy_v3
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, Scope
from memorykernel.core.release import default_release
from memorykernel.core.timeline import DAY_US, MAX_BARS, draw_timeline, find_result
from memorykernel.core.vocabulary import Authority, Effect, RecordType, TruthStatus
from memorykernel.service.known_state import Remembered
from memorykernel.service.picturing import Picturing
from memorykernel.wiring import open_kernel

HORIZON_DAYS = 40
QUESTION = PolicyQuestion(
    text="May I?", actor="ana", action="use", resource="usb", as_of_us=20 * DAY_US, as_known_at=None
)


@st.composite
def evidences(draw: st.DrawFn) -> PolicyEvidence:
    count = draw(st.integers(0, 6))
    candidates = tuple(_draw_candidate(draw, number) for number in range(count))
    pairs = st.tuples(st.integers(0, max(count - 1, 0)), st.integers(0, max(count - 1, 0)))
    claims = [pair for pair in draw(st.lists(pairs, max_size=3)) if count and pair[0] != pair[1]]
    return PolicyEvidence(
        head="0" * 64,
        candidates=candidates,
        supersessions=tuple(_claim(candidates[maker], candidates[target]) for maker, target in claims),
    )


def _draw_candidate(draw: st.DrawFn, number: int) -> Candidate:
    start = draw(st.integers(0, HORIZON_DAYS))
    length = draw(st.none() | st.integers(1, HORIZON_DAYS))
    return Candidate(
        memory_version_id=f"01J{number:023d}",
        memory_id=f"01K{number:023d}",
        record_type=RecordType.CONSTRAINT,
        version=1,
        truth_status=draw(st.sampled_from([TruthStatus.ASSERTED, TruthStatus.RETRACTED])),
        authority=draw(st.sampled_from(list(Authority))),
        confidence=None,
        created_at_us=start * DAY_US,
        effective_at_us=start * DAY_US,
        expires_at_us=None if length is None else (start + length) * DAY_US,
        content=ConstraintContent(
            scope=Scope(actor=draw(st.sampled_from(["ana", "*"])), action="use", resource="usb"),
            effect=draw(st.sampled_from(list(Effect))),
            note=None,
        ),
    )


def _claim(maker: Candidate, target: Candidate) -> Supersession:
    return Supersession(
        superseded_id=target.memory_version_id,
        superseder_id=maker.memory_version_id,
        authority=maker.authority,
        truth_status=maker.truth_status,
        effective_at_us=maker.effective_at_us,
    )


@given(evidences())
@settings(max_examples=150)
def test_the_band_is_the_answer_at_every_instant(evidence: PolicyEvidence) -> None:
    timeline = draw_timeline(QUESTION, evidence)
    window, answers = timeline.window, timeline.answers
    assert answers[0].span.start == window.start
    assert answers[-1].span.end == window.end
    assert all(one.span.end == other.span.start for one, other in pairwise(answers))
    assert all(one.result is not other.result for one, other in pairwise(answers))
    for day in range(window.start // DAY_US + 1, window.end // DAY_US, 3):
        asked = msgspec.structs.replace(QUESTION, as_of_us=day * DAY_US)
        assert find_result(answers, day * DAY_US) is decide_policy_v3(asked, evidence)


@given(evidences())
@settings(max_examples=100)
def test_the_answer_holds_until_its_stretch_ends(evidence: PolicyEvidence) -> None:
    timeline = draw_timeline(QUESTION, evidence)
    until = resolve_policy_v3(QUESTION, evidence).answer.holds_until
    end = next(each.span.end for each in timeline.answers if QUESTION.as_of_us < each.span.end)
    if isinstance(until, str):
        assert parse_instant(until, field="holds_until") == end
    else:
        assert end == timeline.window.end


@given(evidences())
@settings(max_examples=100)
def test_a_bar_counts_within_its_validity_and_when_it_is_active(evidence: PolicyEvidence) -> None:
    at = QUESTION.as_of_us
    for bar in draw_timeline(QUESTION, evidence).bars:
        assert all(bar.valid.start <= span.start < span.end <= bar.valid.end for span in bar.counting)
        assert bar.is_active is any(span.start <= at < span.end for span in bar.counting)
        assert bar.is_active or not bar.decides
        assert bar.is_active is not bool(bar.reasons)


def test_of_many_rules_the_closest_are_drawn_and_all_decide() -> None:
    def rule(number: int) -> Candidate:
        return Candidate(
            memory_version_id=f"01J{number:023d}",
            memory_id=f"01K{number:023d}",
            record_type=RecordType.CONSTRAINT,
            version=1,
            truth_status=TruthStatus.ASSERTED,
            authority=Authority.NOTE,
            confidence=None,
            created_at_us=0,
            effective_at_us=0,
            content=ConstraintContent(
                scope=Scope(actor="*", action="use", resource="usb"),
                effect=Effect.DENY if number < MAX_BARS + 5 else Effect.ALLOW,
                note=None,
            ),
        )

    candidates = tuple(rule(number) for number in range(MAX_BARS + 6))
    timeline = draw_timeline(QUESTION, PolicyEvidence(head="0" * 64, candidates=candidates, supersessions=()))
    assert (len(timeline.bars), timeline.hidden) == (MAX_BARS, 6)
    assert [each.result.value for each in timeline.answers][-1] == "inconclusive"
    assert timeline.bars[0].valid.end == FOREVER


def test_what_was_known_when_is_told_by_the_moments(tmp_path: Path, kit: Any) -> None:
    """A rule that is recorded late changes the past from its recording on, and not before."""
    clock = kit.clock()
    said: Any = {"writer": "w", "justification": "j", "source_uri": "u:1", "authority": "authoritative"}
    rule: Any = {"action": "use", "resource": "usb", **said}
    path = tmp_path / "memory.db"
    with Kernel.open(path, create=True, clock=clock) as kernel:
        kernel.add_constraint(actor="*", effect="allow", **rule)
        clock.us += 10 * DAY_US
        kernel.add_constraint(actor="ana", effect="deny", effective_at="2026-02-10T00:00:00Z", **rule)
        answer = kernel.ask(actor="ana", action="use", resource="usb", as_of="2026-02-11T00:00:00Z")
    use_cases = open_kernel(path, default_release("service.v4"), clock=clock)
    memory = use_cases.asking.memory
    remembered = Remembered(memory=memory, answers=use_cases.asking.answers)
    picturing = Picturing(memory=memory, remembered=remembered, schema_care=use_cases.schema_care)
    picture = picturing.draw(answer.context_package_id)
    use_cases.file.close()
    as_of_us = picture.timeline.question.as_of_us
    assert [find_result(each.answers, as_of_us).value for each in picture.moments] == ["allow", "deny"]
    assert [each.recorded_at_us for each in picture.moments] == [kit.now_us, kit.now_us + 10 * DAY_US]
    assert picture.moments[-1].answers == picture.timeline.answers
