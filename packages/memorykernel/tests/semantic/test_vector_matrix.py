"""The matrix finds what comparing every vector by the specification finds."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from memorykernel.adapters.vector_matrix import VectorMatrix
from memorykernel.core.vector import DIMENSIONS, calculate_similarity
from memorykernel.core.vocabulary import RecordType

TYPES = tuple(RecordType)


def draw_vector(rng: random.Random, near: bytes | None = None) -> bytes:
    if near is None:
        return bytes(rng.choice((0, 1, 127, 129, 200, 255)) for _ in range(DIMENSIONS))
    return bytes(byte if rng.random() < 0.9 else rng.choice((0, 127, 129)) for byte in near)


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(0, 40),
    limit=st.integers(1, 12),
    at_least=st.integers(-100, 100),
    wanted=st.sets(st.sampled_from(TYPES)),
    newest=st.integers(0, 40),
)
@settings(max_examples=60)
def test_the_nearest_are_those_of_the_specification(
    seed: int, size: int, limit: int, at_least: int, wanted: set[RecordType], newest: int
) -> None:
    rng = random.Random(seed)
    question = draw_vector(rng)
    kinds = [rng.choice(TYPES) for _ in range(size)]
    vectors = {seq: draw_vector(rng, question if rng.random() < 0.7 else None) for seq in range(1, size + 1)}
    matrix = VectorMatrix()
    matrix.extend(kinds)
    matrix.put(list(vectors), b"".join(vectors.values()))
    newest = min(newest, size)
    expected = sorted(
        (
            (calculate_similarity(question, vector), seq)
            for seq, vector in vectors.items()
            if seq <= newest and kinds[seq - 1] in wanted
        ),
        reverse=True,
    )
    near = [(seq, similarity) for similarity, seq in expected if similarity >= at_least][:limit]
    found = matrix.find_nearest(question, wanted, newest=newest, limit=limit, at_least=at_least)
    assert list(found.items()) == near


def test_the_largest_numbers_are_summed_exactly() -> None:
    matrix = VectorMatrix()
    matrix.extend([RecordType.EVENT] * 3)
    largest, smallest = bytes([127] * DIMENSIONS), bytes([129] * DIMENSIONS)
    matrix.put([1, 2, 3], largest + smallest + bytes([127] * (DIMENSIONS - 1) + [0]))
    found = matrix.find_nearest(largest, TYPES, newest=3, limit=9, at_least=-100)
    assert found == {3: 100, 1: 100, 2: -100}


def test_it_grows_and_keeps_what_it_has() -> None:
    rng = random.Random(7)
    matrix = VectorMatrix()
    first, last = draw_vector(rng), draw_vector(rng)
    matrix.extend([RecordType.EVENT])
    matrix.put([1], first)
    matrix.extend([RecordType.OUTCOME] * 5000)
    matrix.put([5001], last)
    assert (matrix.size, matrix.get(1), matrix.get(5001)) == (5001, first, last)
    assert matrix.find_nearest(last, TYPES, newest=5001, limit=1, at_least=1) == {5001: 100}


def test_a_missing_vector_is_near_to_nothing() -> None:
    matrix = VectorMatrix()
    matrix.extend([RecordType.EVENT])
    assert matrix.find_nearest(bytes([1] * DIMENSIONS), TYPES, newest=1, limit=1, at_least=1) == {}
