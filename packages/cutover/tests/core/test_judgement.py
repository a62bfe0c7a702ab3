"""What all collected evidence has in common: who looked, when, at what, and whether its bytes are there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import pytest
from cutover.core.case import Case
from cutover.core.entry import Scope
from cutover.core.evidence import Evidence
from cutover.core.gate.gate import CollectedGate
from cutover.core.gate.handoff import HandoffGate
from cutover.core.gate.judgement import judge
from cutover.core.gate.table import EXECUTION_GATES
from cutover.core.outcome import Outcome

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase

COLLECTED = {gate.name: gate for gate in EXECUTION_GATES if isinstance(gate, CollectedGate)}
KEYS = {"producer": "producer", "consumer": "consumer", "None": "executor"}

every_gate = pytest.mark.parametrize("name", sorted(COLLECTED))


def judge_named(name: str, case: Case) -> tuple[Outcome, str]:
    verdict = judge(COLLECTED[name], case).verdict
    return verdict.outcome, verdict.reason_code


@pytest.fixture
def ready() -> GoodCase:
    """A log up to both checkpoints."""
    return GoodCase().run(until="checkpoint")


@every_gate
def test_nobody_looked_is_unknown(name: str) -> None:
    case = GoodCase({name: None}).run(until="checkpoint").case()
    assert judge_named(name, case) == (Outcome.UNKNOWN, "no-evidence")


@every_gate
def test_the_wrong_party_fails(name: str, ready: GoodCase) -> None:
    for key in set(KEYS.values()) - {KEYS[str(COLLECTED[name].collector)]}:
        ready.collect(name, key)
        assert judge_named(name, ready.case()) == (Outcome.FAILED, "wrong-collector")


@every_gate
def test_a_collection_that_did_not_end_is_unknown(name: str, ready: GoodCase) -> None:
    ready.collect(name, KEYS[str(COLLECTED[name].collector)], exit_code=1)
    assert judge_named(name, ready.case()) == (Outcome.UNKNOWN, "collection-failed")


@every_gate
@pytest.mark.parametrize("damage", ["missing", "altered", "not json"])
def test_bytes_that_are_not_there_are_unknown(name: str, damage: str, ready: GoodCase) -> None:
    newest = ready.case().newest_evidence(name)
    assert newest is not None
    digest = newest[1].digest
    if damage == "missing":
        del ready.stored[digest]
    else:
        data = ready.stored[digest]
        ready.stored[digest] = b"{" if damage == "not json" else data.replace(b'"', b'" ', 1)
    assert judge_named(name, ready.case()) == (Outcome.UNKNOWN, "evidence-unreadable")


@every_gate
def test_another_record_under_this_gates_name_is_unknown(name: str, ready: GoodCase) -> None:
    other = "data" if name != "data" else "answers"
    ready.collect(name, KEYS[str(COLLECTED[name].collector)], ready.documents[other])
    assert judge_named(name, ready.case()) == (Outcome.UNKNOWN, "evidence-unreadable")


@every_gate
def test_a_new_hand_off_makes_it_stale(name: str, ready: GoodCase) -> None:
    ready.hand_off()
    assert judge_named(name, ready.case()) == (Outcome.UNKNOWN, "evidence-stale")


@pytest.mark.parametrize("name", ["answers", "consumer-suite", "drill", "fallback", "trio"])
def test_a_new_preparation_makes_the_consumers_part_stale(name: str, ready: GoodCase) -> None:
    ready.prepare()
    assert judge_named(name, ready.case()) == (Outcome.UNKNOWN, "evidence-stale")
    assert judge_named("envelope", ready.case())[0] is Outcome.PASSED


@pytest.mark.parametrize("name", sorted(set(COLLECTED) - {"drill"}))
def test_old_evidence_is_unknown(name: str, ready: GoodCase) -> None:
    case = ready.case(now=ready.now + timedelta(days=1, seconds=1))
    assert judge_named(name, case) == (Outcome.UNKNOWN, "evidence-expired")


def test_a_stale_drill_fails(ready: GoodCase) -> None:
    case = ready.case(now=ready.now + timedelta(hours=1, seconds=1))
    assert judge_named("drill", case) == (Outcome.FAILED, "drill-stale")


ELSEWHERE: Mapping[str, Mapping[str, object]] = {
    "runtime-target": {"commit_sha": "0" * 40, "release_tag": "v9.9.9", "metadata_paths": ("",)},
    "trio": {"commit": "0" * 40, "parent_commit": "0" * 40, "allowed_paths": ("anything",)},
    "contract-change": {"target_version": "service.v9", "target_tag_openapi_sha256": "0" * 64},
    "producer-suite": {"party": "consumer", "declared_commit": "0" * 40, "declared": ()},
    "consumer-suite": {"party": "producer", "declared_commit": "0" * 40, "declared": ()},
    "fallback": {"deadline_s": 60.0, "faults": ("refuse",)},
    "rehearsal": {"target_tag": "v9.9.9", "min_questions": 0, "rules": ()},
    "answers": {"threshold": 0.6, "min_asked": 1},
    "drill": {"inverse_commit": "0" * 40, "min_drafts": 1, "restore_limit_s": 600.0},
}


@pytest.mark.parametrize(
    ("name", "fact"), [(name, fact) for name, facts in ELSEWHERE.items() for fact in facts]
)
def test_evidence_about_something_else_is_unknown(name: str, fact: str, ready: GoodCase) -> None:
    """A collector cannot lower a threshold, name another release or explain with rules of its own."""
    document = msgspec.structs.replace(good.make_evidence()[name], **{fact: ELSEWHERE[name][fact]})
    ready.collect(name, KEYS[str(COLLECTED[name].collector)], document)
    assert judge_named(name, ready.case()) == (Outcome.UNKNOWN, "evidence-stale")


def test_probes_of_another_release_or_enum_are_unknown(ready: GoodCase) -> None:
    envelope = good.make_evidence()["envelope"]
    for fact in ({"release_tag": "v9.9.9"}, {"handoff_codes": ("a",)}, {"tag_openapi_sha256": "0" * 64}):
        target = msgspec.structs.replace(envelope.target, **fact)  # type: ignore[attr-defined]  # of that gate
        ready.collect("envelope", "executor", msgspec.structs.replace(envelope, target=target))
        assert judge_named("envelope", ready.case()) == (Outcome.UNKNOWN, "evidence-stale")


def test_a_suite_that_declares_another_command_is_unknown(ready: GoodCase) -> None:
    suite = good.make_evidence()["producer-suite"]
    run = msgspec.structs.replace(suite.runs[0], declared_command=("echo",), command=("echo",))  # type: ignore[attr-defined]  # of that gate
    ready.collect("producer-suite", "producer", msgspec.structs.replace(suite, runs=(run,)))
    assert judge_named("producer-suite", ready.case()) == (Outcome.UNKNOWN, "evidence-stale")


@every_gate
@pytest.mark.parametrize("damage", ["missing", "altered", "malformed"])
def test_without_the_hand_offs_payload_nothing_of_it_passes(name: str, damage: str) -> None:
    log = GoodCase().run(until="open")
    body = log.make_hand_off(b"{}") if damage == "malformed" else log.make_hand_off()
    log.add(body, "producer")
    log.prepare()
    log.collect(name, KEYS[str(COLLECTED[name].collector)])
    if damage == "missing":
        del log.stored[body.handoff_digest]
    elif damage == "altered":
        log.stored[body.handoff_digest] += b" "
    outcome, _ = judge_named(name, log.case())
    relies = name not in ("answers", "consumer-suite", "data", "drill", "fallback", "producer-suite")
    assert not relies or outcome is Outcome.UNKNOWN
    verdict = judge(HandoffGate(), log.case()).verdict
    assert (verdict.outcome, verdict.reason_code) == (Outcome.UNKNOWN, "evidence-unreadable")


class TestDrillEvidenceIsBoundToTheEntries:
    def test_without_the_rehearsals_authorization_it_fails(self) -> None:
        log = GoodCase().run(until="verify")
        log.drill()
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "drill-not-authorized")

    def test_with_one_approval_it_fails(self) -> None:
        log = GoodCase().run(until="decide-rehearsal")
        log.approve(Scope.REHEARSAL, "producer")
        log.drill()
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "drill-not-authorized")

    def test_an_authorization_of_another_preparation_is_none(self) -> None:
        log = GoodCase().run(until="approve-rehearsal")
        log.prepare()
        log.drill()
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "drill-not-authorized")

    def test_probes_that_no_party_signed_fail(self) -> None:
        log = GoodCase().run(until="rehearse")
        log.drill(probe_signers=("executor", "executor"))
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "probe-not-signed")

    def test_one_party_cannot_probe_for_both(self) -> None:
        log = GoodCase().run(until="rehearse")
        log.drill(probe_signers=("producer", "producer"))
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "probe-not-signed")

    def test_probes_of_an_earlier_drill_do_not_count(self) -> None:
        log = GoodCase().run(until="drill")
        log.drill(probe_signers=(), attempt=2)
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "probe-not-signed")

    def test_a_way_back_that_no_entry_measured_is_none(self) -> None:
        log = GoodCase().run(until="rehearse")
        log.drill(restored=False)
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "not-restored")

    def test_a_way_back_to_a_baseline_that_did_not_answer_is_none(self) -> None:
        """Whatever time the document claims: the entry knows of no first answer."""
        log = GoodCase().run(until="rehearse")
        log.drill(answered=False)
        assert judge_named("drill", log.case()) == (Outcome.FAILED, "not-restored")

    @pytest.mark.parametrize("name", ["drill", "answers"])
    def test_a_later_drill_that_broke_off_leaves_nothing_of_an_earlier_one(self, name: str) -> None:
        """Its way back and both probes are in the log; what it counted is not."""
        log = GoodCase().run(until="drill")
        log.documents |= {"drill": None, "answers": None}
        log.drill(attempt=2)
        assert judge_named(name, log.case()) == (Outcome.UNKNOWN, "evidence-stale")


@pytest.mark.parametrize("name", sorted(COLLECTED))
def test_the_newest_collection_counts(name: str, ready: GoodCase) -> None:
    worse = next(t for t in COLLECTED[name].twins(_bound(ready, name)))
    ready.collect(name, KEYS[str(COLLECTED[name].collector)], worse.evidence)
    assert judge_named(name, ready.case())[0] in (Outcome.FAILED, Outcome.UNKNOWN)
    ready.collect(name, KEYS[str(COLLECTED[name].collector)])
    assert judge_named(name, ready.case())[0] is Outcome.PASSED


def _bound(ready: GoodCase, name: str) -> Evidence:
    gathered = COLLECTED[name].gather(ready.case())
    assert gathered is not None
    evidence: Evidence = gathered[0]
    return evidence
