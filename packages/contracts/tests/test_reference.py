"""The API reference says what the documents say, and the pages of this repository are it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from contracts.core.openapi import parse_openapi
from contracts.core.service import KNOWN_SERVICE_CONTRACTS
from contracts.documents import load_openapi
from contracts.errors import UnknownDocument
from contracts.reference import page_name, render_reference

PAGES = Path(__file__).resolve().parents[3] / "docs" / "reference"


@pytest.mark.parametrize("contract", KNOWN_SERVICE_CONTRACTS)
def test_the_page_in_the_repository_is_the_rendered_one(contract: str) -> None:
    written = (PAGES / page_name(contract)).read_text("utf-8")
    assert written == render_reference(contract), "run 'python -m contracts.reference docs/reference'"


@pytest.mark.parametrize("contract", KNOWN_SERVICE_CONTRACTS)
def test_every_operation_and_status_has_its_place(contract: str) -> None:
    page = render_reference(contract)
    paths: Any = parse_openapi(load_openapi(contract))["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            part = page.split(f"\n### {method.upper()} {path}\n")[1].split("\n### ")[0]
            assert operation["summary"].split()[0] in part
            assert all(f"| {status} |" in part for status in operation["responses"] if status != "200")


def test_required_fields_are_marked_and_optional_ones_are_not() -> None:
    ask = render_reference("service.v3").split("### POST /v1/query/ask")[1].split("\n### ")[0]
    assert "| `actor` * |" in ask
    assert "| `as_of` |" in ask


def test_an_unknown_contract_is_refused() -> None:
    with pytest.raises(UnknownDocument):
        render_reference("service.v0")
