"""On which line a TOML document says something.

`tomllib` returns values without places. This walks a document that `tomllib` has accepted and notes the
line of every table header and key; it needs to know only where values end, not what they mean.
Source: TOML v1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_KEY_PART = re.compile(_PART)
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(
    r"""
      \"{3}(?:[^"\\]|\\.|"(?!""))*"{3,5}   # long, with escapes
    | '{3}(?:[^']|'(?!''))*'{3,5}          # long, literal
    | "(?:[^"\\\n]|\\.)*"
    | '[^'\n]*'
    """,
    re.DOTALL | re.VERBOSE,
)
_PLAIN = re.compile(r"[^\[\]{}\"'#\n]+")


class Places:
    """Lines of a document, by path; the path of an array element has its number as a step.

    Args:
        text: TOML that `tomllib` accepts.
    """

    def __init__(self, text: str) -> None:
        self._lines = _find(text)

    def line(self, path: Path) -> int:
        """Return the line, counted from 1, of a path or of the nearest around it; 1 without any."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1


def _find(text: str) -> Mapping[Path, int]:
    lines: dict[Path, int] = {}
    counts: Counter[Path] = Counter()
    table: Path = ()
    at = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches the empty string too
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        brackets = 2 if text.startswith("[[", at) else int(text[at] == "[")
        names, at = _read_key(text, _skip(_BLANK, text, at + brackets))
        if brackets == 2:
            base = _enter(names[:-1], counts)
            table = (*base, names[-1], counts[(*base, names[-1])])
            counts[(*base, names[-1])] += 1
            lines.setdefault(table[:-1], line)
        elif brackets:
            table = _enter(names, counts)
        lines.setdefault(table if brackets else (*table, *names), line)
        at = _skip(_BLANK, text, at) + (brackets or 1)  # behind the bracket, or behind `=`
        at = _skip(_SPACE, text, at if brackets else _skip_value(text, at))
    return lines


def _enter(names: Path, counts: Mapping[Path, int]) -> Path:
    """A header below an array of tables means its newest element."""
    path: Path = ()
    for name in names:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _read_key(text: str, at: int) -> tuple[Path, int]:
    end = _skip(_KEY, text, at)
    parts = (match.group() for match in _KEY_PART.finditer(text, at, end))
    return tuple(_unquote(part) for part in parts), end


def _unquote(part: str) -> str:
    return part if part[0] not in "\"'" else str(tomllib.loads(f"value = {part}")["value"])


def _skip_value(text: str, at: int) -> int:
    """Return where a value ends: at the line's end, unless brackets or a long string go on."""
    depth = 0
    while at < len(text) and (depth or text[at] not in "#\n"):
        if text[at] in "#\n":
            at = _skip(_SPACE, text, at)
            continue
        depth += (text[at] in "[{") - (text[at] in "]}")
        at = max(_skip(_STRING, text, at), _skip(_PLAIN, text, at), at + 1)
    return at
