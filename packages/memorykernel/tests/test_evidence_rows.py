"""What is read for a policy question is what was written, to the last bit: its rows travel as JSON."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent
from memorykernel.core.request import AddConstraint, read_request

ACTOR = 'an actor with \u0000, "quotes", \\ and \U0001f600'
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
CONFIDENCES = st.none() | st.floats(0, 1)


@settings(max_examples=40)
@given(rules=st.lists(st.tuples(CONFIDENCES, TEXTS), min_size=1, max_size=12))
@example(
    rules=[(0.1 + 0.2, "a"), (5e-324, "\x00"), (0.0, ""), (-0.0, "\x1f\u2028"), (None, "z"), (1 / 3, "é")]
)
def test_every_column_comes_back_exactly(kit: Any, rules: list[tuple[float | None, str]]) -> None:
    written = [_admit(kit, number, *rule) for number, rule in enumerate(rules)]
    with tempfile.TemporaryDirectory() as folder:
        file = SqliteFile(Path(folder) / "memory.db")
        SqliteSchema(file, 4).migrate(kit.now_us)
        memory = SqliteMemory(file)
        memory.add_records(written, now_us=kit.now_us)
        question = PolicyQuestion(text="?", actor=ACTOR, action="use", resource="usb_drive", as_of_us=0)
        exact = memory.read_policy_evidence(question)
        patterned = memory.read_policy_evidence(question, patterns=True)
        file.close()

    read = {each.memory_version_id: each for each in exact.candidates}
    assert set(exact.candidates) == set(patterned.candidates)
    assert exact.head == patterned.head
    assert len(read) == len(written)
    for new in written:
        record, candidate = new.record, read[new.record.memory_version_id]
        assert candidate.memory_id == record.memory_id
        assert candidate.content == record.payload.payload
        assert isinstance(candidate.content, ConstraintContent)
        assert repr(candidate.confidence) in (repr(record.confidence), repr(_unsigned(record.confidence)))
        assert (candidate.authority, candidate.truth_status) == (record.authority, record.truth_status)
        assert (candidate.created_at_us, candidate.effective_at_us) == (
            new.created_at_us,
            new.effective_at_us,
        )


def _unsigned(confidence: float | None) -> float | None:
    """SQLite stores a negative zero as the integer 0, and reads it back as a positive one."""
    return abs(confidence) if confidence == 0 else confidence


def _admit(kit: Any, number: int, confidence: float | None, note: str) -> NewRecord:
    body = kit.constraint(actor=ACTOR, note=note, confidence=confidence)
    fresh = Fresh(memory_version_id=f"01V{number:023d}", memory_id=f"01M{number:023d}", now_us=kit.now_us)
    return admit_record(read_request(body, AddConstraint, strict=True), fresh)
