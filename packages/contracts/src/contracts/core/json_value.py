"""What strict parsing yields, and how a place inside it is named."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

ROOT: Final = "$"
"""Name of the whole document where a field path would be empty."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_MAX_KEY_CHARACTERS: Final = 80


def encode_field_path(steps: Iterable[str | int]) -> str:
    """Write the way to a value as people read it: `pairs[2].status`, `release_digests["a.yaml"]`.

    Args:
        steps: Keys and list positions from the document's root, outermost first.

    Returns:
        One line; `$` for no steps at all. Long or odd keys are shortened and quoted, never raw.
    """
    path = "".join(_encode_step(step) for step in steps)
    return path.removeprefix(".") or ROOT


def _encode_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) > _MAX_KEY_CHARACTERS:
        step = step[:_MAX_KEY_CHARACTERS] + "..."
    if _PLAIN_KEY.match(step):
        return f".{step}"
    return f'["{step.encode("unicode_escape").decode("ascii")}"]'
