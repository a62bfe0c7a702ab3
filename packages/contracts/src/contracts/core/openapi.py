"""OpenAPI documents as plain JSON values, from the YAML that is written and served.

Only the part of YAML that is JSON in another spelling is read: no aliases, no tags, no
duplicate keys. What JSON would not call a number, a boolean or null is text: dates, `yes`, `0x10`.

Source: YAML 1.2.2, section 10.3 (core schema), narrowed to what JSON can hold.
"""

import math
import re
from typing import Final, NoReturn

import yaml

from contracts.core.json_value import ROOT, JsonValue, encode_field_path
from contracts.core.strict_json import decode_text, has_surrogate
from contracts.errors import MalformedDocument

MAX_OPENAPI_BYTES: Final = 512 * 1024
_MAX_INT_CHARACTERS: Final = 20
_PLAIN_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_WORDS: Final[dict[str, JsonValue]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_INT: Final = re.compile(r"-?[0-9]+\Z")
_SUPPORTED: Final = re.compile(r"3\.1\.[0-9]+\Z")


def parse_openapi(data: bytes) -> dict[str, JsonValue]:
    """Read an OpenAPI 3.1 document strictly; whether it is valid OpenAPI is for a validator to say.

    Args:
        data: The YAML's bytes.

    Returns:
        The document, keys in order; status codes are strings because unquoted ones are refused.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    document = _load(decode_text(data, max_bytes=MAX_OPENAPI_BYTES))
    if not isinstance(document, dict):
        raise MalformedDocument(ROOT, "expected a mapping of openapi, info and paths")
    version = document.get("openapi")
    if not isinstance(version, str) or not _SUPPORTED.match(version):
        raise MalformedDocument("openapi", "expected a version 3.1.x, quoted if need be")
    for key in ("info", "paths"):
        if not isinstance(document.get(key), dict):
            raise MalformedDocument(key, "expected a mapping")
    return document


def _load(text: str) -> JsonValue:
    try:
        node = yaml.compose(text, Loader=_NodeLoader)
        return None if node is None else _convert(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        problem = (error.problem or "unreadable").splitlines()[0]
        raise MalformedDocument(ROOT, f"not YAML{where}: {problem[:120]}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The last two come from escapes of characters that do not exist, which PyYAML does not expect.
        raise MalformedDocument(ROOT, "not YAML: expected printable Unicode text") from error
    except RecursionError as error:
        raise MalformedDocument(ROOT, "nested too deeply, expected an OpenAPI document") from error


class _NodeLoader(yaml.SafeLoader):
    """Parses to nodes; without resolvers a plain scalar has the tag of a string until `_convert` looks."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # the table of PyYAML that this one replaces

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an alias before it can stand for a tree a thousand times its size."""
        if self.check_event(yaml.AliasEvent):
            problem = "aliases are not read here, write the value out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        return super().compose_node(parent, index)


def _convert(node: yaml.Node, path: tuple[str | int, ...]) -> JsonValue:
    if node.tag not in _PLAIN_TAGS:
        _refuse(path, node, f"expected no tag, got {node.tag[:80]}")
    if isinstance(node, yaml.MappingNode):
        return _convert_mapping(node, path)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(inner, (*path, index)) for index, inner in enumerate(node.value)]
    return _convert_scalar(node, path)


def _convert_mapping(node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, JsonValue]:
    read: dict[str, JsonValue] = {}
    for key_node, value_node in node.value:
        key = _convert(key_node, path)
        if not isinstance(key, str):
            _refuse(path, key_node, "expected keys that are strings; put this one in quotation marks")
        if key in read:
            _refuse((*path, key), key_node, "duplicate key, expected it once; remove one")
        read[key] = _convert(value_node, (*path, key))
    return read


def _convert_scalar(node: yaml.Node, path: tuple[str | int, ...]) -> JsonValue:
    text = str(node.value)
    if has_surrogate(text):
        _refuse(path, node, "holds a lone surrogate, expected valid Unicode")
    is_quoted = not isinstance(node, yaml.ScalarNode) or node.style is not None
    if is_quoted or not (text in _WORDS or _NUMBER.match(text)):
        return text
    if text in _WORDS:
        return _WORDS[text]
    value = float(text) if len(text) > _MAX_INT_CHARACTERS or not _INT.match(text) else int(text)
    if not math.isfinite(value) or (_INT.match(text) and not -(2**63) <= value < 2**63):
        _refuse(path, node, f"expected a number of at most 64 bits, got {text[:40]}")
    return value


def _refuse(path: tuple[str | int, ...], node: yaml.Node, reason: str) -> NoReturn:
    raise MalformedDocument(encode_field_path(path), f"{reason} (line {node.start_mark.line + 1})")
