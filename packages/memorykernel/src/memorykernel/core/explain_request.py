"""What callers ask to have explained, as they send it; see `core.request`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from memorykernel.core.ruleset import POLICY_RULESETS, PolicyRuleset
from memorykernel.core.stored_question import StoredAnswer
from memorykernel.errors import InvalidRequest, MistypedField

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500
"""How many stored answers are looked at for one page at most."""

_CURSOR: Final = re.compile(r"ans_([0-9]{1,18})")


class FindBlastRadius(msgspec.Struct, frozen=True, kw_only=True):
    """Find the stored answers that used a record version."""

    memory_version_id: str
    cursor: str | None = None
    limit: int | None = None


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer by, and on which state; all that is there without `as_known_at`."""

    ruleset: str
    as_known_at: str | None = None


class Compare(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Answer the stored policy questions on two bases."""

    from_: Basis
    to: Basis
    cursor: str | None = None
    limit: int | None = None


def admit_page(cursor: str | None, limit: int | None) -> tuple[int, int]:
    """The answer that a page begins behind, and how many it looks at.

    Raises:
        MistypedField: The cursor is none.
        InvalidRequest: The limit is out of its range.
    """
    match = None if cursor is None else _CURSOR.fullmatch(cursor)
    if cursor is not None and match is None:
        raise MistypedField("cursor", "is no cursor: expected a next_cursor; send it as you got it")
    chosen = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= chosen <= MAX_LIMIT:
        raise InvalidRequest(f"field 'limit' expected 1 to {MAX_LIMIT}, got {limit}", {"field": "limit"})
    return int(match[1]) if match else 0, chosen


def point_behind(page: Sequence[StoredAnswer], limit: int) -> str | None:
    """The cursor of what comes behind a page of stored answers; None when it was not full."""
    return f"ans_{page[-1].answer_seq}" if len(page) == limit else None


def find_ruleset(name: str) -> PolicyRuleset:
    """The policy ruleset of a name.

    Raises:
        InvalidRequest: There is none.
    """
    if name not in POLICY_RULESETS:
        raise InvalidRequest(
            f"field 'ruleset' names no ruleset; expected one of {', '.join(POLICY_RULESETS)}",
            {"field": "ruleset"},
        )
    return POLICY_RULESETS[name]
