"""ordering.v3 as the text of the contract says it, in loops, sharing nothing with the resolver.

It looks at every record of a whole universe for every question, and compares one criterion after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from memorykernel.core.evidence import Candidate
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, MembershipContent

from packages.memorykernel.tests.core_v4.small_world import Universe

AUTHORITY = {"authoritative": 3, "derived": 2, "note": 1}
TRUTH = {"observed": 5, "asserted": 4, "inferred": 3, "speculative": 2, "retracted": 1}
LEVELS = {"exact": 3, "prefix": 2, "group": 1}


@dataclass(frozen=True)
class SpecAnswer:
    """What a question comes to: ids in order, with the first reason of what is excluded."""

    result: str
    selected: list[str]
    excluded: list[tuple[str, str]]
    decided: set[str]


def spec_exclusion(universe: Universe, record: Candidate, as_of_us: int) -> str | None:
    """Why a record does not count by itself."""
    if record.effective_at_us > as_of_us:
        return "not in effect"
    if record.expires_at_us is not None and record.expires_at_us <= as_of_us:
        return "expired"
    if record.truth_status == "retracted":
        return "retracted"
    for new, old in universe.links:
        maker = universe.records[new]
        if (
            universe.records[old] is record
            and maker is not record
            and maker.effective_at_us <= as_of_us
            and maker.truth_status != "retracted"
            and AUTHORITY[maker.authority] >= AUTHORITY[record.authority]
        ):
            return "superseded"
    return None


def spec_member(universe: Universe, field: str, value: str, group: str, as_of_us: int) -> bool | None:
    """Whether a value counts as a member; None when no record says so at all."""
    said = [
        record
        for record in universe.records
        if isinstance(record.content, MembershipContent)
        and (record.content.field, record.content.group, record.content.member) == (field, group, value)
    ]
    if not said:
        return None
    return any(spec_exclusion(universe, record, as_of_us) is None for record in said)


def spec_match(universe: Universe, record: Candidate, question: PolicyQuestion) -> bool | None:
    """Whether a rule matches: yes, no, or None for only through a membership that does not count."""
    assert isinstance(record.content, ConstraintContent)
    scope = record.content.scope
    doubtful = False
    for field, value, how, asked in (
        ("actor", scope.actor, scope.actor_match, question.actor),
        ("action", scope.action, scope.action_match, question.action),
        ("resource", scope.resource, scope.resource_match, question.resource),
    ):
        if how == "prefix":
            if not asked.startswith(value):
                return False
        elif how == "group":
            member = spec_member(universe, field, asked, value, question.as_of_us)
            if member is None:
                return False
            doubtful = doubtful or not member
        elif value not in ("*", asked):
            return False
    return None if doubtful else True


def spec_specificity(record: Candidate) -> tuple[int, int]:
    assert isinstance(record.content, ConstraintContent)
    scope, level, length = record.content.scope, 0, 0
    for value, how in (
        (scope.actor, scope.actor_match or "exact"),
        (scope.action, scope.action_match or "exact"),
        (scope.resource, scope.resource_match or "exact"),
    ):
        if (value, how) != ("*", "exact"):
            level += LEVELS[how]
        if how == "prefix":
            length += len(value)
    return level, length


def spec_confidence(record: Candidate) -> float:
    return 0.5 if record.confidence is None else record.confidence


def spec_rank(record: Candidate) -> tuple[tuple[int, int], int, int, float]:
    """What decides."""
    return (
        spec_specificity(record),
        AUTHORITY[record.authority],
        TRUTH[record.truth_status],
        spec_confidence(record),
    )


def spec_before(a: Candidate, b: Candidate) -> bool:
    for mine, other in zip(
        (*spec_rank(a), a.effective_at_us, a.created_at_us),
        (*spec_rank(b), b.effective_at_us, b.created_at_us),
        strict=True,
    ):
        if mine != other:
            return bool(mine > other)  # type: ignore[operator]  # the same kind on both sides
    return (a.memory_id, a.memory_version_id) < (b.memory_id, b.memory_version_id)


def spec_sorted(chosen: list[Candidate]) -> list[Candidate]:
    """Insertion sort by `spec_before`."""
    ordered: list[Candidate] = []
    for record in chosen:
        place = 0
        while place < len(ordered) and spec_before(ordered[place], record):
            place += 1
        ordered.insert(place, record)
    return ordered


def spec_answer(universe: Universe, question: PolicyQuestion) -> SpecAnswer:
    """Answer a question."""
    selected, excluded = [], []
    reasons = {}
    for record in universe.records:
        if not isinstance(record.content, ConstraintContent):
            continue
        match = spec_match(universe, record, question)
        if match is False:
            continue
        reason = spec_exclusion(universe, record, question.as_of_us)
        if match is None:
            reason = "membership does not count"
        if reason is None:
            selected.append(record)
        else:
            excluded.append(record)
            reasons[record.memory_version_id] = reason
    top = [record for record in selected if all(spec_rank(record) >= spec_rank(each) for each in selected)]
    effects = {str(each.content.effect) for each in top if isinstance(each.content, ConstraintContent)}
    return SpecAnswer(
        result=effects.pop() if len(effects) == 1 else "inconclusive",
        selected=[each.memory_version_id for each in spec_sorted(selected)],
        excluded=[
            (each.memory_version_id, reasons[each.memory_version_id]) for each in spec_sorted(excluded)
        ],
        decided={each.memory_version_id for each in top},
    )


def spec_conflicts(universe: Universe, question: PolicyQuestion) -> bool:
    """Whether a question is inconclusive by conflict."""
    answer = spec_answer(universe, question)
    return bool(answer.selected) and answer.result == "inconclusive"


def spec_instants(universe: Universe) -> list[int]:
    """Every instant at which anything can change."""
    found = {record.effective_at_us for record in universe.records}
    found |= {record.expires_at_us for record in universe.records if record.expires_at_us is not None}
    return sorted(found)
