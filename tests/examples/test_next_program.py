"""The program after the first: it goes on with the same repositories, and no answer changes."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import pytest
from assistsupport.core.catalogue import parse_catalogue
from cutover.demo.example import Example, load_example
from cutover.errors import Refused

from tests.examples.test_answers import build_answer

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def following() -> Example:
    return load_example(EXAMPLES / "service-v4")


def test_it_goes_on_where_the_first_program_ended(following: Example) -> None:
    first = load_example(EXAMPLES / "service-v3")
    assert following.producer_commits[: len(first.producer_commits)] == first.producer_commits
    assert [commit.number for commit in following.producer_commits][-3:] == ["07", "08", "09"]
    assert following.consumer_commits == first.consumer_commits
    assert following.moved.baseline == first.moved.target
    assert following.baseline_pin.producer_tag == first.moved.target.release_tag


def test_it_replaces_two_policies_by_name_and_keeps_the_others(following: Example) -> None:
    first = load_example(EXAMPLES / "service-v3")
    pairs = zip(first.policies, following.policies, strict=True)
    assert {before["name"] for before, after in pairs if before != after} == {
        "cloud-storage-seatrial-note",
        "browser-extension-pilot",
    }
    assert following.questions == first.questions


def test_no_answer_changes_over_all_questions_that_the_desk_can_form(following: Example) -> None:
    path = EXAMPLES / "service-v3" / "consumer" / "01-desk" / "config" / "policy-catalogue.toml"
    catalogue = parse_catalogue(path.read_text("utf-8"), path.name)
    actors, actions, resources = (
        sorted(set(lexicon.values()))
        for lexicon in (catalogue.actors, catalogue.actions, catalogue.resources)
    )
    answer = build_answer(list(following.policies))
    results = set()
    for triple in product(actors, actions, resources):
        results.add(answer("ordering.v3", triple))
        assert answer("ordering.v3", triple) == answer("ordering.v2", triple), triple
    assert results == {"allow", "deny", "inconclusive"}
    assert following.difference_rules == ()


@pytest.mark.parametrize(
    "missing", ["policies.jsonl", "questions.jsonl", "roles.toml", "consumer-impact.json"]
)
def test_a_file_that_no_folder_has_is_refused(tmp_path: Path, missing: str) -> None:
    copy = tmp_path / "service-v3"
    shutil.copytree(EXAMPLES / "service-v3", copy)
    (copy / missing).unlink()
    with pytest.raises(Refused, match=missing):
        load_example(copy)
