"""Reading the lines of a bundle: their types, and what a store would not have let in.

Whoever writes a bundle by hand must not get more past an import than past a request: the rules of `admission`
hold here too.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from memorykernel.core.bundle import AnswerLine, Line, LinkLine, Member, MemoryLine, RecordLine, RequestLine
from memorykernel.core.record import MembershipContent, Scope
from memorykernel.core.scope_pattern import check_patterns
from memorykernel.core.stored_question import decode_question
from memorykernel.core.terms import describe_membership
from memorykernel.core.vocabulary import Field, Match
from memorykernel.errors import BundleInvalid, InvalidRequest

Row = tuple[Any, ...]

_DECODERS: Final[dict[Member, msgspec.json.Decoder[Any]]] = {
    Member.MEMORY: msgspec.json.Decoder(MemoryLine),
    Member.ANSWERS: msgspec.json.Decoder(AnswerLine),
    Member.REQUESTS: msgspec.json.Decoder(RequestLine),
}
_PREAMBLE: Final = 3
"""seq, subject and recorded_at_us stand before the columns."""

_EVIDENCE: Final = 13
"""Where evidence stands among the columns of a record."""

_NO_EVIDENCE: Final = b"[]"
_EVIDENCE_DECODER: Final = msgspec.json.Decoder(tuple[str, ...])
_NEEDS_CONFIDENCE: Final = ("inferred", "speculative")
_SHAPES: Final = {
    "constraint": (True, True, True, True, False, False, False, False),
    "membership": (False, False, False, False, True, True, True, True),
    "summary": (False, False, False, False, True, False, False, False),
}
"""Which of actor, action, resource, effect, summary, field, group_name, member a type of record has."""


def parse_lines(member: Member, path: str, data: bytes) -> list[Line]:
    """Read the lines of one chunk.

    Args:
        member: What they are lines of.
        path: The chunk's, for messages.
        data: Its bytes.

    Raises:
        BundleInvalid: A line cannot be read, or says what a store would refuse; the message names the line.
    """
    decoder = _DECODERS[member]
    try:
        lines: list[Line] = decoder.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _locate(decoder, path, data) from exc
    for number, line in enumerate(lines, start=1):
        try:
            _check_line(line)
        except (InvalidRequest, ValueError) as exc:
            raise BundleInvalid(f"{path} line {number}: {exc}; export again") from exc
    return lines


def record_values(line: RecordLine) -> Row:
    """The columns of a record, in the order of the store."""
    values: Row = msgspec.structs.astuple(line)[_PREAMBLE:]
    return (*values[:_EVIDENCE], _encode_evidence(line.evidence), *values[_EVIDENCE + 1 :])


def link_values(line: LinkLine) -> Row:
    """The columns of a link, in the order of the store."""
    values: Row = msgspec.structs.astuple(line)
    return values[_PREAMBLE:]


def _encode_evidence(raw: msgspec.Raw) -> str:
    """The list in the one spelling that stores have, which the digest covers."""
    text = bytes(raw)
    return "[]" if text == _NO_EVIDENCE else msgspec.json.encode(_EVIDENCE_DECODER.decode(text)).decode()


def _locate(decoder: msgspec.json.Decoder[Any], path: str, data: bytes) -> BundleInvalid:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            try:
                decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                return BundleInvalid(f"{path} line {number}: {str(exc)[:200]}; export again")
    return BundleInvalid(f"{path} cannot be read; export again")


def _check_line(line: Line) -> None:
    if isinstance(line, RecordLine):
        _check_record(line)
    elif isinstance(line, LinkLine):
        _check_filled(line.writer, line.justification)
    elif isinstance(line, AnswerLine):
        _check_answer(line)


def _check_record(line: RecordLine) -> None:
    _check_filled(line.writer, line.justification, line.source_uri)
    if bytes(line.evidence) != _NO_EVIDENCE:
        _EVIDENCE_DECODER.decode(line.evidence)
    if line.confidence is None and line.truth_status in _NEEDS_CONFIDENCE:
        raise ValueError(f"confidence is missing, which {line.truth_status} needs")
    if line.expires_at_us is not None and line.expires_at_us <= line.effective_at_us:
        raise ValueError("expires_at_us is not after effective_at_us")
    named = (line.actor, line.action, line.resource, line.effect)
    grown = (line.summary, line.field, line.group_name, line.member)
    shape = _SHAPES.get(line.record_type, _SHAPES["summary"])
    if tuple([each is not None for each in (*named, *grown)]) != shape:
        raise ValueError(f"the fields are not those of a {line.record_type}")
    _check_filled(*[each for each in (*named, *grown) if each is not None])
    if line.record_type == "constraint":
        _check_scope(line)
    elif line.note is not None or line.matching is not None:
        raise ValueError(f"a {line.record_type} has no note and no matching")
    if line.record_type == "membership":
        _check_membership(line)


def _check_scope(line: RecordLine) -> None:
    if line.matching is None:
        return
    matches = [Match(each) for each in line.matching.split(",")]
    if len(matches) != len(Field) or all(each is Match.EXACT for each in matches):
        raise ValueError("matching is neither absent nor three matches of which one is not exact")
    of_actor, of_action, of_resource = matches
    check_patterns(
        Scope(
            actor=line.actor or "",
            action=line.action or "",
            resource=line.resource or "",
            actor_match=of_actor,
            action_match=of_action,
            resource_match=of_resource,
        )
    )


def _check_membership(line: RecordLine) -> None:
    content = MembershipContent(
        field=Field(line.field or ""), group=line.group_name or "", member=line.member or ""
    )
    if line.summary != describe_membership(content):
        raise ValueError("summary is not that of the membership")


def _check_answer(line: AnswerLine) -> None:
    asked = (line.ruleset, line.head, line.question)
    if len({each is None for each in asked}) != 1:
        raise ValueError("ruleset, head and question belong together")
    if line.question is not None:
        decode_question(line.question)
    package = msgspec.json.decode(line.package)
    if not isinstance(package, dict) or package.get("context_package_id") != line.context_package_id:
        raise ValueError("the package is not the one of this id")


def _check_filled(*texts: str | None) -> None:
    for text in texts:
        if not text or text.isspace():
            raise ValueError("a text that must not be blank is")
