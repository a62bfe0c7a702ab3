"""Schemathesis over the document of service.v4, against the live service.

As `test_openapi_conformance` for the older contracts. What no schema can say is left out of what is sent:
that a record expires after it takes effect, and that a snapshot, a token or a cursor is one that somebody was
given; `test_endpoints` and `test_guarded_writes` send these.
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

EXAMPLES = 6

CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 20260208,
        "generation": {"mode": "all", "max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        # A version that nobody wrote is a conflict, an id that nobody was given is not found: what a
        # fuzzer sends is mostly that.
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 404, 409]}},
    }
)
V4 = schemathesis.openapi.from_dict(yaml.safe_load(load_openapi("service.v4")), config=CONFIG)


def _is_read_the_same_by_everybody(value: Any) -> bool:
    """Whether the strict reader takes every number: 64 bits are its limit, also in keys it ignores."""
    if isinstance(value, dict):
        return all(map(_is_read_the_same_by_everybody, value.values()))
    if isinstance(value, list):
        return all(map(_is_read_the_same_by_everybody, value))
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@V4.hook
def filter_body(_: Any, body: Any) -> bool:
    return _is_read_the_same_by_everybody(body)


def _is_given(case: Case[Any]) -> bool:
    """Whether every state, time of expiry, cursor, token and contract is one that makes sense."""
    body = case.body if isinstance(case.body, dict) else {}
    named = {"Memory-Token", "Service-Contract-Version"} & {*(case.headers or {})}
    states = [
        each.get("as_known_at") for each in (body, body.get("from"), body.get("to")) if isinstance(each, dict)
    ]
    is_state = any(str(each).startswith("txn_") for each in states)
    return not (
        named or is_state or body.get("expires_at") or body.get("cursor") or (case.query or {}).get("cursor")
    )


@V4.hook
def filter_case(_: Any, case: Case[Any]) -> bool:
    return _is_given(case)


bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("conformance")
    with kit.serve(folder / "v4.db", "--service-contract", "service.v4") as server:
        yield server.url


@V4.parametrize()
@bounded
def test_service_v4_keeps_its_document(case: Case[Any], url: str) -> None:
    case.call_and_validate(base_url=url)
