from __future__ import annotations

from datetime import UTC, datetime

from cutover.core.entry import Entry, EntryBody, Observed, RouteClosed, RouteOpened, RoutePointed
from cutover.core.key import KeyKind, PublicKey
from cutover.core.route import EMPTY, Route, calculate_routes
from hypothesis import given
from hypothesis import strategies as st

NOBODY = PublicKey(keyid="0" * 64, public="0" * 64, kind=KeyKind.EXECUTOR, party=None, name="nobody")
V2, V3 = "service.v2", "service.v3"


def opened(contract: str, tag: str, port: int = 1) -> RouteOpened:
    return RouteOpened(
        service_contract=contract,
        release_tag=tag,
        address=f"http://127.0.0.1:{port}",
        pid=None,
        command=(),
        tree_id="",
    )


def entries(*bodies: EntryBody) -> list[Entry]:
    time = datetime(2026, 2, 8, tzinfo=UTC)
    return [Entry(index=i, time=time, body=b, signers=(NOBODY,), leaf="") for i, b in enumerate(bodies)]


def test_nothing_is_routed_before_an_entry_says_so() -> None:
    table = calculate_routes(entries(Observed(subject="x", facts={})))
    assert table == EMPTY
    assert table.resolve(None) is None
    assert table.resolve(V2) is None


def test_a_request_goes_by_the_contract_it_names_and_else_by_the_pointer() -> None:
    table = calculate_routes(
        entries(opened(V2, "v0.3.2"), opened(V3, "v0.4.0", 2), RoutePointed(service_contract=V2))
    )
    assert table.resolve(V3) == Route(release_tag="v0.4.0", address="http://127.0.0.1:2")
    assert (
        table.resolve(None) == table.resolve(V2) == Route(release_tag="v0.3.2", address="http://127.0.0.1:1")
    )


def test_a_closed_route_leads_nowhere_says_why_and_may_be_opened_again() -> None:
    closing: list[EntryBody] = [opened(V3, "v0.4.0"), RouteClosed(service_contract=V3, reason="stopped")]
    table = calculate_routes(entries(*closing))
    assert table.resolve(V3) is None
    assert table.closed == {V3: "stopped"}
    again = calculate_routes(entries(*closing, opened(V3, "v0.4.1")))
    assert again.is_open(V3, "v0.4.1")
    assert not again.is_open(V3, "v0.4.0")
    assert again.closed == {}


def test_a_pointer_to_a_closed_route_leads_nowhere() -> None:
    table = calculate_routes(entries(RoutePointed(service_contract=V2)))
    assert table.active == V2
    assert table.resolve(None) is None


def test_of_two_releases_with_one_contract_the_one_opened_last_answers() -> None:
    assert calculate_routes(entries(opened(V3, "v0.4.0"), opened(V3, "v0.4.1"))).is_open(V3, "v0.4.1")


contracts = st.sampled_from([V2, V3])
bodies = st.lists(
    st.one_of(
        st.builds(opened, contracts, st.sampled_from(["v1", "v2"]), st.integers(1, 3)),
        st.builds(RouteClosed, service_contract=contracts, reason=st.just("why")),
        st.builds(RoutePointed, service_contract=contracts),
        st.just(Observed(subject="x", facts={})),
    ),
    max_size=8,
)


@given(bodies, st.integers(0, 8))
def test_following_the_log_gives_the_table_of_the_whole_log(some: list[EntryBody], cut: int) -> None:
    whole = entries(*some)
    assert calculate_routes(whole[cut:], calculate_routes(whole[:cut])) == calculate_routes(whole)


@given(bodies)
def test_a_contract_is_never_open_and_closed_at_once(some: list[EntryBody]) -> None:
    table = calculate_routes(entries(*some))
    assert not table.contracts.keys() & table.closed.keys()
