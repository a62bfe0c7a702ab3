"""Keeps numpy's products of matrices on one thread.

The threads of its library wait for each other by spinning, which for matrices of a few hundred rows costs
more than it saves, and takes the processor from other requests; and one thread means one order of sums.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it has no types


def use_one_thread() -> AbstractContextManager[object]:
    """Calculate on one thread while this is held; takes some 15 microseconds."""
    held: AbstractContextManager[object] = _find_libraries().limit(limits=1)
    return held


@cache
def _find_libraries() -> Any:
    return ThreadpoolController().select(user_api="blas")
