"""What is sent from the forms, as requests."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs

import msgspec
from contracts.core.json_value import JsonValue

from memorykernel.core.record import ConstraintContent
from memorykernel.core.request import AddConstraintV4, AskV4, RecallV4, read_request
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.vocabulary import NEUTRAL_CONFIDENCE, Authority, Effect, Match, RecordType, TruthStatus
from memorykernel.errors import InvalidRequest, MistypedField

MAX_FIELDS: Final = 40
TICK: Final = "type_"
"""How the names of the boxes begin that choose kinds of records."""

_NEEDS_CONFIDENCE: Final = (TruthStatus.INFERRED, TruthStatus.SPECULATIVE)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_MINUTE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?")

Form = dict[str, str]
"""The fields of a form by name, the last of equal names; blank ones are left out."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a rule that is not written, as they were typed."""

    actor: str = ""
    action: str = ""
    resource: str = ""
    actor_match: str = Match.EXACT.value
    action_match: str = Match.EXACT.value
    resource_match: str = Match.EXACT.value
    effect: str = Effect.DENY.value
    authority: str = Authority.AUTHORITATIVE.value
    truth_status: str = TruthStatus.ASSERTED.value
    confidence: str = ""
    effective_at: str = ""
    expires_at: str = ""
    supersedes: str = ""


def read_form(body: bytes) -> Form:
    """Read `application/x-www-form-urlencoded`.

    Raises:
        InvalidRequest: It has more fields than any form here.
    """
    try:
        parsed = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS)
    except ValueError as exc:
        raise InvalidRequest("the form has too many fields; send it from the console's own page") from exc
    return {name: values[-1].strip() for name, values in parsed.items() if values[-1].strip()}


def read_question(form: Form) -> AskV4:
    """The question of a form; without words of its own it gets some.

    Raises:
        MistypedField: A field is missing.
    """
    for name in ("actor", "action", "resource"):
        if name not in form:
            raise MistypedField(name, "is empty; fill it in")
    words = f"May {form['actor']} {form['action']} {form['resource']}?"
    return AskV4(
        text=form.get("text", words),
        actor=form["actor"],
        action=form["action"],
        resource=form["resource"],
        as_of=complete_time(form.get("as_of")),
        as_known_at=complete_time(form.get("as_known_at")),
    )


def read_recall(form: Form) -> RecallV4:
    """The recall of a form; no kind that is ticked means all but constraints.

    Raises:
        MistypedField: The words are missing.
    """
    if "text" not in form:
        raise MistypedField("text", "is empty; write words that the memory may have")
    return RecallV4(
        text=form["text"],
        record_types=tuple(each for each in RecordType if f"{TICK}{each}" in form),
        as_of=complete_time(form.get("as_of")),
        as_known_at=complete_time(form.get("as_known_at")),
        cursor=form.get("cursor"),
    )


def read_draft(form: Form) -> Draft:
    """The draft of a form, as it was typed."""
    known = {field.name for field in msgspec.structs.fields(Draft)}
    return Draft(**{name: value for name, value in form.items() if name in known})


def draft_successor(stored: StoredRecord) -> Draft:
    """A draft that would replace a constraint and says the same; empty for any other record."""
    record = stored.record
    content = record.payload.payload
    if not isinstance(content, ConstraintContent):
        return Draft()
    scope = content.scope
    return Draft(
        actor=scope.actor,
        action=scope.action,
        resource=scope.resource,
        actor_match=scope.actor_match or Match.EXACT,
        action_match=scope.action_match or Match.EXACT,
        resource_match=scope.resource_match or Match.EXACT,
        effect=content.effect,
        authority=record.authority,
        truth_status=record.truth_status,
        supersedes=record.memory_version_id,
    )


def complete_draft(draft: Draft) -> AddConstraintV4:
    """The request that would write a draft.

    Raises:
        MistypedField: A field is missing, or is no such value.
    """
    for name in ("actor", "action", "resource"):
        if not getattr(draft, name):
            raise MistypedField(name, "is empty; fill it in, or write * for anything")
    typed = {name: value for name, value in msgspec.structs.asdict(draft).items() if value}
    supersedes: list[JsonValue] = [*draft.supersedes.split()]
    return read_request(
        {
            **typed,
            "effective_at": complete_time(draft.effective_at),
            "expires_at": complete_time(draft.expires_at),
            "supersedes": supersedes,
            "contradicts": [],
            "version": 1,
            "writer": "console",
            "justification": "a draft that is only checked",
            "source_uri": "urn:memorykernel:console",
            "evidence": [],
            "confidence": _read_confidence(draft),
        },
        AddConstraintV4,
        strict=True,
    )


def _read_confidence(draft: Draft) -> float | None:
    """What was typed, else none, which orders as the neutral one where that must be said."""
    if draft.confidence:
        try:
            return float(draft.confidence)
        except ValueError as exc:
            raise MistypedField("confidence", "is no number: expected 0 to 1") from exc
    return NEUTRAL_CONFIDENCE if draft.truth_status in _NEEDS_CONFIDENCE else None


def complete_time(text: str | None) -> str | None:
    """Complete a day or a minute to RFC 3339 in UTC; what is neither is left as it is."""
    if not text:
        return None
    if _DAY.fullmatch(text):
        return f"{text}T00:00:00Z"
    if minute := _MINUTE.fullmatch(text):
        return f"{minute[1]}T{minute[2]}{minute[3] or ':00'}Z"
    return text
