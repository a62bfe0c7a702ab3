"""The two kinds of question, complete: every default filled in, every time an instant."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from memorykernel.core.vector import QuestionVector
from memorykernel.core.vocabulary import RecordType


class PolicyQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """May `actor` do `action` to `resource` at `as_of_us`?

    `as_of_us` is in microseconds since 1970 UTC. `as_known_at` is as the asker gave it: an RFC 3339 time, the
    name of a snapshot (`txn_` and 64 hex digits), or None for all that is known; UNSET before service.v4.
    """

    text: str
    actor: str
    action: str
    resource: str
    as_of_us: int
    as_known_at: str | UnsetType | None = UNSET


class RecallQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered about `text`, among `record_types`, at `as_of_us`?

    `record_types` is as the asker gave it; each ruleset says which types an empty one means. `cursor` is
    where the page before ended, None for the first; `as_known_at` as in `PolicyQuestion`; `meaning` is there
    when it is asked by meaning.
    """

    text: str
    record_types: tuple[RecordType, ...]
    as_of_us: int
    as_known_at: str | UnsetType | None = UNSET
    cursor: str | None = None
    meaning: QuestionVector | UnsetType = UNSET
