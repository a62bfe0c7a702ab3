"""Questions, tickets and seed writes: JSON lines, every problem at once."""

from __future__ import annotations

import pytest
from cutover.core.material import parse_material
from cutover.errors import InvalidProgram

QUESTION = b'{"name": "q", "text": "?", "actor": "a", "action": "b", "resource": "c", "more": 1}\n'
TICKET = b'{"ticket_id": "T1", "subject": "s", "text": "t", "labels": {}}\n'
SEED = b'{"name": "w", "path": "/v1/x", "body": {"b": [1, 2]}}\n'


def test_lines_are_read_in_order_and_other_keys_ignored() -> None:
    material = parse_material(QUESTION * 2, TICKET, SEED)
    assert [question.as_of for question in material.questions] == [None, None]
    assert material.tickets[0].ticket_id == "T1"
    assert bytes(material.seed[0].body) == b'{"b": [1, 2]}'


def test_blank_lines_are_left_out_and_an_empty_seed_is_fine() -> None:
    material = parse_material(b"\n" + QUESTION + b"\n", TICKET, b"")
    assert (len(material.questions), material.seed) == (1, ())


def test_every_problem_is_named_with_its_line() -> None:
    with pytest.raises(InvalidProgram) as caught:
        parse_material(QUESTION + b"{}\n", b"", b"\nnot json\n")
    problems = caught.value.problems
    assert [problem.split(":")[0] for problem in problems[:2]] == ["questions line 2", "seed line 2"]
    assert problems[2:] == ("tickets has no lines; give at least one",)


def test_a_question_without_its_facts_is_refused() -> None:
    with pytest.raises(InvalidProgram, match="questions line 1"):
        parse_material(b'{"name": "q", "text": "?"}', TICKET, b"")
