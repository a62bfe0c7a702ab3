"""Text for PostgreSQL, which holds every character but U+0000.

SQLite holds that one too, and both stores must hold the same memory. So U+0000 is written as U+0001 `0` and
U+0001 itself as U+0001 `1`. The spelling works character by character, therefore a prefix stays a prefix, two
texts are equal if their spellings are, and a text without either character is spelled as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_ESCAPE: Final = "\x01"
_SPELLED: Final = {0: "\x010", 1: "\x011"}


def encode_value(value: Any) -> Any:
    """A value as PostgreSQL can hold it; lists element by element."""
    if isinstance(value, str):
        return value.translate(_SPELLED) if "\0" in value or _ESCAPE in value else value
    return [encode_value(each) for each in value] if isinstance(value, list) else value


def encode_values(values: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any] | Mapping[str, Any]:
    """The parameters of a statement, by position or by name."""
    if isinstance(values, Mapping):
        return {name: encode_value(value) for name, value in values.items()}
    return [encode_value(value) for value in values]


def decode_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as it was before `encode_values`."""
    for value in row:
        if value.__class__ is str and _ESCAPE in value:
            return tuple(decode_text(each) if isinstance(each, str) else each for each in row)
    return row


def decode_text(text: str) -> str:
    """The text that `encode_value` spelled."""
    head, *rest = text.split(_ESCAPE)
    return head + "".join(("\0" if each[:1] == "0" else _ESCAPE) + each[1:] for each in rest)
