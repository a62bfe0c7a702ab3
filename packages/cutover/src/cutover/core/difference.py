"""How two OpenAPI documents differ, as named rules with severities.

Judged are paths, methods, parameters, request bodies, statuses, media types, headers and schemas
(`cutover.core.schema_difference`). What a client can meet outside 2xx is a contract too: every difference
there is breaking by default. Prose, names of operations and extensions are skipped; what is not
understood is `unknown`, never fine.
Source: cutover-program, gate `contract-change`; OpenAPI 3.1.
"""

from __future__ import annotations

from typing import Final

from contracts.core.json_value import JsonValue

from cutover.core.evidence import ContractFinding
from cutover.core.schema_difference import (
    ADDITIVE,
    BREAKING,
    UNKNOWN,
    Comparison,
    Json,
    Side,
    calculate_addition,
    find_keyword_problem,
)

_METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put", "trace")
_PATH_KEYS: Final = frozenset({*_METHODS, "parameters", "servers"})
_OPERATION_KEYS: Final = frozenset(
    {"operationId", "tags", "parameters", "requestBody", "responses", "servers", "security"}
)
_DOCUMENT_KEYS: Final = frozenset(
    {"openapi", "info", "servers", "tags", "paths", "components", "jsonSchemaDialect", "security"}
)
_RESPONSE_KEYS: Final = frozenset({"content", "headers", "links"})
_PARAMETER_KEYS: Final = frozenset({"name", "in", "required", "schema"})


def find_differences(baseline: Json, target: Json) -> tuple[ContractFinding, ...]:
    """Compare two parsed documents. Pure, deterministic, bounded.

    Args:
        baseline: What runs now.
        target: What is to run.

    Returns:
        Findings sorted by place and rule, each once; severity `breaking`, `additive` or `unknown`.
    """
    comparison = Comparison(baseline, target)
    _compare_rest(comparison, baseline, target, _DOCUMENT_KEYS, "document")
    old, new = _mapping(baseline.get("paths")), _mapping(target.get("paths"))
    for path in sorted({*old, *new}):
        _compare_path(comparison, path, old.get(path), new.get(path))
    return comparison.findings()


def _compare_path(comparison: Comparison, path: str, before: JsonValue, after: JsonValue) -> None:
    old = _mapping(comparison.resolve(0, before, path))
    new = _mapping(comparison.resolve(1, after, path))
    if before is None or after is None:
        rule, severity = ("path-added", ADDITIVE) if before is None else ("path-removed", BREAKING)
        comparison.add(rule, severity, path, "the path is new" if before is None else "the path is gone")
        return
    _compare_rest(comparison, old, new, _PATH_KEYS, path)
    for method in _METHODS:
        place = f"{method.upper()} {path}"
        if method in old and method in new:
            shared = (_sequence(old.get("parameters")), _sequence(new.get("parameters")))
            _compare_operation(comparison, _mapping(old[method]), _mapping(new[method]), shared, place)
        elif method in old:
            comparison.add("method-removed", BREAKING, place, "the method is gone")
        elif method in new:
            comparison.add("method-added", ADDITIVE, place, "the method is new")


def _compare_operation(
    comparison: Comparison,
    before: Json,
    after: Json,
    shared: tuple[list[JsonValue], list[JsonValue]],
    place: str,
) -> None:
    _compare_rest(comparison, before, after, _OPERATION_KEYS, place)
    _compare_security(comparison, before, after, place)
    _compare_parameters(
        comparison,
        _parameters(comparison, 0, [*shared[0], *_sequence(before.get("parameters"))], place),
        _parameters(comparison, 1, [*shared[1], *_sequence(after.get("parameters"))], place),
        place,
    )
    _compare_request(comparison, before.get("requestBody"), after.get("requestBody"), f"{place} request")
    old, new = _mapping(before.get("responses")), _mapping(after.get("responses"))
    for status in sorted({*old, *new}):
        here = f"{place} {status}"
        if status not in new:
            comparison.add("status-removed", BREAKING, here, "the status is gone")
        elif status not in old:
            comparison.add("status-added", BREAKING, here, "clients were never told of this status")
        else:
            _compare_response(comparison, old[status], new[status], here, is_success=status[:1] == "2")


def _parameters(comparison: Comparison, which: int, found: list[JsonValue], place: str) -> dict[str, Json]:
    resolved = (_mapping(comparison.resolve(which, node, place)) for node in found)
    return {f"{node.get('in')} {node.get('name')}": node for node in resolved}


def _compare_parameters(
    comparison: Comparison, before: dict[str, Json], after: dict[str, Json], place: str
) -> None:
    for name in sorted({*before, *after}):
        here = f"{place} parameter {name}"
        if name not in after:
            comparison.add("parameter-removed", BREAKING, here, "the parameter is gone")
        elif name not in before:
            severity = BREAKING if after[name].get("required") is True else ADDITIVE
            comparison.add("parameter-added", severity, here, "the parameter is new")
        else:
            old, new = before[name], after[name]
            _compare_required(comparison, old, new, here)
            _compare_rest(comparison, old, new, _PARAMETER_KEYS, here)
            comparison.compare(old.get("schema", {}), new.get("schema", {}), Side.REQUEST, here)


def _compare_request(comparison: Comparison, before: JsonValue, after: JsonValue, place: str) -> None:
    old, new = _mapping(comparison.resolve(0, before, place)), _mapping(comparison.resolve(1, after, place))
    if before is None and after is None:
        return
    if before is None or after is None:
        severity = ADDITIVE if before is None and new.get("required") is not True else BREAKING
        rule, detail = (
            ("body-added", "takes a body now") if before is None else ("body-removed", "takes none")
        )
        comparison.add(rule, severity, place, detail)
        return
    _compare_required(comparison, old, new, place)
    _compare_rest(comparison, old, new, frozenset({"required", "content"}), place)
    _compare_content(comparison, old, new, Side.REQUEST, place)


def _compare_required(comparison: Comparison, before: Json, after: Json, place: str) -> None:
    old, new = before.get("required") is True, after.get("required") is True
    if old != new:
        severity = BREAKING if new else ADDITIVE
        comparison.add("required-changed", severity, place, "is required now" if new else "is optional now")


def _compare_response(
    comparison: Comparison, before: JsonValue, after: JsonValue, place: str, *, is_success: bool
) -> None:
    old, new = _mapping(comparison.resolve(0, before, place)), _mapping(comparison.resolve(1, after, place))
    side = Side.REPLY if is_success else Side.ERROR
    _compare_rest(comparison, old, new, _RESPONSE_KEYS, place)
    _compare_content(comparison, old, new, side, place)
    headers = _mapping(old.get("headers")), _mapping(new.get("headers"))
    for name in sorted({*headers[0], *headers[1]}):
        here = f"{place} header {name}"
        if name not in headers[1]:
            comparison.add("header-removed", BREAKING, here, "the header is gone")
        elif name not in headers[0]:
            comparison.add("header-added", calculate_addition(side), here, "the header is new")
        else:
            one = _mapping(comparison.resolve(0, headers[0][name], here))
            other = _mapping(comparison.resolve(1, headers[1][name], here))
            comparison.compare(one.get("schema", {}), other.get("schema", {}), side, here)


def _compare_content(comparison: Comparison, before: Json, after: Json, side: Side, place: str) -> None:
    old, new = _mapping(before.get("content")), _mapping(after.get("content"))
    for media in sorted({*old, *new}):
        if media not in new:
            comparison.add("media-type-removed", BREAKING, place, f"the media type {media} is gone")
        elif media not in old:
            comparison.add(
                "media-type-added", calculate_addition(side), place, f"the media type {media} is new"
            )
        else:
            one, other = _mapping(old[media]), _mapping(new[media])
            _compare_rest(comparison, one, other, frozenset({"schema"}), place)
            comparison.compare(one.get("schema", {}), other.get("schema", {}), side, f"{place} body")


def _compare_rest(
    comparison: Comparison, before: Json, after: Json, known: frozenset[str], place: str
) -> None:
    """Note keys that are not understood, where their values differ."""

    def add(key: str) -> None:
        if before.get(key) != after.get(key):
            comparison.add("keyword-not-understood", UNKNOWN, place, f"the keyword {key}")

    find_keyword_problem(add, {**before, **after}, known)


def _compare_security(comparison: Comparison, before: Json, after: Json, place: str) -> None:
    """Asking for credentials breaks who has none; which ones are asked for is not understood."""
    old, new = comparison.find_security(0, before), comparison.find_security(1, after)
    if old == new:
        return
    # An empty requirement among the alternatives lets anybody in.
    needs = [bool(each) and {} not in each for each in (old, new)]
    if not needs[1]:
        comparison.add("credentials-optional", ADDITIVE, place, "credentials may be sent, and need not be")
    elif not needs[0]:
        comparison.add("credentials-required", BREAKING, place, "credentials are asked for from now on")
    else:
        comparison.add("keyword-not-understood", UNKNOWN, place, "the keyword security")


def _mapping(node: JsonValue) -> Json:
    return node if isinstance(node, dict) else {}


def _sequence(node: JsonValue) -> list[JsonValue]:
    return node if isinstance(node, list) else []
