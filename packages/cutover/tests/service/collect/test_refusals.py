"""Collectors over fakes: what is missing or unfit is an error or a fact, never a pass."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from contracts.documents import load_openapi
from cutover.core.gate.consumer_suite import ConsumerSuiteGate
from cutover.core.gate.runtime_target import RuntimeTargetGate
from cutover.core.gate.trio import TrioGate
from cutover.core.key import Party
from cutover.core.outcome import Outcome
from cutover.errors import CommandFailed, EvidenceUnreadable, Refused, RepositoryError
from cutover.service.collect.contract_change import collect_contract_change
from cutover.service.collect.data import collect_data
from cutover.service.collect.envelope import collect_envelope
from cutover.service.collect.fallback import collect_fallback
from cutover.service.collect.runtime_target import collect_runtime_target
from cutover.service.collect.suite import collect_suites, declared_commit, run_suites
from cutover.service.collect.trio import collect_trio
from cutover.service.station import Executor

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.service.fakes import FakeWorld


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="prepare")


@pytest.fixture
def executor(world: FakeWorld) -> Executor:
    return world.executor


def test_before_a_hand_off_there_is_no_target(tmp_path: Path) -> None:
    executor = FakeWorld(tmp_path, until="open").executor
    for collect in (collect_runtime_target, collect_contract_change, collect_envelope):
        with pytest.raises((Refused, RepositoryError, EvidenceUnreadable)):
            collect(executor)


def test_before_prepare_there_is_no_repin(tmp_path: Path) -> None:
    executor = FakeWorld(tmp_path, until="hand-off").executor
    for refused in (collect_trio, collect_fallback, lambda ex: declared_commit(ex, Party.CONSUMER)):
        with pytest.raises(Refused, match="nothing is prepared"):
            refused(executor)
    assert declared_commit(executor, Party.PRODUCER) == good.TARGET_COMMIT


def test_a_tag_that_is_gone_is_an_error(world: FakeWorld, executor: Executor) -> None:
    world.producer_origin.tags.clear()
    for collect in (collect_runtime_target, collect_contract_change):
        with pytest.raises(RepositoryError, match="is not on the producer's origin; push the tag"):
            collect(executor)


def test_a_moved_tag_and_other_bytes_are_facts_that_fail(world: FakeWorld, executor: Executor) -> None:
    tag = world.producer_origin.tags[good.TARGET_TAG]
    world.producer_origin.tags[good.TARGET_TAG] = msgspec.structs.replace(tag, tag_object=good.sha("x"))
    evidence = collect_runtime_target(executor)
    assert (evidence.tag_object, evidence.handed_off_tag_object) == (good.sha("x"), good.TAG_OBJECT)
    assert evidence.digests["openapi.yaml"] == good.DIGESTS["openapi.yaml"]
    assert evidence.digests["release.toml"] == "absent"
    assert RuntimeTargetGate().check(evidence).reason_code == "tag-moved"


def test_a_baseline_tag_that_is_not_the_active_baseline_is_a_fact(
    world: FakeWorld, executor: Executor
) -> None:
    target = world.producer_origin.tags[good.TARGET_TAG]
    other = good.sha("another commit")
    world.producer_origin.tags[good.BASELINE_TAG] = msgspec.structs.replace(target, commit=other)
    for commit, version in ((other, "service.v3"), (good.BASELINE_COMMIT, "service.v2")):
        world.producer_origin.blobs[commit, "openapi.yaml"] = load_openapi(version)
    world.producer_origin.blobs[good.TARGET_COMMIT, "openapi.yaml"] = load_openapi("service.v3")
    evidence = collect_contract_change(executor)
    assert evidence.baseline_openapi_sha256 != evidence.baseline_tag_openapi_sha256


def test_a_document_that_does_not_parse_is_an_error(world: FakeWorld, executor: Executor) -> None:
    target = world.producer_origin.tags[good.TARGET_TAG]
    world.producer_origin.tags[good.BASELINE_TAG] = msgspec.structs.replace(
        target, commit=good.BASELINE_COMMIT
    )
    world.producer_origin.blobs[good.BASELINE_COMMIT, "openapi.yaml"] = b"[: no yaml"
    with pytest.raises(EvidenceUnreadable, match="does not parse"):
        collect_contract_change(executor)


def test_the_trio_of_the_prepared_commit_passes(executor: Executor) -> None:
    assert TrioGate().check(collect_trio(executor)).outcome is Outcome.PASSED


def test_a_trio_with_a_file_missing_or_damaged_is_an_error(world: FakeWorld, executor: Executor) -> None:
    place = (good.FORWARD, world.program.consumer.pin_path)
    world.consumer_origin.blobs[place] = b"{}"
    with pytest.raises(EvidenceUnreadable, match="does not parse"):
        collect_trio(executor)
    del world.consumer_origin.blobs[place]
    with pytest.raises(RepositoryError, match=r"config/pin\.json is not in commit"):
        collect_trio(executor)


def test_a_suite_that_does_not_end_is_a_fact_that_fails(world: FakeWorld, executor: Executor) -> None:
    world.launcher.exit_code = None
    results = run_suites(executor, Party.CONSUMER, good.FORWARD, "http://127.0.0.1:9")
    assert results.runs[0].exit_code is None
    assert ConsumerSuiteGate().check(results).reason_code == "suite-not-ended"


def test_a_suite_says_what_was_run_beside_what_was_declared(executor: Executor) -> None:
    (run,) = run_suites(executor, Party.CONSUMER, good.FORWARD, "http://127.0.0.1:9").runs
    assert run.declared_command == good.CONSUMER_SUITE
    assert run.command[0] == "python3"
    assert run.command[-1].endswith("consumer-tree-governance.json")


def test_a_report_of_an_earlier_run_does_not_count(world: FakeWorld, executor: Executor) -> None:
    run_suites(executor, Party.CONSUMER, good.FORWARD, "http://127.0.0.1:9")
    world.launcher.report = b""
    (run,) = run_suites(executor, Party.CONSUMER, good.FORWARD, "http://127.0.0.1:9").runs
    assert (run.passed, run.failed) == (0, 0)


def test_what_does_not_start_is_an_error(world: FakeWorld, executor: Executor) -> None:
    world.producer_origin.tags[good.BASELINE_TAG] = world.producer_origin.tags[good.TARGET_TAG]
    with pytest.raises(CommandFailed):
        collect_data(executor)
    with pytest.raises(CommandFailed):
        collect_suites(executor, Party.PRODUCER)


def test_a_baseline_manifest_of_another_release_is_an_error(world: FakeWorld, executor: Executor) -> None:
    world.move_live(good.FORWARD)
    with pytest.raises(RepositoryError, match=r"mirrors the manifest of v0\.4\.0, expected v0\.3\.2"):
        collect_envelope(executor)
