"""The short form of the campaign: every reply an envelope, no server error; and that breaches are noticed."""

from __future__ import annotations

import json
import random

import pytest

from benchmarks.campaigns import fuzz
from benchmarks.campaigns.fuzz_mutations import Sent, deal_request
from benchmarks.campaigns.fuzz_valid import Known
from benchmarks.campaigns.fuzz_wire import PATIENCE_S, Exchange, Reply

KNOWN = Known(
    packages=("cpkg_1",), versions=("v",), memories=("m",), cursors=("ans_1",), snapshots=("txn_1",)
)
V2 = Sent("GET", b"/v1/health", ((b"Service-Contract-Version", b"service.v2"),))


def test_a_thousand_requests_get_envelopes() -> None:
    outcome = fuzz.run(1000, seed=11, slowest_s=PATIENCE_S)  # nothing here is timed: the campaign does that
    assert outcome.wrong == ()
    assert {"status 200", "status 400", "status 404", "status 405", "status 422"} <= set(outcome.numbers)


def reply(body: dict[str, object], status: int = 200) -> Exchange:
    return Exchange(V2, Reply(status, "application/json", json.dumps(body).encode()), 0.01)


@pytest.mark.parametrize(
    ("exchange", "breach"),
    [
        (Exchange(V2, None, 0.01), "no reply"),
        (Exchange(V2, Reply(200, "text/plain", b"ok"), 1.5), "took 1.50 s"),
        (Exchange(V2, Reply(400, "text/plain", b"bad"), 0.01), "not-json"),
        (reply({"service_contract_version": "service.v3", "api_contract_version": "api.v1", "data": {}}),
         "wrong-version"),
        (reply({}, 500), "status 500"),
    ],
)  # fmt: skip
def test_a_breach_is_noticed(exchange: Exchange, breach: str) -> None:
    assert any(breach in each for each in fuzz.find_breaches(exchange))


def test_a_request_is_a_function_of_seed_and_number() -> None:
    dealt = [[deal_request(random.Random(f"7/{n}"), KNOWN) for n in range(300)] for _ in range(2)]
    assert dealt[0] == dealt[1]
    assert len({each.encode() for each in dealt[0]}) > 250
