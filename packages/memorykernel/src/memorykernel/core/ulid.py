"""ULIDs as upper-case text of 26 Crockford base32 characters.

Lower case is accepted and made upper case, so that one id has one spelling in the store. Minting
needs a clock and randomness and is an adapter's work.

Source: https://github.com/ulid/spec (canonical encoding; the first character is at most 7).
"""

from __future__ import annotations

import re
from typing import Final

from memorykernel.errors import MistypedField

_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def parse_ulid(text: str, *, field: str) -> str:
    """Read a ULID.

    Args:
        text: 26 characters in either case.
        field: The name of the field, for the message.

    Returns:
        The same id in upper case.

    Raises:
        MistypedField: The text is not a ULID.
    """
    # ASCII first: upper() of some other letters is ASCII, and one id must not have two spellings.
    if text.isascii() and _ULID.fullmatch(text.upper()):
        return text.upper()
    raise MistypedField(
        field, "is not a ULID: expected 26 characters of Crockford base32, the first at most 7"
    )
