"""Stores with a bit of everything, and the use cases that move them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from memorykernel import open_kernel, wiring
from memorykernel.adapters.bundle_archive import BundleArchive, TarWriter
from memorykernel.adapters.integrity import IntegrityReport
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import Link
from memorykernel.core.release import default_release
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
from memorykernel.wiring import Kernel

Location = Path | str

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


def open_store(location: Location) -> Kernel:
    """A kernel on a place where there may be nothing yet."""
    kernel = open_kernel(location, default_release(), clock=Clock())
    kernel.schema_care.migrate(dry_run=False)
    return kernel


def fill(location: Location, count: int = 12) -> Location:
    """Records of all kinds with links, an answer, a request key."""
    kernel = open_store(location)
    memory = kernel.asking.memory
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
    kernel.asking.answers.store_answer(
        "cpkg_1",
        b'{"context_package_id":"cpkg_1","answer":{"result":"deny"}}',
        StoredQuestion(ruleset="ordering.v3", head=head, question=question),
    )
    kept = KeptRequest(key="key-1", digest="ab" * 32, reply=b'{"a":1}')
    memory.write(lambda transaction: transaction.keep_request(kept), now_us=NOW_US + count)
    kernel.file.close()
    return location


def open_moving(location: Location) -> Moving:
    return wiring.open_moving(location, clock=Clock())


def add(location: Location, *records: NewRecord) -> None:
    kernel = open_store(location)
    for new in records:
        kernel.asking.memory.add_record(new, now_us=1)
    kernel.file.close()


def export(location: Location) -> bytes:
    return b"".join(open_moving(location).export(TarWriter()))


def check(location: Location) -> IntegrityReport:
    kernel = open_kernel(location, default_release())
    report = kernel.check_integrity()
    kernel.file.close()
    return report


def is_untouched(location: Location) -> bool:
    """Whether nothing was made at a place."""
    if isinstance(location, Path):
        return not location.exists()
    kernel = open_kernel(location, default_release())
    version = kernel.schema_care.load_status().current_version
    kernel.file.close()
    return version == 0


def open_archive(path: Path) -> BundleArchive:
    return BundleArchive(lambda: path.open("rb"), None)


class Kit:
    """The helpers above, for tests, which cannot import this file."""

    open = staticmethod(open_store)
    fill = staticmethod(fill)
    add = staticmethod(add)
    check = staticmethod(check)
    is_untouched = staticmethod(is_untouched)


@pytest.fixture(scope="session")
def store_kit() -> Kit:
    return Kit()


@pytest.fixture
def place(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Location]:
    """Names places for databases where there is nothing yet."""
    if store_kind == "sqlite":
        return lambda name: tmp_path / name
    server = request.getfixturevalue("postgres")
    return lambda name: server.make_schema()


@pytest.fixture
def store(place: Callable[[str], Location]) -> Location:
    return fill(place("store.db"))


@pytest.fixture
def filled() -> Callable[..., Location]:
    return fill


@pytest.fixture
def exported() -> Callable[[Location], bytes]:
    return export


@pytest.fixture
def moving() -> Callable[[Location], Moving]:
    return open_moving


@pytest.fixture
def archive() -> Callable[[Path], BundleArchive]:
    return open_archive


@pytest.fixture
def record() -> Callable[..., NewRecord]:
    return make_record
