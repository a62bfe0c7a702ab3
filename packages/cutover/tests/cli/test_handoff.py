"""The hand-off is read from origin and refused when it could not lead anywhere."""

from __future__ import annotations

import pytest

from packages.cutover.tests.cli.world import AUTHOR, HANDOFF, MAIN, MANIFEST, WHEN, World


def _refusal(world: World) -> str:
    ran = world.run("handoff", keys="producer")
    assert ran.code == 1
    return ran.err


def test_the_payload_of_origin_is_kept_and_named(opened: World) -> None:
    body = opened.did("handoff", "--json", keys="producer").document["body"]
    assert (body["kind"], body["release_tag"]) == ("handed-off", "v0.4.0")
    assert body["commit_sha"] == opened.commits["v0.4.0"]
    assert body["manifest_commit"] == opened.producer.head()
    kept = (opened.folder / "evidence" / body["handoff_digest"]).read_bytes()
    assert kept == (opened.producer.folder / HANDOFF).read_bytes()


def test_a_payload_that_was_not_pushed_is_not_seen(opened: World) -> None:
    (opened.producer.folder / HANDOFF).write_text("{}")
    opened.producer.commit_all(AUTHOR, WHEN, "Not pushed")
    opened.did("handoff", keys="producer")


def test_nothing_is_handed_over_before_the_program_is_open(world: World) -> None:
    world.make_keys()
    assert "entry 0" in _refusal(world)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"release_tag": "v0.5.0"}, "release_tag: expected v0.4.0, got v0.5.0"),
        ({"expected_api_contract_version": "api.v2"}, "api contract: expected api.v1, got api.v2"),
        ({"commit_sha": "1" * 40}, "commit 111111111111 is not on origin"),
        ({"manifest_path": "/Users/d/manifest.json"}, "is a path of one machine only"),
        ({"expected_producer_manifest_sha256": "0" * 64}, "manifest digest: expected 000"),
        ({"expected_producer_manifest_sha256": None}, "manifest digest: expected none stated"),
    ],
)
def test_a_payload_that_disagrees_is_refused(opened: World, changes: dict[str, object], message: str) -> None:
    opened.write_handoff(**changes)
    assert message in _refusal(opened)


def test_every_disagreement_is_named_at_once(opened: World) -> None:
    opened.write_handoff(release_tag="v0.5.0", commit_sha="1" * 40)
    refusal = _refusal(opened)
    assert "release_tag" in refusal
    assert "is not on origin" in refusal


def test_a_malformed_payload_is_refused_with_its_field(opened: World) -> None:
    opened.write_payload(b'{"release_tag": 1}')
    assert "does not read as a hand-off" in _refusal(opened)


def test_a_payload_that_is_not_there_is_refused(opened: World) -> None:
    (opened.producer.folder / HANDOFF).unlink()
    opened.producer.commit_all(AUTHOR, WHEN, "Remove the payload")
    opened.producer.push(MAIN)
    assert f"{HANDOFF} is not in commit" in _refusal(opened)


def test_a_lightweight_tag_is_refused(opened: World) -> None:
    opened.producer.push(f"{opened.commits['v0.4.0']}:refs/tags/v0.4.0", force=True)
    assert "is not annotated" in _refusal(opened)


def test_a_missing_tag_is_refused(opened: World) -> None:
    opened.producer.push(":refs/tags/v0.4.0")
    assert "tag v0.4.0 is not on origin" in _refusal(opened)


def test_a_manifest_that_does_not_read_is_refused(opened: World) -> None:
    (opened.producer.folder / MANIFEST).write_text("{}")
    opened.write_payload((opened.producer.folder / HANDOFF).read_bytes())
    assert "the manifest does not read" in _refusal(opened)
