"""The rehearsal: authorized, the live database migrated first, every question asked three times."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cutover.core.gate.rehearsal import RehearsalGate
from cutover.core.outcome import Outcome
from cutover.errors import Refused, ReleaseUnreachable
from cutover.ports import Reply
from cutover.service.rehearse import rehearse
from cutover.service.station import RunningRelease

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.service.fakes import QUESTIONS, TARGET_URL, FakeWorld, make_reply

BASELINE_URL = "http://127.0.0.1:1"


def answer(result: str) -> bytes:
    return msgspec.json.encode({"data": {"answer": {"result": result}}})


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    world = FakeWorld(tmp_path, until="approve-rehearsal")
    running = RunningRelease(
        release_tag=good.BASELINE_TAG,
        url=BASELINE_URL,
        address=BASELINE_URL,
        pid=1,
        command=(),
        tree_id=good.sha("tree"),
        folder="x",
    )
    path = world.folder / "run" / "releases" / f"{good.BASELINE_TAG}.json"
    path.write_bytes(msgspec.json.encode(running))
    world.http.put(f"{TARGET_URL}/v1/db/migrate")
    for url in (BASELINE_URL, TARGET_URL):
        world.http.put(f"{url}/v1/query/ask", body=answer("allow"))
    return world


def test_every_question_is_asked_of_baseline_target_and_baseline(world: FakeWorld) -> None:
    evidence = rehearse(world.executor)
    asked = [url for _, url, _ in world.http.requests if url.endswith("/ask")]
    assert asked == [f"{url}/v1/query/ask" for url in (BASELINE_URL, TARGET_URL, BASELINE_URL)] * len(
        QUESTIONS
    )
    assert [pair.question for pair in evidence.pairs] == [question.name for question in QUESTIONS]
    assert {(p.baseline, p.baseline_again, p.target) for p in evidence.pairs} == {("allow",) * 3}
    newest = world.executor.read_case().newest_evidence("rehearsal")
    assert newest is not None
    assert [rule.to for rule in evidence.rules] == ["deny"]


def test_the_database_is_migrated_before_the_first_question(world: FakeWorld) -> None:
    rehearse(world.executor)
    method, url, body = world.http.requests[0]
    assert (method, url) == ("POST", f"{TARGET_URL}/v1/db/migrate")
    assert msgspec.json.decode(body or b"") == {"dry_run": False}


def test_a_question_names_its_facts_and_always_as_of(world: FakeWorld) -> None:
    rehearse(world.executor)
    body = msgspec.json.decode(world.http.requests[1][2] or b"")
    assert body == {
        "text": "may I?",
        "actor": "staff",
        "action": "use",
        "resource": "thing-0",
        "as_of": None,
    }


def test_without_authorization_nothing_is_asked(tmp_path: Path) -> None:
    world = FakeWorld(tmp_path, until="decide-rehearsal")
    with pytest.raises(Refused, match="no rehearsal without an authorized decision"):
        rehearse(world.executor)
    assert world.http.requests == []


def test_a_target_that_does_not_migrate_is_an_error(world: FakeWorld) -> None:
    world.http.put(f"{TARGET_URL}/v1/db/migrate", status=500, body=b"broken")
    with pytest.raises(ReleaseUnreachable, match="answered 500 to a migration"):
        rehearse(world.executor)


def test_a_release_that_is_not_running_refuses(world: FakeWorld) -> None:
    (world.folder / "run" / "releases" / f"{good.BASELINE_TAG}.json").unlink()
    with pytest.raises(Refused, match="is not running here"):
        rehearse(world.executor)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": {"answer": {"result": 7}}}'])
def test_what_is_no_answer_is_none_and_fails_the_gate(world: FakeWorld, body: bytes) -> None:
    world.http.put(f"{TARGET_URL}/v1/query/ask", body=body)
    evidence = rehearse(world.executor)
    assert {pair.target for pair in evidence.pairs} == {None}
    assert RehearsalGate().check(evidence).outcome is Outcome.FAILED


def test_an_error_and_silence_are_none(world: FakeWorld) -> None:
    del world.http.replies[f"{BASELINE_URL}/v1/query/ask"]
    world.http.put(f"{TARGET_URL}/v1/query/ask", status=503, body=answer("allow"))
    pairs = rehearse(world.executor).pairs
    assert {(p.baseline, p.target) for p in pairs} == {(None, None)}


def test_a_baseline_that_changes_its_mind_is_seen_as_noise(world: FakeWorld) -> None:
    turns = iter(["allow", "deny"] * len(QUESTIONS))

    def reply(_body: bytes | None) -> Reply:
        return make_reply(body=answer(next(turns)))

    world.http.replies[f"{BASELINE_URL}/v1/query/ask"] = reply
    assert all(pair.baseline != pair.baseline_again for pair in rehearse(world.executor).pairs)
