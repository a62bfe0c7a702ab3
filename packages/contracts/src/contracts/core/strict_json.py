"""JSON from strangers, read so that two readers can never see two different documents.

RFC 8259 leaves duplicate keys, huge numbers, byte order marks and lone surrogates to the reader;
parties that disagree about them disagree about what was signed. All of them are refused here.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Final, NoReturn

from contracts.core.json_value import ROOT, JsonValue, encode_field_path
from contracts.errors import MalformedDocument

MAX_DEPTH: Final = 64
_INT64: Final = range(-(2**63), 2**63)
_MAX_INT_DIGITS: Final = 20
_DIGITS_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19
"""Shorter integers fit 64 bits, and the parser need not call back for each."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_EXCERPT_CHARACTERS: Final = 40


class _Fault:
    """Stands in the parsed tree for a value that must be refused, until its path is known."""

    def __init__(self, reason: str, *steps: str) -> None:
        self.reason = reason
        self.steps = steps


class _Hooks:
    """The parser's hooks: each returns the value, or a fault in its place and remembers that it did."""

    def __init__(self) -> None:
        self.has_fault = False

    def _fault(self, reason: str, *steps: str) -> _Fault:
        self.has_fault = True
        return _Fault(reason, *steps)

    def read_object(self, pairs: list[tuple[str, object]]) -> object:
        read = dict(pairs)
        if len(read) == len(pairs):
            return read
        seen: set[str] = set()
        # `add` returns None, so the first key that is already there ends the search.
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return self._fault("duplicate key, expected it once; remove one", twice)

    def read_int(self, digits: str) -> object:
        if len(digits) <= _MAX_INT_DIGITS and (value := int(digits)) in _INT64:
            return value
        return self._fault(f"expected an integer of at most 64 bits, got {_excerpt(digits)}")

    def read_float(self, digits: str) -> object:
        value = float(digits)
        if math.isfinite(value):
            return value
        return self._fault(f"expected a number that a double can hold, got {_excerpt(digits)}")

    def read_constant(self, name: str) -> object:
        return self._fault(f"expected JSON, got {name}, which JSON does not have")


def parse_json(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> JsonValue:
    """Parse bytes as exactly one JSON value, refusing whatever two readers could read differently.

    Pure. Duplicate keys, NaN and infinities, integers beyond signed 64 bit, numbers that overflow a
    double, invalid UTF-8, a byte order mark, lone surrogates, too many bytes and too deep nesting
    are all refused.

    Args:
        data: The document.
        max_bytes: Longest document that is looked at.
        max_depth: Most objects and arrays around a value, the outermost counting 1.

    Returns:
        The value, with objects as dicts in the document's key order.

    Raises:
        MalformedDocument: With the field and the reason, for everything above and bad syntax.
    """
    text = decode_text(data, max_bytes=max_bytes)
    hooks = _Hooks()
    try:
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=hooks.read_object,
            parse_int=hooks.read_int if _LONG_NUMBER in data.translate(_DIGITS_AS_ZEROS) else None,
            parse_float=hooks.read_float,
            parse_constant=hooks.read_constant,
        )
    except json.JSONDecodeError as error:
        reason = (
            f"not JSON at line {error.lineno} column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}"
        )
        raise MalformedDocument(ROOT, reason) from error
    except RecursionError:
        _refuse_depth((), max_depth)
    is_deep = text.count("{") + text.count("[") > max_depth and _is_deeper(value, max_depth)
    if hooks.has_fault or is_deep or _SURROGATE_ESCAPE.search(data):
        _inspect(value, max_depth)
    return value


def decode_text(data: bytes, *, max_bytes: int) -> str:
    """Decode UTF-8 strictly.

    Args:
        data: Bytes of any origin.
        max_bytes: Longest input that is looked at.

    Returns:
        The text.

    Raises:
        MalformedDocument: For too many bytes, a byte order mark or invalid UTF-8.
    """
    if len(data) > max_bytes:
        raise MalformedDocument(ROOT, f"expected at most {max_bytes} bytes, got {len(data)}")
    if data.startswith(_BYTE_ORDER_MARK):
        raise MalformedDocument(
            ROOT, "starts with a byte order mark, expected plain UTF-8; save it without one"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedDocument(
            ROOT, f"expected UTF-8, got an invalid byte at offset {error.start}"
        ) from error


def has_surrogate(text: str) -> bool:
    """Say whether a text holds half of a surrogate pair, which no UTF-8 can carry."""
    return _SURROGATE.search(text) is not None


def _is_deeper(value: JsonValue, max_depth: int) -> bool:
    """Look at objects and arrays only, level by level: a sixth of the cost of walking every value."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _inspect(value: object, max_depth: int) -> None:
    """Walk the whole tree; needed only when something in the text hints at a fault."""
    for steps, found in _walk(value):
        if isinstance(found, _Fault):
            raise MalformedDocument(encode_field_path((*steps, *found.steps)), found.reason)
        if isinstance(found, str) and has_surrogate(found):
            raise MalformedDocument(
                encode_field_path(steps), "holds a lone surrogate, expected valid Unicode"
            )
        if isinstance(found, dict | list) and len(steps) >= max_depth:
            _refuse_depth(steps, max_depth)


def _walk(value: object) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield every value with its path, a key as a string of its own, without recursion."""
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), value)]
    while waiting:
        steps, found = waiting.pop()
        yield steps, found
        if isinstance(found, dict):
            yield from ((steps, key) for key in found)
            waiting.extend(((*steps, key), inner) for key, inner in found.items())
        elif isinstance(found, list):
            waiting.extend(((*steps, index), inner) for index, inner in enumerate(found))


def _refuse_depth(steps: tuple[str | int, ...], max_depth: int) -> NoReturn:
    raise MalformedDocument(
        encode_field_path(steps[:4]), f"nested too deeply, expected at most {max_depth} levels"
    )


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT_CHARACTERS else f"{text[:_EXCERPT_CHARACTERS]}..."
