"""Rules and memberships as people write them in a file, and the requests that they mean.

Every entry has a key that stays when its content changes; the key and the name of the set give the memory
that the entry is a version of. A file whose rules have no keys takes their scopes, so that a rule that
changes its effect is still the same rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from memorykernel.core.request import AddConstraintV4, AddMembership, AddSummaryV4
from memorykernel.core.vocabulary import Authority, Effect, Field, Match, SummaryType, TruthStatus
from memorykernel.errors import PolicyFileInvalid

MAX_BYTES: Final = 8 * 2**20
MAX_ENTRIES: Final = 20_000
MAX_KEY_CHARACTERS: Final = 200

Scalar = str | float | None
Value = Scalar | list[str] | dict[str, str]

SHARED_FIELDS: Final = (
    "authority",
    "truth_status",
    "confidence",
    "writer",
    "justification",
    "source_uri",
    "source_hash",
    "evidence",
    "effective_at",
    "expires_at",
)
"""What a rule and a membership can have, and the defaults too."""

RULE_FIELDS: Final = ("key", "actor", "action", "resource", "effect", "note", *SHARED_FIELDS)
MEMBERSHIP_FIELDS: Final = ("key", "field", "group", "member", *SHARED_FIELDS)

_DEFAULTS: Final[dict[str, Value]] = {
    "authority": "authoritative",
    "truth_status": "asserted",
    "evidence": [],
}
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_CHARACTERS: Final = 26
_BITS: Final = 5


class RawEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as the file says it; `line` counts from 1."""

    line: int
    values: dict[str, Value]


class RawPolicies(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it says it: what holds for all, rules and memberships."""

    name: str | None
    defaults: dict[str, Value]
    rules: tuple[RawEntry, ...]
    memberships: tuple[RawEntry, ...]


class PolicyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One rule or membership, as a request for the first version of its memory.

    `names_start` says whether the file gives its effective_at; if not, that of a version that is there stays.
    """

    key: str
    line: int
    request: AddConstraintV4 | AddMembership
    names_start: bool


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file wants the store to hold under the name of its set."""

    name: str
    entries: tuple[PolicyEntry, ...]


def read_policies(raw: RawPolicies, name: str, source_uri: str) -> PolicyFile:
    """Turn a file into requests.

    Args:
        raw: The file.
        name: The set's, unless the file names it.
        source_uri: Where the rules come from, unless the file says.

    Raises:
        PolicyFileInvalid: A field is missing, unknown or mistyped, or two entries have one key.
    """
    chosen = raw.name or name
    defaults = {**_DEFAULTS, "source_uri": source_uri, **raw.defaults}
    _refuse_unknown(1, raw.defaults, SHARED_FIELDS, "defaults")
    if len(raw.rules) + len(raw.memberships) > MAX_ENTRIES:
        raise PolicyFileInvalid(f"the file has more than {MAX_ENTRIES} entries; split it into several sets")
    entries = [
        *(_read_rule(chosen, each, defaults) for each in raw.rules),
        *(_read_membership(chosen, each, defaults) for each in raw.memberships),
    ]
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.key in seen:
            raise PolicyFileInvalid(
                f"line {entry.line}: the key '{entry.key}' is that of line {seen[entry.key]} too;"
                " give both a 'key' of their own"
            )
        seen[entry.key] = entry.line
    return PolicyFile(name=chosen, entries=tuple(entries))


def derive_memory_id(name: str, key: str) -> str:
    """The memory of an entry: a ULID that is the same for the same set and key."""
    digest = hashlib.sha256(msgspec.json.encode(["memorykernel.policy.v1", name, key])).digest()
    number = int.from_bytes(digest[:16], "big")
    shifts = range(_BITS * (_ULID_CHARACTERS - 1), -1, -_BITS)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in shifts)


def make_register(policies: PolicyFile, keys: tuple[str, ...], defaults: PolicyEntry) -> AddSummaryV4:
    """The event that says which keys a set has; it is how a later import knows what was removed.

    Args:
        policies: The set.
        keys: All of its keys that have a version that is in force.
        defaults: An entry whose writer and source it shares.
    """
    request = defaults.request
    return AddSummaryV4(
        memory_id=derive_memory_id(policies.name, REGISTER_KEY),
        version=1,
        record_type=SummaryType.EVENT,
        summary=f"policy set {policies.name} has {len(keys)} rules and memberships",
        writer=request.writer,
        justification=request.justification,
        source_uri=request.source_uri,
        evidence=keys,
        truth_status=TruthStatus.ASSERTED,
        authority=request.authority,
        supersedes=(),
        contradicts=(),
    )


REGISTER_KEY: Final = ""
"""The key of a set's register; no entry can have it."""


def _read_rule(name: str, raw: RawEntry, defaults: Mapping[str, Value]) -> PolicyEntry:
    _refuse_unknown(raw.line, raw.values, RULE_FIELDS, "a rule")
    patterns = {field: _read_pattern(raw, field) for field in Field}
    scope = [f"{field}={match}:{value}" for field, (value, match) in patterns.items()]
    key = _read_key(raw, " ".join(scope))
    fields: dict[str, Any] = {field.value: value for field, (value, _) in patterns.items()}
    fields |= {f"{field}_match": match for field, (_, match) in patterns.items()}
    return PolicyEntry(
        key=key,
        line=raw.line,
        request=AddConstraintV4(
            **fields,
            **_read_shared(name, key, raw, defaults),
            effect=_choose(raw, "effect", Effect, raw.values.get("effect")),
            note=_text(raw, "note", raw.values.get("note")),
        ),
        names_start=_has_start(raw, defaults),
    )


def _read_membership(name: str, raw: RawEntry, defaults: Mapping[str, Value]) -> PolicyEntry:
    _refuse_unknown(raw.line, raw.values, MEMBERSHIP_FIELDS, "a membership")
    field = _choose(raw, "field", Field, raw.values.get("field", "actor"))
    group, member = (_require_text(raw, each, raw.values.get(each)) for each in ("group", "member"))
    key = _read_key(raw, f"member {field}:{group}:{member}")
    return PolicyEntry(
        key=key,
        line=raw.line,
        request=AddMembership(
            field=field, group=group, member=member, **_read_shared(name, key, raw, defaults)
        ),
        names_start=_has_start(raw, defaults),
    )


def _read_shared(name: str, key: str, raw: RawEntry, defaults: Mapping[str, Value]) -> dict[str, Any]:
    values = {**defaults, **{each: value for each, value in raw.values.items() if value is not None}}
    return {
        "memory_id": derive_memory_id(name, key),
        "version": 1,
        "writer": _require_text(raw, "writer", values.get("writer")),
        "justification": _require_text(raw, "justification", values.get("justification")),
        "source_uri": _require_text(raw, "source_uri", values.get("source_uri")),
        "source_hash": _text(raw, "source_hash", values.get("source_hash")),
        "evidence": _texts(raw, "evidence", values.get("evidence")),
        "confidence": _number(raw, "confidence", values.get("confidence")),
        "truth_status": _choose(raw, "truth_status", TruthStatus, values.get("truth_status")),
        "authority": _choose(raw, "authority", Authority, values.get("authority")),
        "effective_at": _text(raw, "effective_at", values.get("effective_at")),
        "expires_at": _text(raw, "expires_at", values.get("expires_at")),
        "supersedes": (),
        "contradicts": (),
    }


def _read_pattern(raw: RawEntry, field: Field) -> tuple[str, Match]:
    value = raw.values.get(field.value)
    if not isinstance(value, dict):
        return _require_text(raw, field.value, value), Match.EXACT
    if len(value) != 1 or next(iter(value)) not in [each.value for each in Match]:
        raise _refuse(
            raw, field.value, "is no pattern: expected a value, '*', {prefix: docs/} or {group: staff}"
        )
    ((match, text),) = value.items()
    return _require_text(raw, field.value, text), Match(match)


def _read_key(raw: RawEntry, derived: str) -> str:
    key = _text(raw, "key", raw.values.get("key")) or derived
    if len(key) > MAX_KEY_CHARACTERS and key != derived:
        raise _refuse(raw, "key", f"is longer than {MAX_KEY_CHARACTERS} characters")
    return key


def _has_start(raw: RawEntry, defaults: Mapping[str, Value]) -> bool:
    return raw.values.get("effective_at", defaults.get("effective_at")) is not None


def _choose(raw: RawEntry, field: str, choices: Any, value: Value) -> Any:
    if value not in [each.value for each in choices]:
        raise _refuse(raw, field, f"is {_show(value)}: expected one of {', '.join(choices)}")
    return choices(value)


def _text(raw: RawEntry, field: str, value: Value) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _refuse(raw, field, f"is {_show(value)}: expected text")
    return value


def _require_text(raw: RawEntry, field: str, value: Value) -> str:
    if not (text := _text(raw, field, value)):
        raise _refuse(raw, field, "is missing; add it, or a default")
    return text


def _texts(raw: RawEntry, field: str, value: Value) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise _refuse(raw, field, f"is {_show(value)}: expected a list of texts")
    return tuple(value)


def _number(raw: RawEntry, field: str, value: Value) -> float | None:
    if value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError) as exc:
        raise _refuse(raw, field, f"is {_show(value)}: expected a number from 0 to 1") from exc


def _refuse_unknown(line: int, values: Mapping[str, Value], known: tuple[str, ...], what: str) -> None:
    if unknown := sorted(values.keys() - set(known)):
        raise PolicyFileInvalid(
            f"line {line}: {what} has no field '{unknown[0][:80]}'; expected some of {', '.join(known)}"
        )


def _refuse(raw: RawEntry, field: str, reason: str) -> PolicyFileInvalid:
    return PolicyFileInvalid(f"line {raw.line}: field '{field}' {reason}")


def _show(value: Value) -> str:
    return "missing" if value is None else f"'{str(value)[:80]}'"
