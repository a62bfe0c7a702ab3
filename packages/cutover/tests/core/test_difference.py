"""The comparison of OpenAPI documents: each rule with its severity, and the two real contracts."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.core.json_value import JsonValue
from contracts.core.openapi import parse_openapi
from contracts.documents import load_openapi
from cutover.core.difference import find_differences
from hypothesis import given, settings
from hypothesis import strategies as st

Json = dict[str, Any]
"""A document in the making; tests reach into it freely."""


def make_document(reply: JsonValue, *, status: str = "200", request: JsonValue = None) -> Json:
    operation: Json = {
        "responses": {status: {"content": {"application/json": {"schema": reply}}, "headers": {}}},
        "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
    }
    if request is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": request}}}
    return {"openapi": "3.1.0", "info": {}, "paths": {"/x": {"post": operation}}}


def rules(before: Json, after: Json) -> set[tuple[str, str]]:
    return {(finding.rule, finding.severity) for finding in find_differences(before, after)}


class TestTheRealContracts:
    V2 = parse_openapi(load_openapi("service.v2"))
    V3 = parse_openapi(load_openapi("service.v3"))

    def test_only_the_versions_and_legacy_error_differ(self) -> None:
        findings = find_differences(self.V2, self.V3)
        assert {f.severity for f in findings} == {"breaking"}
        assert {(f.rule, f.location.rsplit(".", 1)[1]) for f in findings} == {
            ("const-changed", "service_contract_version"),
            ("key-forbidden", "legacy_error"),
            ("required-key-removed", "legacy_error"),
        }
        lost = [f.location.split(" ")[2] for f in findings if f.rule == "required-key-removed"]
        assert lost
        assert not [status for status in lost if status.startswith("2")]

    def test_the_way_back_breaks_too(self) -> None:
        assert {rule for rule, severity in rules(self.V3, self.V2) if severity == "breaking"} == {
            "const-changed",
            "forbidden-key-allowed",
            "required-key-added",
        }

    def test_a_document_equals_itself(self) -> None:
        assert find_differences(self.V3, self.V3) == ()

    def test_the_order_of_findings_is_fixed(self) -> None:
        turned = {**self.V2, "paths": dict(reversed(list(self.V2["paths"].items())))}  # type: ignore[union-attr]  # a mapping, as parsed
        assert find_differences(turned, self.V3) == find_differences(self.V2, self.V3)


OBJECT: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED: Json = {**OBJECT, "additionalProperties": False}
SCHEMAS: list[tuple[JsonValue, JsonValue, str, str, str]] = [
    # before, after, rule, severity in a reply, severity in a request
    ({"const": "v2"}, {"const": "v3"}, "const-changed", "breaking", "breaking"),
    ({"enum": ["a"]}, {"enum": ["a", "b"]}, "value-added", "breaking", "additive"),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, "value-removed", "additive", "breaking"),
    ({"enum": ["a"]}, {}, "values-unlimited", "breaking", "additive"),
    ({}, {"enum": ["a"]}, "values-limited", "additive", "breaking"),
    ({"type": "string"}, {"type": ["string", "null"]}, "type-widened", "breaking", "additive"),
    ({"type": ["string", "null"]}, {"type": "string"}, "type-narrowed", "additive", "breaking"),
    ({"type": "string"}, {"type": "integer"}, "type-changed", "breaking", "breaking"),
    ({"type": "string"}, {}, "type-widened", "breaking", "additive"),
    ({"minLength": 1}, {"minLength": 2}, "limit-tightened", "additive", "breaking"),
    ({"maximum": 1}, {"maximum": 2}, "limit-loosened", "breaking", "additive"),
    ({"maxLength": 5}, {}, "limit-loosened", "breaking", "additive"),
    ({"minLength": 1}, {"minLength": "1"}, "keyword-not-understood", "unknown", "unknown"),
    (OBJECT, {**OBJECT, "required": []}, "required-key-removed", "breaking", "additive"),
    ({**OBJECT, "required": []}, OBJECT, "required-key-added", "additive", "breaking"),
    (CLOSED, {**CLOSED, "properties": {}}, "key-forbidden", "breaking", "breaking"),
    ({**CLOSED, "properties": {}}, CLOSED, "forbidden-key-allowed", "breaking", "additive"),
    (OBJECT, {**OBJECT, "properties": {"a": False}}, "key-forbidden", "breaking", "breaking"),
    (OBJECT, {**OBJECT, "properties": {}}, "key-undeclared", "breaking", "additive"),
    ({**OBJECT, "properties": {}}, OBJECT, "key-declared", "additive", "additive"),
    (OBJECT, CLOSED, "other-keys-forbidden", "additive", "breaking"),
    (CLOSED, OBJECT, "other-keys-allowed", "breaking", "additive"),
    (CLOSED, {**OBJECT, "additionalProperties": {}}, "keyword-not-understood", "unknown", "unknown"),
    ({"items": {"type": "string"}}, {"items": {"type": "null"}}, "type-changed", "breaking", "breaking"),
    ({"anyOf": [{}]}, {"anyOf": [{}, {}]}, "branches-changed", "breaking", "additive"),
    ({"anyOf": [{}, {}]}, {"anyOf": [{}]}, "branches-changed", "additive", "breaking"),
    ({"oneOf": [{}]}, {"oneOf": [{}, {}]}, "branches-changed", "breaking", "unknown"),
    ({"oneOf": [{}, {}]}, {"oneOf": [{}]}, "branches-changed", "unknown", "breaking"),
    ({"allOf": [{}]}, {"allOf": [{}, {}]}, "branches-changed", "additive", "breaking"),
    ({"allOf": [{}, {}]}, {"allOf": [{}]}, "branches-changed", "breaking", "additive"),
    ({}, {"anyOf": [{}]}, "branches-changed", "unknown", "unknown"),
    ({"oneOf": [{}]}, {}, "branches-changed", "unknown", "unknown"),
    (
        {"oneOf": [{"const": 1}]},
        {"oneOf": [{"const": 2}, {"const": 1}]},
        "const-changed",
        "breaking",
        "breaking",
    ),
    ({"oneOf": [{"const": 1}]}, {"oneOf": [{"const": 2}]}, "const-changed", "breaking", "breaking"),
    ({"pattern": "a"}, {"pattern": "b"}, "pattern-changed", "breaking", "breaking"),
    ({}, {"pattern": "b"}, "limit-tightened", "additive", "breaking"),
    ({"pattern": "a"}, {}, "limit-loosened", "breaking", "additive"),
    ({"format": "a"}, {"format": "b"}, "keyword-not-understood", "unknown", "unknown"),
    ({"not": {"required": ["a"]}}, {}, "keyword-not-understood", "unknown", "unknown"),
    ({"if": {"$ref": "#/x"}}, {"if": {"$ref": "#/x"}}, "keyword-not-understood", "unknown", "unknown"),
    ({"$ref": "#/nowhere"}, {}, "reference-not-understood", "unknown", "unknown"),
    ({"$ref": "other.yaml#/x"}, {}, "reference-not-understood", "unknown", "unknown"),
    (True, False, "keyword-not-understood", "unknown", "unknown"),
]


@pytest.mark.parametrize(("before", "after", "rule", "reply", "request_"), SCHEMAS)
def test_a_schema_is_judged_by_who_reads_it(
    before: JsonValue, after: JsonValue, rule: str, reply: str, request_: str
) -> None:
    assert (rule, reply) in rules(make_document(before), make_document(after))
    asked = make_document({}, request=before), make_document({}, request=after)
    assert (rule, request_) in rules(*asked)


@pytest.mark.parametrize(("before", "after", "rule", "reply", "request_"), SCHEMAS)
def test_outside_2xx_every_understood_difference_breaks(
    before: JsonValue, after: JsonValue, rule: str, reply: str, request_: str
) -> None:
    found = rules(make_document(before, status="404"), make_document(after, status="404"))
    assert (rule, "unknown" if reply == request_ == "unknown" else "breaking") in found


def operation(document: Json) -> Json:
    found: Json = document["paths"]["/x"]["post"]
    return found


def change(document: Json, what: str) -> None:
    post = operation(document)
    match what:
        case "path":
            document["paths"]["/y"] = {}
        case "method":
            document["paths"]["/x"]["get"] = {"responses": {}}
        case "status":
            post["responses"]["503"] = {}
        case "media":
            post["responses"]["200"]["content"]["text/plain"] = {}
        case "header":
            post["responses"]["200"]["headers"]["Allow"] = {"schema": {}}
        case "parameter":
            post["parameters"].append({"name": "r", "in": "query", "required": True})
        case "optional parameter":
            post["parameters"].append({"name": "r", "in": "query"})
        case "body":
            post["requestBody"] = {"content": {}}
        case "required body":
            post["requestBody"] = {"content": {}, "required": True}
        case "security":
            post["security"] = [{"bearer": []}]
        case "optional security":
            document["security"] = [{}, {"bearer": []}]
        case "security for all but one":
            document["security"] = [{"bearer": []}]
            post["security"] = []
        case "callbacks":
            post["callbacks"] = {}


@pytest.mark.parametrize(
    ("what", "added", "removed"),
    [
        ("path", ("path-added", "additive"), ("path-removed", "breaking")),
        ("method", ("method-added", "additive"), ("method-removed", "breaking")),
        ("status", ("status-added", "breaking"), ("status-removed", "breaking")),
        ("media", ("media-type-added", "additive"), ("media-type-removed", "breaking")),
        ("header", ("header-added", "additive"), ("header-removed", "breaking")),
        ("parameter", ("parameter-added", "breaking"), ("parameter-removed", "breaking")),
        ("optional parameter", ("parameter-added", "additive"), ("parameter-removed", "breaking")),
        ("body", ("body-added", "additive"), ("body-removed", "breaking")),
        ("required body", ("body-added", "breaking"), ("body-removed", "breaking")),
        ("security", ("credentials-required", "breaking"), ("credentials-optional", "additive")),
        ("optional security", ("credentials-optional", "additive"), ("credentials-optional", "additive")),
        ("callbacks", ("keyword-not-understood", "unknown"), ("keyword-not-understood", "unknown")),
    ],
)
def test_documents_are_judged_by_what_they_offer(
    what: str, added: tuple[str, str], removed: tuple[str, str]
) -> None:
    small, large = make_document({}), make_document({})
    change(large, what)
    assert rules(small, large) == {added}
    assert rules(large, small) == {removed}


def test_an_operation_has_the_security_of_the_document_unless_it_has_its_own() -> None:
    public, guarded, bare = make_document({}), make_document({}), make_document({})
    change(public, "security for all but one")
    change(guarded, "security for all but one")
    del operation(guarded)["security"]
    assert rules(bare, public) == set()
    assert rules(public, guarded) == {("credentials-required", "breaking")}
    assert rules(guarded, public) == {("credentials-optional", "additive")}


def test_other_credentials_are_not_understood() -> None:
    one, other = make_document({}), make_document({})
    change(one, "security")
    operation(other)["security"] = [{"mutual-tls": []}]
    assert rules(one, other) == {("keyword-not-understood", "unknown")}


@pytest.mark.parametrize(("before", "severity"), [(False, "breaking"), (True, "additive")])
def test_a_parameter_that_becomes_required_breaks(before: bool, severity: str) -> None:
    one, other = make_document({}), make_document({})
    operation(one)["parameters"][0]["required"] = before
    operation(other)["parameters"][0]["required"] = not before
    assert rules(one, other) == {("required-changed", severity)}


def test_prose_and_extensions_are_not_the_contract() -> None:
    one, other = make_document({"title": "a"}), make_document({"title": "b", "x-note": 1})
    operation(other).update(summary="new", operationId="other", tags=["t"], description="d")
    assert rules(one, other) == set()


def test_references_are_followed_and_recursion_ends() -> None:
    tree: Json = {"properties": {"left": {"$ref": "#/components/schemas/T"}, "v": {"type": "string"}}}
    one, other = (make_document({"$ref": "#/components/schemas/T"}) for _ in range(2))
    one["components"] = {"schemas": {"T": tree}}
    wide = {"properties": {**tree["properties"], "v": {"type": "null"}}}
    other["components"] = {"schemas": {"T": wide}}
    assert rules(one, one) == set()
    assert rules(one, other) == {("type-changed", "breaking")}


def test_a_reference_beside_other_keywords_is_followed_too() -> None:
    one, other = (make_document({"$ref": "#/components/T", "minLength": 1}) for _ in range(2))
    one["components"], other["components"] = {"T": {"const": 1}}, {"T": {"const": 2}}
    assert rules(one, other) == {("const-changed", "breaking")}


SIBLING: Json = {"$ref": "#/components/A", "minLength": 1}


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"$ref": "#/components/A"}},
        {"A": {"$ref": "#/components/B"}, "B": {"$ref": "#/components/A"}},
        {"A": {"properties": {str(n): {"items": SIBLING} for n in range(9)}}},
        {f"A{n or ''}": {"allOf": [{"$ref": f"#/components/A{n + 1}"}] * 2} for n in range(40)},
    ],
    ids=["itself", "each-other", "wide", "doubling"],
)
def test_hostile_references_end_in_unknown(schemas: Json) -> None:
    one = make_document({"$ref": "#/components/A"})
    one["components"] = schemas
    found = rules(one, {**one, "info": {"x": 1}})
    assert found <= {("too-large", "unknown"), ("reference-not-understood", "unknown")}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["string", "a", "#/x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "const", "enum", "properties", "required", "items", "allOf", "$ref", "a"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(json_values, json_values)
def test_any_two_documents_compare_and_equal_ones_do_not_break(before: JsonValue, after: JsonValue) -> None:
    one, other = make_document(before), make_document(after)
    assert all(f.severity in ("breaking", "additive", "unknown") for f in find_differences(one, other))
    assert {severity for _, severity in rules(one, one)} <= {"unknown"}
