"""Collectors against real releases, a real consumer and real git: what they find, the gates pass.

And the gates say no when something real is wrong.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import pytest
from contracts.core.error_code import ERROR_CODES
from cutover.core.entry import Prepared
from cutover.core.evidence import (
    ContractChange,
    Data,
    Envelope,
    Evidence,
    Fallback,
    Rehearsal,
    RuntimeTarget,
    SuiteResults,
    Trio,
)
from cutover.core.fault import PRODUCER_FAULTS
from cutover.core.gate.answers import AnswersGate
from cutover.core.gate.envelope import EnvelopeGate
from cutover.core.gate.rehearsal import RehearsalGate
from cutover.core.outcome import Outcome
from cutover.core.probe_set import PROBES
from cutover.errors import CommandFailed, ReleaseUnreachable, RepositoryError
from cutover.service.collect.drill import Leg, collect_answers
from cutover.service.collect.envelope import probe_release, read_target_manifest
from cutover.service.collect.scratch import Scratch
from cutover.service.draft_probe import DraftProbe, read_references
from cutover.service.verify import COLLECTORS
from msgspec.structs import replace

from packages.cutover.tests.example_program import ExampleProgram

E = TypeVar("E", bound=Evidence)
VERIFIED = tuple(gate for gates in COLLECTORS.values() for gate in gates)


def read(program: ExampleProgram, gate: str, kind: type[E]) -> E:
    case = program.case()
    found = case.newest_evidence(gate)
    assert found is not None
    return case.read(found[1].digest, kind)


@pytest.mark.parametrize("gate", VERIFIED)
def test_what_verify_collects_passes_its_gate(verified: ExampleProgram, gate: str) -> None:
    verdict = verified.judge(gate)
    assert verdict.outcome is Outcome.PASSED, verdict.reason


def test_the_rehearsal_of_both_live_releases_passes_its_gate(rehearsed: ExampleProgram) -> None:
    verdict = rehearsed.judge("rehearsal")
    assert verdict.outcome is Outcome.PASSED, verdict.reason
    evidence = read(rehearsed, "rehearsal", Rehearsal)
    assert any(pair.target != pair.baseline for pair in evidence.pairs)


def test_an_answer_whose_rule_is_missing_fails_the_rehearsal(rehearsed: ExampleProgram) -> None:
    evidence = read(rehearsed, "rehearsal", Rehearsal)
    for left_out in range(len(evidence.rules)):
        rules = (*evidence.rules[:left_out], *evidence.rules[left_out + 1 :])
        verdict = RehearsalGate().check(replace(evidence, rules=rules))
        assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "unmatched-difference")


def test_every_valid_probe_is_a_success_and_every_route_has_one(verified: ExampleProgram) -> None:
    evidence = read(verified, "envelope", Envelope)
    for release in (evidence.baseline, evidence.target):
        assert len(release.replies) == len(PROBES)
        valid = {probe.name for probe in PROBES if probe.is_valid}
        assert {r.status for r in release.replies if r.probe in valid} == {200}
        assert {r.route for r in release.replies if r.status == 200} == set(release.routes)
        assert {r.code for r in release.replies} >= {"invalid_json", "validation_error", "write_conflict"}
        assert set(release.codes_not_reached) < ERROR_CODES


def test_the_envelope_collector_notices_the_fault_and_nothing_else(verified: ExampleProgram) -> None:
    fault = read(verified, "envelope", Envelope).live_fault
    assert fault.noticed
    assert fault.detail.startswith("without it: 200 as it should be; with it: 200 unknown-key:")


def test_the_fallback_collector_meets_every_fault_and_notices_its_own(verified: ExampleProgram) -> None:
    evidence = read(verified, "fallback", Fallback)
    assert evidence.faults == PRODUCER_FAULTS
    assert {d.policy_status for d in evidence.drafts} <= {"fallback", "applied"}
    fell_back = {d.fault for d in evidence.drafts if d.policy_status == "fallback"}
    assert set(PRODUCER_FAULTS) - fell_back <= {"non-2xx-extra"}  # it changes errors only
    assert evidence.live_fault.noticed


def test_digests_of_the_target_are_those_of_git_objects(verified: ExampleProgram) -> None:
    evidence, origin = read(verified, "runtime-target", RuntimeTarget), verified.workspace.producer_origin
    assert len(evidence.digests) >= 3
    blob = origin.read_blob(evidence.resolved_commit, "openapi.yaml")
    assert blob is not None
    assert evidence.digests["openapi.yaml"] == hashlib.sha256(blob).hexdigest()
    change = read(verified, "contract-change", ContractChange)
    assert change.target_openapi_sha256 == evidence.digests["openapi.yaml"]
    assert change.baseline_openapi_sha256 == change.baseline_tag_openapi_sha256


def test_suites_ran_the_filled_in_command(verified: ExampleProgram) -> None:
    for gate in ("producer-suite", "consumer-suite"):
        (run,) = read(verified, gate, SuiteResults).runs
        assert run.declared_command[0] == "{python}"
        assert run.command[0] == verified.station("executor").python
        assert run.passed > 20
        assert b"live tests: http" in verified.workspace.evidence.load(run.output_sha256)


def test_the_trio_is_read_from_the_prepared_commit(verified: ExampleProgram) -> None:
    found = verified.case().newest(Prepared)
    assert found is not None
    repin = found[1].execution
    trio = read(verified, "trio", Trio)
    assert (trio.commit, trio.parent_commit) == (repin.forward_commit, repin.base_commit)


def test_data_reads_a_record_and_answers_back(verified: ExampleProgram) -> None:
    data = read(verified, "data", Data)
    assert (data.schema_before, data.schema_after) == (2, 3)
    assert data.read_through_baseline == data.written_through_target
    assert len(data.written_through_target) == 6
    assert not data.written_through_target[0].startswith("cpkg_")


def test_a_target_that_adds_a_field_or_refuses_every_question_is_refused_by_the_gates(
    verified: ExampleProgram, scratch: Scratch
) -> None:
    station, target = verified.station("executor"), verified.workspace.program.target
    injector = scratch.start_injector(scratch.start_seeded(target).url)

    injector.inject("extra-field")
    probes = probe_release(station, target, injector.url, read_target_manifest(station))
    evidence = replace(read(verified, "envelope", Envelope), target=probes)
    verdict = EnvelopeGate().check(evidence)
    assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "envelope-breach")

    injector.clear()
    found = verified.case().newest(Prepared)
    assert found is not None
    consumer = station.connect_consumer(
        scratch.start_consumer(found[1].execution.forward_ref, injector.url).url
    )
    tickets = station.material.tickets[:30]
    references = read_references(consumer, tickets, timeout_s=5.0)
    eyes = DraftProbe(consumer, tickets, references, deadline_s=1.0, interval_s=0.0)
    well = Leg(drafts=[eyes.draft_once(ticket) for ticket in tickets])
    injector.inject("refuse-questions")
    refused = Leg(drafts=[eyes.draft_once(ticket) for ticket in tickets])
    program = replace(station.program, thresholds=replace(station.program.thresholds, min_drill_drafts=20))
    answers = collect_answers(program, well, well)
    baseline = replace(answers.target, release_tag="v0.3.2")
    healthy = replace(answers, baseline=baseline)
    assert AnswersGate().check(healthy).outcome is Outcome.PASSED, healthy
    silent = replace(collect_answers(program, well, refused), baseline=baseline)
    verdict = AnswersGate().check(silent)
    assert (verdict.outcome, verdict.reason_code) == (Outcome.FAILED, "answers-not-applied")
    assert (silent.target.asked, silent.target.applied) == (healthy.target.asked, 0)
    assert sum(silent.target.fallback.values()) == silent.target.asked


def test_scratch_says_what_is_missing(example: ExampleProgram, scratch: Scratch) -> None:
    absent = replace(example.workspace.program.target, release_tag="v9.9.9")
    with pytest.raises(RepositoryError, match=r"v9\.9\.9 is not on the producer's origin"):
        scratch.start_release(absent, scratch.folder / "x.db")
    (scratch.folder / "consumer").mkdir()
    with pytest.raises(CommandFailed, match="the consumer's data cannot be copied"):
        scratch.start_consumer("refs/heads/main", "http://127.0.0.1:1")
    injector = scratch.start_injector("http://127.0.0.1:1")
    with pytest.raises(ReleaseUnreachable, match="the injector answered 400"):
        injector.inject("no such fault")
