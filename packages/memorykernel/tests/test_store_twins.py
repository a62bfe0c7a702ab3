"""SQLite and PostgreSQL give the same bytes: a short form of the campaign in `store_worlds`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from memorykernel import open_kernel
from memorykernel.core.release import default_release

from packages.memorykernel.tests.postgres_cluster import Server
from packages.memorykernel.tests.store_worlds import Location, compare_stores


@pytest.fixture
def make_pair(tmp_path: Path, postgres: Server) -> Callable[[], tuple[Location, Location]]:
    numbers = count()

    def make() -> tuple[Location, Location]:
        return tmp_path / f"memory-{next(numbers)}.db", postgres.make_schema()

    return make


@pytest.mark.parametrize("seed", [1, 2])
def test_random_worlds_give_the_same_bytes_on_both_stores(
    make_pair: Callable[[], tuple[Location, Location]], seed: int
) -> None:
    result = compare_stores(make_pair, cases=300, seed=seed)
    assert result.differing == ()
    assert result.cases == 300


@pytest.mark.parametrize("is_other", [False, True])
def test_a_difference_is_found_and_only_then(tmp_path: Path, kit: Any, is_other: bool) -> None:
    numbers = count()

    def make() -> tuple[Location, Location]:
        first, second = (tmp_path / f"memory-{next(numbers)}.db" for _ in range(2))
        if is_other:
            kernel = open_kernel(second, default_release("service.v4"))
            kernel.schema_care.migrate(dry_run=False)
            kit.add(kernel, kit.constraint("*", action="*", resource="*"))
            kernel.file.close()
        return first, second

    assert bool(compare_stores(make, cases=20, seed=3).differing) is is_other
