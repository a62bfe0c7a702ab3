"""The words of the pages: results, times and scopes as people read them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from memorykernel.core.activity_v3 import FOREVER
from memorykernel.core.instant import parse_instant
from memorykernel.core.record import (
    ConstraintContent,
    Content,
    MembershipContent,
    Scope,
)
from memorykernel.core.vocabulary import WILDCARD, Match, Result

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REASONS: Final = (
    (re.compile(r"expires_at is not later than as_of"), "it had ended by then"),
    (re.compile(r"effective_at is later than as_of"), "it begins later"),
    (re.compile(r"truth_status is retracted"), "it was retracted"),
    (re.compile(r"record is superseded by \w*(\w{6})"), r"replaced by …\1"),
    (re.compile(r"scope specificity level=(\d+)/(\d+) prefix_length=\d+"), r"closeness \1 of \2"),
    (re.compile(r"lexical relevance matched (\d+)/(\d+) normalized terms"), r"has \1 of your \2 words"),
    (re.compile(r"passed active filters \(.*\)|record_type=\w+ included in recall scope"), ""),
)
"""Reasons as rulesets write them, and as people read them; none where the page says it already."""

_FIELDS: Final = {"effective_at": "begins", "expires_at": "ends", "truth_status": "truth"}
_VERDICTS: Final = {
    Result.ALLOW: "Allowed",
    Result.DENY: "Denied",
    Result.INCONCLUSIVE: "Inconclusive",
}


class Term(NamedTuple):
    """One field of a scope: how it matches, and what."""

    kind: str
    value: str


def describe_result(result: Result) -> str:
    """The verdict in one word."""
    return _VERDICTS[result]


def describe_instant(at_us: int) -> str:
    """A time as people read it, to the minute, in UTC; `for ever` for what has no end."""
    if at_us >= FOREVER:
        return "for ever"
    at = _EPOCH + timedelta(microseconds=at_us)
    return f"{at.day} {at:%b} {at.year}, {at:%H:%M}"


def describe_text_instant(text: str) -> str:
    """As `describe_instant`, of RFC 3339 text."""
    return describe_instant(parse_instant(text, field="time"))


def describe_terms(scope: Scope) -> tuple[Term, ...]:
    """A scope, field by field, in the order actor, action, resource."""
    return tuple(_describe_term(value, match) for _, value, match in scope.patterns())


def describe_scope(scope: Scope) -> str:
    """A scope in one line."""
    return " · ".join(_join_term(each) for each in describe_terms(scope))


def describe_reasons(reasons: Iterable[str]) -> tuple[str, ...]:
    """An answer's reasons in plain words; one that is not known here stays as it is."""
    return tuple(told for each in reasons if (told := _describe_reason(each)))


def describe_field(name: str) -> str:
    """A field of a record, as people call it."""
    return _FIELDS.get(name, name.replace("_", " "))


def describe_content(content: Content) -> str:
    """What a record says, in one line."""
    if isinstance(content, ConstraintContent):
        return f"{content.effect} {describe_scope(content.scope)}"
    if isinstance(content, MembershipContent):
        return f"{content.field} {content.member} belongs to {content.group}"
    return content.summary


def shorten(text: str, length: int) -> str:
    """Cut a text to a length in characters, and show that it was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _describe_reason(reason: str) -> str:
    for pattern, words in _REASONS:
        if (found := pattern.fullmatch(reason)) is not None:
            return found.expand(words)
    return reason


def _describe_term(value: str, match: Match) -> Term:
    if match is Match.GROUP:
        return Term("group", value)
    if match is Match.PREFIX:
        return Term("prefix", value)
    return Term("any", "anything") if value == WILDCARD else Term("exact", value)


def _join_term(term: Term) -> str:
    match term.kind:
        case "group":
            return f"@{term.value}"
        case "prefix":
            return f"{term.value}…"
        case "any":
            return "*"
        case _:
            return term.value
