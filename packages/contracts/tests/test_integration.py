"""integration/v1: readers and schemas accept the same documents and refuse the same ones."""

import copy
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import jsonschema
import pytest
from contracts.core.integration import (
    parse_context_package_envelope,
    parse_error_envelope,
    parse_proposed_memory_write,
    parse_trust_gate_attachment,
)
from contracts.documents import load_fixture, load_schema, schema_names
from contracts.errors import MalformedDocument
from hypothesis import given, settings
from hypothesis import strategies as st

Steps: TypeAlias = tuple[str | int, ...]

READERS: dict[str, Callable[[bytes], Any]] = {
    "context-package-envelope": parse_context_package_envelope,
    "error-envelope": parse_error_envelope,
    "proposed-memory-write": parse_proposed_memory_write,
    "trust-gate-attachment": parse_trust_gate_attachment,
}
REMOVED = object()
ITEM = {
    "rank": 1,
    "memory_version_id": "01J0SQQP7M70P6Y3R4T8D8G8M3",
    "memory_id": "01J0SQQP7M70P6Y3R4T8D8G8M2",
    "record_type": "constraint",
    "version": 1,
    "truth_status": "asserted",
    "confidence": None,
    "authority": "authoritative",
    "why": {"included": False, "reasons": ["truth_status is retracted"], "rule_scores": None},
}


def example(name: str) -> Any:
    return json.loads(load_fixture(f"integration-v1.{name}.json"))


def is_schema_valid(name: str, document: object) -> bool:
    return jsonschema.Draft202012Validator(json.loads(load_schema(name))).is_valid(document)


def changed(document: Any, steps: Steps, value: object) -> Any:
    document = copy.deepcopy(document)
    place = document
    for step in steps[:-1]:
        place = place[step]
    if value is REMOVED:
        del place[steps[-1]]
    else:
        place[steps[-1]] = value
    return document


def test_every_schema_has_a_reader_and_is_a_schema() -> None:
    assert list(schema_names()) == sorted(READERS)
    for name in schema_names():
        jsonschema.Draft202012Validator.check_schema(json.loads(load_schema(name)))


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_published_example_is_read_and_fits_its_schema(name: str) -> None:
    READERS[name](load_fixture(f"integration-v1.{name}.json"))
    assert is_schema_valid(name, example(name))


def test_a_package_with_items_is_read() -> None:
    document = changed(example("context-package-envelope"), ("context_package", "excluded_items"), [ITEM])
    read = parse_context_package_envelope(json.dumps(document).encode())
    assert read.context_package.excluded_items[0].why.rule_scores is None
    assert is_schema_valid("context-package-envelope", document)


CASES: list[tuple[str, Steps, object, str, str]] = [
    ("context-package-envelope", ("package_slot",), -1, "package_slot", ">= 0, got -1"),
    ("context-package-envelope", ("package_slot",), "0", "package_slot", "expected int, got str"),
    ("context-package-envelope", ("source",), " ", "source", "text that is not blank"),
    ("context-package-envelope", ("package_hash",), "md5:0", "package_hash", "a hash like sha256:<digest>"),
    ("context-package-envelope", ("context_package",), None, "context_package", "expected object, got null"),
    ("context-package-envelope", ("context_package", "answer"), REMOVED, "context_package.answer", "missing"),
    (
        "context-package-envelope",
        ("context_package", "answer", "result"),
        "maybe",
        "context_package.answer.result",
        "allow, deny, inconclusive, got 'maybe'",
    ),
    (
        "context-package-envelope",
        ("context_package", "determinism", "tie_breakers", 1),
        3,
        "context_package.determinism.tie_breakers[1]",
        "expected str, got int",
    ),
    (
        "context-package-envelope",
        ("context_package", "selected_items"),
        [ITEM, {**ITEM, "rank": 0}],
        "context_package.selected_items[1].rank",
        ">= 1, got 0",
    ),
    (
        "context-package-envelope",
        ("context_package", "selected_items"),
        [{**ITEM, "confidence": 1.01}],
        "context_package.selected_items[0].confidence",
        "<= 1.0, got 1.01",
    ),
    (
        "context-package-envelope",
        ("context_package", "selected_items"),
        [{**ITEM, "authority": "boss"}],
        "context_package.selected_items[0].authority",
        "authoritative, derived, note",
    ),
    ("context-package-envelope", ("context_package", "cost"), 1, "context_package.cost", "unknown key"),
    ("error-envelope", ("code",), "", "code", "text that is not blank"),
    ("error-envelope", ("code",), REMOVED, "code", "missing"),
    ("error-envelope", ("message",), None, "message", "expected str, got null"),
    ("error-envelope", ("details",), {}, "details", "unknown key, expected one of code, message"),
    ("proposed-memory-write", ("proposal_index",), 0.5, "proposal_index", "expected int, got float"),
    ("proposed-memory-write", ("payload",), [], "payload", "expected object, got array"),
    ("proposed-memory-write", ("justification",), "\t", "justification", "text that is not blank"),
    ("trust-gate-attachment", ("memory_id",), "01J0", "memory_id", "a ULID of 26 characters, got '01J0'"),
    ("trust-gate-attachment", ("memory_version_id",), "8" * 26, "memory_version_id", "a ULID"),
    ("trust-gate-attachment", ("version",), 0, "version", ">= 1, got 0"),
    ("trust-gate-attachment", ("include",), "yes", "include", "expected bool, got str"),
    ("trust-gate-attachment", ("confidence_effective",), -0.1, "confidence_effective", ">= 0.0, got -0.1"),
    ("trust-gate-attachment", ("reason_codes",), ["a", ""], "reason_codes[1]", "text that is not blank"),
    ("trust-gate-attachment", ("ruleset_version",), "1", "ruleset_version", "got str"),
    ("trust-gate-attachment", ("evaluated_at",), "2026-02-07", "evaluated_at", "an RFC 3339 time"),
    ("trust-gate-attachment", ("evaluated_at",), "2026-13-07T12:00:00Z", "evaluated_at", "no such instant"),
    ("trust-gate-attachment", ("evaluated_at",), "2026-02-07T12:00:00", "evaluated_at", "in UTC"),
]


@pytest.mark.parametrize(("name", "steps", "value", "field", "reason"), CASES)
def test_a_malformed_document_is_refused_by_reader_and_schema(
    name: str, steps: Steps, value: object, field: str, reason: str
) -> None:
    document = changed(example(name), steps, value)
    with pytest.raises(MalformedDocument) as caught:
        READERS[name](json.dumps(document).encode())
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert not is_schema_valid(name, document)


def test_an_optional_ruleset_version_may_be_null_or_absent() -> None:
    for value in (None, REMOVED):
        document = changed(example("trust-gate-attachment"), ("ruleset_version",), value)
        assert parse_trust_gate_attachment(json.dumps(document).encode()).ruleset_version is None
        assert is_schema_valid("trust-gate-attachment", document)


values: st.SearchStrategy[object] = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2).filter(lambda number: not number.is_integer())
    | st.sampled_from(["", " ", "x", "allow", "constraint", "sha256:0", "01J0SQQP7M70P6Y3R4T8D8G8M2"])
    | st.just([])
    | st.just({})
    | st.just([ITEM])
)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(READERS)), st.data(), values)
def test_reader_and_schema_agree_on_any_one_change(name: str, data: st.DataObject, value: object) -> None:
    document = example(name)
    place, step = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(place[step], dict) and data.draw(st.booleans()):
        place = place[step]
        step = data.draw(st.sampled_from([*sorted(place), "new"]))
        if step not in place:
            break
    place[step] = value
    assert is_accepted(READERS[name], json.dumps(document).encode()) == is_schema_valid(name, document)


@settings(deadline=None)
@given(st.sampled_from(sorted(READERS)), st.binary(max_size=60))
def test_random_bytes_are_refused(name: str, data: bytes) -> None:
    assert not is_accepted(READERS[name], data)


def is_accepted(reader: Callable[[bytes], object], data: bytes) -> bool:
    try:
        reader(data)
    except MalformedDocument:
        return False
    return True
