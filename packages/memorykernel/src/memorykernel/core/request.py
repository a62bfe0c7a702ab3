"""What callers ask for, as they send it: the request bodies of the wire, and the CLI's too.

Field names and types are the contract's (wire contracts, section 1, common write fields). Those of service.v4
are types of their own, because an older contract must not read what it does not have. A request of these
types can still be wrong in its values; `admission` says whether it is.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from contracts.core.json_value import JsonValue

from memorykernel.core.vocabulary import (
    Authority,
    Effect,
    Field,
    Match,
    PublishedType,
    RecallMode,
    RecordType,
    Relation,
    SummaryType,
    TruthStatus,
)
from memorykernel.errors import MistypedField

Request = TypeVar("Request", bound=msgspec.Struct)

_EXCERPT: Final = 80
_INTEGERS: Final = ("version", "limit")
_MISSING: Final = re.compile(r"Object missing required field `(?P<field>.*)`")
_LOCATED: Final = re.compile(r"(?P<fact>.*) - at `\$\.?(?P<field>.*)`", re.DOTALL)
_CHOICES: Final[dict[str, type[StrEnum]]] = {
    "effect": Effect,
    "relation": Relation,
    "truth_status": TruthStatus,
    "authority": Authority,
    "record_type": SummaryType,
    "field": Field,
    "actor_match": Match,
    "action_match": Match,
    "resource_match": Match,
    "mode": RecallMode,
}


class _Write(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that every record is written with."""

    memory_id: str | None = None
    version: int
    writer: str
    justification: str
    source_uri: str
    source_hash: str | None = None
    evidence: tuple[str, ...]
    confidence: float | None = None
    truth_status: TruthStatus
    authority: Authority
    created_at: str | None = None
    effective_at: str | None = None
    supersedes: tuple[str, ...]
    contradicts: tuple[str, ...]


class AddConstraint(_Write, frozen=True, kw_only=True):
    """Remember that an effect applies to a scope."""

    actor: str
    action: str
    resource: str
    effect: Effect
    note: str | None = None


class AddSummary(_Write, frozen=True, kw_only=True):
    """Remember a decision, preference, event or outcome."""

    record_type: SummaryType
    summary: str


class _WriteV4(_Write, frozen=True, kw_only=True):
    """The fields that service.v4 adds to every record."""

    expires_at: str | None = None


class AddConstraintV4(_WriteV4, frozen=True, kw_only=True):
    """Remember that an effect applies to a scope, whose fields may be prefixes or groups."""

    actor: str
    action: str
    resource: str
    actor_match: Match = Match.EXACT
    action_match: Match = Match.EXACT
    resource_match: Match = Match.EXACT
    effect: Effect
    note: str | None = None


class AddSummaryV4(_WriteV4, frozen=True, kw_only=True):
    """Remember a decision, preference, event or outcome, perhaps for a limited time."""

    record_type: SummaryType
    summary: str


class AddMembership(_WriteV4, frozen=True, kw_only=True):
    """Remember that a value of a scope field belongs to a group."""

    field: Field
    group: str
    member: str


class AddLink(msgspec.Struct, frozen=True, kw_only=True, rename={"from_id": "from", "to_id": "to"}):
    """State how one record version relates to another."""

    from_id: str
    to_id: str
    relation: Relation
    writer: str
    justification: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a policy question; without `as_of` it is about the server's now."""

    text: str
    actor: str
    action: str
    resource: str
    as_of: str | None = None


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """Ask what is remembered; no record types mean the four that are not constraints."""

    text: str
    record_types: tuple[PublishedType, ...]
    as_of: str | None = None


class AskV4(Ask, frozen=True, kw_only=True):
    """Ask a policy question as of one time and as known at another, or at a snapshot."""

    as_known_at: str | None = None


class RecallV4(msgspec.Struct, frozen=True, kw_only=True):
    """Ask what is remembered, page by page, as of one time and as known at another, or at a snapshot."""

    text: str
    record_types: tuple[RecordType, ...]
    as_of: str | None = None
    as_known_at: str | None = None
    cursor: str | None = None
    mode: RecallMode = RecallMode.LEXICAL


AddRecord = AddConstraint | AddSummary | AddConstraintV4 | AddSummaryV4 | AddMembership
"""Every request that writes a record."""


class Migrate(msgspec.Struct, frozen=True, kw_only=True):
    """Bring the database to the release's schema, or only say what that would do."""

    dry_run: bool


def read_request(document: JsonValue, type_: type[Request], *, strict: bool) -> Request:
    """Convert a parsed body to a request.

    Args:
        document: Any JSON value.
        type_: The request that the endpoint takes.
        strict: Refuse keys that the request does not have; published clients send some.

    Raises:
        MistypedField: A field is missing, mistyped or a bad enum value, or unknown when strict.
    """
    try:
        request = msgspec.convert(_unify_numbers(document), type_)
    except msgspec.ValidationError as exc:
        raise _translate(str(exc), type_) from exc
    if strict and isinstance(document, dict):
        _refuse_unknown_keys(set(document), type_)
    return request


def _unify_numbers(document: JsonValue) -> JsonValue:
    """JSON has one kind of number: a version written as 2.0 is the integer 2, as JSON Schema says too."""
    if not isinstance(document, dict):
        return document
    whole = {
        field: int(value)
        for field in _INTEGERS
        if isinstance(value := document.get(field), float) and value.is_integer()
    }
    return {**document, **whole} if whole else document


def _refuse_unknown_keys(keys: set[str], type_: type[msgspec.Struct]) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(type_)}
    if unknown := sorted(keys - known):
        raise MistypedField(unknown[0][:_EXCERPT], f"is unknown: expected one of {', '.join(sorted(known))}")


def _find_choices(field: str, type_: type[msgspec.Struct]) -> type[StrEnum]:
    if field == "record_types":
        return RecordType if type_ is RecallV4 else PublishedType
    return _CHOICES[field]


def _translate(message: str, type_: type[msgspec.Struct]) -> MistypedField:
    """Say msgspec's finding as a field and a reason."""
    if missing := _MISSING.fullmatch(message):
        return MistypedField(missing["field"], "is missing; add it")
    located = _LOCATED.fullmatch(message)
    fact, field = (located["fact"], located["field"]) if located else (message, "$")
    if fact.startswith("Invalid enum value"):
        choices = ", ".join(_find_choices(field.partition("[")[0], type_))
        return MistypedField(field, f"has an unknown value: expected one of {choices}")
    return MistypedField(field, f"is mistyped: {fact[:1].lower()}{fact[1:]}".replace("`", ""))
