"""What the tests of this package share: published documents that a test may change."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from contracts.documents import load_fixture

Document: TypeAlias = dict[str, Any]


@pytest.fixture
def published() -> Callable[[str], Document]:
    """Load a published JSON file as a dict that a test may change."""

    def load(name: str) -> Document:
        document: Document = json.loads(load_fixture(name))
        return document

    return load
