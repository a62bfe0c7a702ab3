"""Read `cutover.toml`: every problem at once, each with its line and what to do.

Reading has two steps. The shape (tables, keys, types) is that of the records in `cutover.core.program`;
what a value may be is a list of rules over the values that have the right shape, so that one mistyped
key does not hide the others. Nothing outside the file is looked at: that is `cutover check`.
Source: cutover-program, "The program file".
"""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cutover.core.key import Party
from cutover.core.program import Program
from cutover.core.program_rule import find_problems
from cutover.core.toml_place import Path, Places
from cutover.errors import InvalidProgram

MAX_PROGRAM_BYTES: Final = 256 * 1024
JOINT: Final = "joint"
"""What the file says for a role of neither party alone; TOML has no null."""

_Problem = tuple[Path, str]


def parse_program(data: bytes) -> Program:
    """Read a program file.

    Pure.

    Args:
        data: The file's bytes.

    Returns:
        The program; paths in it are still relative to the file's folder.

    Raises:
        InvalidProgram: With every problem, in the order of the file.
    """
    text, raw = _parse_toml(data)
    leaves: dict[Path, object] = {}
    problems = [*_read_record(raw, Program, (), leaves), *find_problems(leaves)]
    if problems:
        places = Places(text)
        numbered = sorted({(places.line(path), f"{_show(path)}: {what}") for path, what in problems})
        raise InvalidProgram(tuple(f"line {line}: {what}" for line, what in numbered))
    return msgspec.convert(_without_joint(raw), Program)


def _parse_toml(data: bytes) -> tuple[str, dict[str, Any]]:
    if len(data) > MAX_PROGRAM_BYTES:
        raise InvalidProgram((f"{len(data)} bytes, expected at most {MAX_PROGRAM_BYTES}; shorten the file",))
    try:
        text = data.decode()
        return text, tomllib.loads(text)
    except UnicodeDecodeError as exc:
        raise InvalidProgram((f"byte {exc.start} is not UTF-8; save the file as UTF-8",)) from exc
    except tomllib.TOMLDecodeError as exc:
        reason = str(exc)[:1].lower() + str(exc)[1:]
        raise InvalidProgram((f"not TOML: {reason}; fix the syntax first",)) from exc


def _read_record(
    raw: object, kind: type[msgspec.Struct], path: Path, leaves: dict[Path, object]
) -> Iterator[_Problem]:
    if not isinstance(raw, dict):
        yield path, f"expected a table, got {_name(raw)}"
        return
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in sorted(raw.keys() - fields.keys()):
        yield (*path, name), f"unknown key; remove it, or write one of {', '.join(sorted(fields))}"
    for name, field in fields.items():
        if name in raw:
            yield from _read_value(raw[name], hints[name], (*path, name), leaves)
        elif field.required:
            yield path, f"{name} is missing; add it"


def _read_value(raw: object, kind: Any, path: Path, leaves: dict[Path, object]) -> Iterator[_Problem]:
    """Follow the type; a leaf is kept for the rules when it converts."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _read_record(raw, kind, path, leaves)
    elif origin is tuple:
        yield from _read_list(raw, args[0], path, leaves)
    elif origin is Mapping:
        yield from _read_table(raw, args[1], path, leaves)
    elif origin is types.UnionType and raw == JOINT:
        leaves[path] = None
    else:
        try:
            leaves[path] = msgspec.convert(raw, Party if origin is types.UnionType else kind)
        except msgspec.ValidationError as exc:
            hint = f", or {JOINT!r}" if origin is types.UnionType else ""
            yield path, f"{str(exc)[:1].lower()}{str(exc)[1:]}{hint}"


def _read_list(raw: object, kind: Any, path: Path, leaves: dict[Path, object]) -> Iterator[_Problem]:
    if not isinstance(raw, list):
        yield path, f"expected a list, got {_name(raw)}"
        return
    leaves[path] = len(raw)
    for index, item in enumerate(raw):
        yield from _read_value(item, kind, (*path, index), leaves)


def _read_table(raw: object, kind: Any, path: Path, leaves: dict[Path, object]) -> Iterator[_Problem]:
    if not isinstance(raw, dict):
        yield path, f"expected a table, got {_name(raw)}"
        return
    leaves[path] = len(raw)
    for name, item in raw.items():
        yield from _read_value(item, kind, (*path, name), leaves)


def _without_joint(raw: dict[str, Any]) -> dict[str, Any]:
    roles = {
        name: {**role, "party": None if role["party"] == JOINT else role["party"]}
        for name, role in raw["roles"].items()
    }
    return {**raw, "roles": roles}


def _name(raw: object) -> str:
    names = {dict: "a table", list: "a list", str: "text", bool: "true or false", int: "a number"}
    return names.get(type(raw), type(raw).__name__)


def _show(path: Path) -> str:
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return shown.removeprefix(".") or "cutover.toml"
