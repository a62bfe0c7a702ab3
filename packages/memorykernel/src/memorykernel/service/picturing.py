"""The picture of an answer: when each rule counts, and how the answer changed as more became known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from memorykernel.core import ordering_v3
from memorykernel.core.evidence import PolicyEvidence
from memorykernel.core.identity import snapshot_v2
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import MembershipContent
from memorykernel.core.ruleset import POLICY_RULESETS
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.timeline import MAX_BARS, Stretch, Timeline, answer_over, draw_timeline
from memorykernel.errors import InvalidRequest
from memorykernel.ports import Memory
from memorykernel.service.known_state import Remembered, read_policy
from memorykernel.service.schema_care import SchemaCare

MAX_MOMENTS: Final = 12
"""How many states of knowledge are compared, the newest ones."""

_MAX_LOOKUPS: Final = 3 * MAX_BARS
"""How many records are asked when they were recorded."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A state of knowledge, and what it answers over the window of the picture.

    Attributes:
        recorded_at_us: When it was reached.
        snapshot_id: Its name: a question `as_known_at` it gets its answers.
        learned: The version ids that were recorded then.
    """

    recorded_at_us: int
    snapshot_id: str
    learned: tuple[str, ...]
    answers: tuple[Stretch, ...]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """An answer over both times.

    Attributes:
        timeline: Over valid time, as the answer knew it.
        recorded_at_us: When a record of it was recorded; records before schema 4 are not in it.
        moments: Over transaction time: the states at which one of these records was added, oldest first, up
            to the answer's own, as far as they answer differently than the one before. A link that was stated
            later than its record shows at the next of them.
    """

    timeline: Timeline
    recorded_at_us: dict[str, int]
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picturing:
    """Draws answers to policy questions on the state that they were given on."""

    memory: Memory
    remembered: Remembered
    schema_care: SchemaCare

    def draw(self, context_package_id: str) -> Picture:
        """Draw a stored answer.

        Raises:
            InvalidRequest: It is a recall's, was given by older rules, or was stored before questions were.
            SchemaUnavailable: The database waits for a migration.
            ContextPackageNotFound: There is no such answer.
            ContextLookupFailed: The state that it was given on is gone, or the store could not.
            QueryFailed: The store could not.
        """
        self.schema_care.require_usable()
        asked = self.remembered.find_question(context_package_id)
        question = asked.question
        if not isinstance(question, PolicyQuestion) or asked.ruleset != ordering_v3.NAME:
            raise InvalidRequest(
                f"only answers to policy questions by {ordering_v3.NAME} can be drawn, this is one by"
                f" {asked.ruleset}; ask again"
            )
        evidence = self.remembered.read_policy(asked, question)
        timeline = draw_timeline(question, evidence)
        recorded = self._find_recorded(timeline, evidence)
        return Picture(
            timeline=timeline,
            recorded_at_us=recorded,
            moments=self._list_moments(asked, timeline, recorded),
        )

    def _find_recorded(self, timeline: Timeline, evidence: PolicyEvidence) -> dict[str, int]:
        """When the rules that are shown, the memberships and the superseders were recorded."""
        shown = [bar.candidate.memory_version_id for bar in timeline.bars]
        members = [
            each.memory_version_id
            for each in evidence.candidates
            if isinstance(each.content, MembershipContent)
        ]
        claimants = [each.superseder_id for each in evidence.supersessions]
        recorded: dict[str, int] = {}
        for version_id in tuple(dict.fromkeys((*shown, *members, *claimants)))[:_MAX_LOOKUPS]:
            stored = self.memory.load_record(version_id)
            if stored is not None and stored.recorded_at_us is not None:
                recorded[version_id] = stored.recorded_at_us
        return recorded

    def _list_moments(
        self, asked: StoredQuestion, timeline: Timeline, recorded: dict[str, int]
    ) -> tuple[Moment, ...]:
        moments: list[Moment] = []
        for recorded_at_us in sorted(set(recorded.values()))[-MAX_MOMENTS:]:
            moment = self._look_back(recorded_at_us, asked, timeline, recorded)
            if moment is not None:
                moments.append(moment)
        return _drop_repetitions(moments)

    def _look_back(
        self, recorded_at_us: int, asked: StoredQuestion, timeline: Timeline, recorded: dict[str, int]
    ) -> Moment | None:
        known = self.memory.find_snapshot(recorded_at_us)
        if known is None or known.entry_seq > self.remembered.find_state(asked).entry_seq:
            return None
        rules = POLICY_RULESETS[asked.ruleset]
        evidence = read_policy(self.memory, rules, timeline.question, known)
        return Moment(
            recorded_at_us=recorded_at_us,
            snapshot_id=snapshot_v2(known.head),
            learned=tuple(each for each, at in recorded.items() if at == recorded_at_us),
            answers=answer_over(timeline.question, evidence, timeline.window),
        )


def _drop_repetitions(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """Keep the moments that changed an answer of the window; the first one changed it from nothing known."""
    kept: list[Moment] = []
    for moment in moments:
        if not kept or kept[-1].answers != moment.answers:
            kept.append(moment)
    return tuple(kept)
