"""Instants, ULIDs, admission of requests, the chain's framing, and releases."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import memorykernel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel import choose_release, default_release
from memorykernel.adapters.system import RandomIds, SystemClock
from memorykernel.core.admission import Fresh, admit_ask, admit_link, admit_record
from memorykernel.core.chain import digest_entry, next_head
from memorykernel.core.instant import format_instant, parse_instant, whole_seconds
from memorykernel.core.release import parse_release
from memorykernel.core.request import AddConstraint, AddLink, Ask, read_request
from memorykernel.core.terms import unicode_terms
from memorykernel.core.ulid import parse_ulid
from memorykernel.errors import InvalidRequest, MistypedField, ReleaseInvalid, WriteConflict

FRESH = Fresh(memory_version_id="01J" + "0" * 23, memory_id="01J" + "1" * 23, now_us=1_500_000)


def test_public_names_are_sorted_and_there() -> None:
    assert memorykernel.__all__ == sorted(memorykernel.__all__)
    assert all(hasattr(memorykernel, name) for name in memorykernel.__all__)


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001  # aware below
def test_an_instant_survives_its_text(moment: datetime) -> None:
    instant_us = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_instant(format_instant(instant_us), field="t") == instant_us


@pytest.mark.parametrize(
    ("text", "instant_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01.5z", 1_500_000),
        ("1970-01-01T00:00:00.000001999+00:00", 1),
        ("1969-12-31T23:59:59.5-00:00", -500_000),
    ],
)
def test_times_are_read(text: str, instant_us: int) -> None:
    assert parse_instant(text, field="t") == instant_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-30T00:00:00Z",
        "2026-02-08T13:19:60Z",
        "2026-02-08T13:19:53+01:00",
        "2026-02-08 13:19:53Z",
        "2026-02-08T13:19:53",
        "２026-02-08T13:19:53Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(MistypedField, match="field 't' is not a time"):
        parse_instant(text, field="t")


def test_seconds_are_rounded_down_before_1970_too() -> None:
    assert whole_seconds(-1) == -1


def test_a_ulid_has_one_spelling() -> None:
    assert parse_ulid("01m820tgejhxnczkzzpv6yjgfq", field="id") == "01M820TGEJHXNCZKZZPV6YJGFQ"


@pytest.mark.parametrize("text", ["", "8" * 26, "0" * 25, "0" * 27, "0" * 25 + "I", "0" * 25 + "ſ"])
def test_what_is_no_ulid_is_refused(text: str) -> None:
    with pytest.raises(MistypedField, match="is not a ULID"):
        parse_ulid(text, field="id")


def test_minted_ids_are_ulids_of_their_time() -> None:
    now_us = SystemClock().now_us()
    first, second = (RandomIds().mint_ulid(now_us) for _ in range(2))
    assert parse_ulid(first, field="id") == first
    assert first != second
    assert first[:10] == second[:10]


def test_a_record_without_times_was_created_now_and_is_in_effect_since(kit: Any) -> None:
    new = admit_record(read_request(kit.constraint(), AddConstraint, strict=True), FRESH)
    assert (new.created_at_us, new.effective_at_us) == (1_500_000, 1_500_000)
    assert new.record.created_at == new.record.effective_at == "1970-01-01T00:00:01.5Z"


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"writer": " \t"}, InvalidRequest, "'writer' is blank"),
        ({"justification": ""}, InvalidRequest, "'justification' is blank"),
        ({"source_uri": "\n"}, InvalidRequest, "'source_uri' is blank"),
        ({"actor": ""}, InvalidRequest, "'actor' is blank"),
        ({"action": " "}, InvalidRequest, "'action' is blank"),
        ({"resource": " "}, InvalidRequest, "'resource' is blank"),
        ({"version": 0}, InvalidRequest, "'version' expected 1 to"),
        ({"confidence": 1.1}, InvalidRequest, "'confidence' expected 0 to 1, got 1.1"),
        ({"confidence": -0.1}, InvalidRequest, "'confidence' expected 0 to 1"),
        ({"truth_status": "inferred"}, InvalidRequest, "is required for truth_status inferred"),
        ({"truth_status": "speculative"}, InvalidRequest, "is required for truth_status speculative"),
        ({"source_hash": "md5:00"}, InvalidRequest, "'source_hash' expected 'sha256:'"),
        ({"memory_id": ""}, MistypedField, "'memory_id' is not a ULID"),
        ({"supersedes": ["x"]}, MistypedField, r"'supersedes\[0\]' is not a ULID"),
        ({"created_at": "yesterday"}, MistypedField, "'created_at' is not a time"),
        ({"effective_at": ""}, MistypedField, "'effective_at' is not a time"),
        ({"effect": "maybe"}, MistypedField, "'effect' has an unknown value: expected one of allow, deny"),
        ({"authority": "boss"}, MistypedField, "expected one of authoritative, derived, note"),
        ({"version": "1"}, MistypedField, "'version' is mistyped: expected int, got str"),
        ({"evidence": None}, MistypedField, "'evidence' is mistyped"),
        ({"surprise": 1}, MistypedField, "'surprise' is unknown"),
    ],
)
def test_a_wrong_record_is_refused_with_its_field(
    kit: Any, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        admit_record(read_request(kit.constraint(**changes), AddConstraint, strict=True), FRESH)


def test_a_version_may_be_written_as_any_json_number(kit: Any) -> None:
    assert read_request(kit.constraint(version=2.0), AddConstraint, strict=True).version == 2
    with pytest.raises(MistypedField, match="expected int, got float"):
        read_request(kit.constraint(version=2.5), AddConstraint, strict=True)


def test_unknown_keys_pass_unless_strict(kit: Any) -> None:
    assert read_request(kit.ask(surprise=1), Ask, strict=False).actor == "user"


@pytest.mark.parametrize("document", [None, [], "text", 1, {}])
def test_what_is_no_request_is_refused(document: Any) -> None:
    with pytest.raises(MistypedField):
        read_request(document, Ask, strict=False)


def test_equal_supersedes_are_one_link(kit: Any) -> None:
    body = kit.constraint(supersedes=["0" * 26, "0" * 26])
    assert admit_record(read_request(body, AddConstraint, strict=True), FRESH).record.supersedes == (
        "0" * 26,
    )


def test_a_version_cannot_be_linked_to_itself() -> None:
    link: dict[str, Any] = {
        "from": "0" * 26,
        "to": "0" * 26,
        "relation": "contradicts",
        "writer": "w",
        "justification": "j",
    }
    with pytest.raises(WriteConflict, match="cannot be linked to itself"):
        admit_link(read_request(link, AddLink, strict=True))


@pytest.mark.parametrize("field", ["text", "actor", "action", "resource"])
def test_a_blank_question_is_refused(kit: Any, field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"'{field}' is blank"):
        admit_ask(read_request(kit.ask(**{field: "\u2003"}), Ask, strict=True), 0)


@given(st.lists(st.text(max_size=5) | st.integers() | st.none() | st.floats(allow_nan=False), max_size=4))
def test_framing_tells_different_entries_apart(values: list[Any]) -> None:
    assert digest_entry(values) != digest_entry([*values, None])
    assert digest_entry(values) != digest_entry([*values, ""])
    assert digest_entry(["ab", "c"]) != digest_entry(["a", "bc"])
    assert digest_entry(["1"]) != digest_entry([1])


@given(st.lists(st.text("aé日0", max_size=3) | st.integers() | st.none() | st.binary() | st.floats()))
def test_an_entry_is_framed_value_by_value(values: list[Any]) -> None:
    def frame(value: Any) -> bytes:
        if value is None:
            return b"n"
        if isinstance(value, float):
            return b"f" + struct.pack(">d", value)
        if isinstance(value, int):
            return b"i%d;" % value
        raw = value if isinstance(value, bytes) else value.encode()
        return b"t%d:%b" % (len(raw), raw)

    assert digest_entry(values) == sha256(b"".join(map(frame, values))).digest()


@given(st.text("aZ09 _-ſ", max_size=12))
def test_the_terms_of_plain_text_are_its_longer_words_and_its_numbers(text: str) -> None:
    pieces = re.split("[ _-]", text.replace("ſ", "s").lower())
    assert unicode_terms(text) == tuple(sorted({each for each in pieces if len(each) > 1 or each.isdigit()}))


def test_a_head_depends_on_everything_before_it() -> None:
    digest = digest_entry(["x"])
    heads = {
        next_head(b"0" * 32, kind="record", subject=1, digest=digest),
        next_head(b"1" * 32, kind="record", subject=1, digest=digest),
        next_head(b"0" * 32, kind="link", subject=1, digest=digest),
        next_head(b"0" * 32, kind="record", subject=2, digest=digest),
    }
    assert len(heads) == 4


def test_without_a_folder_the_newest_rules_run() -> None:
    chosen = default_release()
    assert (chosen.service_contract, chosen.ruleset, chosen.schema_version) == (
        "service.v4",
        "ordering.v3",
        4,
    )
    assert default_release("service.v3").ruleset == "ordering.v2"
    assert default_release("service.v2").ruleset == "ordering.v2"


def test_release_folders_name_contract_rules_and_schema(release_folders: dict[str, Path]) -> None:
    old, new = (choose_release(release_folders[tag]) for tag in ("v0.3.2", "v0.4.0"))
    assert (old.service_contract, old.policy_rules.name, old.schema_version) == (
        "service.v2",
        "ordering.v1",
        2,
    )
    assert (new.service_contract, new.recall_rules.name) == ("service.v3", "recall-ordering.v2")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("service.v2", "service.v9", "service_contract 'service.v9' is unknown"),
        ('"ordering.v1"', '"ordering.v7"', "ruleset 'ordering.v7' is unknown"),
        ("recall-ordering.v1", "recall", "recall_ruleset 'recall' is unknown"),
        (
            "schema_version = 2",
            "schema_version = 1",
            "'1' is unknown; expected one of 2, 3, 4",
        ),
        ("schema_version = 2", "", "missing required field"),
        ("schema_version", "schema", "unknown field"),
        ('openapi = "openapi.yaml"', "", "lacks release_tag, openapi or manifest"),
        ("openapi.yaml", "../openapi.yaml", "expected a path inside"),
        ("release_tag", "= =", "cannot be read"),
    ],
)
def test_a_wrong_release_file_is_refused(
    release_folders: dict[str, Path], old: str, new: str, says: str
) -> None:
    text = (release_folders["v0.3.2"] / "release.toml").read_text()
    with pytest.raises(ReleaseInvalid, match=says):
        parse_release(text.replace(old, new, 1).encode())


def test_an_incomplete_release_folder_is_refused(release_folders: dict[str, Path]) -> None:
    (release_folders["v0.3.2"] / "openapi.yaml").unlink()
    with pytest.raises(ReleaseInvalid, match=r"openapi\.yaml' cannot be read: .*; export the whole tag"):
        choose_release(release_folders["v0.3.2"])


def test_a_contract_that_contradicts_the_release_is_refused(release_folders: dict[str, Path]) -> None:
    with pytest.raises(ReleaseInvalid, match=r"speaks service\.v2, expected service\.v3"):
        choose_release(release_folders["v0.3.2"], "service.v3")
