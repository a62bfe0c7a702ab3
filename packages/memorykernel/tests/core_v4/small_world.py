"""Small universes for the v3 rulesets: records, memberships and who supersedes whom."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, MembershipContent, Scope
from memorykernel.core.vocabulary import Authority, Effect, Field, Match, RecordType, TruthStatus

SECOND: Final = 1_000_000
HEAD: Final = "ab" * 32
ACTORS: Final = ("ann", "ops/eve", "ops/night/eve", "bob")
PATTERNS: Final = {
    Field.ACTOR: (
        ("ann", Match.EXACT),
        ("*", Match.EXACT),
        ("ops/", Match.PREFIX),
        ("ops/night/", Match.PREFIX),
        ("staff", Match.GROUP),
        ("ops/night/eve", Match.EXACT),
    ),
    Field.ACTION: (("use", Match.EXACT), ("use", Match.EXACT), ("*", Match.EXACT), ("tools", Match.GROUP)),
    Field.RESOURCE: (("usb", Match.EXACT), ("*", Match.EXACT), ("disk:", Match.PREFIX)),
}


def ask(as_of: int = 5, **changes: Any) -> PolicyQuestion:
    """The question of most tests; `as_of` in seconds."""
    values = {"text": "may I?", "actor": "ann", "action": "use", "resource": "usb", **changes}
    return PolicyQuestion(as_of_us=as_of * SECOND, **values)


def make_rule(number: int, **changes: Any) -> Candidate:
    """A specific, asserted, authoritative deny since second 1, unless told otherwise."""
    fields: dict[str, Any] = {"actor": "ann", "action": "use", "resource": "usb"}
    scope = {key: changes.pop(key, default) for key, default in fields.items()}
    scope |= {key: changes.pop(key) for key in list(changes) if key.endswith("_match")}
    content = ConstraintContent(
        scope=Scope(**scope), effect=changes.pop("effect", Effect.DENY), note=changes.pop("note", None)
    )
    return msgspec.structs.replace(_blank(number), content=content, **changes)


def make_membership(number: int, field: Field, group: str, member: str, **changes: Any) -> Candidate:
    """A membership since second 1."""
    content = MembershipContent(field=field, group=group, member=member)
    return msgspec.structs.replace(
        _blank(number), record_type=RecordType.MEMBERSHIP, content=content, **changes
    )


def _blank(number: int) -> Candidate:
    return Candidate(
        memory_version_id=f"V{number:025d}",
        memory_id=f"M{number % 7:025d}",
        record_type=RecordType.CONSTRAINT,
        version=1,
        truth_status=TruthStatus.ASSERTED,
        authority=Authority.AUTHORITATIVE,
        confidence=None,
        created_at_us=SECOND,
        effective_at_us=SECOND,
        content=ConstraintContent(
            scope=Scope(actor="*", action="*", resource="*"), effect=Effect.DENY, note=None
        ),
    )


@dataclass(frozen=True)
class Universe:
    """Everything a store holds: records, and who supersedes whom by position (new, old)."""

    records: tuple[Candidate, ...]
    links: tuple[tuple[int, int], ...] = ()

    def claims(self) -> list[Supersession]:
        return [make_claim(self.records[new], self.records[old]) for new, old in self.links]

    def evidence(self, order: random.Random | None = None) -> PolicyEvidence:
        records, claims = list(self.records), self.claims()
        if order is not None:
            order.shuffle(records)
            order.shuffle(claims)
        return PolicyEvidence(head=HEAD, candidates=tuple(records), supersessions=tuple(claims))


def without(universe: Universe, removed: tuple[int, ...]) -> Universe:
    """The universe without the records at some positions, and without their links."""
    kept = [n for n in range(len(universe.records)) if n not in removed]
    links = [(kept.index(new), kept.index(old)) for new, old in universe.links if {new, old} <= set(kept)]
    return Universe(tuple(universe.records[n] for n in kept), tuple(links))


def make_claim(by: Candidate, old: Candidate) -> Supersession:
    """What `by` says about `old`."""
    return Supersession(
        superseded_id=old.memory_version_id,
        superseder_id=by.memory_version_id,
        authority=by.authority,
        truth_status=by.truth_status,
        effective_at_us=by.effective_at_us,
    )


def standings() -> st.SearchStrategy[dict[str, Any]]:
    """Everything of a record but its content; few values, so that they meet."""
    # A short life now and then; it begins before it ends, as admission demands.
    lives = st.tuples(st.integers(1, 8), st.one_of(st.none(), st.none(), st.integers(1, 5)))
    return st.builds(
        lambda life, truth, authority, confidence, created: {
            "effective_at_us": life[0] * SECOND,
            "expires_at_us": None if life[1] is None else (life[0] + life[1]) * SECOND,
            "truth_status": truth,
            "authority": authority,
            "confidence": confidence,
            "created_at_us": created * SECOND,
        },
        lives,
        st.sampled_from(
            [TruthStatus.ASSERTED, TruthStatus.ASSERTED, TruthStatus.OBSERVED, TruthStatus.RETRACTED]
        ),
        st.sampled_from(Authority),
        st.sampled_from([None, None, 0.5, 0.9]),
        st.integers(0, 3),
    )


@st.composite
def rules(draw: st.DrawFn, number: int) -> Candidate:
    """A constraint of any scope of `PATTERNS`."""
    scope: dict[str, Any] = {}
    for field, choices in PATTERNS.items():
        value, match = draw(st.sampled_from(choices))
        scope |= {field.value: value, f"{field}_match": match}
    return make_rule(number, effect=draw(st.sampled_from(Effect)), **scope, **draw(standings()))


@st.composite
def memberships(draw: st.DrawFn, number: int) -> Candidate:
    """A membership of the groups of `PATTERNS`, or of one that no rule names."""
    field, group, member = draw(
        st.sampled_from(
            [
                *((Field.ACTOR, "staff", actor) for actor in ACTORS),
                (Field.ACTION, "tools", "use"),
                (Field.ACTION, "staff", "use"),
            ]
        )
    )
    return make_membership(number, field, group, member, **draw(standings()))


@st.composite
def universes(draw: st.DrawFn, *, most: int = 7, linked: bool = True) -> Universe:
    """Rules and memberships, and links without cycles."""
    # Ids are dealt at random, so that no order can hide in them.
    numbers = draw(st.lists(st.integers(0, 999), max_size=most, unique=True))
    made = tuple(draw(st.one_of(rules(number), rules(number), memberships(number))) for number in numbers)
    pairs = [(new, old) for new in range(len(made)) for old in range(new)] if linked else []
    links = draw(st.lists(st.sampled_from(pairs), max_size=4, unique=True)) if pairs else []
    return Universe(made, tuple(links))


@st.composite
def questions(draw: st.DrawFn) -> PolicyQuestion:
    """A question that the patterns are about."""
    return ask(
        draw(st.integers(0, 13)),
        actor=draw(st.sampled_from(ACTORS)),
        action=draw(st.sampled_from(["use", "use", "buy"])),
        resource=draw(st.sampled_from(["usb", "disk:1", "disk:"])),
    )
