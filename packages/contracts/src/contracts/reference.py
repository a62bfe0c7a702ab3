"""The API reference of a service contract, written from its OpenAPI document as Markdown.

`python -m contracts.reference FOLDER` writes one page per known contract; a test compares the pages of this
repository with it, so that they cannot say anything else than the documents.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contracts.core.json_value import JsonValue
from contracts.core.openapi import parse_openapi
from contracts.core.service import KNOWN_SERVICE_CONTRACTS
from contracts.documents import load_openapi

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_MAX_VALUES: Final = 12

Node = dict[str, JsonValue]


def render_reference(service_contract: str) -> str:
    """Write the reference of a contract. Pure but for loading the packaged document.

    Args:
        service_contract: A known contract.

    Returns:
        Markdown: one section per tag, one part per operation with its fields, headers and errors.

    Raises:
        UnknownDocument: There is no such contract.
    """
    return "\n".join(_Page(parse_openapi(load_openapi(service_contract))).lines()) + "\n"


def page_name(service_contract: str) -> str:
    """The name of the contract's page."""
    return f"api-{service_contract}.md"


class _Page:
    def __init__(self, document: Node) -> None:
        self._document = document

    def lines(self) -> Iterator[str]:
        info = _node(self._document.get("info"))
        yield f"# {_text(info.get('title'))}, {_text(info.get('version'))}"
        yield ""
        yield "Written from the OpenAPI document by `python -m contracts.reference`; change it there."
        yield ""
        yield _text(info.get("description"), wrapped=True)
        for tag in _nodes(self._document.get("tags")):
            yield from ("", f"## {_text(tag.get('name'))}", "", _text(tag.get("description")))
            for path, method, operation in self._operations(_text(tag.get("name"))):
                yield from self._operation(path, method, operation)
        yield from self._shapes()

    def _operations(self, tag: str) -> Iterator[tuple[str, str, Node]]:
        for path, item in _node(self._document["paths"]).items():
            for method in _METHODS:
                operation = _node(_node(item).get(method))
                if tag in (operation.get("tags") or ()):  # type: ignore[operator]  # a list, by OpenAPI
                    yield path, method, operation

    def _operation(self, path: str, method: str, operation: Node) -> Iterator[str]:
        yield from ("", f"### {method.upper()} {path}", "", _text(operation.get("summary")))
        if operation.get("description"):
            yield from ("", _text(operation["description"], wrapped=True))
        yield from self._parameters(operation)
        body = self._schema_of(_node(operation.get("requestBody")))
        if body is not None:
            yield from ("", "Request:", "", *self._table(self._flatten(body)))
        responses = {
            status: self._resolve(_node(node)) for status, node in _node(operation.get("responses")).items()
        }
        success = self._schema_of(responses.get("200", {}))
        if success is not None:
            fields = self._flatten(success)
            data = next((schema for name, schema, _ in fields if name == "data"), None)
            title = "Reply:" if data is None else "Reply, in `data`:"
            rows = list(self._table(fields if data is None else self._flatten(data)))
            yield from ("", title, "", *rows) if rows else ()
        yield from self._errors(responses)

    def _parameters(self, operation: Node) -> Iterator[str]:
        found = [self._resolve(each) for each in _nodes(operation.get("parameters"))]
        if not found:
            return
        yield from ("", "| parameter | where | type | meaning |", "|---|---|---|---|")
        for each in found:
            name = f"`{_text(each.get('name'))}`{' *' if each.get('required') else ''}"
            kind = self._type(_node(each.get("schema")))
            yield f"| {name} | {_text(each.get('in'))} | {kind} | {_cell(each.get('description'))} |"

    def _table(self, fields: list[tuple[str, Node, bool]]) -> Iterator[str]:
        if not fields:
            return
        yield from ("| field | type | meaning |", "|---|---|---|")
        for name, schema, is_required in fields:
            described = self._resolve(schema)
            meaning = _cell(schema.get("description") or described.get("description"))
            yield f"| `{name}`{' *' if is_required else ''} | {self._type(schema)} | {meaning} |"

    def _shapes(self) -> Iterator[str]:
        """Every named schema that has fields of its own, and the pattern of every named text."""
        schemas = _node(_node(self._document.get("components")).get("schemas"))
        yield from ("", "## Shapes", "", "`*` marks what is always there.")
        for name, schema in sorted((name, _node(each)) for name, each in schemas.items()):
            rows = list(self._table(self._flatten(schema)))
            if rows or "pattern" in schema:
                yield from ("", f"### {name}")
                yield from ("", _text(schema["description"])) if "description" in schema else ()
                yield from ("", *(rows or (f"Text that matches `{schema['pattern']}`.",)))

    def _errors(self, responses: dict[str, Node]) -> Iterator[str]:
        failures = {status: node for status, node in responses.items() if status != "200"}
        if not failures:
            return
        yield from ("", "| status | code | when |", "|---|---|---|")
        for status, node in sorted(failures.items()):
            codes = ", ".join(f"`{code}`" for code in self._codes(self._schema_of(node) or {}))
            yield f"| {status} | {codes} | {_cell(node.get('description'))} |"

    def _codes(self, schema: Node) -> list[str]:
        """The codes that an error's schema narrows `error.code` to."""
        for branch in (schema, *_nodes(schema.get("allOf"))):
            error = _node(_node(self._resolve(branch).get("properties")).get("error"))
            code = _node(_node(error.get("properties")).get("code"))
            if "const" in code or "enum" in code:
                return _values(code)
        return []

    def _flatten(self, schema: Node) -> list[tuple[str, Node, bool]]:
        """Name, schema and whether required of every property, those of allOf included."""
        whole = self._resolve(schema)
        parts = [whole, *(self._resolve(each) for each in _nodes(whole.get("allOf")))]
        required = {name for part in parts for name in _names(part.get("required"))}
        fields: dict[str, Node] = {}
        for part in parts:
            for name, each in _node(part.get("properties")).items():
                # A part that only narrows a field says less about it than the one that declares it.
                if name not in fields or {"$ref", "type", "const", "enum"} & _node(each).keys():
                    fields[name] = _node(each)
            for nested in _nodes(part.get("allOf")) if part is not whole else ():
                fields |= {name: each for name, each, _ in self._flatten(nested)}
        return [(name, each, name in required) for name, each in fields.items()]

    def _type(self, schema: Node) -> str:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            named = self._resolve(schema)
            if values := _values(named):
                return _list(values)
            is_shape = {"properties", "oneOf", "allOf", "pattern"} & named.keys()
            return reference.rpartition("/")[2] if is_shape else self._type(named)
        if values := _values(schema):
            return _list(values)
        for keyword, word in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
            if branches := _nodes(schema.get(keyword)):
                return word.join(dict.fromkeys(map(self._type, branches)))
        kind = schema.get("type")
        if isinstance(kind, list):
            return " or ".join(map(str, kind))
        if kind == "array":
            return f"list of {self._type(_node(schema.get('items')))}"
        detail = schema.get("format") or schema.get("pattern")
        return f"{kind or 'any'}{f' (`{_cell(detail)}`)' if detail else ''}"

    def _schema_of(self, node: Node) -> Node | None:
        resolved = self._resolve(node)
        for media in _node(resolved.get("content")).values():
            return _node(_node(media).get("schema"))
        return None

    def _resolve(self, node: Node) -> Node:
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return node
        found: JsonValue = self._document
        for part in reference.removeprefix("#/").split("/"):
            found = _node(found)[part]
        return self._resolve(_node(found))


def _node(value: JsonValue) -> Node:
    return value if isinstance(value, dict) else {}


def _nodes(value: JsonValue) -> list[Node]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _names(value: JsonValue) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _values(schema: Node) -> list[str]:
    if "const" in schema:
        return [str(schema["const"])]
    return _names(schema.get("enum"))


def _list(values: list[str]) -> str:
    shown = ", ".join(f"`{each}`" for each in values[:_MAX_VALUES])
    return shown if len(values) <= _MAX_VALUES else f"{shown}, ..."


def _text(value: JsonValue, *, wrapped: bool = False) -> str:
    text = "" if value is None else str(value).strip()
    return text if wrapped else " ".join(text.split())


def _cell(value: JsonValue) -> str:
    return _text(value).replace("|", "\\|")


def main() -> None:
    """Write the page of every known contract into a folder."""
    folder = Path(sys.argv[1])
    for service_contract in KNOWN_SERVICE_CONTRACTS:
        (folder / page_name(service_contract)).write_text(render_reference(service_contract), "utf-8")


if __name__ == "__main__":
    main()
