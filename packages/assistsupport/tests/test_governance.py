"""Pin, manifest and matrix must agree; a location must be a path and a name."""

import hashlib

import pytest
from assistsupport.core.governance import GovernanceCommit, build_governance_commit
from assistsupport.core.governance_location import list_ref_candidates, parse_governance_location
from assistsupport.errors import GovernanceInconsistent, GovernanceUnreadable
from hypothesis import given
from hypothesis import strategies as st

from packages.assistsupport.tests.policy_world import make_manifest, make_matrix, make_pin

COMMIT = "c1" * 20


def build(
    *,
    pin: bytes | None = None,
    manifest: bytes | None = None,
    matrix: bytes | None = None,
    allow_remote: bool = False,
) -> GovernanceCommit:
    return build_governance_commit(
        COMMIT,
        pin=make_pin() if pin is None else pin,
        manifest=make_manifest() if manifest is None else manifest,
        matrix=make_matrix() if matrix is None else matrix,
        allow_remote=allow_remote,
    )


@pytest.mark.parametrize("contract", ["service.v2", "service.v3"])
def test_three_files_that_agree_are_governance(contract: str) -> None:
    governance = build_governance_commit(
        COMMIT,
        pin=make_pin(contract=contract),
        manifest=make_manifest(contract),
        matrix=make_matrix(contract),
    )
    assert governance.commit == COMMIT
    assert governance.pin.expected_service_contract_version == contract


@pytest.mark.parametrize(
    ("pin", "fact"),
    [
        (make_pin(release_tag="v0.4.1"), "manifest release_tag"),
        (make_pin(commit_sha="ab" * 20), "manifest commit_sha"),
        (make_pin(expected_service_contract_version="service.v2"), "expected_service_contract_version"),
        (make_pin(expected_producer_manifest_sha256="00" * 32), "mirrored manifest: expected sha256"),
    ],
)
def test_a_pin_that_differs_is_refused(pin: bytes, fact: str) -> None:
    with pytest.raises(GovernanceInconsistent, match=fact):
        build(pin=pin)


def test_a_mirror_that_differs_in_one_byte_is_refused() -> None:
    with pytest.raises(GovernanceInconsistent, match="mirror it again"):
        build(manifest=make_manifest() + b"\n")


def test_a_matrix_of_another_pin_is_refused() -> None:
    with pytest.raises(GovernanceInconsistent, match="matrix release_tag"):
        build(matrix=make_matrix(release_tag="v0.3.2"))


def test_a_pair_that_is_not_approved_is_refused() -> None:
    with pytest.raises(GovernanceInconsistent, match="Approved pair"):
        build(matrix=make_matrix(status="Candidate"))


def test_a_contract_without_a_policy_is_refused() -> None:
    manifest = make_manifest(expected_service_contract_version="service.v9")
    changes = {
        "expected_service_contract_version": "service.v9",
        "expected_producer_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }
    matrix = make_matrix(**changes).replace(b"service.v3", b"service.v9")
    with pytest.raises(GovernanceInconsistent, match=r"expected one of the contracts service.v2, service.v3"):
        build(pin=make_pin(**changes), manifest=manifest, matrix=matrix)


@pytest.mark.parametrize("name", ["pin", "manifest", "matrix"])
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"a":1,"a":2}'])
def test_a_malformed_file_is_named(name: str, data: bytes) -> None:
    paths = {"pin": "integration-pin", "manifest": "producer-manifest", "matrix": "COMPATIBILITY_MATRIX"}
    with pytest.raises(GovernanceUnreadable, match=paths[name]):
        build(**{name: data})  # type: ignore[arg-type]  # the flag is not among the names


def test_a_remote_producer_needs_permission() -> None:
    pin = make_pin("http://producer.example.org:4010")
    with pytest.raises(GovernanceUnreadable, match="loopback"):
        build(pin=pin)
    assert build(pin=pin, allow_remote=True).pin.default_base_url.startswith("http://producer")


def test_a_location_is_split_at_its_last_at_sign() -> None:
    location = parse_governance_location("/srv/team@home/repo.git@release/2026")
    assert (location.repository, location.ref) == ("/srv/team@home/repo.git", "release/2026")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "repo",
        "repo@",
        "@main",
        "repo@--upload-pack=x",
        "repo@main~1",
        "repo@main^{tree}",
        "repo@main:file",
        "repo@a..b",
        "repo@a b",
        "repo@a\nb",
        "repo@refs/heads/",
        "repo@x.lock",
        "repo@.hidden",
        "repo@" + "a" * 256,
        "re\npo@main",
    ],
)
def test_what_is_no_location_is_refused(text: str) -> None:
    with pytest.raises(GovernanceUnreadable):
        parse_governance_location(text)


def test_a_branch_goes_before_a_tag_of_the_same_name() -> None:
    assert list_ref_candidates("main")[:2] == ("refs/heads/main", "refs/tags/main")


@pytest.mark.parametrize("ref", ["HEAD", "refs/heads/main", "ab" * 20, "ab" * 32])
def test_a_full_name_stands_for_itself(ref: str) -> None:
    assert list_ref_candidates(ref) == (ref,)


@given(st.text(max_size=40))
def test_a_location_never_carries_a_line_break_to_git(text: str) -> None:
    try:
        location = parse_governance_location(text)
    except GovernanceUnreadable:
        return
    assert "\n" not in location.ref
    assert not location.ref.startswith("-")
