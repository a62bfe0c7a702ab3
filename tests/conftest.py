"""The order of the suite: the longest first, so that no process ends long after the others."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the whole demos in front; the rest keeps its random order."""
    items.sort(key=lambda item: item.get_closest_marker("demo") is None)
