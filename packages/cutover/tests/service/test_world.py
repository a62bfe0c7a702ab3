"""Looking at the world: what does not answer is said, never raised, and never taken for well."""

from __future__ import annotations

from pathlib import Path

import pytest
from cutover.service.world import observe_world, read_world

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.service.fakes import LIVE_REF, TARGET_URL, V2, FakeWorld


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="approve-execution")


def test_everything_there_is_said(world: FakeWorld) -> None:
    facts = observe_world(world.executor, LIVE_REF)
    assert facts == {
        "live_ref": good.DRILL_INVERSE,
        "consumer": good.DRILL_INVERSE,
        "routes": f"{V2}={good.BASELINE_TAG}",
        "target": "answers",
    }
    seen = read_world(facts)
    assert (seen.live_commit, seen.target_answers) == (good.DRILL_INVERSE, True)


def test_nothing_there_is_said_too(world: FakeWorld) -> None:
    world.consumer.dead = world.gateway.dead = True
    world.http.replies.clear()
    facts = observe_world(world.executor, "refs/heads/none")
    assert facts["live_ref"] == "absent"
    for subject in ("consumer", "routes", "target"):
        assert facts[subject].startswith("unreachable (")
    seen = read_world(facts)
    assert (seen.live_commit, seen.target_answers) == (None, False)


def test_a_target_that_is_ill_or_was_never_started_does_not_answer(world: FakeWorld) -> None:
    world.http.put(f"{TARGET_URL}/v1/health", status=503)
    facts = observe_world(world.executor, LIVE_REF)
    assert facts["target"] == "answered 503"
    assert not read_world(facts).target_answers
    (world.folder / "run" / "releases" / "v0.4.0.json").unlink()
    assert not read_world(observe_world(world.executor, LIVE_REF)).target_answers
