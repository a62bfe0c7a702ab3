"""The two decisions: what they ask, how they join, what they survive, and what a GO authorizes."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from cutover.core.decision import (
    calculate_decision,
    check_authorization,
    check_recomputation,
    decode_decision,
    encode_decision,
    recompute,
)
from cutover.core.entry import (
    Approved,
    Decided,
    Entry,
    EvidenceCollected,
    Observed,
    Operation,
    Scope,
    StopCondition,
    Waived,
)
from cutover.core.evidence import Evidence
from cutover.core.gate.table import EXECUTION_GATES, GATES
from cutover.core.key import Party
from cutover.core.log import calculate_digest
from cutover.core.outcome import DecisionOutcome, Outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import COLLECTORS, GoodCase

CHILD = msgspec.structs.replace(
    good.make_evidence()["runtime-target"], resolved_commit=good.sha("child"), changed_paths=("docs/a.md",)
)
COLLECTED = {**COLLECTORS, "rehearsal": "executor", "answers": "executor", "drill": "executor"}


def outcome_of(log: GoodCase, scope: Scope = Scope.EXECUTION) -> DecisionOutcome:
    return calculate_decision(log.case(), scope).outcome


def waive(log: GoodCase, party: str, *, hours: float = 1.0, code: str = "metadata-only-descendant") -> None:
    log.add(
        Waived(
            gate="runtime-target",
            reason_code=code,
            reason="docs only",
            expires_at=log.now + timedelta(hours=hours),
        ),
        party,
    )


class TestJoining:
    def test_a_program_in_order_is_go_twice(self) -> None:
        log = GoodCase().run(until="checkpoint")
        for scope in Scope:
            decision = calculate_decision(log.case(), scope)
            assert (decision.outcome, decision.reasons) == (DecisionOutcome.GO, ())
            assert [result.gate for result in decision.gates] == [gate.name for gate in GATES[scope]]
            assert all(r.twins_tried == r.twins_killed > 0 for r in decision.gates)

    def test_an_empty_log_is_hold(self) -> None:
        for scope in Scope:
            assert outcome_of(GoodCase(), scope) is DecisionOutcome.HOLD

    def test_what_failed_is_no_go_and_named(self) -> None:
        suite = good.make_evidence()["producer-suite"]
        run = msgspec.structs.replace(suite.runs[0], exit_code=1)  # type: ignore[attr-defined]  # of that gate
        bad = msgspec.structs.replace(suite, runs=(run,))
        decision = calculate_decision(
            GoodCase({"producer-suite": bad}).run(until="verify").case(), Scope.REHEARSAL
        )
        assert decision.outcome is DecisionOutcome.NO_GO
        assert decision.reasons == (
            "producer-suite: FAILED (suite-failed) contract exited 1 with 0 failed tests",
        )

    def test_a_clock_behind_the_newest_entry_is_hold_whatever_the_gates_say(self) -> None:
        log = GoodCase({"data": None}).run(until="checkpoint")
        decision = calculate_decision(log.case(now=log.now - timedelta(seconds=7)), Scope.EXECUTION)
        assert decision.outcome is DecisionOutcome.HOLD
        assert "clock-behind" in decision.reasons[0]

    def test_it_expires_when_the_program_says_or_earlier(self) -> None:
        log = GoodCase().run(until="verify")
        decided = calculate_decision(log.case(), Scope.REHEARSAL)
        assert decided.expires_at == log.now + timedelta(hours=1)
        sooner = log.now + timedelta(minutes=1)
        assert calculate_decision(log.case(), Scope.REHEARSAL, expires_at=sooner).expires_at == sooner
        later = log.now + timedelta(days=9)
        assert calculate_decision(log.case(), Scope.REHEARSAL, expires_at=later) == decided

    def test_the_document_reads_back_and_names_no_position_of_the_log(self) -> None:
        log = GoodCase().run(until="checkpoint")
        decision = calculate_decision(log.case(), Scope.EXECUTION)
        data = encode_decision(decision)
        assert decode_decision(data) == decision
        assert calculate_digest(decision) == decision.digest
        assert log.log.head.root.encode() not in data
        assert log.log.head_at(log.log.head.size - 2).root.encode() not in data


class TestWaivers:
    def warned(self) -> GoodCase:
        return GoodCase({"runtime-target": CHILD}).run(until="verify")

    def test_a_warning_is_hold(self) -> None:
        assert outcome_of(self.warned(), Scope.REHEARSAL) is DecisionOutcome.HOLD

    def test_both_parties_lift_it(self) -> None:
        log = self.warned()
        waive(log, "producer")
        assert outcome_of(log, Scope.REHEARSAL) is DecisionOutcome.HOLD
        waive(log, "consumer")
        decision = calculate_decision(log.case(), Scope.REHEARSAL)
        assert decision.outcome is DecisionOutcome.GO
        assert decision.gates[0].waived_by == ("consumer", "producer")
        assert decision.gates[0].outcome is Outcome.WARNED

    def test_one_party_twice_does_not(self) -> None:
        log = self.warned()
        waive(log, "producer")
        waive(log, "producer")
        assert outcome_of(log, Scope.REHEARSAL) is DecisionOutcome.HOLD

    def test_an_expired_or_withdrawn_or_other_one_does_not(self) -> None:
        for hours, code in ((-1.0, "metadata-only-descendant"), (1.0, "tag-moved")):
            log = self.warned()
            waive(log, "producer")
            waive(log, "consumer", hours=hours, code=code)
            assert outcome_of(log, Scope.REHEARSAL) is DecisionOutcome.HOLD
        withdrawn = self.warned()
        for hours in (1.0, -1.0):
            for party in Party:
                waive(withdrawn, party, hours=hours)
        assert outcome_of(withdrawn, Scope.REHEARSAL) is DecisionOutcome.HOLD

    def test_a_new_hand_off_ends_it(self) -> None:
        log = GoodCase({"runtime-target": CHILD}).run(until="open")
        log.hand_off()
        for party in Party:
            waive(log, party)
        log.hand_off()
        log.prepare()
        log.verify()
        assert outcome_of(log, Scope.REHEARSAL) is DecisionOutcome.HOLD

    def test_a_failure_cannot_be_waived(self) -> None:
        moved = msgspec.structs.replace(CHILD, tag_object=good.sha("other"))
        log = GoodCase({"runtime-target": moved}).run(until="verify")
        for party in Party:
            waive(log, party, code="tag-moved")
        assert outcome_of(log, Scope.REHEARSAL) is DecisionOutcome.NO_GO


class TestRecomputation:
    def test_anyone_gets_the_same_bytes(self) -> None:
        log = GoodCase().run()
        for entry, body in log.case().all(Decided):
            assert encode_decision(recompute(log.case(), entry)) == log.stored[body.decision_digest]
            assert check_recomputation(log.case(), entry).outcome is Outcome.PASSED

    def test_a_decision_that_the_entries_do_not_give_fails(self) -> None:
        log = GoodCase({"data": None}).run(until="verify")
        forged = calculate_decision(GoodCase().run(until="verify").case(), Scope.REHEARSAL)
        entry = append_decided(log, forged.outcome, forged.digest)
        verdict = check_recomputation(log.case(), entry)
        assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "decision-does-not-recompute")

    def test_a_longer_validity_than_the_document_fails(self) -> None:
        log = GoodCase().run(until="verify")
        decision = calculate_decision(log.case(), Scope.REHEARSAL)
        entry = append_decided(log, decision.outcome, decision.digest, valid=timedelta(days=2))
        assert check_recomputation(log.case(), entry).outcome is Outcome.FAILED

    def test_only_decisions_recompute(self) -> None:
        log = GoodCase().run(until="open")
        with pytest.raises(TypeError, match="expected a Decided entry"):
            recompute(log.case(), log.log.entries[0])


def append_decided(log: GoodCase, outcome: str, digest: str, valid: timedelta = timedelta(hours=1)) -> Entry:
    body = Decided(
        scope=Scope.REHEARSAL,
        outcome=outcome,
        decision_digest=digest,
        decided_at=log.now,
        expires_at=log.now + valid,
    )
    return log.add(body, "executor")


class TestAuthorization:
    def refusal(self, log: GoodCase, scope: Scope = Scope.EXECUTION, *, later: float = 0.0) -> str:
        verdict = check_authorization(log.case(now=log.now + timedelta(seconds=later)), scope)
        assert (verdict.outcome is Outcome.PASSED) == (verdict.reason_code == "passed")
        return verdict.reason_code

    def ready(self) -> GoodCase:
        return GoodCase().run(until="approve-execution")

    def test_a_go_with_both_approvals_authorizes(self) -> None:
        assert self.refusal(self.ready()) == "passed"

    def test_nothing_decided(self) -> None:
        assert self.refusal(GoodCase().run(until="checkpoint")) == "not-decided"

    def test_no_go(self) -> None:
        log = GoodCase({"data": None}).run(until="decide-execution")
        log.approve(Scope.EXECUTION)
        assert self.refusal(log) == "decision-not-go"

    @pytest.mark.parametrize("party", Party)
    def test_one_approval_is_not_enough(self, party: Party) -> None:
        log = GoodCase().run(until="decide-execution")
        log.approve(Scope.EXECUTION, party, party)
        assert self.refusal(log) == "approval-missing"

    def test_an_approval_of_another_decision_does_not_count(self) -> None:
        log = GoodCase().run(until="decide-execution")
        log.approve(Scope.EXECUTION, "producer")
        log.add(Approved(scope=Scope.EXECUTION, decision_digest="0" * 64), "consumer")
        assert self.refusal(log) == "approval-missing"

    def test_an_approval_from_before_the_decision_does_not_count(self) -> None:
        log = GoodCase().run(until="verify")
        at = log.now + timedelta(seconds=2)
        digest = calculate_decision(log.case(now=at), Scope.REHEARSAL).digest
        for party in Party:
            log.add(Approved(scope=Scope.REHEARSAL, decision_digest=digest), party)
        log.decide(Scope.REHEARSAL)
        assert digest == log.case().all(Decided)[-1][1].decision_digest
        assert self.refusal(log, Scope.REHEARSAL) == "approval-missing"

    def test_it_expires(self) -> None:
        assert self.refusal(self.ready(), later=3600.0) == "decision-expired"

    def test_a_newer_decision_supersedes_it(self) -> None:
        log = self.ready()
        log.decide(Scope.EXECUTION)
        assert self.refusal(log) == "decision-not-go"

    def test_what_it_rests_on_may_run_out_before_it_does(self) -> None:
        program = good.make_program()
        short = msgspec.structs.replace(program.thresholds, drill_max_age_s=60.0)
        log = GoodCase(program=msgspec.structs.replace(program, thresholds=short)).run(
            until="approve-execution"
        )
        assert self.refusal(log) == "passed"
        assert self.refusal(log, later=60.0) == "decision-no-longer-holds"

    def test_a_clock_behind_authorizes_nothing(self) -> None:
        assert self.refusal(self.ready(), later=-8.0) == "decision-no-longer-holds"

    def test_a_forged_document_authorizes_nothing(self) -> None:
        log = GoodCase({"data": None}).run(until="verify")
        forged = calculate_decision(GoodCase().run(until="verify").case(), Scope.REHEARSAL)
        append_decided(log, forged.outcome, forged.digest)
        log.approve(Scope.REHEARSAL)
        assert self.refusal(log, Scope.REHEARSAL) == "decision-does-not-recompute"

    def test_what_merely_happens_later_leaves_it_standing(self) -> None:
        log = self.ready()
        log.add(Observed(subject="world", facts={}), "executor")
        log.execute(until="move-ref")
        assert self.refusal(log) == "passed"

    @pytest.mark.parametrize(
        "event", ["hand-off", "prepare", "evidence", "bind", "stop", "checkpoint", "complete"]
    )
    def test_a_later_entry_supersedes_it(self, event: str) -> None:
        log = self.ready()
        acts = {
            "hand-off": log.hand_off,
            "prepare": log.prepare,
            "evidence": lambda: log.collect("data", "executor"),
            "bind": lambda: log.bind("producer-rollback-owner", Party.PRODUCER, holder="second"),
            "stop": lambda: log.stop(StopCondition.MANUAL, "no"),
            "checkpoint": log.checkpoint,
            "complete": log.complete,
        }
        acts[event]()
        assert self.refusal(log) == "decision-superseded"

    def test_a_drills_way_back_leaves_the_rehearsal_authorized(self) -> None:
        log = GoodCase().run(until="drill")
        assert self.refusal(log, Scope.REHEARSAL) == "passed"
        log.stop(StopCondition.CONTRACT_MISMATCH, "an envelope broke the policy")
        assert self.refusal(log, Scope.REHEARSAL) == "decision-superseded"


gates = st.sampled_from(sorted(COLLECTED))
few = settings(max_examples=25, deadline=None)


@few
@given(missing=st.sets(gates, min_size=1), corrupt=st.booleans())
def test_it_fails_closed(missing: set[str], corrupt: bool) -> None:
    """Without some evidence, or with other bytes in its place, it is never GO."""
    log = GoodCase().run(until="checkpoint")
    assert outcome_of(log) is DecisionOutcome.GO
    for _, body in log.case().all(EvidenceCollected):
        if body.gate in missing and corrupt:
            log.stored[body.digest] = log.stored[body.digest][:-1] + b" }"
        elif body.gate in missing:
            del log.stored[body.digest]
    assert outcome_of(log) is DecisionOutcome.HOLD
    for party in Party:
        waive(log, party, code="evidence-unreadable")
    assert outcome_of(log) is not DecisionOutcome.GO


@few
@given(kept=st.integers(0, 45))
def test_no_prefix_of_the_log_is_go(kept: int) -> None:
    case = GoodCase().run(until="checkpoint").case()
    prefix = msgspec.structs.replace(case, entries=case.entries[:kept])
    assert kept < len(case.entries)
    assert calculate_decision(prefix, Scope.EXECUTION).outcome is not DecisionOutcome.GO


@few
@given(first=gates, second=gates, data=st.data())
def test_more_bad_evidence_never_helps(first: str, second: str, data: st.DataObject) -> None:
    """A NO-GO stays one while further evidence fails; a failing twin turns a GO into something else."""
    log = GoodCase().run(until="drill")
    for gate in (first, second):
        document = data.draw(st.sampled_from(_twins_of(log, gate)))
        log.collect(gate, COLLECTED[gate], document)
        log.checkpoint()
        assert outcome_of(log) in (DecisionOutcome.NO_GO, DecisionOutcome.HOLD)


def _twins_of(log: GoodCase, name: str) -> list[Evidence]:
    gate = next(gate for gate in EXECUTION_GATES if gate.name == name)
    document = log.documents[name]
    # What the drill's gate takes from the entries cannot be broken in the document.
    bound = {
        "drill-not-authorized",
        "not-restored",
        "restore-too-slow",
        "drill-stale",
        "drill-not-over",
        "probe-not-signed",
    }
    return [t.evidence for t in gate.twins(document) if t.reason_code not in bound]


@few
@given(
    roles=st.permutations(sorted(good.ROLES)),
    order=st.permutations(sorted(COLLECTORS)),
    observed=st.booleans(),
)
def test_the_order_of_what_does_not_supersede_changes_nothing(
    roles: list[str], order: list[str], observed: bool
) -> None:
    """Bindings, collections and observations in any order give the same bytes, if not the same log."""
    straight, shuffled = GoodCase(), GoodCase()
    for log, its_roles, its_order, early in (
        (straight, sorted(good.ROLES), sorted(COLLECTORS), True),
        (shuffled, roles, order, observed),
    ):
        log.open(roles=its_roles)
        log.hand_off()
        log.prepare()
        for is_time in (True, False):
            if early is is_time:
                log.add(Observed(subject="weather", facts={"sky": "blue"}), "executor")
            if is_time:
                log.verify(its_order)
    one, other = (calculate_decision(log.case(), Scope.REHEARSAL) for log in (straight, shuffled))
    assert one.outcome is DecisionOutcome.GO
    assert encode_decision(one) == encode_decision(other)


def test_a_go_that_was_taken_back_authorizes_no_second_try_whatever_the_stop_was_called() -> None:
    log = GoodCase().run(until="execute")
    log.stop(StopCondition.DRILL_RETURN, "called a drill's way back")
    log.restore(Operation.ABORT)
    verdict = check_authorization(log.case(), Scope.EXECUTION)
    assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "decision-superseded")
