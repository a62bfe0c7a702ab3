"""Policy files in YAML and CSV, read with the line of every entry.

YAML is composed, not constructed: no tag makes an object, no alias multiplies one, a key that comes twice
is an error, and every scalar is the text that stands there, so that `no` and `2026-01-01` are not taken
for something else.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

import yaml

from memorykernel.core.policy_file import MAX_BYTES, MAX_ENTRIES, RawEntry, RawPolicies, Value
from memorykernel.core.vocabulary import Field, Match
from memorykernel.errors import PolicyFileInvalid

_SECTIONS: Final = ("set", "defaults", "rules", "groups")
_GROUP_KEYS: Final = ("field", "members")
_NULL: Final = "tag:yaml.org,2002:null"
_LIST_SEPARATOR: Final = "|"


def load_policies(path: Path) -> RawPolicies:
    """Read a file; `.csv` is CSV, everything else YAML.

    Raises:
        PolicyFileInvalid: It cannot be read; the message names the line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise PolicyFileInvalid(f"'{path}' cannot be read: {exc.strerror}; correct the path") from exc
    if len(data) > MAX_BYTES:
        raise PolicyFileInvalid(f"'{path}' has more than {MAX_BYTES} bytes; split it into several sets")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise PolicyFileInvalid(f"line {line}: is no UTF-8; save the file as UTF-8") from exc
    return parse_csv(text) if path.suffix.lower() == ".csv" else parse_yaml(text)


def parse_yaml(text: str) -> RawPolicies:
    """Read YAML.

    Raises:
        PolicyFileInvalid: It is none, or has what a policy file has not.
    """
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise PolicyFileInvalid(f"line {_line(event)}: aliases are not read; repeat it, or quote '*'")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise PolicyFileInvalid(f"line {line}: is no YAML: {exc.problem}; correct it, and quote '*'") from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise PolicyFileInvalid(f"the file is no YAML that can be read: {type(exc).__name__}") from exc
    sections = _read_mapping(root, _SECTIONS) if root is not None else {}
    defaults = sections.get("defaults")
    name = sections.get("set")
    chosen = None if name is None else _read_value(name)
    if chosen is not None and not isinstance(chosen, str):
        raise PolicyFileInvalid(f"line {_line(name)}: field 'set' is no name; expected text")
    return RawPolicies(
        name=chosen,
        defaults={} if defaults is None else _read_values(defaults),
        rules=tuple(
            RawEntry(line=_line(each), values=_read_values(each))
            for each in _read_items(sections.get("rules"))
        ),
        memberships=tuple(_read_groups(sections.get("groups"))),
    )


def parse_csv(text: str) -> RawPolicies:
    """Read CSV with a header: of memberships if there is a column `member`, else of rules.

    Raises:
        PolicyFileInvalid: It is none, or a line has more fields than the header.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: list[RawEntry] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header or len(set(header)) != len(header) or "" in header:
            raise PolicyFileInvalid("line 1: is no header; expected a name for every column, each once")
        before = reader.line_num
        for row in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                raise PolicyFileInvalid(f"line {line}: has {len(row)} fields, expected {len(header)}")
            entries.append(RawEntry(line=line, values=_read_row(line, dict(zip(header, row, strict=True)))))
            if len(entries) > MAX_ENTRIES:
                raise PolicyFileInvalid(
                    f"line {line}: is one more than {MAX_ENTRIES} entries; split the file"
                )
    except csv.Error as exc:
        raise PolicyFileInvalid(f"line {reader.line_num}: is no CSV: {exc}") from exc
    rows = tuple(entries)
    is_memberships = "member" in header
    return RawPolicies(
        name=None,
        defaults={},
        rules=() if is_memberships else rows,
        memberships=rows if is_memberships else (),
    )


def _read_row(line: int, cells: dict[str, str]) -> dict[str, Value]:
    """An empty cell says nothing; `|` separates evidence; `actor_match` says how `actor` is compared."""
    values: dict[str, Value] = {name: cell for name, cell in cells.items() if cell != ""}
    if isinstance(evidence := values.get("evidence"), str):
        values["evidence"] = list(evidence.split(_LIST_SEPARATOR))
    for field in Field:
        match = values.pop(f"{field}_match", None)
        value = values.get(field.value)
        if match is not None and match not in [each.value for each in Match]:
            raise PolicyFileInvalid(
                f"line {line}: field '{field}_match' is '{match}': expected one of {', '.join(Match)}"
            )
        if isinstance(match, str) and match != Match.EXACT and isinstance(value, str):
            values[field.value] = {match: value}
    return values


def _read_groups(node: yaml.Node | None) -> list[RawEntry]:
    if node is None:
        return []
    entries = []
    for key, group in _pairs(node):
        values = _read_mapping(group, _GROUP_KEYS)
        field = _read_value(values["field"]) if "field" in values else Field.ACTOR.value
        for member in _read_items(values.get("members")):
            shared: dict[str, Value] = {"field": field, "group": key, "member": _read_value(member)}
            entries.append(RawEntry(line=_line(member), values=shared))
    return entries


def _read_values(node: yaml.Node) -> dict[str, Value]:
    return {key: _read_value(value) for key, value in _pairs(node)}


def _read_value(node: yaml.Node) -> Value:
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == _NULL else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_read_text(each) for each in node.value]
    return {key: _read_text(value) for key, value in _pairs(node)}


def _read_text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise PolicyFileInvalid(f"line {_line(node)}: is nested too deep; expected text")
    return str(node.value)


def _read_mapping(node: yaml.Node, known: tuple[str, ...]) -> dict[str, yaml.Node]:
    pairs = dict(_pairs(node))
    if unknown := sorted(pairs.keys() - set(known)):
        raise PolicyFileInvalid(
            f"line {_line(pairs[unknown[0]])}: '{unknown[0][:80]}' is unknown; expected {', '.join(known)}"
        )
    return pairs


def _pairs(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise PolicyFileInvalid(f"line {_line(node)}: is no mapping; expected 'name: value' lines")
    seen: set[str] = set()
    pairs = []
    for key, value in node.value:
        name = _read_text(key)
        if name in seen:
            raise PolicyFileInvalid(f"line {_line(key)}: the key '{name[:80]}' comes twice; remove one")
        seen.add(name)
        pairs.append((name, value))
    return pairs


def _read_items(node: yaml.Node | None) -> list[yaml.Node]:
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NULL):
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise PolicyFileInvalid(f"line {_line(node)}: is no list; expected '- ' lines")
    return list(node.value)


def _line(found: yaml.Node | yaml.Event | None) -> int:
    return 1 if found is None or found.start_mark is None else int(found.start_mark.line) + 1
