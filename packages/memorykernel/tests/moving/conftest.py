"""Stores with a bit of everything, and the use cases that move them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from memorykernel.adapters.bundle_archive import BundleArchive, TarWriter
from memorykernel.adapters.bundle_source import SqliteSource
from memorykernel.adapters.bundle_target import SqliteTarget
from memorykernel.adapters.published_target import PublishedSqliteTarget
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import Link
from memorykernel.core.request import AddConstraintV4, AddMembership, AddRecord, AddSummaryV4
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.stored_record import KeptRequest
from memorykernel.core.vocabulary import (
    Authority,
    Effect,
    Field,
    Match,
    Relation,
    SummaryType,
    TruthStatus,
)
from memorykernel.service.moving import Moving

NOW_US = 1_770_556_793_500_000
COMMON = {
    "version": 1,
    "writer": "policy-team",
    "justification": "approved",
    "source_uri": "file:///policies.md",
    "evidence": ("ticket 1", "ß ☃"),
    "truth_status": TruthStatus.INFERRED,
    "authority": Authority.DERIVED,
    "confidence": 0.1 + 0.2,
    "contradicts": (),
}


class Clock:
    """A fixed time."""

    def now_us(self) -> int:
        return NOW_US + 60_000_000


def version_id(number: int) -> str:
    return f"01J{number:023d}"


def make_record(number: int, *, supersedes: tuple[str, ...] = (), salt: str = "") -> NewRecord:
    """The kinds of records, in turn."""
    shared = {**COMMON, "supersedes": supersedes}
    requests: list[AddRecord] = [
        AddConstraintV4(
            actor="staff",
            action="use",
            resource=f"docs/{number}/",
            actor_match=Match.GROUP,
            resource_match=Match.PREFIX,
            effect=Effect.DENY,
            note=f'a "note"\n{salt}',
            expires_at="2030-01-01T00:00:00Z",
            **shared,  # type: ignore[arg-type]  # the common fields
        ),
        AddConstraintV4(actor="*", action="use", resource=f"r{number}{salt}", effect=Effect.ALLOW, **shared),  # type: ignore[arg-type]  # the common fields
        AddSummaryV4(record_type=SummaryType.EVENT, summary=f"机密 文件 {number}{salt}", **shared),  # type: ignore[arg-type]  # the common fields
        AddMembership(field=Field.ACTOR, group="staff", member=f"m{number}{salt}", **shared),  # type: ignore[arg-type]  # the common fields
    ]
    fresh = Fresh(
        memory_version_id=version_id(number), memory_id=version_id(10_000 + number), now_us=NOW_US + number
    )
    return admit_record(requests[number % len(requests)], fresh)


def fill(path: Path, count: int = 12) -> Path:
    """Records of all kinds with links, an answer, a request key."""
    file = SqliteFile(path)
    SqliteSchema(file, 4).migrate(NOW_US)
    memory = SqliteMemory(file)
    head = ""
    for number in range(count):
        supersedes = (version_id(number - 1),) if number % 5 == 4 else ()
        head = memory.add_record(make_record(number, supersedes=supersedes), now_us=NOW_US + number)
    link = Link(
        from_memory_version_id=version_id(1),
        to_memory_version_id=version_id(2),
        relation=Relation.CONTRADICTS,
        writer="w",
        justification="j",
    )
    memory.add_link(link, now_us=NOW_US + count)
    question = PolicyQuestion(text="May I?", actor="a", action="b", resource="c", as_of_us=NOW_US)
    SqliteAnswers(file).store_answer(
        "cpkg_1",
        b'{"context_package_id":"cpkg_1","answer":{"result":"deny"}}',
        StoredQuestion(ruleset="ordering.v3", head=head, question=question),
    )
    kept = KeptRequest(key="key-1", digest="ab" * 32, reply=b'{"a":1}')
    memory.write(lambda transaction: transaction.keep_request(kept), now_us=NOW_US + count)
    file.close()
    return path


def open_moving(path: Path) -> Moving:
    file = SqliteFile(path)
    return Moving(
        source=SqliteSource(file),
        target=SqliteTarget(file),
        published=PublishedSqliteTarget(file),
        clock=Clock(),
    )


def export(path: Path) -> bytes:
    return b"".join(open_moving(path).export(TarWriter()))


def open_archive(path: Path) -> BundleArchive:
    return BundleArchive(lambda: path.open("rb"), None)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fill(tmp_path / "store.db")


@pytest.fixture
def filled() -> Callable[..., Path]:
    return fill


@pytest.fixture
def exported() -> Callable[[Path], bytes]:
    return export


@pytest.fixture
def moving() -> Callable[[Path], Moving]:
    return open_moving


@pytest.fixture
def archive() -> Callable[[Path], BundleArchive]:
    return open_archive


@pytest.fixture
def record() -> Callable[..., NewRecord]:
    return make_record
