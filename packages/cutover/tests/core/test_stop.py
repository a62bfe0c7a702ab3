from __future__ import annotations

import msgspec
import pytest
from contracts.core.envelope import Breach, BreachCode
from cutover.core.stop import DraftSeen, Exchange, Failure, check_draft, check_exchange

FINE = Exchange(release_tag="v0.4.0", route="POST /v1/query/ask", status=200)
DRAFT = DraftSeen(ticket_id="T-1", delivered=True, elapsed_s=0.1, sha256="a", reference_sha256="a")


@pytest.mark.parametrize("code", BreachCode)
def test_the_first_breach_of_any_kind_stops(code: BreachCode) -> None:
    breach = Breach(code=code, field="error.code", detail="what was found")
    exchange = msgspec.structs.replace(FINE, status=500, breaches=(breach,))
    assert exchange.is_breaking
    assert check_exchange(exchange, timeouts=0, max_timeouts=3) == (
        f"v0.4.0 POST /v1/query/ask answered 500 with {code} at error.code: what was found"
    )


@pytest.mark.parametrize("failure", set(Failure) - {Failure.TIMEOUT})
def test_no_complete_reply_stops_at_once(failure: Failure) -> None:
    exchange = msgspec.structs.replace(FINE, status=None, failure=failure)
    assert exchange.is_breaking
    assert failure in (check_exchange(exchange, timeouts=0, max_timeouts=3) or "")


@pytest.mark.parametrize(("timeouts", "stops"), [(1, False), (2, False), (3, True), (4, True)])
def test_deadlines_are_counted(timeouts: int, stops: bool) -> None:
    exchange = msgspec.structs.replace(FINE, status=None, failure=Failure.TIMEOUT)
    assert exchange.is_breaking
    assert (check_exchange(exchange, timeouts=timeouts, max_timeouts=3) is not None) is stops


def test_a_reply_that_keeps_the_contract_stops_nothing_however_many_deadlines_were_missed() -> None:
    assert not FINE.is_breaking
    assert check_exchange(FINE, timeouts=99, max_timeouts=3) is None


def test_a_good_draft_stops_nothing() -> None:
    assert check_draft(DRAFT, deadline_s=0.1) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"delivered": False}, "was not delivered"),
        ({"sha256": None}, "was not delivered"),
        ({"sha256": "b"}, "differs from the one made with enrichment off"),
        ({"elapsed_s": 0.2}, "took 0.200 s, expected at most 0.1 s"),
        ({"sha256": "b", "elapsed_s": 9.0}, "differs"),
    ],
)
def test_a_draft_lost_altered_or_late_stops(change: dict[str, object], reason: str) -> None:
    assert reason in (check_draft(msgspec.structs.replace(DRAFT, **change), deadline_s=0.1) or "")
