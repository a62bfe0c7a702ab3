"""The two kinds of question, complete: every default filled in, every time an instant."""

from __future__ import annotations

import msgspec

from memorykernel.core.vocabulary import RecordType


class PolicyQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """May `actor` do `action` to `resource` at `as_of_us`?

    `as_of_us` is in microseconds since 1970 UTC.
    """

    text: str
    actor: str
    action: str
    resource: str
    as_of_us: int


class RecallQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered about `text`, among `record_types`, at `as_of_us`?

    `record_types` is as the asker gave it; each ruleset says which types an empty one means.
    """

    text: str
    record_types: tuple[RecordType, ...]
    as_of_us: int
