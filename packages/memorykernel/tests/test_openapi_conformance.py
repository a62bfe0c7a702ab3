"""Schemathesis over both published documents, against the live service of each contract.

Requests that the document allows and ones that it does not; every reply is held against the document: status,
content type, headers and schema, no 500, valid data accepted, invalid data refused, wrong methods 405.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from contracts.documents import load_openapi
from hypothesis import HealthCheck, settings
from schemathesis import Case

EXAMPLES = 20

CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 20260208,
        "generation": {"mode": "all", "max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        # A body that is valid but names a version that nobody wrote is a conflict, an id that nobody
        # was given is not found: what a fuzzer sends is mostly that.
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 404, 409]}},
    }
)
V2 = schemathesis.openapi.from_dict(yaml.safe_load(load_openapi("service.v2")), config=CONFIG)
V3 = schemathesis.openapi.from_dict(yaml.safe_load(load_openapi("service.v3")), config=CONFIG)


def _is_read_the_same_by_everybody(value: Any) -> bool:
    """Whether the strict reader takes every number: 64 bits are its limit, also in keys it ignores.

    No schema can say this of properties that it does not name.
    """
    if isinstance(value, dict):
        return all(map(_is_read_the_same_by_everybody, value.values()))
    if isinstance(value, list):
        return all(map(_is_read_the_same_by_everybody, value))
    return not isinstance(value, int) or -(2**63) <= value < 2**63


for _schema in (V2, V3):

    @_schema.hook
    def filter_body(_: Any, body: Any) -> bool:
        return _is_read_the_same_by_everybody(body)


bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Iterator[dict[str, str]]:
    """A running service of each contract."""
    folder: Path = tmp_path_factory.mktemp("conformance")
    v2 = kit.serve(folder / "v2.db", "--service-contract", "service.v2")
    with v2 as old, kit.serve(folder / "v3.db", "--service-contract", "service.v3") as new:
        yield {"service.v2": old.url, "service.v3": new.url}


@V2.parametrize()
@bounded
def test_service_v2_keeps_its_document(case: Case[Any], urls: dict[str, str]) -> None:
    case.call_and_validate(base_url=urls["service.v2"])


@V3.parametrize()
@bounded
def test_service_v3_keeps_its_document(case: Case[Any], urls: dict[str, str]) -> None:
    case.call_and_validate(base_url=urls["service.v3"])
