"""The bounds of a v3 package, and the pages that lead on from it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.context_package import ContextPackage, encode_package
from memorykernel.core.ordering_v3 import list_exclusions_v3, resolve_policy_v3
from memorykernel.core.package_bounds import MAX_PACKAGE_BYTES
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.vocabulary import Effect, Field, Match
from memorykernel.errors import InvalidRequest, MistypedField

from packages.memorykernel.tests.core_v4.naive_spec import spec_answer
from packages.memorykernel.tests.core_v4.small_world import (
    SECOND,
    Universe,
    ask,
    make_membership,
    make_rule,
    questions,
    universes,
)


def resolve(universe: Universe, question: PolicyQuestion | None = None) -> ContextPackage:
    return resolve_policy_v3(question or ask(), universe.evidence())


@given(universes(), questions(), st.integers(1, 3))
def test_pages_are_a_partition_of_the_exclusions(
    universe: Universe, question: PolicyQuestion, limit: int
) -> None:
    evidence, found, cursor = universe.evidence(), [], None
    for _ in range(10):
        page = list_exclusions_v3(question, evidence, cursor, limit)
        assert len(page.items) <= limit
        found += list(page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [each.rank for each in found] == list(range(1, page.total + 1))
    assert [each.memory_version_id for each in found] == [
        each for each, _ in spec_answer(universe, question).excluded
    ]


def test_a_package_leads_on_to_what_it_does_not_show() -> None:
    universe = Universe(tuple(make_rule(n, expires_at_us=2 * SECOND, note="x" * 9999) for n in range(45)))
    package = resolve(universe)
    assert len(package.excluded_items) == 20
    assert isinstance(package.exclusions, msgspec.Struct)
    page = list_exclusions_v3(ask(), universe.evidence(), package.exclusions.next_cursor, 100)
    shown = [each.memory_version_id for each in (*package.excluded_items, *page.items)]
    assert len(set(shown)) == len(shown) == page.total == 45
    assert page.next_cursor is None
    assert page.items[0].rank == 21


@pytest.mark.parametrize("cursor", ["", "x", "cur_", "cur_!!", "cur_AAAA", "cur_" + "A" * 600, "cur_W10"])
def test_a_malformed_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(MistypedField, match="field 'cursor' is no cursor"):
        list_exclusions_v3(ask(), Universe(()).evidence(), cursor, 10)


def test_a_cursor_of_another_question_and_a_bad_limit_are_refused() -> None:
    evidence = Universe(tuple(make_rule(n, expires_at_us=2 * SECOND) for n in range(3))).evidence()
    cursor = list_exclusions_v3(ask(), evidence, None, 1).next_cursor
    assert cursor is not None
    with pytest.raises(MistypedField, match="belongs to another question"):
        list_exclusions_v3(ask(as_of=6), evidence, cursor, 1)
    with pytest.raises(MistypedField, match="cursor"):
        list_exclusions_v3(ask(), evidence, cursor[:-1], 1)
    for limit in (0, 101):
        with pytest.raises(InvalidRequest, match="limit"):
            list_exclusions_v3(ask(), evidence, None, limit)


@pytest.mark.parametrize("bad", ["\x00", "é", "𝕏", '"'])
def test_a_package_stays_small_whatever_is_stored_and_asked(bad: str) -> None:
    long = bad * 3000
    texts: dict[str, Any] = {"text": bad * 500, "actor": bad * 500, "resource": bad * 250, "action": "use"}
    hostile = [
        make_rule(
            n,
            actor=long if n % 2 else "*",
            actor_match=Match.GROUP if n % 2 else Match.EXACT,
            resource="*",
            effect=list(Effect)[n % 2],
            note=long,
            memory_version_id=f"{n}{long}" if n % 5 == 0 else f"V{n:025d}",
            memory_id=long,
            expires_at_us=3 * SECOND if n % 3 == 0 else None,
        )
        for n in range(300)
    ]
    member = make_membership(900, Field.ACTOR, long, texts["actor"], memory_version_id=long)
    universe = Universe((*hostile, member), tuple((n, n - 1) for n in range(2, 300, 9)))
    package = resolve(universe, ask(**texts))
    assert len(encode_package(package)) <= MAX_PACKAGE_BYTES
    assert isinstance(package.exclusions, msgspec.Struct)
    page = list_exclusions_v3(ask(**texts), universe.evidence(), package.exclusions.next_cursor, 1)
    assert len(page.items) == 1


def test_an_ordinary_package_shows_fifty_and_counts_the_rest() -> None:
    package = resolve(Universe(tuple(make_rule(n) for n in range(70))))
    assert len(package.selected_items) == 50
    assert "limit: selected_items shows the 50 highest of 70" in package.ordering_trace
    assert len(encode_package(package)) <= MAX_PACKAGE_BYTES


def test_a_cursor_that_was_written_otherwise_is_refused() -> None:
    evidence = Universe(tuple(make_rule(n, expires_at_us=2 * SECOND) for n in range(3))).evidence()
    cursor = list_exclusions_v3(ask(), evidence, None, 1).next_cursor
    assert cursor is not None
    encoded = cursor.removeprefix("cur_")
    document = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).replace(b",", b", ", 1)
    with pytest.raises(MistypedField, match="is no cursor"):
        list_exclusions_v3(ask(), evidence, f"cur_{urlsafe_b64encode(document).decode().rstrip('=')}", 1)
