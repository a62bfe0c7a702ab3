"""Manifest, pin and hand-off: published files are read, malformed ones refused with field and reason."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec
import pytest
from contracts.core.handoff import (
    ANY,
    AnswerDifferenceRule,
    ConsumerImpact,
    Handoff,
    QuestionClass,
    encode_handoff,
    parse_handoff,
)
from contracts.core.manifest import ProducerManifest, encode_manifest, parse_manifest
from contracts.core.pin import Pin, encode_pin, parse_pin
from contracts.documents import fixture_names, load_fixture
from contracts.errors import MalformedDocument
from hypothesis import given, settings
from hypothesis import strategies as st

Document: TypeAlias = dict[str, Any]
Load: TypeAlias = Callable[[str], Document]
Steps: TypeAlias = tuple[str | int, ...]

MANIFEST = "producer-contract-manifest.v0.4.0.json"
PIN = "memorykernel-integration-pin.v0.4.0.json"
STABLE = "handoff.stable.v0.4.0.json"
CANDIDATE = "handoff.service-v3-candidate.v0.3.2.json"
READERS: dict[str, Callable[[bytes], Any]] = {
    MANIFEST: parse_manifest,
    PIN: parse_pin,
    STABLE: parse_handoff,
    CANDIDATE: parse_handoff,
}
REMOVED = object()


def put(document: Any, steps: Steps, value: object) -> bytes:
    """Change one place of a document, or remove it, and write it out."""
    place = document
    for step in steps[:-1]:
        place = place[step]
    if value is REMOVED:
        del place[steps[-1]]
    elif isinstance(place, list) and steps[-1] == len(place):
        place.append(value)
    else:
        place[steps[-1]] = value
    return json.dumps(document).encode()


def refusal(name: str, data: bytes) -> tuple[str, str]:
    with pytest.raises(MalformedDocument) as caught:
        READERS[name](data)
    assert "\n" not in str(caught.value)
    return caught.value.field, caught.value.reason


@pytest.mark.parametrize(
    "name", [name for name in fixture_names() if name.startswith("producer-contract-manifest")]
)
def test_published_manifests_are_read_and_written_byte_for_byte(name: str) -> None:
    assert encode_manifest(parse_manifest(load_fixture(name))) == load_fixture(name)


@pytest.mark.parametrize("name", [name for name in fixture_names() if "integration-pin" in name])
def test_published_pins_are_read_and_written_byte_for_byte(name: str) -> None:
    assert encode_pin(parse_pin(load_fixture(name))) == load_fixture(name)


@pytest.mark.parametrize("name", [STABLE, CANDIDATE])
def test_published_handoffs_are_read_and_written_byte_for_byte(name: str) -> None:
    assert encode_handoff(parse_handoff(load_fixture(name))) == load_fixture(name)


def test_the_published_pins_name_the_published_manifests() -> None:
    for tag in ("v0.3.2", "v0.4.0"):
        pin = parse_pin(load_fixture(f"memorykernel-integration-pin.{tag}.json"))
        manifest = load_fixture(f"producer-contract-manifest.{tag}.json")
        assert pin.expected_producer_manifest_sha256 == sha256(manifest).hexdigest()


@pytest.mark.parametrize(
    ("steps", "value", "field", "reason"),
    [
        (
            ("manifest_contract_version",),
            "v2",
            "manifest_contract_version",
            "producer-contract-manifest.v1, got 'v2'",
        ),
        (("manifest_contract_version",), REMOVED, "manifest_contract_version", "missing"),
        (("release_tag",), "0.4.0", "release_tag", "a release tag like v1.2.3, got '0.4.0'"),
        (("release_tag",), "v0.4", "release_tag", "a release tag"),
        (("release_tag",), "v0.4.0\n", "release_tag", "a release tag"),
        (("release_tag",), "v0.04.0", "release_tag", "a release tag"),
        (("release_tag",), None, "release_tag", "expected str, got null"),
        (("commit_sha",), "7e4806a", "commit_sha", "40 lower-case hex digits"),
        (("commit_sha",), "G" * 40, "commit_sha", "40 lower-case hex digits"),
        (("commit_sha",), "A" * 40, "commit_sha", "40 lower-case hex digits"),
        (
            ("expected_service_contract_version",),
            "v3",
            "expected_service_contract_version",
            "like service.v3",
        ),
        (("expected_api_contract_version",), "api", "expected_api_contract_version", "like api.v1"),
        (("integration_baseline",), "integration/v2", "integration_baseline", "integration/v1, got"),
        (("error_code_enum",), [], "error_code_enum", "length >= 1"),
        (("error_code_enum",), "invalid_json", "error_code_enum", "expected array, got str"),
        (("error_code_enum", 3), 7, "error_code_enum[3]", "expected str, got int"),
        (("error_code_enum", 3), "Write-Failed", "error_code_enum[3]", "an error code like write_conflict"),
        (("error_code_enum", 10), "invalid_json", "error_code_enum[10]", "'invalid_json' again"),
        (
            ("stability_window", "minimum_sprint_days"),
            -1,
            "stability_window.minimum_sprint_days",
            ">= 0, got -1",
        ),
        (
            ("stability_window", "minimum_sprint_days"),
            "14",
            "stability_window.minimum_sprint_days",
            "got str",
        ),
        (
            ("stability_window", "minimum_sprint_days"),
            True,
            "stability_window.minimum_sprint_days",
            "got bool",
        ),
        (
            ("stability_window", "days"),
            1,
            "stability_window.days",
            "unknown key, expected one of minimum_sprint_days",
        ),
        (
            ("additive_error_code_notice_policy", "emergency_notice_hours"),
            1.5,
            "additive_error_code_notice_policy.emergency_notice_hours",
            "expected int, got float",
        ),
        (("service_v3_transition_guard",), [], "service_v3_transition_guard", "expected object, got array"),
        (
            ("service_v3_transition_guard", "legacy_error_removal_requires_service_v3"),
            REMOVED,
            "service_v3_transition_guard.legacy_error_removal_requires_service_v3",
            "missing",
        ),
        (("signature",), "x", "signature", "unknown key"),
    ],
)
def test_a_malformed_manifest(published: Load, steps: Steps, value: object, field: str, reason: str) -> None:
    found, why = refusal(MANIFEST, put(published(MANIFEST), steps, value))
    assert found == field
    assert reason in why


def test_a_manifest_may_announce_a_code_that_is_not_among_the_ten(published: Load) -> None:
    manifest = parse_manifest(put(published(MANIFEST), ("error_code_enum", 10), "quota_exceeded"))
    assert manifest.error_code_enum[10] == "quota_exceeded"


@pytest.mark.parametrize(
    ("steps", "value", "field", "reason"),
    [
        (("memorykernel_repo",), "", "memorykernel_repo", "not blank"),
        (("memorykernel_repo",), "a\nb", "memorykernel_repo", "one line"),
        (("release_tag",), "latest", "release_tag", "a release tag like v1.2.3"),
        (("commit_sha",), "0" * 39, "commit_sha", "40 lower-case hex digits"),
        (
            ("expected_integration_baseline",),
            "v1",
            "expected_integration_baseline",
            "integration/v1, got 'v1'",
        ),
        (
            ("expected_producer_manifest_sha256",),
            "0" * 63,
            "expected_producer_manifest_sha256",
            "64 lower-case hex",
        ),
        (
            ("expected_producer_manifest_sha256",),
            "F" * 64,
            "expected_producer_manifest_sha256",
            "64 lower-case hex",
        ),
        (("default_timeout_ms",), 99, "default_timeout_ms", ">= 100, got 99"),
        (("default_timeout_ms",), 30_001, "default_timeout_ms", "<= 30000, got 30001"),
        (("default_timeout_ms",), 2500.5, "default_timeout_ms", "expected int, got float"),
        (("default_timeout_ms",), "2500", "default_timeout_ms", "expected int, got str"),
        (("default_timeout_ms",), True, "default_timeout_ms", "expected int, got bool"),
        (("default_timeout_ms",), REMOVED, "default_timeout_ms", "missing"),
        (("default_base_url",), 4010, "default_base_url", "expected str, got int"),
        (("timeout",), 1, "timeout", "unknown key"),
    ],
)
def test_a_malformed_pin(published: Load, steps: Steps, value: object, field: str, reason: str) -> None:
    found, why = refusal(PIN, put(published(PIN), steps, value))
    assert found == field
    assert reason in why


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://10.0.0.7:4010", "expected a loopback address, got 10.0.0.7"),
        ("http://producer.example", "loopback"),
        ("http://localhost.example:4010", "loopback"),
        ("http://127.0.0.1.example:4010", "loopback"),
        ("http://2130706433:4010", "loopback"),
        ("http://0.0.0.0:4010", "loopback"),
        ("http://127.0.0.1@10.0.0.7:4010", "no user or password"),
        ("http://user:pw@127.0.0.1:4010", "no user or password"),
        ("ftp://127.0.0.1", "http or https"),
        ("127.0.0.1:4010", "http or https"),
        ("http://", "http or https"),
        ("", "printable ASCII"),
        ("http://127.0.0.1:4010\n", "printable ASCII"),
        ("http://127.0.0.1:40 10", "printable ASCII"),
        ("http://127.0.0.1:99999", "bad port"),
        ("http://127.0.0.1:x", "bad port"),
        ("http://127.0.0.1:0", "port from 1"),
        ("http://127.0.0.1:", "port from 1"),
        ("http://[::1", "bad port or host"),
        ("http://127.0.0.1:4010/v1", "no path"),
        ("http://127.0.0.1:4010?", "no path, query"),
        ("http://127.0.0.1:4010/#", "no path, query"),
        ("http://127.0.0.1\\@10.0.0.7", "no user or password"),
    ],
)
def test_a_base_url_that_is_refused(published: Load, url: str, reason: str) -> None:
    found, why = refusal(PIN, put(published(PIN), ("default_base_url",), url))
    assert found == "default_base_url"
    assert reason in why


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4010", "http://127.9.9.9/", "http://[::1]:80", "https://localhost"]
)
def test_a_loopback_base_url_is_accepted(published: Load, url: str) -> None:
    assert parse_pin(put(published(PIN), ("default_base_url",), url)).default_base_url == url


def test_a_remote_base_url_is_accepted_only_where_that_is_said(published: Load) -> None:
    data = put(published(PIN), ("default_base_url",), "https://producer.example:8443")
    assert parse_pin(data, allow_remote=True).default_base_url == "https://producer.example:8443"
    with pytest.raises(MalformedDocument, match="loopback"):
        parse_pin(data)


HANDOFF_CASES: list[tuple[str, Steps, object, str, str]] = [
    (STABLE, ("handoff_mode",), "draft", "handoff_mode", "stable, service-v3-candidate, got 'draft'"),
    (
        STABLE,
        ("handoff_mode",),
        "service-v3-candidate",
        "rehearsal_candidate",
        "got mode service-v3-candidate",
    ),
    (CANDIDATE, ("handoff_mode",), "stable", "rehearsal_candidate", "got mode stable"),
    (
        STABLE,
        ("handoff_generated_at_utc",),
        "2026-02-08 13:19",
        "handoff_generated_at_utc",
        "an RFC 3339 time",
    ),
    (
        STABLE,
        ("handoff_generated_at_utc",),
        "2026-02-08T13:19:53+01:00",
        "handoff_generated_at_utc",
        "in UTC",
    ),
    (
        STABLE,
        ("handoff_generated_at_utc",),
        "2026-02-30T13:19:53Z",
        "handoff_generated_at_utc",
        "no such instant",
    ),
    (STABLE, ("release_tag",), "v0.4.0-rc1", "release_tag", "a release tag"),
    (STABLE, ("commit_sha",), 1, "commit_sha", "expected str, got int"),
    (STABLE, ("active_runtime_baseline",), REMOVED, "active_runtime_baseline", "missing"),
    (
        STABLE,
        ("active_runtime_baseline", "release_tag"),
        "v1",
        "active_runtime_baseline.release_tag",
        "release tag",
    ),
    (STABLE, ("active_runtime_baseline", "since"), "v1", "active_runtime_baseline.since", "unknown key"),
    (STABLE, ("error_code_enum", 1), "invalid_json", "error_code_enum[1]", "'invalid_json' again"),
    (STABLE, ("error_code_enum", 2), None, "error_code_enum[2]", "expected str, got null"),
    (STABLE, ("non_2xx_envelope_policy",), {}, "non_2xx_envelope_policy.service_v3_stable", "missing"),
    (STABLE, ("non_2xx_envelope_policy", "v3"), {}, "non_2xx_envelope_policy.v3", "a policy name"),
    (
        STABLE,
        ("non_2xx_envelope_policy", "service_v3_stable"),
        [],
        "non_2xx_envelope_policy.service_v3_stable",
        "expected object, got array",
    ),
    (
        STABLE,
        ("non_2xx_envelope_policy", "service_v3_stable", "requires"),
        REMOVED,
        "non_2xx_envelope_policy.service_v3_stable.requires",
        "missing",
    ),
    (
        STABLE,
        ("non_2xx_envelope_policy", "service_v3_stable", "requires", 1),
        "error..code",
        "non_2xx_envelope_policy.service_v3_stable.requires[1]",
        "an envelope key",
    ),
    (
        STABLE,
        ("non_2xx_envelope_policy", "service_v3_stable", "forbids", 2),
        "error.code",
        "non_2xx_envelope_policy.service_v3_stable.forbids[2]",
        "error.code is allowed by the same policy",
    ),
    (STABLE, ("manifest_contract_version",), "v1", "manifest_contract_version", "got 'v1'"),
    (STABLE, ("manifest_path",), " ", "manifest_path", "not blank"),
    (STABLE, ("verification_commands", 2), 5, "verification_commands[2]", "expected str, got int"),
    (STABLE, ("verification_commands", 0), "make test\nrm", "verification_commands[0]", "one line"),
    (
        STABLE,
        ("consumer_impact_statement_template", "repin_required"),
        True,
        "consumer_impact_statement_template.repin_required",
        "expected str, got bool",
    ),
    (STABLE, ("release_digest",), {}, "release_digest", "unknown key"),
    (STABLE, ("release_digests",), ["a"], "release_digests", "got array"),
    (
        STABLE,
        ("release_digests",),
        {"openapi.yaml": "0"},
        'release_digests["openapi.yaml"]',
        "a sha256 of 64",
    ),
    (STABLE, ("release_digests",), {"a": "0" * 64, "b": 1}, "release_digests.b", "expected str, got int"),
    (STABLE, ("release_digests",), {"/etc/x": "0" * 64}, 'release_digests["/etc/x"]', "repository-relative"),
    (STABLE, ("release_digests",), {"../x": "0" * 64}, 'release_digests["../x"]', "repository-relative"),
    (
        STABLE,
        ("release_digests",),
        {"a/../../x": "0" * 64},
        'release_digests["a/../../x"]',
        "repository-relative",
    ),
    (STABLE, ("release_digests",), {"": "0" * 64}, 'release_digests[""]', "not blank"),
    (
        STABLE,
        ("expected_producer_manifest_sha256",),
        "0",
        "expected_producer_manifest_sha256",
        "a sha256 of 64",
    ),
    (CANDIDATE, ("rehearsal_candidate",), REMOVED, "rehearsal_candidate", "got mode service-v3-candidate"),
    (
        CANDIDATE,
        ("rehearsal_candidate", "requires_runtime_cutover"),
        True,
        "rehearsal_candidate.requires_runtime_cutover",
        "expected false",
    ),
    (
        CANDIDATE,
        ("rehearsal_candidate", "consumer_non_blocking_fallback_required"),
        False,
        "rehearsal_candidate.consumer_non_blocking_fallback_required",
        "expected true",
    ),
    (
        CANDIDATE,
        ("rehearsal_candidate", "migration_overlap_days"),
        -14,
        "rehearsal_candidate.migration_overlap_days",
        ">= 0, got -14",
    ),
    (CANDIDATE, ("compatibility_expectations",), REMOVED, "compatibility_expectations", "got mode"),
    (
        CANDIDATE,
        ("required_consumer_validation_commands",),
        REMOVED,
        "required_consumer_validation_commands",
        "got mode",
    ),
    (
        CANDIDATE,
        ("non_2xx_envelope_policy", "service_v3_candidate"),
        REMOVED,
        "non_2xx_envelope_policy.service_v3_candidate",
        "missing",
    ),
]


@pytest.mark.parametrize(("name", "steps", "value", "field", "reason"), HANDOFF_CASES)
def test_a_malformed_handoff(
    published: Load, name: str, steps: Steps, value: object, field: str, reason: str
) -> None:
    found, why = refusal(name, put(published(name), steps, value))
    assert found == field
    assert reason in why


RULE: Document = {
    "question_class": {"actor": "contractor", "action": "use", "resource": "*"},
    "from": "inconclusive",
    "to": "deny",
    "reason": "a specific deny is not made inconclusive by a wildcard allow",
}
IMPACT: Document = {
    "runtime_behavior_changes": "none",
    "required_consumer_mapping_changes": "none",
    "required_test_updates": "none",
    "repin_required": "yes",
    "rollback_instruction": "repin to v0.3.2",
}


@pytest.mark.parametrize(
    ("steps", "value", "field", "reason"),
    [
        (
            ("answer_difference_rules", 0, "from"),
            "maybe",
            "answer_difference_rules[0].from",
            "allow, deny, inconclusive",
        ),
        (
            ("answer_difference_rules", 0, "to"),
            "inconclusive",
            "answer_difference_rules[0].to",
            "another result",
        ),
        (("answer_difference_rules", 0, "reason"), "", "answer_difference_rules[0].reason", "not blank"),
        (("answer_difference_rules", 0, "from"), REMOVED, "answer_difference_rules[0].from", "missing"),
        (("answer_difference_rules", 0, "from_"), "deny", "answer_difference_rules[0].from_", "unknown key"),
        (
            ("answer_difference_rules", 0, "question_class", "actor"),
            None,
            "answer_difference_rules[0].question_class.actor",
            "expected str, got null",
        ),
        (
            ("answer_difference_rules", 1),
            {**RULE, "to": "allow"},
            "answer_difference_rules[1]",
            "one rule per question",
        ),
        (
            ("consumer_impact_statement", "rollback_instruction"),
            "<describe>",
            "consumer_impact_statement.rollback_instruction",
            "placeholder",
        ),
        (
            ("consumer_impact_statement", "repin_required"),
            "perhaps",
            "consumer_impact_statement.repin_required",
            "yes or no",
        ),
        (
            ("consumer_impact_statement", "repin_required"),
            REMOVED,
            "consumer_impact_statement.repin_required",
            "missing",
        ),
    ],
)
def test_a_malformed_addition_of_ours(
    published: Load, steps: Steps, value: object, field: str, reason: str
) -> None:
    document = published(STABLE)
    document["answer_difference_rules"] = [json.loads(json.dumps(RULE))]
    document["consumer_impact_statement"] = dict(IMPACT)
    found, why = refusal(STABLE, put(document, steps, value))
    assert found == field
    assert reason in why


def test_our_additions_are_read_and_written(published: Load) -> None:
    document = published(STABLE)
    document["manifest_path"] = "contracts/integration/v1/producer-contract-manifest.json"
    document["changelog_path"] = "CHANGELOG.md"
    document["verification_commands"] = ["make test", "./verify --root=. http://127.0.0.1:4010"]
    document["expected_producer_manifest_sha256"] = "ab" * 32
    document["release_digests"] = {"release.toml": "01" * 32, "openapi.yaml": "02" * 32}
    document["consumer_impact_statement"] = IMPACT
    document["answer_difference_rules"] = [RULE]
    handoff = parse_handoff(json.dumps(document).encode())
    assert handoff.absolute_paths == ()
    assert handoff.release_digests == document["release_digests"]
    assert handoff.consumer_impact_statement == ConsumerImpact(**IMPACT)
    assert parse_handoff(encode_handoff(handoff)) == handoff
    assert json.loads(encode_handoff(handoff)) == document


def test_a_stable_handoff_of_service_v4_needs_its_own_policy_and_nothing_else(published: Load) -> None:
    handoff = published(STABLE)
    handoff["expected_service_contract_version"] = "service.v4"
    handoff["active_runtime_baseline"]["expected_service_contract_version"] = "service.v3"
    assert refusal(STABLE, json.dumps(handoff).encode())[0] == "non_2xx_envelope_policy.service_v4_stable"
    policies = handoff["non_2xx_envelope_policy"]
    policies["service_v4_stable"] = policies["service_v3_stable"]
    read = parse_handoff(json.dumps(handoff).encode())
    assert read.handoff_mode == "stable"
    assert read.expected_service_contract_version == "service.v4"


def test_absolute_and_escaping_paths_are_listed(published: Load) -> None:
    document = published(CANDIDATE)
    document["manifest_path"] = "C:\\releases\\manifest.json"
    document["changelog_path"] = "docs/../../CHANGELOG.md"
    document["verification_commands"] = ["make test", "./verify --root=/srv/producer 'unclosed"]
    document["required_consumer_validation_commands"] = ["pnpm --dir ~/consumer test", "pnpm test"]
    assert parse_handoff(json.dumps(document).encode()).absolute_paths == (
        "manifest_path: C:\\releases\\manifest.json",
        "changelog_path: docs/../../CHANGELOG.md",
        "verification_commands[1]: /srv/producer",
        "required_consumer_validation_commands[0]: ~/consumer",
    )


def test_the_published_handoffs_list_their_absolute_paths() -> None:
    listed = parse_handoff(load_fixture(STABLE)).absolute_paths
    assert len(listed) == 7
    assert listed[0].startswith("manifest_path: /")


def test_a_question_class_covers_exactly_what_it_says() -> None:
    some = QuestionClass(actor="contractor", action=ANY, resource="usb_drive")
    assert some.covers(actor="contractor", action="use", resource="usb_drive")
    assert not some.covers(actor="employee", action="use", resource="usb_drive")
    assert not some.covers(actor="contractor", action="use", resource="usb_drive2")


@pytest.mark.parametrize("name", sorted(READERS))
@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        (b"", "$", "not JSON"),
        (b"[]", "$", "expected object, got array"),
        (b"null", "$", "expected object, got null"),
        (b'{"release_tag": "v1.0.0", "release_tag": "v2.0.0"}', "release_tag", "duplicate key"),
        (b'{"commit_sha": NaN}', "commit_sha", "got NaN"),
        (b"\xff", "$", "invalid byte"),
        (b" " * (2 << 20), "$", "expected at most 1048576 bytes, got 2097152"),
    ],
)
def test_what_no_reader_takes(name: str, data: bytes, field: str, reason: str) -> None:
    found, why = refusal(name, data)
    assert found == field
    assert reason in why


def test_a_key_spelled_like_a_message_of_the_library_is_still_refused(published: Load) -> None:
    for key in ("a` - at `$.nowhere", "a` - at `$.release_tag", "a` - at `$[4]"):
        assert "unknown key" in refusal(STABLE, put(published(STABLE), (key,), 1))[1]


@pytest.mark.parametrize(
    ("encode", "record"),
    [
        (encode_pin, lambda: _changed(parse_pin(load_fixture(PIN)), default_timeout_ms=1)),
        (encode_manifest, lambda: _changed(parse_manifest(load_fixture(MANIFEST)), error_code_enum=())),
        (encode_handoff, lambda: _changed(parse_handoff(load_fixture(STABLE)), release_tag="4")),
    ],
)
def test_nothing_is_written_that_would_not_be_read(
    encode: Callable[[Any], bytes], record: Callable[[], Any]
) -> None:
    with pytest.raises(MalformedDocument):
        encode(record())


def _changed(record: Any, **changes: object) -> Any:
    return msgspec.structs.replace(record, **changes)


hexes = st.text("0123456789abcdef", min_size=40, max_size=40)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
tags = st.builds("v{}.{}.{}".format, *[st.integers(0, 999)] * 3)
contracts = st.builds("service.v{}".format, st.integers(1, 9))
codes = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), min_size=1, max_size=12, unique=True)
lines = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=30)
results = st.sampled_from(["allow", "deny", "inconclusive"])


@settings(deadline=None, max_examples=50)
@given(tags, hexes, contracts, codes)
def test_manifests_round_trip(tag: str, sha: str, service: str, names: list[str]) -> None:
    base = parse_manifest(load_fixture(MANIFEST))
    manifest: ProducerManifest = _changed(
        base,
        release_tag=tag,
        commit_sha=sha,
        expected_service_contract_version=service,
        error_code_enum=tuple(names),
    )
    assert parse_manifest(encode_manifest(manifest)) == manifest


@settings(deadline=None, max_examples=50)
@given(tags, hexes, digests, contracts, st.integers(1, 65535), st.integers(100, 30_000), lines)
def test_pins_round_trip(
    tag: str, sha: str, digest: str, service: str, port: int, timeout: int, repository: str
) -> None:
    pin = Pin(
        memorykernel_repo=repository,
        release_tag=tag,
        commit_sha=sha,
        expected_service_contract_version=service,
        expected_api_contract_version="api.v1",
        expected_integration_baseline="integration/v1",
        expected_producer_manifest_sha256=digest,
        default_base_url=f"http://127.0.0.1:{port}",
        default_timeout_ms=timeout,
    )
    assert parse_pin(encode_pin(pin)) == pin


rules = st.builds(
    AnswerDifferenceRule,
    question_class=st.builds(QuestionClass, actor=lines, action=lines | st.just(ANY), resource=lines),
    from_=results,
    to=results,
    reason=lines,
).filter(lambda rule: rule.from_ != rule.to)


@settings(deadline=None, max_examples=50)
@given(
    tags,
    digests,
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}\.[a-z]{1,4}", fullmatch=True), digests, max_size=4
    ),
    st.lists(rules, max_size=4, unique_by=lambda rule: (rule.question_class, rule.from_)),
)
def test_handoffs_round_trip(
    tag: str, digest: str, files: dict[str, str], announced: list[AnswerDifferenceRule]
) -> None:
    handoff: Handoff = _changed(
        parse_handoff(load_fixture(STABLE)),
        release_tag=tag,
        expected_producer_manifest_sha256=digest,
        release_digests=files,
        answer_difference_rules=tuple(announced),
    )
    assert parse_handoff(encode_handoff(handoff)) == handoff


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(READERS)), st.data())
def test_mutated_documents_are_read_or_refused_and_nothing_else(name: str, data: st.DataObject) -> None:
    raw = bytearray(load_fixture(name))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(start + 12, len(raw))))
        raw[start:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"]", b"1e999", b"NaN", b"\\ud800"])
        )
    _read_or_refuse(name, bytes(raw))


atoms = (
    st.none() | st.booleans() | st.integers(-5, 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8)
)
fragments = atoms | st.lists(atoms, max_size=2) | st.dictionaries(st.text(max_size=4), atoms, max_size=2)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(READERS)), st.data(), fragments)
def test_documents_with_one_value_swapped_are_read_or_refused(
    name: str, data: st.DataObject, value: object
) -> None:
    document = json.loads(load_fixture(name))
    place, step = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(place[step], dict | list) and place[step] and data.draw(st.booleans()):
        place = place[step]
        step = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place))))
        )
    place[step] = value
    _read_or_refuse(name, json.dumps(document).encode())


def _read_or_refuse(name: str, data: bytes) -> None:
    try:
        READERS[name](data)
    except MalformedDocument as error:
        assert error.field  # noqa: PT017  # both outcomes are fine, but a refusal says where
        assert error.reason  # noqa: PT017  # and why
