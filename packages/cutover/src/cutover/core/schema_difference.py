"""How two JSON schemas differ, for somebody who reads what they describe and somebody who writes it.

A reply that may hold more than before breaks its readers; a request that may hold less breaks its
writers. Keywords that only describe are skipped. A keyword that is not understood here is `unknown` when
it differs, or when it refers to something that might: it could hide anything.
Source: JSON Schema 2020-12; cutover-program, gate `contract-change`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from contracts.core.json_value import JsonValue

from cutover.core.evidence import ContractFinding

Json = Mapping[str, JsonValue]

MAX_DEPTH: Final = 64
MAX_VISITS: Final = 50_000
"""Pairs of schemas that one comparison looks at; a document that needs more is not understood."""

BREAKING, ADDITIVE, UNKNOWN = "breaking", "additive", "unknown"
_DESCRIBING: Final = frozenset(
    {"description", "title", "summary", "example", "examples", "deprecated", "$comment", "externalDocs"}
)
_LOWER: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_BRANCHES: Final = ("allOf", "anyOf", "oneOf")
_UNDERSTOOD: Final = frozenset(
    {
        "$ref",
        "type",
        "const",
        "enum",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "pattern",
        *_LOWER,
        *_UPPER,
        *_BRANCHES,
    }
)


class Side(StrEnum):
    """Who a schema binds: the writer of a request, the reader of a reply, or of a non-2xx reply."""

    REQUEST = "request"
    REPLY = "reply"
    ERROR = "error"


class Comparison:
    """One comparison of two documents: what was found, and how much was looked at.

    Args:
        baseline, target: The documents that local references are resolved in.
    """

    def __init__(self, baseline: Json, target: Json) -> None:
        self._documents = (baseline, target)
        self._findings: set[tuple[str, str, str, str]] = set()
        self._open: set[tuple[str, str, Side]] = set()
        self._visits = 0

    def findings(self) -> tuple[ContractFinding, ...]:
        """Return what was found, sorted by place and rule, each once."""
        return tuple(
            ContractFinding(rule=rule, severity=severity, location=location, detail=detail)
            for location, rule, severity, detail in sorted(self._findings)
        )

    def add(self, rule: str, severity: str, location: str, detail: str) -> None:
        """Note a difference."""
        self._findings.add((location, rule, severity, detail))

    def resolve(self, which: int, node: JsonValue, location: str) -> JsonValue:
        """Follow references of document 0 (baseline) or 1 (target) until something else stands there."""
        for _ in range(MAX_DEPTH):
            if not isinstance(node, dict) or set(node) - _DESCRIBING != {"$ref"}:
                return node
            node = self._look_up(which, node["$ref"], location)
        self.add("reference-not-understood", UNKNOWN, location, "references refer to each other")
        return {}

    def compare(self, before: JsonValue, after: JsonValue, side: Side, location: str, depth: int = 0) -> None:
        """Compare two schemas.

        Args:
            before, after: The schemas, references allowed.
            side: Whom they bind.
            location: For people.
            depth: How deep in the schema this is.
        """
        self._visits += 1
        if self._visits > MAX_VISITS or depth > MAX_DEPTH:
            self.add("too-large", UNKNOWN, location, "nested too deeply or too large to compare")
            return
        names = (_reference(before), _reference(after))
        pair = None if None in names else (str(names[0]), str(names[1]), side)
        if pair is not None and pair in self._open:
            return  # a recursive schema: what it holds is being compared further up
        if pair is not None:
            self._open.add(pair)
        self._compare_resolved(
            _spread(self.resolve(0, before, location)),
            _spread(self.resolve(1, after, location)),
            side,
            location,
            depth,
        )
        if pair is not None:
            self._open.discard(pair)

    def _compare_resolved(self, before: Json, after: Json, side: Side, location: str, depth: int) -> None:
        self._compare_values(before, after, side, location)
        self._compare_types(before, after, side, location)
        self._compare_limits(before, after, side, location)
        self._compare_patterns(before, after, side, location)
        self._compare_keys(before, after, side, location, depth)
        self._compare_parts(before, after, side, location, depth)
        for keyword in sorted((set(before) | set(after)) - _UNDERSTOOD - _DESCRIBING):
            self._compare_strange(keyword, before.get(keyword), after.get(keyword), location)

    def _compare_strange(self, keyword: str, before: JsonValue, after: JsonValue, location: str) -> None:
        if keyword.startswith("x-"):
            return
        if before != after or _refers(before):
            self.add("keyword-not-understood", UNKNOWN, location, f"the keyword {keyword}")

    def _compare_values(self, before: Json, after: Json, side: Side, location: str) -> None:
        old, new = _values(before), _values(after)
        if old == new:
            return
        if "const" in before and "const" in after:
            self.add("const-changed", BREAKING, location, f"{before['const']} becomes {after['const']}")
        elif old is None or new is None:
            rule = "values-limited" if old is None else "values-unlimited"
            self.add(
                rule, calculate_severity(side, widened=new is None), location, "the set of allowed values"
            )
        else:
            for value in sorted(old - new):
                self.add(
                    "value-removed", calculate_severity(side, widened=False), location, f"the value {value}"
                )
            for value in sorted(new - old):
                self.add(
                    "value-added", calculate_severity(side, widened=True), location, f"the value {value}"
                )

    def _compare_types(self, before: Json, after: Json, side: Side, location: str) -> None:
        old, new = _types(before), _types(after)
        if old == new:
            return
        detail = f"{_name_types(old)} becomes {_name_types(new)}"
        if old is not None and (new is None or old < new):
            self.add("type-widened", calculate_severity(side, widened=True), location, detail)
        elif new is not None and (old is None or new < old):
            self.add("type-narrowed", calculate_severity(side, widened=False), location, detail)
        else:
            self.add("type-changed", BREAKING, location, detail)

    def _compare_limits(self, before: Json, after: Json, side: Side, location: str) -> None:
        for keyword in sorted((_LOWER | _UPPER) & (set(before) | set(after))):
            old, new = before.get(keyword), after.get(keyword)
            if old == new:
                continue
            detail = f"{keyword} {old} becomes {new}"
            if not all(value is None or isinstance(value, int | float) for value in (old, new)):
                self.add("keyword-not-understood", UNKNOWN, location, detail)
                continue
            looser = new is None or (old is not None and _is_looser(keyword, old, new))
            rule = "limit-loosened" if looser else "limit-tightened"
            self.add(rule, calculate_severity(side, widened=looser), location, detail)

    def _compare_patterns(self, before: Json, after: Json, side: Side, location: str) -> None:
        old, new = before.get("pattern"), after.get("pattern")
        if old == new:
            return
        detail = f"the pattern {old} becomes {new}"
        if old is not None and new is not None:  # which texts only one of them takes is not computed
            self.add("pattern-changed", BREAKING, location, detail)
        else:
            rule = "limit-loosened" if new is None else "limit-tightened"
            self.add(rule, calculate_severity(side, widened=new is None), location, detail)

    def _compare_keys(self, before: Json, after: Json, side: Side, location: str, depth: int) -> None:
        old, new = _mapping(before, "properties"), _mapping(after, "properties")
        required = _names(before), _names(after)
        for name in sorted(required[0] - required[1]):
            self.add(
                "required-key-removed",
                calculate_severity(side, widened=True),
                f"{location}.{name}",
                "is not required",
            )
        for name in sorted(required[1] - required[0]):
            self.add(
                "required-key-added",
                calculate_severity(side, widened=False),
                f"{location}.{name}",
                "is required",
            )
        for name in sorted({*old, *new}):
            self._compare_key(name, (before, after), side, location, depth)

    def _compare_key(self, name: str, pair: tuple[Json, Json], side: Side, location: str, depth: int) -> None:
        here = f"{location}.{name}"
        states = tuple(_state(schema, name) for schema in pair)
        if states == ("declared", "declared"):
            old, new = (_mapping(schema, "properties")[name] for schema in pair)
            self.compare(old, new, side, here, depth + 1)
        elif states[0] == states[1]:
            return
        elif states[1] == "forbidden":
            self.add("key-forbidden", BREAKING, here, "is forbidden from now on")
        elif states[0] == "forbidden":
            self.add("forbidden-key-allowed", calculate_severity(side, widened=True), here, "was forbidden")
        elif states[1] == "open":
            self.add("key-undeclared", calculate_severity(side, widened=True), here, "is no longer declared")
        else:
            self.add("key-declared", calculate_addition(side), here, "is declared from now on")

    def _compare_parts(self, before: Json, after: Json, side: Side, location: str, depth: int) -> None:
        self._compare_openness(before, after, side, location, depth)
        if "items" in before or "items" in after:
            self.compare(before.get("items", {}), after.get("items", {}), side, f"{location}[]", depth + 1)
        for keyword in _BRANCHES:
            old, new = _sequence(before, keyword), _sequence(after, keyword)
            if len(old) != len(new):
                severity = _judge_branches(keyword, len(old), len(new), side)
                detail = f"{keyword} has {len(new)} branches, had {len(old)}"
                self.add("branches-changed", severity, location, detail)
            for number, (one, other) in enumerate(zip(old, new, strict=False)):
                place = location if keyword == "allOf" else f"{location}({keyword} {number})"
                self.compare(one, other, side, place, depth + 1)

    def _compare_openness(self, before: Json, after: Json, side: Side, location: str, depth: int) -> None:
        old, new = before.get("additionalProperties", True), after.get("additionalProperties", True)
        if isinstance(old, dict) and isinstance(new, dict):
            self.compare(old, new, side, f"{location}.*", depth + 1)
        elif isinstance(old, bool) and isinstance(new, bool):
            if old != new:
                rule = "other-keys-allowed" if new else "other-keys-forbidden"
                self.add(rule, calculate_severity(side, widened=new), location, "keys that are not declared")
        else:
            self.add(
                "keyword-not-understood",
                UNKNOWN,
                location,
                "the keyword additionalProperties changes its kind",
            )

    def find_security(self, which: int, operation: Json) -> list[JsonValue]:
        """The security requirements of an operation of document 0 or 1: its own, else the document's."""
        return list(_sequence(operation if "security" in operation else self._documents[which], "security"))

    def _look_up(self, which: int, reference: JsonValue, location: str) -> JsonValue:
        node: JsonValue = dict(self._documents[which])
        if not isinstance(reference, str) or not reference.startswith("#/"):
            self.add("reference-not-understood", UNKNOWN, location, f"the reference {reference}")
            return {}
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or key not in node:
                self.add("reference-not-understood", UNKNOWN, location, f"the reference {reference}")
                return {}
            node = node[key]
        return node


def find_keyword_problem(add: Callable[[str], None], node: JsonValue, known: frozenset[str]) -> None:
    """Tell `add` every key of an object that is neither known, nor describing, nor an extension."""
    for key in sorted(set(node) - known - _DESCRIBING if isinstance(node, dict) else ()):
        if not key.startswith("x-"):
            add(key)


def calculate_severity(side: Side, *, widened: bool) -> str:
    """More in a reply breaks readers, less in a request breaks writers, anything in an error breaks. Pure."""
    if side is Side.ERROR:
        return BREAKING
    return BREAKING if widened == (side is Side.REPLY) else ADDITIVE


def _judge_branches(keyword: str, old: int, new: int, side: Side) -> str:
    """Judge branches that came or went at the end; those before are compared one by one. Pure.

    More of allOf narrows, more of anyOf widens. A branch of oneOf also takes values from its neighbors, so
    that only the direction which breaks anyway is sure; and none is no branch but the absence of the rule.
    """
    if keyword == "allOf":
        return calculate_severity(side, widened=new < old)
    severity = calculate_severity(side, widened=new > old)
    is_sure = old and new and (keyword == "anyOf" or severity == BREAKING)
    return severity if is_sure else UNKNOWN


def calculate_addition(side: Side) -> str:
    """Return the severity of something new that nobody has to look at. Pure."""
    return BREAKING if side is Side.ERROR else ADDITIVE


def _reference(node: JsonValue) -> str | None:
    """Return what a node refers to when it does nothing else."""
    if not isinstance(node, dict) or set(node) - _DESCRIBING != {"$ref"}:
        return None
    found = node["$ref"]
    return found if isinstance(found, str) else None


def _refers(node: JsonValue) -> bool:
    return "$ref" in json.dumps(node)


def _spread(node: JsonValue) -> Json:
    """Return a schema as an object: `false` forbids, `true` allows, a reference beside others is a branch."""
    if node is False:
        return {"not": {}}
    if not isinstance(node, dict):
        return {}
    if "$ref" not in node:
        return node
    rest = {key: value for key, value in node.items() if key != "$ref"}
    return {"allOf": [{"$ref": node["$ref"]}, rest]}


def _values(schema: Json) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({json.dumps(schema["const"], sort_keys=True)})
    if "enum" in schema:
        return frozenset(json.dumps(value, sort_keys=True) for value in _sequence(schema, "enum"))
    return None


def _types(schema: Json) -> frozenset[str] | None:
    found = schema.get("type")
    if found is None:
        return None
    return frozenset(str(name) for name in found) if isinstance(found, list) else frozenset({str(found)})


def _name_types(types: frozenset[str] | None) -> str:
    return "any type" if types is None else " or ".join(sorted(types))


def _is_looser(keyword: str, old: JsonValue, new: JsonValue) -> bool:
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return True
    return new < old if keyword in _LOWER else new > old


def _mapping(schema: Json, keyword: str) -> Json:
    found = schema.get(keyword)
    return found if isinstance(found, dict) else {}


def _sequence(schema: Json, keyword: str) -> Sequence[JsonValue]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else ()


def _names(schema: Json) -> frozenset[str]:
    return frozenset(str(name) for name in _sequence(schema, "required"))


def _state(schema: Json, name: str) -> str:
    declared = _mapping(schema, "properties")
    if name in declared:
        return "forbidden" if declared[name] is False else "declared"
    return "forbidden" if schema.get("additionalProperties") is False else "open"
