"""What a write would make undecidable: what of the store the check needs, gathered around the write.

What a write changes is few rules, and only rules of equal precedence and opposite effect conflict with these:
so they are what is read first, and most checks end there. Where a conflict is found among them, the store is
asked for everything that matches its witness question; what comes back may decide that question, and the
search is repeated with it. So a conflict that is reported stands in the whole store, whatever else is in it,
and nothing is read that can decide no question in doubt.

Every read is bounded, and `truncated` says that a bound was met. What was left out then can hide a conflict.
It invents one only when more rules match a witness than are read for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Final

import msgspec

from memorykernel.core.admission import NewRecord
from memorykernel.core.conflict import MAX_CONFLICTS, Conflicts, Witness, find_conflicts
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.overlap import (
    EVERY_KEY,
    Box,
    Groups,
    KeyRange,
    Meeting,
    Overlap,
    Standing,
    list_boxes,
    list_exact_values,
    list_meetings,
    shapes_between,
    shapes_of,
)
from memorykernel.core.record import ConstraintContent, MembershipContent
from memorykernel.core.rule_book import FIELDS, can_meet
from memorykernel.core.scope_pattern import MAX_LEVEL_SUM, Keys, Specificity, encode_scope, measure_keys
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.validity import Precedence
from memorykernel.core.vocabulary import Effect
from memorykernel.core.write_check import add_record, claim, describe_candidate, describe_stored, rank_rule
from memorykernel.ports import Nearby

MAX_SUPERSEDED: Final = 50
"""Around how many superseded records is looked: a write can supersede any number."""

_MEMBERS_PER_KEY: Final = 10
"""How many members are compared where one key is looked at: it happens inside one statement."""

NOTHING: Final = Conflicts(conflicts=(), truncated=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictCheck:
    """Checks writes against what is there.

    Attributes:
        max_keys: How many keys each of the reads looks at.
        max_rules: How many rules it reads, the newest of those.
        max_members: How many members of a group are tried as witnesses.
        max_matching: How many keys and rules are read for the witnesses of one round.
        max_rounds: How often the store is asked about witnesses.
        max_steps: How long is searched; see `conflict.MAX_STEPS`.
        max_conflicts: How many conflicts are looked for.
    """

    max_keys: int
    max_rules: int
    max_members: int
    max_matching: int
    max_rounds: int
    max_steps: int
    max_conflicts: int = MAX_CONFLICTS

    def check_record(self, nearby: Nearby, new: NewRecord, superseded: Sequence[StoredRecord]) -> Conflicts:
        """What a new record would make undecidable; `truncated` when there may be more.

        Args:
            nearby: The state before the write.
            new: The record.
            superseded: The records that it says it supersedes.
        """
        maker = describe_candidate(new)
        there = [describe_stored(each) for each in superseded]
        retired = [each for each in there if not _covers(maker, each)]
        look = _Look(self, nearby)
        look.around(maker)
        look.below(retired[:MAX_SUPERSEDED])
        look.is_cut |= len(retired) > MAX_SUPERSEDED
        # Whatever else is written makes no rule match that did not: then what was decided before a conflict
        # was decided by rules at least as high.
        is_deep = isinstance(maker.content, MembershipContent)
        return look.search(
            lambda evidence: add_record(evidence, maker, new.record.supersedes), is_deep=is_deep
        )

    def check_supersession(self, nearby: Nearby, maker: StoredRecord, target: StoredRecord) -> Conflicts:
        """What a record that supersedes another from now on would make undecidable."""
        new, old = describe_stored(maker), describe_stored(target)
        if not maker.superseded_by and _covers(new, old):
            return NOTHING
        made = claim(new, old.memory_version_id)
        look = _Look(self, nearby)
        look.below([old])
        return look.search(
            lambda evidence: msgspec.structs.replace(evidence, supersessions=(*evidence.supersessions, made)),
            is_deep=False,
        )


@dataclass(slots=True)
class _Look:
    """What one check has read."""

    bounds: ConflictCheck
    nearby: Nearby
    is_cut: bool = False
    new: tuple[Candidate, ...] = ()
    candidates: dict[str, Candidate] = field(default_factory=dict)
    supersessions: set[Supersession] = field(default_factory=set)
    joins: Groups = field(default_factory=dict)
    ranks: dict[str, Precedence] = field(default_factory=dict)

    def around(self, new: Candidate) -> None:
        """Read what a new rule, or the rules that a new membership extends, can conflict with."""
        self.new = (new,)
        if isinstance(new.content, ConstraintContent):
            self._read_opponents([(new, encode_scope(new.content.scope))])
        elif isinstance(new.content, MembershipContent):
            self.joins = {(new.content.field, new.content.member): (new.content.group,)}
            extended = self._read_extended(new.content)
            self._read_opponents(extended)
            for one, keys in extended:
                # Two rules that reach the member together conflict unless something decided before.
                if any(self._oppose(one, other) and can_meet(keys, theirs) for other, theirs in extended):
                    self._read_below([(one, keys)])

    def below(self, retired: Sequence[Candidate]) -> None:
        """Read what was decided by records that no longer count."""
        regions: list[tuple[Candidate, Keys]] = []
        for each in retired:
            if isinstance(each.content, ConstraintContent):
                self.candidates[each.memory_version_id] = each
                regions.append((each, encode_scope(each.content.scope)))
            elif isinstance(each.content, MembershipContent):
                regions += self._read_extended(each.content)
        self._read_below(regions)

    def search(self, write: Callable[[PolicyEvidence], PolicyEvidence], *, is_deep: bool) -> Conflicts:
        """Find conflicts, asking the store about every witness.

        Args:
            write: What the write adds.
            is_deep: Whether rules below the two that conflict can matter.
        """
        asked: set[Keys] = set()
        for _ in range(self.bounds.max_rounds):
            if not self._has_both_effects(write):
                return Conflicts(conflicts=(), truncated=self.is_cut)
            found = self._find(write)
            doubted = {_name(each.witness) for each in found.conflicts} - asked
            if not doubted:
                break
            least = 0 if is_deep else min(self._level_of(each.memory_version_id) for each in found.conflicts)
            self._read_matching(doubted, least)
            asked |= doubted
        else:
            found = self._find(write)
        certain = tuple(each for each in found.conflicts if _name(each.witness) in asked)
        is_cut = self.is_cut or found.truncated or len(certain) < len(found.conflicts)
        return Conflicts(conflicts=certain, truncated=is_cut)

    def _find(self, write: Callable[[PolicyEvidence], PolicyEvidence]) -> Conflicts:
        before = self._evidence()
        return find_conflicts(
            before,
            write(before),
            max_conflicts=self.bounds.max_conflicts,
            max_steps=self.bounds.max_steps,
        )

    def _evidence(self) -> PolicyEvidence:
        # Which state it is of does not matter to a check.
        return PolicyEvidence(
            head="", candidates=tuple(self.candidates.values()), supersessions=tuple(self.supersessions)
        )

    def _has_both_effects(self, write: Callable[[PolicyEvidence], PolicyEvidence]) -> bool:
        every = (each.content for each in write(self._evidence()).candidates)
        return len({each.effect for each in every if isinstance(each, ConstraintContent)}) > 1

    def _level_of(self, version_id: str) -> int:
        return _measure(self.candidates[version_id]).level

    def _read_extended(self, content: MembershipContent) -> list[tuple[Candidate, Keys]]:
        """The rules that name the group, each with its scope for this member."""
        place = FIELDS.index(content.field)
        group, member = f"@{content.group}", f"={content.member}"
        whole = [EVERY_KEY] * len(FIELDS)
        whole[place] = KeyRange(group, group)
        found = self._keep(self._find_rules([(whole[0], whole[1], whole[2])], None))
        self._read_members([Meeting(content.field, content.group, KeyRange(content.member, content.member))])
        return [(each, _replace(_encode(each), place, member)) for each in found]

    def _read_opponents(self, regions: Sequence[tuple[Candidate, Keys]]) -> None:
        """Read the rules that oppose rules inside regions of these, and who says that they meet."""
        wanted: dict[Standing, list[Iterator[Box]]] = {}
        groups = self._list_groups(keys for _, keys in regions)
        for rule, keys in regions:
            standing = _stand_against(rule)
            boxes = list_boxes(keys, groups, shapes_of(standing.specificity))
            wanted.setdefault(standing, []).append(boxes)
        found = [
            other
            for standing, boxes_of in wanted.items()
            for other in self._keep(self._find_rules(_distinct(boxes_of), standing))
        ]
        self._read_members(
            meeting
            for rule, keys in regions
            for other in found
            if self._oppose(rule, other)
            for meeting in list_meetings(keys, _encode(other))
        )

    def _read_below(self, regions: Sequence[tuple[Candidate, Keys]]) -> None:
        """Read the rules that decide inside regions where the rule of each does not."""
        groups = self._list_groups(keys for _, keys in regions)
        boxes = [list_boxes(keys, groups, shapes_between(0, _measure(rule).level)) for rule, keys in regions]
        found = self._keep(self._find_rules(_distinct(boxes), None))
        self._read_members(
            meeting
            for _, keys in regions
            for other in found
            for meeting in list_meetings(keys, _encode(other))
        )

    def _read_matching(self, questions: Iterable[Keys], least_level: int) -> None:
        """Read every rule of at least a level that matches questions, and the memberships by which."""
        asked = [(f"={actor}", f"={action}", f"={resource}") for actor, action, resource in questions]
        groups = self._list_groups(asked)
        boxes = [list_boxes(keys, groups, shapes_between(least_level, MAX_LEVEL_SUM)) for keys in asked]
        most = self.bounds.max_matching
        self._keep(self.nearby.find_rules(_distinct(boxes), None, max_keys=most, limit=most))
        named = {
            (place, key[1:])
            # What is written may decide a question too, and the store does not know it yet.
            for each in (*self.candidates.values(), *self.new)
            if isinstance(each.content, ConstraintContent)
            for place, key in zip(FIELDS, _encode(each), strict=True)
            if key[0] == "@"
        }
        meetings = (
            Meeting(place, group, KeyRange(value, value))
            for (place, value), names in groups.items()
            for group in names
            if (place, group) in named
        )
        self._read_members(meetings, most)

    def _list_groups(self, scopes: Iterable[Keys]) -> Groups:
        values = set(chain.from_iterable(map(list_exact_values, scopes)))
        groups, is_cut = self.nearby.list_groups(values, limit=self.bounds.max_keys)
        self.is_cut |= is_cut
        # The store does not know yet what the write says.
        return {each: {*groups.get(each, ()), *self.joins.get(each, ())} for each in values}

    def _find_rules(self, boxes: Iterable[Box], standing: Standing | None) -> Overlap:
        bounds = self.bounds
        return self.nearby.find_rules(boxes, standing, max_keys=bounds.max_keys, limit=bounds.max_rules)

    def _read_members(self, meetings: Iterable[Meeting], limit: int | None = None) -> None:
        asked = tuple(dict.fromkeys(meetings))
        if asked:
            most = self.bounds.max_members if limit is None else limit
            keys = _MEMBERS_PER_KEY * self.bounds.max_keys
            self._keep(self.nearby.find_members(asked, max_keys=keys, limit=most))

    def _oppose(self, one: Candidate, other: Candidate) -> bool:
        mine, yours = one.content, other.content
        assert isinstance(mine, ConstraintContent)  # noqa: S101  # only rules are asked about
        assert isinstance(yours, ConstraintContent)  # noqa: S101
        return mine.effect is not yours.effect and self._rank(one) == self._rank(other)

    def _rank(self, rule: Candidate) -> Precedence:
        name = rule.memory_version_id
        if name not in self.ranks:
            self.ranks[name] = rank_rule(rule)
        return self.ranks[name]

    def _keep(self, read: Overlap) -> tuple[Candidate, ...]:
        self.is_cut |= read.is_cut
        self.candidates.update((each.memory_version_id, each) for each in read.candidates)
        self.supersessions.update(read.supersessions)
        return read.candidates


def _covers(maker: Candidate, target: Candidate) -> bool:
    """Whether its superseder decides whatever a record decided, so that nothing comes forward."""
    if maker.expires_at_us is not None:
        return False
    mine, theirs = maker.content, target.content
    if isinstance(mine, ConstraintContent) and isinstance(theirs, ConstraintContent):
        return _encode(maker) == _encode(target) and rank_rule(maker) <= rank_rule(target)
    return mine == theirs or not isinstance(theirs, ConstraintContent | MembershipContent)


def _encode(rule: Candidate) -> Keys:
    assert isinstance(rule.content, ConstraintContent)  # noqa: S101  # what has no scope is read by its members
    return encode_scope(rule.content.scope)


def _measure(rule: Candidate) -> Specificity:
    return measure_keys(_encode(rule))


def _distinct(boxes: Iterable[Iterable[Box]]) -> Iterator[Box]:
    """Each box once, in turn from each, so that a bound leaves something of all."""
    seen: set[Box] = set()
    for each in chain.from_iterable(zip_longest(*boxes)):
        if each is not None and each not in seen:
            seen.add(each)
            yield each


def _stand_against(rule: Candidate) -> Standing:
    assert isinstance(rule.content, ConstraintContent)  # noqa: S101  # see above
    return Standing(
        effect=Effect.DENY if rule.content.effect is Effect.ALLOW else Effect.ALLOW,
        authority=rule.authority,
        truth_status=rule.truth_status,
        confidence=rule.effective_confidence,
        specificity=_measure(rule),
    )


def _replace(keys: Keys, place: int, key: str) -> Keys:
    actor, action, resource = (key if at == place else each for at, each in enumerate(keys))
    return actor, action, resource


def _name(witness: Witness) -> Keys:
    return witness.actor, witness.action, witness.resource
