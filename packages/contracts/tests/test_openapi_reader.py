"""The OpenAPI reader takes JSON in YAML's spelling and nothing that two YAML readers could differ about."""

import pytest
from contracts.core.openapi import parse_openapi
from contracts.documents import load_openapi
from contracts.errors import MalformedDocument
from hypothesis import given, settings
from hypothesis import strategies as st

HEAD = b"openapi: 3.1.0\ninfo: {}\npaths: {}\n"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"x: 2026-02-08\n", "2026-02-08"),
        (b"x: yes\n", "yes"),
        (b"x: 0x10\n", "0x10"),
        (b"x: 1:30\n", "1:30"),
        (b"x: 'true'\n", "true"),
        (b"x: true\n", True),
        (b"x: -7\n", -7),
        (b"x: 1.5e3\n", 1500.0),
        (b"x:\n", None),
        (b"x: '200'\n", "200"),
        (b"x: [1, {y: ~}]\n", [1, {"y": None}]),
        (b"x: |\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars_are_what_json_would_call_them(line: bytes, value: object) -> None:
    assert parse_openapi(HEAD + line)["x"] == value


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        (b"", "$", "expected a mapping"),
        (b"- 1\n", "$", "expected a mapping"),
        (b"openapi: 3.0.3\ninfo: {}\npaths: {}\n", "openapi", "3.1.x"),
        (b"openapi: 3.1\ninfo: {}\npaths: {}\n", "openapi", "3.1.x"),
        (b"openapi: 3.1.0\npaths: {}\n", "info", "expected a mapping"),
        (b"openapi: 3.1.0\ninfo: {}\npaths: []\n", "paths", "expected a mapping"),
        (HEAD + b"paths: {}\n", "paths", "duplicate key, expected it once; remove one (line 4)"),
        (HEAD + b"x: {y: [{z: 1, z: 2}]}\n", "x.y[0].z", "duplicate key"),
        (HEAD + b"x: {200: {}}\n", "x", "keys that are strings"),
        (HEAD + b"x: {true: {}}\n", "x", "keys that are strings"),
        (HEAD + b"? [a]\n: 1\n", "$", "keys that are strings"),
        (HEAD + b"x: &a [1]\ny: *a\n", "$", "aliases are not read here"),
        (HEAD + b"x: !!python/name:os.system 1\n", "x", "expected no tag"),
        (HEAD + b"x: !!timestamp 2026-02-08\n", "x", "expected no tag"),
        (HEAD + b"x: 1e999\n", "x", "at most 64 bits"),
        (HEAD + b"x: 9223372036854775808\n", "x", "at most 64 bits"),
        (HEAD + b"x: " + b"9" * 5000 + b"\n", "x", "at most 64 bits"),
        (HEAD + b'x: "\\ud800"\n', "x", "lone surrogate"),
        (HEAD + b'x: "\\UFFFFFFFF"\n', "$", "not YAML"),
        (HEAD + b"x: {\n", "$", "not YAML at line"),
        (HEAD + b"---\na: 1\n", "$", "not YAML at line"),
        (HEAD + b"x: \x00\n", "$", "not YAML"),
        (HEAD + b"x: " + b"[" * 5000, "$", "nested too deeply"),
        (HEAD + b"#" * 600_000, "$", "at most 524288 bytes"),
        (b"\xff", "$", "invalid byte"),
    ],
)
def test_a_malformed_document(data: bytes, field: str, reason: str) -> None:
    with pytest.raises(MalformedDocument) as caught:
        parse_openapi(data)
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_mutated_documents_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(load_openapi("service.v3")[:1500] + b"\npaths: {}\n")
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(start + 12, len(raw))))
        marks = [
            b"&a ",
            b"*a",
            b"!!map ",
            b"%YAML 9\n",
            b"'",
            b'"\\x"',
            b"\t",
            b": ",
            b"- ",
            b"? ",
            b"|9\n",
            b"<<: ",
        ]
        raw[start:end] = data.draw(st.binary(max_size=4) | st.sampled_from(marks))
    try:
        parse_openapi(bytes(raw))
    except MalformedDocument as error:
        assert error.field  # noqa: PT017  # both outcomes are fine, but a refusal says where
