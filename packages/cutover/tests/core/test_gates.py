"""Every gate: valid evidence passes, every clause has a twin, every twin fails with its own code."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from cutover.core.entry import HandedOff, Scope
from cutover.core.evidence import Evidence, RuntimeTarget
from cutover.core.gate.gate import Clause, ClauseGate, CollectedGate
from cutover.core.gate.judgement import judge
from cutover.core.gate.runtime_target import RuntimeTargetGate
from cutover.core.gate.table import EXECUTION_GATES, GATES, REHEARSAL_GATES, AnyGate
from cutover.core.key import Party
from cutover.core.outcome import Outcome

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase

BY_NAME = {gate.name: gate for gate in EXECUTION_GATES}
SEVERITY = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WARNED)


@pytest.fixture(scope="module")
def gathered() -> dict[str, Evidence]:
    """Valid evidence of every gate, as gathered just before the execution's decision."""
    case = GoodCase().run(until="checkpoint").case()
    found = {name: gate.gather(case) for name, gate in BY_NAME.items()}
    return {name: pair[0] for name, pair in found.items() if pair is not None}


def test_the_two_decisions_ask_the_gates_of_the_table() -> None:
    assert [gate.name for gate in REHEARSAL_GATES] == [
        "runtime-target",
        "handoff",
        "trio",
        "contract-change",
        "envelope",
        "data",
        "producer-suite",
        "consumer-suite",
        "roles",
    ]
    later = {"fallback", "rehearsal", "answers", "drill", "window", "checkpoints"}
    assert set(BY_NAME) == {gate.name for gate in REHEARSAL_GATES} | later
    assert set(GATES) == set(Scope)


@pytest.mark.parametrize("gate", EXECUTION_GATES, ids=lambda gate: str(gate.name))
class TestEveryGate:
    def test_passes_valid_evidence(self, gate: AnyGate, gathered: dict[str, Evidence]) -> None:
        verdict = gate.check(gathered[gate.name])
        assert (verdict.outcome, verdict.reason_code) == (Outcome.PASSED, "passed")

    def test_has_a_twin_for_every_clause(self, gate: AnyGate, gathered: dict[str, Evidence]) -> None:
        assert {twin.reason_code for twin in gate.twins(gathered[gate.name])} == set(gate.clauses)
        assert len(set(gate.clauses)) == len(gate.clauses) >= 4

    def test_fails_every_twin_with_its_code(self, gate: AnyGate, gathered: dict[str, Evidence]) -> None:
        for twin in gate.twins(gathered[gate.name]):
            verdict = gate.check(twin.evidence)
            assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, twin.reason_code)

    def test_twins_are_well_formed_and_differ(self, gate: AnyGate, gathered: dict[str, Evidence]) -> None:
        evidence = gathered[gate.name]
        for twin in gate.twins(evidence):
            data = msgspec.json.encode(twin.evidence)
            assert msgspec.json.decode(data, type=type(evidence)) == twin.evidence != evidence

    def test_judges_the_worst_first(self, gate: AnyGate, gathered: dict[str, Evidence]) -> None:
        assert isinstance(gate, ClauseGate)
        order = [SEVERITY.index(row.outcome) for row in gate.rows]
        assert order == sorted(order)

    def test_says_what_passed_in_one_line(self, gate: AnyGate, gathered: dict[str, Evidence]) -> None:
        reason = gate.check(gathered[gate.name]).reason
        assert reason
        assert "\n" not in reason
        assert len(reason) < 400


class _OnTheTag(CollectedGate[RuntimeTarget]):
    name = "runtime-target"
    kind = RuntimeTarget
    collector = Party.PRODUCER
    follows = (HandedOff,)

    def describe(self, evidence: RuntimeTarget) -> str:
        return evidence.release_tag


class _Careless(_OnTheTag):
    """A gate that looks at nothing."""

    rows = (
        Clause(
            reason_code="tag-moved",
            find_breach=lambda _e: None,
            break_fact=lambda e: (msgspec.structs.replace(e, tag_object="0" * 40),),
        ),
    )


class _Unguarded(_OnTheTag):
    """A gate with a clause that nobody can see fail."""

    rows = (Clause(reason_code="tag-moved", find_breach=lambda _e: None),)


@pytest.mark.parametrize("gate", [_Careless(), _Unguarded()], ids=["passes-its-twin", "has-no-twin"])
def test_a_gate_that_cannot_say_no_is_void(gate: _OnTheTag) -> None:
    verdict = judge(gate, GoodCase().run(until="verify").case()).verdict
    assert (verdict.outcome, verdict.reason_code) == (Outcome.UNKNOWN, "gate-void")


def test_a_metadata_only_descendant_warns_and_names_commits_and_paths() -> None:
    evidence = msgspec.structs.replace(
        good.make_evidence()["runtime-target"],
        resolved_commit=good.sha("child"),
        changed_paths=("docs/releases/v0.4.0.md",),
    )
    case = GoodCase({"runtime-target": evidence}).run(until="verify").case()
    judgement = judge(RuntimeTargetGate(), case)
    assert judgement.verdict.outcome is Outcome.WARNED
    assert judgement.twins_killed == judgement.twins_tried > 0
    for fact in (good.sha("child"), good.TARGET_COMMIT, "docs/releases/v0.4.0.md"):
        assert fact in judgement.verdict.reason


def test_a_descendant_that_changes_code_fails() -> None:
    evidence = msgspec.structs.replace(
        good.make_evidence()["runtime-target"],
        resolved_commit=good.sha("child"),
        changed_paths=("docs/notes.md", "release.toml"),
    )
    verdict = RuntimeTargetGate().check(evidence)  # type: ignore[arg-type]  # made from one of its own
    assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "code-differs")


def test_the_real_notice_of_fourteen_days_says_no() -> None:
    good_case = GoodCase(program=good.make_program(notice_days=14.0)).run(until="checkpoint")
    verdict = judge(BY_NAME["window"], good_case.case()).verdict
    assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "notice-too-short")


@pytest.mark.parametrize(
    ("now", "reason_code"),
    [
        (timedelta(seconds=-1), "too-early"),
        (timedelta(seconds=1), "window-not-open"),
        (timedelta(days=1), "window-closed"),
    ],
)
def test_the_clock_outside_the_window_fails(now: timedelta, reason_code: str) -> None:
    case = GoodCase().run(until="checkpoint").case(now=good.START + now)
    verdict = judge(BY_NAME["window"], case).verdict
    assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, reason_code)


def test_a_hand_off_of_the_same_tag_keeps_the_overlap_but_not_the_notice() -> None:
    program = good.make_program()
    days = msgspec.structs.replace(program.window, notice_days=40 / 86400, overlap_days=50 / 86400)
    late = GoodCase(program=msgspec.structs.replace(program, window=days)).run(until="checkpoint")
    late.hand_off()
    verdict = judge(BY_NAME["window"], late.case(now=late.now + timedelta(seconds=20))).verdict
    assert verdict.reason_code == "notice-too-short"
    assert (
        judge(BY_NAME["window"], late.case(now=late.now + timedelta(seconds=45))).verdict.outcome
        is Outcome.PASSED
    )
    late.hand_off(tag_object=good.sha("moved"))
    verdict = judge(BY_NAME["window"], late.case(now=late.now + timedelta(seconds=45))).verdict
    assert verdict.reason_code == "overlap-too-short"
