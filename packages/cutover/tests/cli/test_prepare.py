"""The repin: two pairs of commits on side refs, deterministic, and nothing live."""

from __future__ import annotations

import hashlib

import pytest
from contracts.core.matrix import parse_matrix
from contracts.core.pin import parse_pin

from packages.cutover.tests.cli.world import AUTHOR, MAIN, WHEN, World

PATHS = ("config/manifest.json", "config/pin.json", "docs/MATRIX.md")


def _prepare(world: World) -> dict[str, dict[str, str]]:
    body: dict[str, dict[str, str]] = world.did("prepare", "--json", keys="consumer").document["body"]
    return body


def _refusal(world: World) -> str:
    ran = world.run("prepare", keys="consumer")
    assert ran.code == 1
    return ran.err


def test_two_pairs_stand_on_one_line_and_nothing_is_live(handed_off: World) -> None:
    origin = handed_off.consumer_origin
    live = origin.resolve(MAIN)
    body = _prepare(handed_off)
    drill, execution = body["drill"], body["execution"]
    line = [
        drill["base_commit"], drill["forward_commit"], drill["inverse_commit"],
        execution["forward_commit"], execution["inverse_commit"],
    ]  # fmt: skip
    assert line[0] == live == origin.resolve(MAIN)
    assert [origin.parent(child) for child in line[1:]] == line[:-1]
    assert execution["base_commit"] == drill["inverse_commit"]
    assert origin.resolve("refs/cutover/test/drill-forward") == drill["forward_commit"]
    assert origin.resolve("refs/cutover/test/inverse") == execution["inverse_commit"]


def test_a_forward_commit_changes_pin_matrix_and_manifest_together(handed_off: World) -> None:
    origin, body = handed_off.consumer_origin, _prepare(handed_off)
    for pair in (body["drill"], body["execution"]):
        forward = pair["forward_commit"]
        assert origin.changed_paths(pair["base_commit"], forward) == PATHS
        pin = parse_pin(origin.read_blob(forward, "config/pin.json") or b"")
        mirror = origin.read_blob(forward, "config/manifest.json") or b""
        matrix = parse_matrix(origin.read_blob(forward, "docs/MATRIX.md") or b"")
        assert mirror == handed_off.mirrors["v0.4.0"]
        assert pin.expected_producer_manifest_sha256 == hashlib.sha256(mirror).hexdigest()
        assert (pin.release_tag, pin.commit_sha) == ("v0.4.0", handed_off.commits["v0.4.0"])
        assert matrix.baseline_pin["release_tag"] == "v0.4.0"
        row = matrix.pairs[-1]
        assert (row.producer_tag, row.status, row.consumer_commit) == (
            "v0.4.0",
            "Approved",
            origin.parent(forward),
        )


def test_what_a_repin_does_not_concern_stays(handed_off: World) -> None:
    origin, body = handed_off.consumer_origin, _prepare(handed_off)
    before = parse_pin(origin.read_blob(body["drill"]["base_commit"], "config/pin.json") or b"")
    after = parse_pin(origin.read_blob(body["drill"]["forward_commit"], "config/pin.json") or b"")
    assert (after.memorykernel_repo, after.default_base_url) == (
        before.memorykernel_repo,
        before.default_base_url,
    )
    old = parse_matrix(origin.read_blob(body["drill"]["base_commit"], "docs/MATRIX.md") or b"").pairs
    new = parse_matrix(origin.read_blob(body["drill"]["forward_commit"], "docs/MATRIX.md") or b"").pairs
    assert new[: len(old)] == old


def test_an_inverse_restores_the_base_byte_for_byte(handed_off: World) -> None:
    origin, body = handed_off.consumer_origin, _prepare(handed_off)
    for pair in (body["drill"], body["execution"]):
        assert origin.tree_id(pair["inverse_commit"]) == origin.tree_id(pair["base_commit"])


def test_preparing_again_gives_the_same_commits(handed_off: World) -> None:
    assert _prepare(handed_off) == _prepare(handed_off)


def test_nothing_is_prepared_before_a_hand_off(opened: World) -> None:
    assert "nothing was handed off yet" in _refusal(opened)


def test_a_live_pin_of_another_release_is_refused(prepared: World) -> None:
    origin = prepared.consumer_origin
    forward, live = origin.resolve("refs/cutover/test/forward"), origin.resolve(MAIN)
    assert forward is not None
    assert origin.compare_and_swap(MAIN, forward, live)
    assert "names v0.4.0, expected the baseline v0.3.2" in _refusal(prepared)


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        ("docs/MATRIX.md", b"api.v1", b"api.v2", "pin and matrix differ in expected_api_contract_version"),
        ("config/manifest.json", b"internal_error", b"other_error", "mirrored manifest is not the one"),
        ("config/pin.json", b'"default_timeout_ms": 2500', b'"default_timeout_ms": 1', "does not read"),
    ],
)
def test_a_live_ref_that_is_not_consistent_is_refused(
    handed_off: World, path: str, old: bytes, new: bytes, message: str
) -> None:
    file = handed_off.consumer.folder / path
    file.write_bytes(file.read_bytes().replace(old, new))
    handed_off.consumer.commit_all(AUTHOR, WHEN, "Break it")
    handed_off.consumer.push(MAIN)
    assert message in _refusal(handed_off)


def test_a_missing_file_of_the_three_is_refused(handed_off: World) -> None:
    (handed_off.consumer.folder / "config" / "pin.json").unlink()
    handed_off.consumer.commit_all(AUTHOR, WHEN, "Lose the pin")
    handed_off.consumer.push(MAIN)
    assert "config/pin.json is not in the live commit" in _refusal(handed_off)


def test_a_live_ref_that_is_not_there_is_refused(handed_off: World) -> None:
    (handed_off.folder / "consumer.git" / MAIN).unlink()
    assert "is not on the consumer's origin" in _refusal(handed_off)
