"""The fixed material a program is checked with: questions, tickets and seed writes, one JSON line each."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from cutover.errors import InvalidProgram

MAX_LINES = 100_000
T = TypeVar("T", bound=msgspec.Struct)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A policy question asked of both releases; other keys of its line are ignored.

    Args:
        name: Unique within the file.
        as_of: Fixed instant so that the same state gives the same bytes; None asks as of now.
    """

    name: str
    text: str
    actor: str
    action: str
    resource: str
    as_of: str | None = None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A support ticket drafted by probes; other keys of its line are ignored."""

    ticket_id: str
    subject: str
    text: str


class SeedWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A write that fills a scratch database, in file order.

    Args:
        name: Unique within the file.
        path: Below the release's URL, as `/v1/memory/add/constraint`.
        body: The JSON object to post; a string `{{id:NAME}}` in it stands for the id that the release
            gave to the earlier write of that name.
    """

    name: str
    path: str
    body: msgspec.Raw


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """All three files, parsed."""

    questions: tuple[Question, ...]
    tickets: tuple[Ticket, ...]
    seed: tuple[SeedWrite, ...]


def parse_material(questions: bytes, tickets: bytes, seed: bytes) -> Material:
    """Read the three JSON-lines files.

    Raises:
        InvalidProgram: With every line that does not parse, and for an empty questions or tickets file.
    """
    problems: list[str] = []
    material = Material(
        questions=_parse_lines(questions, Question, "questions", problems),
        tickets=_parse_lines(tickets, Ticket, "tickets", problems),
        seed=_parse_lines(seed, SeedWrite, "seed", problems),
    )
    problems += [
        f"{name} has no lines; give at least one"
        for name, lines in (("questions", material.questions), ("tickets", material.tickets))
        if not lines
    ]
    if problems:
        raise InvalidProgram(tuple(problems))
    return material


def _parse_lines(data: bytes, kind: type[T], name: str, problems: list[str]) -> tuple[T, ...]:
    found = []
    for number, line in enumerate(data.splitlines()[:MAX_LINES], 1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except msgspec.MsgspecError as exc:
            problems.append(f"{name} line {number}: {exc}; fix the line")
    return tuple(found)
