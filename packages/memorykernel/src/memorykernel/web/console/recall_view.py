"""A page of what is remembered: the records, their words, and the way to the pages around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import UNSET

from memorykernel.core.context_package import ContextPackage, Item
from memorykernel.core.recall_ordering_v3 import NAME as BY_WORDS
from memorykernel.core.record import MemoryRecord
from memorykernel.errors import InvalidRequest
from memorykernel.service.replaying import Replay
from memorykernel.web.console.form import TICK, Form
from memorykernel.web.console.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class RecalledView:
    """A page of a recall.

    Attributes:
        lines: What was selected, each with its record.
        next_page: The fields of the form that asks for the page behind it; None at the end, and for a
            recall by meaning, which is not asked here.
    """

    package: ContextPackage
    lines: tuple[tuple[Item, MemoryRecord], ...]
    replay: Replay | None
    next_page: Form | None

    @property
    def is_first(self) -> bool:
        """Whether nothing comes before it."""
        return not self.lines or self.lines[0][0].rank == 1


def view_recall(site: Site, package: ContextPackage) -> RecalledView:
    """Gather what a page of a recall shows.

    Raises:
        ContextLookupFailed: The state that it was given on is gone, or the store could not.
        QueryFailed: The store could not.
    """
    try:
        replay = site.suite.replaying.replay(package.context_package_id)
    except InvalidRequest:
        # An answer of older rules cannot be computed again; the page does without.
        replay = None
    return RecalledView(
        package=package,
        lines=tuple(zip(package.selected_items, show_records(site, package.selected_items), strict=True)),
        replay=replay,
        next_page=_ask_on(package),
    )


def show_records(site: Site, items: Iterable[Item]) -> list[MemoryRecord]:
    """The records behind items, in their order."""
    return [site.suite.lineage.show_record(each.memory_version_id).record for each in items]


def list_fields(package: ContextPackage, *, is_about_now: bool) -> Form:
    """The form that asks this again. Pure."""
    types = package.query.record_types or ()
    fields = {"text": package.query.text, **{f"{TICK}{each}": "on" for each in types}}
    if not is_about_now:
        fields["as_of"] = package.query.as_of
    if package.query.as_known_at:
        fields["as_known_at"] = package.query.as_known_at
    return fields


def _ask_on(package: ContextPackage) -> Form | None:
    """Pages follow each other on one state, or what is written meanwhile would move them."""
    cursor = package.next_cursor
    if cursor is UNSET or cursor is None or package.determinism.ruleset_version != BY_WORDS:
        return None
    fields = list_fields(package, is_about_now=False)
    return {**fields, "as_known_at": package.determinism.snapshot_id, "cursor": cursor}
