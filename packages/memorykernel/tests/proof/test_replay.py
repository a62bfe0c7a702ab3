"""Stored answers are computed again, whoever gave them and however much was written since."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from memorykernel.core.rebuilt_question import rebuild_question
from memorykernel.core.request import AddConstraintV4, AddSummary, Recall, read_request
from memorykernel.errors import ContextPackageNotFound, InvalidRequest

RULE = {"actor": "ada", "action": "read", "resource": "*", "authority": "note", "truth_status": "asserted"}
NOTE = {"record_type": "event", "summary": "USB was read", "authority": "note", "truth_status": "asserted"}


def recall(scene: Any) -> dict[str, Any]:
    request = read_request({"text": "usb", "record_types": ["event"]}, Recall, strict=True)
    package: dict[str, Any] = json.loads(scene.kernel.asking.recall(request))
    return package


@pytest.mark.parametrize("ruleset", ["v1", "v2", "v3"])
def test_answers_are_the_same_after_more_was_written(stage: Any, proof_kit: Any, ruleset: str) -> None:
    chance, scene = random.Random(1), stage(ruleset)
    given: list[dict[str, Any]] = []
    for _ in range(4):
        proof_kit.fill(scene, chance, 6, v3=ruleset == "v3")
        scene.add(AddSummary, **NOTE)
        given += [scene.ask(**proof_kit.draw_question(chance)), recall(scene)]
    for package in given:
        outcome = scene.replaying.replay(package["context_package_id"])
        assert outcome.identical, outcome.first_difference
        assert outcome.ruleset_version == package["determinism"]["ruleset_version"]


def test_a_changed_answer_is_told_with_its_first_difference(stage: Any) -> None:
    scene = stage()
    package = scene.ask()
    scene.stranger.replace_in_packages("inconcl", "INCONCL")
    outcome = scene.replaying.replay(package["context_package_id"])
    assert not outcome.identical
    assert outcome.first_difference.stored.startswith("INCONCL")


def test_an_unknown_answer_is_not_found(stage: Any) -> None:
    with pytest.raises(ContextPackageNotFound):
        stage().replaying.replay("cpkg_0")


def test_an_answer_from_before_questions_were_stored_is_read_off_its_package(stage: Any) -> None:
    old = stage("v2", schema_version=3, name="old.db")
    old.add(AddConstraintV4, **RULE, effect="allow")
    old.add(AddSummary, **NOTE)
    given = [old.ask(as_of="2026-02-09T00:00:00.25Z"), recall(old)]
    new = stage("v3", name="old.db")
    new.add(AddConstraintV4, **RULE, effect="deny")
    for package in given:
        assert new.replaying.replay(package["context_package_id"]).identical


def test_an_old_answer_that_names_no_state_is_refused(stage: Any) -> None:
    old = stage("v1", schema_version=2, name="old.db")
    package = old.ask()
    new = stage("v3", name="old.db")
    with pytest.raises(InvalidRequest, match="ask the question again"):
        new.replaying.replay(package["context_package_id"])


@pytest.mark.parametrize(
    "change",
    [
        {"query": {"text": "x"}},
        {"determinism": {"ruleset_version": "ordering.v9", "snapshot_id": f"txn_{'a' * 64}"}},
        {"determinism": {"ruleset_version": "ordering.v2", "snapshot_id": "txn_short"}},
        {"determinism": {"ruleset_version": "recall-ordering.v2", "snapshot_id": f"txn_{'a' * 64}"}},
    ],
)
def test_no_question_is_read_off_a_package_that_does_not_tell(stage: Any, change: dict[str, Any]) -> None:
    package = stage("v2").ask()
    assert rebuild_question(json.dumps(package).encode()) is not None
    assert rebuild_question(json.dumps(package | change).encode()) is None


def test_no_question_is_read_off_what_is_no_package() -> None:
    assert rebuild_question(b"\xff") is None
