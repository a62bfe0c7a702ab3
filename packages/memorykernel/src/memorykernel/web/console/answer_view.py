"""All that the page of an answer shows, gathered in one visit to the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec import UNSET

from memorykernel.core.context_package import ContextPackage, Item
from memorykernel.core.counterfactual import Flip
from memorykernel.core.timeline import RuleBar
from memorykernel.errors import InvalidRequest
from memorykernel.service.explaining import WhatWouldFlip
from memorykernel.service.picturing import Picture
from memorykernel.service.replaying import Replay
from memorykernel.web.console.picture import Drawing, MomentRow, draw, draw_moment
from memorykernel.web.console.site import Site
from memorykernel.web.console.wording import (
    describe_content,
    describe_reasons,
    describe_result,
    describe_scope,
)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """A rule in the table beside the picture, with the reasons that the answer gives for it."""

    bar: RuleBar
    status: str
    reasons: tuple[str, ...]
    recorded_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that would flip the answer, in words."""

    word: str
    result_after: str
    sentence: str
    version_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """An answer and what explains it.

    `drawing` is None for what cannot be drawn, a recall's or an older ruleset's answer: `undrawn` says why.
    """

    package: ContextPackage
    replay: Replay | None
    drawing: Drawing | None
    undrawn: str
    lines: tuple[RuleLine, ...]
    hidden: int
    moments: tuple[MomentRow, ...]
    changes: tuple[Change, ...]

    @property
    def deciding(self) -> tuple[RuleLine, ...]:
        """The rules that decide."""
        return tuple(line for line in self.lines if line.bar.decides)

    @property
    def holds_until(self) -> str | None:
        """Until when the answer holds; None for ever, or when its ruleset does not say."""
        return self.package.answer.holds_until or None

    @property
    def knows_end(self) -> bool:
        """Whether the ruleset says until when its answers hold."""
        return self.package.answer.holds_until is not UNSET


def view_answer(site: Site, package: ContextPackage) -> AnswerView:
    """Gather what explains an answer.

    Raises:
        ContextLookupFailed: The state that it was given on is gone, or the store could not.
        QueryFailed: The store could not.
    """
    package_id = package.context_package_id
    picture, undrawn = _try(lambda: site.picturing.draw(package_id))
    flips, _ = _try(lambda: site.suite.explaining.find_flips(package_id))
    replay, _ = _try(lambda: site.suite.replaying.replay(package_id))
    return AnswerView(
        package=package,
        replay=replay,
        drawing=None if picture is None else draw(picture),
        undrawn=undrawn,
        lines=() if picture is None else _list_lines(picture, package),
        hidden=0 if picture is None else picture.timeline.hidden,
        moments=()
        if picture is None
        else tuple(draw_moment(each, picture.timeline) for each in picture.moments),
        changes=() if flips is None else _describe_flips(site, flips),
    )


def _try(ask: Callable[[], Result]) -> tuple[Result | None, str]:
    """What an answer of another kind or age does not have is left out of the page, with the reason."""
    try:
        return ask(), ""
    except InvalidRequest as error:
        return None, error.message


def _list_lines(picture: Picture, package: ContextPackage) -> tuple[RuleLine, ...]:
    told: dict[str, Item] = {
        item.memory_version_id: item for item in (*package.selected_items, *package.excluded_items)
    }
    return tuple(
        RuleLine(
            bar=bar,
            status=_choose_status(bar),
            reasons=_find_reasons(bar, told),
            recorded_at_us=picture.recorded_at_us.get(bar.candidate.memory_version_id),
        )
        for bar in picture.timeline.bars
    )


def _find_reasons(bar: RuleBar, told: dict[str, Item]) -> tuple[str, ...]:
    item = told.get(bar.candidate.memory_version_id)
    return describe_reasons(bar.reasons if item is None else item.why.reasons)


def _choose_status(bar: RuleBar) -> str:
    if bar.decides:
        return "decides"
    return "outranked" if bar.is_active else "does not count"


def _describe_flips(site: Site, flips: WhatWouldFlip) -> tuple[Change, ...]:
    return tuple(_describe_flip(site, each) for each in flips.flips)


def _describe_flip(site: Site, flip: Flip) -> Change:
    after = describe_result(flip.result_after)
    if flip.addition is not UNSET:
        added = flip.addition
        sentence = (
            f"With one more rule, {added.effect} {describe_scope(added.scope)}:"
            f" {added.authority}, {added.truth_status}, confidence {added.confidence:g} is enough."
        )
        return Change(word=after, result_after=flip.result_after, sentence=sentence, version_ids=())
    version_ids = flip.memory_version_ids or ()
    records = (site.suite.lineage.show_record(each).record for each in version_ids)
    named = " and ".join(f"“{describe_content(each.payload.payload)}”" for each in records)
    return Change(
        word=after, result_after=flip.result_after, sentence=f"Without {named}.", version_ids=version_ids
    )
