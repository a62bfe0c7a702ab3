"""The strict parser accepts JSON and refuses whatever two readers could read differently."""

import json

import pytest
from contracts.core.json_value import encode_field_path
from contracts.core.strict_json import parse_json
from contracts.errors import MalformedDocument
from hypothesis import given, settings
from hypothesis import strategies as st

LIMIT = 10_000

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(values)
def test_reads_what_json_writes(value: object) -> None:
    assert parse_json(json.dumps(value).encode(), max_bytes=1_000_000) == value


def test_keeps_the_order_of_keys() -> None:
    read = parse_json(b'{"b": 1, "a": 2}', max_bytes=LIMIT)
    assert isinstance(read, dict)
    assert list(read) == ["b", "a"]


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        (b'{"a": 1, "a": 1}', "a", "duplicate key"),
        (b'{"a": 1, "\\u0061": 2}', "a", "duplicate key"),
        (b'{"x": [0, {"y": {"k": 1, "k": 2}}]}', "x[1].y.k", "duplicate key"),
        (b'{"a": {"b": 1, "b": 2}, "a": 3}', "a", "duplicate key"),
        (b'{"a": NaN}', "a", "got NaN"),
        (b"[1, -Infinity]", "[1]", "got -Infinity"),
        (b"Infinity", "$", "got Infinity"),
        (b'{"n": 9223372036854775808}', "n", "at most 64 bits"),
        (b'{"n": -9223372036854775809}', "n", "at most 64 bits"),
        (b'{"n": ' + b"9" * 6000 + b"}", "n", "at most 64 bits"),
        (b'{"n": 1e999}', "n", "a double can hold"),
        (b'{"n": -1e999}', "n", "a double can hold"),
        (b'"\\ud800"', "$", "lone surrogate"),
        (b'{"s": ["\\udfff"]}', "s[0]", "lone surrogate"),
        (b'{"\\ud800": 1}', "$", "lone surrogate"),
        (b'\xef\xbb\xbf{"a": 1}', "$", "byte order mark"),
        (b'"\xff"', "$", "invalid byte at offset 1"),
        (b'"\xed\xa0\x80"', "$", "invalid byte"),
        (b"", "$", "not JSON at line 1 column 1"),
        (b"{}\n{}", "$", "not JSON at line 2 column 1"),
        (b"{'a': 1}", "$", "not JSON"),
        (b'{"a": 1,}', "$", "not JSON"),
        (b"[1] // comment", "$", "not JSON"),
        (b'"a\nb"', "$", "not JSON"),
        (b"01", "$", "not JSON"),
        (b"[" * 65 + b"]" * 65, "[0][0][0][0]", "at most 64 levels"),
        (b"[" * 200_000, "$", "at most"),
    ],
)
def test_refuses_with_field_and_reason(data: bytes, field: str, reason: str) -> None:
    with pytest.raises(MalformedDocument) as caught:
        parse_json(data, max_bytes=1_000_000)
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert "\n" not in str(caught.value)


def test_accepts_surrogate_pairs_and_the_limits_themselves() -> None:
    assert parse_json(b'"\\ud83d\\ude00"', max_bytes=LIMIT) == "\U0001f600"
    assert parse_json(b"9223372036854775807", max_bytes=19) == 2**63 - 1
    assert parse_json(b"-9223372036854775808", max_bytes=20) == -(2**63)
    assert parse_json(b"[" * 64 + b"]" * 64, max_bytes=LIMIT) is not None
    assert parse_json(b"[[1], [2], [3]]", max_bytes=LIMIT, max_depth=2) == [[1], [2], [3]]


def test_one_byte_over_the_limit_is_refused() -> None:
    with pytest.raises(MalformedDocument, match="at most 3 bytes, got 4"):
        parse_json(b"1234", max_bytes=3)


def test_depth_counts_the_scalars_container_only() -> None:
    assert parse_json(b"[1]", max_bytes=LIMIT, max_depth=1) == [1]
    with pytest.raises(MalformedDocument, match="nested too deeply"):
        parse_json(b"[[1]]", max_bytes=LIMIT, max_depth=1)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_random_bytes_give_a_value_or_a_malformed_document(data: bytes) -> None:
    try:
        value = parse_json(data, max_bytes=LIMIT)
    except MalformedDocument:
        return
    assert json.loads(data) == value


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(['{"a":', "[", "]", "}", "1", ",", '"b":', '"\\ud800"', "1e999", "NaN"]), max_size=14
    )
)
def test_shuffled_fragments_give_a_value_or_a_malformed_document(parts: list[str]) -> None:
    data = "".join(parts).encode()
    try:
        value = parse_json(data, max_bytes=LIMIT)
    except MalformedDocument:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((), "$"),
        (("a", 0, "b"), "a[0].b"),
        ((3,), "[3]"),
        (("openapi.yaml",), '["openapi.yaml"]'),
        (("a", "b\nc"), 'a["b\\nc"]'),
        (("k" * 200,), '["' + "k" * 80 + '..."]'),
    ],
)
def test_field_paths_are_one_readable_line(steps: tuple[str | int, ...], path: str) -> None:
    assert encode_field_path(steps) == path
