"""Unions of spans: what they have in common, and that finding it takes no longer than reading them."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.activity_v3 import Span
from memorykernel.core.validity import join_spans, meet_spans

UNIONS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8))).map(
    lambda drawn: join_spans(Span(start, start + length) for start, length in drawn)
)


def instants(spans: tuple[Span, ...]) -> set[int]:
    return {instant for start, end in spans for instant in range(start, end)}


@given(UNIONS, UNIONS)
def test_what_two_unions_have_in_common_are_the_instants_of_both(
    one: tuple[Span, ...], other: tuple[Span, ...]
) -> None:
    met = meet_spans(one, other)
    assert instants(met) == instants(one) & instants(other)
    assert all(span.start < span.end for span in met)
    assert list(met) == sorted(met)


class Counted(list[Span]):
    """Spans that count how often one is looked at."""

    looks = 0

    def __getitem__(self, key: object) -> Span:  # type: ignore[override]  # by number only
        Counted.looks += 1
        return list.__getitem__(self, key)  # type: ignore[call-overload, no-any-return]

    def __iter__(self) -> Iterator[Span]:
        for span in super().__iter__():
            Counted.looks += 1
            yield span


def test_meeting_takes_no_longer_than_reading_both() -> None:
    one = Counted(Span(3 * number, 3 * number + 2) for number in range(1000))
    other = Counted(Span(3 * number + 1, 3 * number + 3) for number in range(1000))
    assert len(meet_spans(one, other)) == 1000
    assert Counted.looks < 20 * 1000
