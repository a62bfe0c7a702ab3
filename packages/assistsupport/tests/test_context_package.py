"""What is read out of an answer, and that nothing odd in it gets past."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from assistsupport.core.context_package import (
    MAX_DECIDING_ITEMS,
    AnsweredQuestion,
    read_answer,
    read_health,
    read_schema_version,
)
from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.producer_reply import Envelope, Refusal
from hypothesis import given
from hypothesis import strategies as st

from packages.assistsupport.tests.fault_server import context_package, schema_version
from packages.assistsupport.tests.policy_world import QUESTION

QUERY = {
    "text": QUESTION.text,
    "actor": QUESTION.actor,
    "action": QUESTION.action,
    "resource": QUESTION.resource,
}


def package(result: str = "deny") -> dict[str, Any]:
    return context_package(QUERY, result)


def list_leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key and list position."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from list_leaves(inner, (*path, step))


def replace(tree: Any, path: tuple[Any, ...], value: object) -> Any:
    changed = copy.deepcopy(tree)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("result", ["allow", "deny", "inconclusive"])
def test_every_result_of_the_set_is_an_answer(result: str) -> None:
    answered = read_answer(Envelope(data=package(result)), QUESTION)
    assert isinstance(answered, AnsweredQuestion)
    assert answered.answer.result == result
    assert answered.context_package_id.startswith("cpkg_")
    assert answered.deciding_items[0].authority == "authoritative"


def test_an_answer_may_stand_on_no_record() -> None:
    data = package("inconclusive") | {"selected_items": []}
    answered = read_answer(Envelope(data=data), QUESTION)
    assert isinstance(answered, AnsweredQuestion)
    assert answered.deciding_items == ()


def test_keys_beyond_those_that_are_used_are_let_be() -> None:
    assert isinstance(read_answer(Envelope(data=package() | {"hint": 1}), QUESTION), AnsweredQuestion)


def test_the_deciding_items_are_bounded() -> None:
    data = package()
    data["selected_items"] *= 1000
    answered = read_answer(Envelope(data=data), QUESTION)
    assert isinstance(answered, AnsweredQuestion)
    assert len(answered.deciding_items) == MAX_DECIDING_ITEMS


@pytest.mark.parametrize("key", ["actor", "action", "resource"])
def test_an_answer_to_another_question_is_malformed(key: str) -> None:
    refusal = read_answer(Envelope(data=replace(package("allow"), ("query", key), "*")), QUESTION)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is FallbackReason.MALFORMED_PAYLOAD


def test_drift_goes_along_with_an_answer() -> None:
    answered = read_answer(Envelope(data=package(), drift=("status: 201",)), QUESTION)
    assert answered.drift == ("status: 201",)


@given(
    path=st.sampled_from(list(list_leaves(package()))),
    value=st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just([]), st.just({})),
)
def test_one_odd_value_anywhere_never_raises_and_never_turns_the_answer(
    path: tuple[Any, ...], value: object
) -> None:
    result = read_answer(Envelope(data=replace(package(), path, value)), QUESTION)
    if isinstance(result, AnsweredQuestion):
        assert result.answer.result == "deny"
    else:
        assert result.reason in {FallbackReason.MALFORMED_PAYLOAD, FallbackReason.EMPTY_CONTEXT}


def test_health_is_ok_or_it_is_not() -> None:
    assert read_health(Envelope(data={"status": "ok"})) is None
    refusal = read_health(Envelope(data={"status": "draining"}))
    assert refusal is not None
    assert refusal.reason is FallbackReason.DEGRADED


def test_a_pending_migration_makes_the_schema_unavailable() -> None:
    assert read_schema_version(Envelope(data=schema_version())) is None
    refusal = read_schema_version(Envelope(data=schema_version(2, 3)))
    assert refusal is not None
    assert refusal.reason is FallbackReason.SCHEMA_UNAVAILABLE


def test_a_database_ahead_of_its_producer_is_no_reason_to_refuse() -> None:
    data = schema_version() | {"current_version": 4}
    assert read_schema_version(Envelope(data=data)) is None
