"""The matrix is read from the structure of its Markdown; prose that looks like a pin is prose."""

from collections.abc import Callable

import pytest
from contracts.core.matrix import (
    PIN_LABELS,
    CompatibilityMatrix,
    VersionPair,
    parse_matrix,
    render_matrix,
)
from contracts.core.pin import parse_pin
from contracts.documents import load_fixture
from contracts.errors import MalformedDocument
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLE = load_fixture("matrix.example.md").decode()
ROW = next(line for line in EXAMPLE.splitlines() if line.endswith("| Approved |"))
TAG_LINE = "- MemoryKernel release tag: `v0.3.2`"


def replaced(old: str, new: str) -> str:
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new, 1)


def test_the_example_is_read_and_rendered_byte_for_byte() -> None:
    assert render_matrix(parse_matrix(EXAMPLE.encode())) == EXAMPLE.encode()


def test_the_baseline_pin_has_the_names_and_values_of_the_pin() -> None:
    pin = parse_pin(load_fixture("memorykernel-integration-pin.v0.3.2.json"))
    matrix = parse_matrix(EXAMPLE.encode())
    assert set(matrix.baseline_pin) == set(PIN_LABELS.values())
    assert {name: getattr(pin, name) for name in matrix.baseline_pin} == matrix.baseline_pin


def test_pairs_keep_their_order_and_status() -> None:
    statuses = [pair.status for pair in parse_matrix(EXAMPLE.encode()).pairs]
    assert statuses == ["Superseded", "Approved", "Candidate"]


@pytest.mark.parametrize(
    "harmless",
    [
        f"{EXAMPLE}\n## History\n\n{TAG_LINE.replace('0.3.2', '9.9.9')}\n",
        f"{EXAMPLE}\n```\n## Baseline Pin\n\n{TAG_LINE}\n```\n",
        f"{EXAMPLE}\n> ## Baseline Pin\n>\n> {TAG_LINE}\n",
        f"<!--\n## Baseline Pin\n{TAG_LINE}\n-->\n\n{EXAMPLE}",
        EXAMPLE.replace("## Baseline Pin\n", "## Baseline Pin\n\n> - MemoryKernel release tag: v9.9.9\n"),
        EXAMPLE.replace(TAG_LINE, "- MemoryKernel release tag: v0.3.2"),
        EXAMPLE.replace("| Consumer version |", "| consumer VERSION |"),
        EXAMPLE.replace("\n", "\r\n"),
        EXAMPLE.replace("## Baseline Pin", "Baseline Pin\n------------"),
    ],
)
def test_what_a_person_would_read_the_same_is_read_the_same(harmless: str) -> None:
    assert parse_matrix(harmless.encode()) == parse_matrix(EXAMPLE.encode())


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("", "Baseline Pin", "expected one heading of this name, got 0"),
        (replaced("## Baseline Pin", "Baseline Pin"), "Baseline Pin", "one heading of this name, got 0"),
        (replaced("## Baseline Pin", "> ## Baseline Pin"), "Baseline Pin", "one heading of this name, got 0"),
        (
            replaced("## Baseline Pin", "    ## Baseline Pin"),
            "Baseline Pin",
            "one heading of this name, got 0",
        ),
        (f"{EXAMPLE}\n## Baseline Pin\n", "Baseline Pin", "one heading of this name, got 2"),
        (replaced("## Approved Version Pairs", "## Pairs"), "Approved Version Pairs", "got 0"),
        (f"{EXAMPLE}\n# Approved Version Pairs\n", "Approved Version Pairs", "got 2"),
        (
            replaced(TAG_LINE, f"{TAG_LINE}\n\ntext\n"),
            "Baseline Pin",
            "one bullet list under this heading, got 2",
        ),
        (EXAMPLE.replace("\n- ", "\n1. "), "Baseline Pin", "one bullet list under this heading, got 0"),
        (replaced(TAG_LINE + "\n", ""), "baseline_pin.release_tag", "missing"),
        (replaced(TAG_LINE, f"{TAG_LINE}\n{TAG_LINE}"), "baseline_pin.release_tag", "every label once"),
        (
            replaced("`v0.3.2`", "`0.3.2`"),
            "baseline_pin.release_tag",
            "a release tag like v1.2.3, got '0.3.2'",
        ),
        (replaced("`v0.3.2`", "**v0.3.2**"), "baseline_pin[0]", "expected plain text or code, got strong"),
        (replaced("`v0.3.2`", "[v0.3.2](https://x.example)"), "baseline_pin[0]", "got link"),
        (replaced("`v0.3.2`", "v0.3.2<!-- v0.4.0 -->"), "baseline_pin[0]", "got html inline"),
        (replaced("`v0.3.2`\n", "`v0.3.2`\n  (pinned)\n"), "baseline_pin[0]", "got softbreak"),
        (replaced(TAG_LINE, f"{TAG_LINE}\n  - v0.4.0"), "baseline_pin[0]", "one line of text per item"),
        (replaced("release tag: ", "release tag "), "baseline_pin[0]", "expected '<label>: <value>'"),
        (
            replaced("MemoryKernel release tag", "Release"),
            "baseline_pin[0]",
            "one of the labels MemoryKernel",
        ),
        (
            replaced("- API contract version: `api.v1`", "- API contract version: `1`"),
            "baseline_pin.expected_api_contract_version",
            "an api contract",
        ),
        (
            replaced("`integration/v1`", "`integration/v2`"),
            "baseline_pin.expected_integration_baseline",
            "integration/v1, got",
        ),
        (
            replaced("| Status |", "| State |"),
            "Approved Version Pairs",
            "expected the columns Consumer version",
        ),
        (replaced("| Status |", ""), "Approved Version Pairs", "one table under this heading, got 0"),
        (
            f"{EXAMPLE}\ntext\n\n| a |\n| - |\n",
            "Approved Version Pairs",
            "one table under this heading, got 2",
        ),
        (
            replaced("| Approved |", "| approved |"),
            "pairs[1].status",
            "Approved, Superseded, Candidate, Rejected",
        ),
        (replaced("| Approved |", "| Approved? |"), "pairs[1].status", "got 'Approved?'"),
        (replaced("| Approved |", "|"), "pairs[1].status", "got ''"),
        (
            replaced("| Approved |", "| ~~Approved~~ Rejected |"),
            "pairs[1].status",
            "got '~~Approved~~ Rejected'",
        ),
        (
            replaced("| Approved |", "| *Approved* |"),
            "pairs[1].status",
            "expected plain text or code, got em",
        ),
        (replaced("| 0.9.1 |", "| 0.9 1 |"), "pairs[1].consumer_version", "a program version like 1.4.0"),
        (replaced("| 0.9.1 | 7", "| 0.9.1 | "), "pairs[1].consumer_commit", "40 lower-case hex digits"),
        (EXAMPLE + ROW + "\n", "pairs[3]", "one row per version pair"),
        (EXAMPLE + ROW.replace("Approved", "Rejected") + "\n", "pairs[3]", "one row per version pair"),
        ("\ufeff" + EXAMPLE, "$", "byte order mark"),
        (EXAMPLE + " " * 300_000, "$", "at most 262144 bytes"),
    ],
)
def test_a_malformed_matrix(text: str, field: str, reason: str) -> None:
    with pytest.raises(MalformedDocument) as caught:
        parse_matrix(text.encode())
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert "\n" not in str(caught.value)


def test_a_record_that_quotes_an_approval_is_not_one() -> None:
    quoting = (
        replaced("| Approved |", "| Rejected |") + "\nThe row said `Approved` before:\n\n    " + ROW + "\n"
    )
    statuses = [pair.status for pair in parse_matrix(quoting.encode()).pairs]
    assert "Approved" not in statuses


def test_nothing_is_rendered_that_would_not_be_read() -> None:
    matrix = parse_matrix(EXAMPLE.encode())
    without = {name: value for name, value in matrix.baseline_pin.items() if name != "commit_sha"}
    extra = {**matrix.baseline_pin, "owner": "somebody"}
    for pin in (without, extra):
        with pytest.raises(MalformedDocument, match="baseline_pin"):
            render_matrix(CompatibilityMatrix(baseline_pin=pin, pairs=matrix.pairs))


def _hex(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length)


tags = st.builds("v{}.{}.{}".format, *[st.integers(0, 99)] * 3)
services = st.builds("service.v{}".format, st.integers(1, 9))
pairs = st.builds(
    VersionPair,
    consumer_version=st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,20}", fullmatch=True),
    consumer_commit=_hex(40),
    producer_tag=tags,
    producer_commit=_hex(40),
    service=services,
    api=st.just("api.v1"),
    integration=st.just("integration/v1"),
    status=st.sampled_from(["Approved", "Superseded", "Candidate", "Rejected"]),
)
pins = st.fixed_dictionaries(
    {
        "release_tag": tags,
        "commit_sha": _hex(40),
        "expected_service_contract_version": services,
        "expected_api_contract_version": st.just("api.v1"),
        "expected_integration_baseline": st.just("integration/v1"),
        "expected_producer_manifest_sha256": _hex(64),
    }
)
matrices: st.SearchStrategy[CompatibilityMatrix] = st.builds(
    CompatibilityMatrix,
    baseline_pin=pins,
    pairs=st.lists(pairs, max_size=5, unique_by=lambda pair: pair.consumer_commit).map(tuple),
)


@settings(deadline=None, max_examples=60)
@given(matrices)
def test_matrices_round_trip(matrix: CompatibilityMatrix) -> None:
    rendered = render_matrix(matrix)
    assert parse_matrix(rendered) == matrix
    assert render_matrix(parse_matrix(rendered)) == rendered


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_mutated_matrices_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(EXAMPLE.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(start + 20, len(raw))))
        marks = [b"|", b"\n", b"#", b"`", b"> ", b"- ", b"\n\n", b"\x00", b"<!--", b"[x]: /y\n", b"    "]
        raw[start:end] = data.draw(st.binary(max_size=4) | st.sampled_from(marks))
    _read_or_refuse(parse_matrix, bytes(raw))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedDocument):
        parse_matrix(data)


def _read_or_refuse(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        parse(data)
    except MalformedDocument as error:
        assert error.field  # noqa: PT017  # both outcomes are fine, but a refusal says where
