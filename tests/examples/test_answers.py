"""What the two rulesets really answer, over every question that the desk can form. Pure."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from assistsupport.core.catalogue import parse_catalogue
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.instant import parse_instant
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, Scope
from memorykernel.core.ruleset import POLICY_RULESETS
from memorykernel.core.vocabulary import Authority, Effect, RecordType, TruthStatus

Document = dict[str, Any]
Triple = tuple[str, str, str]
Answer = Callable[[str, Triple], str]
BASELINE, TARGET = "ordering.v1", "ordering.v2"
AS_OF = "2026-02-08T12:00:00Z"


def mint_version_id(name: str) -> str:
    """A stand-in for the id that the server would mint: 26 characters, one per name."""
    return hashlib.sha256(name.encode()).hexdigest()[:26].upper()


def build_candidate(policy: Document) -> Candidate:
    scope = Scope(actor=policy["actor"], action=policy["action"], resource=policy["resource"])
    return Candidate(
        memory_version_id=mint_version_id(policy["name"]),
        memory_id=policy["memory_id"],
        record_type=RecordType.CONSTRAINT,
        version=policy["version"],
        truth_status=TruthStatus(policy["truth_status"]),
        authority=Authority(policy["authority"]),
        confidence=policy["confidence"],
        created_at_us=parse_instant(policy["created_at"], field="created_at"),
        effective_at_us=parse_instant(policy["effective_at"], field="effective_at"),
        content=ConstraintContent(scope=scope, effect=Effect(policy["effect"]), note=policy["note"]),
    )


def build_supersessions(policies: list[Document]) -> Iterator[Supersession]:
    for policy in policies:
        for superseded in policy.get("supersedes_names", ()):
            yield Supersession(
                superseded_id=mint_version_id(superseded),
                superseder_id=mint_version_id(policy["name"]),
                authority=Authority(policy["authority"]),
                truth_status=TruthStatus(policy["truth_status"]),
                effective_at_us=parse_instant(policy["effective_at"], field="effective_at"),
            )


@pytest.fixture(scope="module")
def answer(policies: list[Document]) -> Answer:
    """Answer a question by a ruleset, over all policies of the program."""
    return build_answer(policies)


def build_answer(policies: list[Document]) -> Answer:
    evidence = PolicyEvidence(
        head="0" * 64,
        candidates=tuple(build_candidate(policy) for policy in policies if "effect" in policy),
        supersessions=tuple(build_supersessions(policies)),
    )

    def resolve(ruleset: str, triple: Triple) -> str:
        actor, action, resource = triple
        as_of_us = parse_instant(AS_OF, field="as_of")
        question = PolicyQuestion(
            text="may I?", actor=actor, action=action, resource=resource, as_of_us=as_of_us
        )
        return str(POLICY_RULESETS[ruleset].resolve(question, evidence).answer.result)

    return resolve


@pytest.fixture(scope="module")
def universe(program: Path) -> list[Triple]:
    """Every question that the desk's catalogue can form."""
    path = program / "consumer" / "01-desk" / "config" / "policy-catalogue.toml"
    catalogue = parse_catalogue(path.read_text("utf-8"), path.name)
    actors, actions, resources = (
        sorted(set(lexicon.values()))
        for lexicon in (catalogue.actors, catalogue.actions, catalogue.resources)
    )
    return list(product(actors, actions, resources))


def read_triple(question_class: Document) -> Triple:
    return question_class["actor"], question_class["action"], question_class["resource"]


def find_rules(rules: list[Document], triple: Triple) -> list[Document]:
    """The rules whose class a question falls into."""
    return [
        rule
        for rule in rules
        if all(
            want in ("*", got) for want, got in zip(read_triple(rule["question_class"]), triple, strict=True)
        )
    ]


def test_questions_are_answered_as_written(questions: list[Document], answer: Answer) -> None:
    for question in questions:
        triple = read_triple(question["question_class"])
        assert {ruleset: answer(ruleset, triple) for ruleset in (BASELINE, TARGET)} == question["expected"], (
            triple
        )


def test_questions_are_enough_and_named_once(questions: list[Document]) -> None:
    differing = {
        read_triple(each["question_class"]) for each in questions if len(set(each["expected"].values())) > 1
    }
    assert len({question["name"] for question in questions}) == len(questions) >= 25
    assert len(differing) >= 5
    assert {answer for each in questions for answer in each["expected"].values()} == {
        "allow",
        "deny",
        "inconclusive",
    }


def test_one_rule_explains_each_difference_that_the_desk_can_meet(
    universe: list[Triple], rules: list[Document], answer: Answer
) -> None:
    unexplained = []
    for triple in universe:
        before, after = answer(BASELINE, triple), answer(TARGET, triple)
        explained = [(rule["from"], rule["to"]) for rule in find_rules(rules, triple)]
        if before != after and explained != [(before, after)]:
            unexplained.append((triple, before, after, explained))
    assert not unexplained


def test_a_rule_covers_no_question_that_is_answered_alike(
    universe: list[Triple], rules: list[Document], answer: Answer
) -> None:
    idle = [
        triple
        for triple in universe
        if find_rules(rules, triple) and answer(BASELINE, triple) == answer(TARGET, triple)
    ]
    assert not idle


def test_every_rule_is_used_by_the_questions_and_by_the_tickets(
    rules: list[Document], questions: list[Document], tickets: list[Document]
) -> None:
    asked = [read_triple(question["question_class"]) for question in questions]
    labelled = [read_triple(each["labels"]["question"]) for each in tickets if each["labels"]["question"]]
    for triples in (asked, labelled):
        used = [rule for triple in triples for rule in find_rules(rules, triple)]
        assert all(rule in used for rule in rules)


def test_rules_give_a_reason_and_a_real_change(rules: list[Document]) -> None:
    for rule in rules:
        assert set(rule) == {"question_class", "from", "to", "reason"}
        assert rule["from"] != rule["to"]
        assert len(rule["reason"].split()) >= 8


def test_a_missing_rule_is_noticed(universe: list[Triple], rules: list[Document], answer: Answer) -> None:
    for rule in rules:
        others = [each for each in rules if each is not rule]
        assert any(
            answer(BASELINE, triple) != answer(TARGET, triple) and not find_rules(others, triple)
            for triple in universe
        )


def test_most_tickets_are_answered_alike(tickets: list[Document], answer: Answer) -> None:
    triples = [read_triple(each["labels"]["question"]) for each in tickets if each["labels"]["question"]]
    alike = sum(answer(BASELINE, triple) == answer(TARGET, triple) for triple in triples)
    assert alike / len(triples) > 0.5
