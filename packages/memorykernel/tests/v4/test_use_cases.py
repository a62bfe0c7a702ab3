"""The use cases of service.v4 in process: what a replay finds, pages of explanations, keys that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contracts.core.envelope import POLICIES, check_reply
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.explain_request import Compare
from memorykernel.core.release import default_release
from memorykernel.core.request import AddConstraintV4, AskV4, read_request
from memorykernel.errors import InvalidRequest, MistypedField, WriteConflict
from memorykernel.service.comparing import MAX_FLIPS
from memorykernel.service.freshness import parse_token, write_token
from memorykernel.service.idempotency import check_key
from memorykernel.service.known_state import require_question
from memorykernel.service.replaying import find_difference
from memorykernel.service.suite import Suite
from memorykernel.wiring import Kernel, build_service, build_suite, open_kernel


@pytest.fixture
def use_cases(tmp_path: Path) -> Iterator[Kernel]:
    kernel = open_kernel(tmp_path / "m.db", default_release("service.v4"))
    kernel.schema_care.migrate(dry_run=False)
    yield kernel
    kernel.file.close()


@pytest.fixture
def suite(use_cases: Kernel) -> Suite:
    return build_suite(use_cases)


def constraint(kit: Any, *arguments: Any, **changes: Any) -> AddConstraintV4:
    return read_request(kit.constraint(*arguments, **changes), AddConstraintV4, strict=True)


def ask(use_cases: Kernel, kit: Any) -> str:
    package = use_cases.asking.ask(read_request(kit.ask(), AskV4, strict=True))
    found: str = msgspec.json.decode(package)["context_package_id"]
    return found


def test_a_replay_finds_where_a_stored_answer_was_altered(use_cases: Kernel, suite: Suite, kit: Any) -> None:
    suite.guarding.add_record(constraint(kit))
    package_id = ask(use_cases, kit)
    stored = use_cases.asking.answers.load_answer(package_id)
    assert stored is not None
    assert suite.replaying.compare(stored).identical
    altered = msgspec.structs.replace(stored, package=stored.package.replace(b'"deny"', b'"allow"', 1))
    replay = suite.replaying.compare(altered)
    assert not replay.identical
    assert replay.first_difference is not None
    assert replay.first_difference.stored.startswith("allow")
    assert replay.first_difference.replayed.startswith("deny")


def test_an_answer_that_says_no_question_cannot_be_computed_again(
    use_cases: Kernel, suite: Suite, kit: Any
) -> None:
    stored = use_cases.asking.answers.load_answer(ask(use_cases, kit))
    assert stored is not None
    with pytest.raises(InvalidRequest):
        require_question(msgspec.structs.replace(stored, asked=None, package=b"{}"))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_difference_is_the_first_one(one: bytes, other: bytes) -> None:
    found = find_difference(one, other)
    if found is None:
        assert one == other
    else:
        assert one[: found.offset] == other[: found.offset]
        assert one[found.offset : found.offset + 1] != other[found.offset : found.offset + 1]


def test_a_page_of_a_comparison_ends_early_when_it_has_explained_enough(
    use_cases: Kernel, suite: Suite, kit: Any
) -> None:
    before = msgspec.json.decode(use_cases.asking.find(ask(use_cases, kit)))["determinism"]["snapshot_id"]
    suite.guarding.add_record(constraint(kit))
    asked = [ask(use_cases, kit) for _ in range(MAX_FLIPS + 4)]
    bases = {"from": {"ruleset": "ordering.v3", "as_known_at": before}, "to": {"ruleset": "ordering.v3"}}
    pages, cursor = [], None
    for _ in range(3):
        page = suite.comparing.compare(read_request({**bases, "cursor": cursor}, Compare, strict=True))
        pages.append(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    # The first question was asked before the rule took effect, and does not flip.
    assert [(page.compared, page.same, len(page.flips)) for page in pages] == [(21, 1, MAX_FLIPS), (4, 0, 4)]
    assert [flip.context_package_id for page in pages for flip in page.flips] == asked


def test_a_page_of_a_comparison_ends_early_when_its_search_took_long(
    use_cases: Kernel, suite: Suite, kit: Any
) -> None:
    long_ago = {"effective_at": "2024-01-01T00:00:00Z"}
    for _ in range(30):
        suite.guarding.add_record(
            constraint(kit, effect="allow", expires_at="2025-01-01T00:00:00Z", **long_ago)
        )
        suite.guarding.add_record(constraint(kit, effect="deny", **long_ago))
    asked = [ask(use_cases, kit) for _ in range(8)]
    bases: Any = {"from": {"ruleset": "ordering.v2"}, "to": {"ruleset": "ordering.v3"}}
    cursor = None
    flips: list[str] = []
    sizes: list[int] = []
    while not sizes or cursor is not None:
        page = suite.comparing.compare(read_request({**bases, "cursor": cursor}, Compare, strict=True))
        flips += [flip.context_package_id for flip in page.flips]
        sizes.append(page.compared)
        cursor = page.next_cursor

    assert flips == asked
    assert 1 < len(sizes) <= len(asked)
    assert all(0 < size < MAX_FLIPS for size in sizes)


def test_a_write_that_fails_keeps_no_key(suite: Suite, kit: Any) -> None:
    first = msgspec.json.decode(suite.guarding.add_record(constraint(kit)).data)
    taken = constraint(kit, memory_id=first["memory_id"])
    for _ in range(2):
        with pytest.raises(WriteConflict, match="has a version 1 already"):
            suite.guarding.add_record(taken, key="k")


@pytest.mark.parametrize("key", ["a", "~", "a b", "x" * 200])
def test_keys_that_can_be_used(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "é", "a\n", "\x7f", "x" * 201])
def test_keys_that_cannot_be_used(key: str) -> None:
    with pytest.raises(InvalidRequest):
        check_key(key)


def test_a_token_names_a_head() -> None:
    head = "0a" * 32
    assert parse_token(write_token(head)) == head
    for text in ("", head, f"txn_{head[:-1]}", f"txn_{head.upper()}"):
        with pytest.raises(MistypedField):
            parse_token(text)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/memory/record/01J00000000000000000000000", None),
        ("GET", "/v1/memory/lineage/x", None),
        ("DELETE", "/v1/memory/lineage/x", None),
        ("POST", "/v1/memory/check/constraint", {}),
        ("POST", "/v1/memory/add/membership", {"field": "color"}),
        ("GET", "/v1/context/none/replay", None),
        ("GET", "/v1/context/none/proof", None),
        ("GET", "/v1/context/none/else", None),
        ("POST", "/v1/explain/compare", []),
        ("POST", "/v1/explain/blast-radius", {"memory_version_id": 1}),
    ],
)
def test_every_refusal_keeps_the_envelope(
    use_cases: Kernel, kit: Any, method: str, path: str, body: Any
) -> None:
    call = kit.asgi(build_service(use_cases, openapi=b"", strict=False))
    reply = call(method, path, body)
    assert reply.status in (400, 404, 405, 422)
    breaches = check_reply(
        POLICIES["service.v4"],
        status=reply.status,
        content_type=reply.headers["content-type"],
        body=reply.body,
        max_bytes=10_000,
    )
    assert breaches == ()
