"""From untrusted bytes to a typed record: strict JSON, then msgspec, with errors a person can act on.

msgspec says where and what in words of its own; here they become a field path and a reason in the
house's words. The record's types are the format, so there is nothing to keep in step.
"""

import re
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from contracts.core.json_value import JsonValue, encode_field_path
from contracts.core.strict_json import parse_json
from contracts.errors import MalformedDocument

Record = TypeVar("Record", bound=msgspec.Struct)

MAX_GOVERNANCE_BYTES: Final = 1 << 20
"""Longest governance file that is looked at; published ones are a few kilobytes."""

_LOCATION: Final = re.compile(
    r" - at `(?P<key>key` in `)?\$(?P<path>(?:\.[A-Za-z0-9_]+|\[\d+\]|\[\.\.\.\])*)`\Z"
)
_STEP: Final = re.compile(r"\[(?P<index>\d+)\]|\.(?P<key>[A-Za-z0-9_]+)|\[\.\.\.\]")
_FIELD: Final = re.compile(
    r"\AObject (?P<what>missing required|contains unknown) field `(?P<name>.*)`\Z", re.DOTALL
)
_EXCERPT_CHARACTERS: Final = 60


def read_record(data: bytes, type_: type[Record], *, max_bytes: int = MAX_GOVERNANCE_BYTES) -> Record:
    """Parse bytes as strict JSON and convert them to a record.

    Pure.

    Args:
        data: The document.
        type_: The record's type; its annotations are the format.
        max_bytes: Longest document that is looked at.

    Returns:
        The record.

    Raises:
        MalformedDocument: With the path of the first offending value and the reason.
    """
    return convert_record(parse_json(data, max_bytes=max_bytes), type_)


def convert_record(document: JsonValue, type_: type[Record]) -> Record:
    """Convert a parsed document to a record.

    Args:
        document: Parsed JSON, or a tree built by a reader of another syntax.
        type_: The record's type.

    Returns:
        The record.

    Raises:
        MalformedDocument: With the path of the first offending value and the reason.
    """
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise _translate(str(error), document, type_) from error


def encode_record(record: msgspec.Struct) -> bytes:
    """Encode a record as two-space JSON in its field order, with a final line break.

    Deterministic: equal records give equal bytes. Absent optional fields are left out.

    Args:
        record: Any record of this package.

    Returns:
        UTF-8 bytes.
    """
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _translate(message: str, document: JsonValue, type_: object) -> MalformedDocument:
    located = _LOCATION.search(message)
    fact = message[: located.start()] if located else message
    # msgspec writes `[...]` for an entry of a mapping, and nothing at all for its key.
    path = located["path"] + ("[...]" if located["key"] else "") if located else ""
    steps, value, hint = _resolve(path, document, type_)
    if field := _FIELD.match(fact):
        return MalformedDocument(
            encode_field_path((*steps, field["name"])), _reason_of_key(field["what"], hint)
        )
    return MalformedDocument(encode_field_path(steps), _reason_of_value(fact, value, hint))


def _reason_of_key(what: str, hint: object) -> str:
    if what == "missing required":
        return "required, but missing; add it"
    names = ", ".join(get_type_hints(_bare(hint)))
    return f"unknown key, expected one of {names}; remove it or correct its spelling"


def _reason_of_value(fact: str, value: JsonValue, hint: object) -> str:
    if fact.startswith("Invalid enum value"):
        expected = ", ".join(map(str, get_args(_bare(hint))))
        return f"expected one of {expected}, got {_excerpt(value)}"
    description = next((meta.description for meta in _metas(hint) if meta.description), None)
    if isinstance(value, str) and description:
        return f"expected {description}, got {_excerpt(value)}"
    plain = fact.replace("`", "")
    plain = plain[:1].lower() + plain[1:]
    return plain if ", got " in plain else f"{plain}, got {_excerpt(value)}"


def _resolve(path: str, document: JsonValue, type_: object) -> tuple[list[str | int], JsonValue, object]:
    """Follow msgspec's path through document and type, to the value and the type that it should have had."""
    steps: list[str | int] = []
    value, hint = document, type_
    for step in _STEP.finditer(path):
        if step["index"] and isinstance(value, list):
            key: str | int = int(step["index"])
            value, hint = value[int(key)], get_args(_bare(hint))[0]
        elif step["key"] and isinstance(value, dict) and step["key"] in value:
            key = step["key"]
            value, hint = value[key], _fields(_bare(hint))[key]
        elif isinstance(value, dict) and get_origin(_bare(hint)) is dict:
            key, value, hint = _offending_entry(value, hint)
        else:  # a key in the document that is spelled like one of msgspec's messages
            break
        steps.append(key)
    return steps, value, hint


def _offending_entry(entries: dict[str, JsonValue], hint: object) -> tuple[str, JsonValue, object]:
    """The first entry of a mapping whose key or value does not convert, and which of the two it is."""
    key_type, value_type = get_args(_bare(hint))
    for key, inner in entries.items():
        for part, expected in ((key, key_type), (inner, value_type)):
            try:
                msgspec.convert(part, expected)
            except msgspec.ValidationError:
                return key, part, expected
    raise AssertionError("msgspec refused an entry of this mapping a moment ago")


def _fields(struct: Any) -> Mapping[str, object]:
    hints = get_type_hints(struct, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}


def _alternatives(hint: object) -> Iterator[object]:
    """The annotated type itself, or what an optional one is when it is there."""
    if get_origin(hint) in (Union, UnionType):
        yield from (one for one in get_args(hint) if one is not NoneType)
    else:
        yield hint


def _metas(hint: object) -> Iterator[msgspec.Meta]:
    for one in _alternatives(hint):
        if get_origin(one) is Annotated:
            yield from (meta for meta in get_args(one)[1:] if isinstance(meta, msgspec.Meta))


def _bare(hint: object) -> Any:
    """Strip `| None` and annotations."""
    one = next(_alternatives(hint))
    return get_args(one)[0] if get_origin(one) is Annotated else one


def _excerpt(value: JsonValue) -> str:
    text = ascii(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _EXCERPT_CHARACTERS else f"{text[:_EXCERPT_CHARACTERS]}..."
