from __future__ import annotations

import json

import pytest
from cutover.adapters.gateway_client import HttpGateway
from cutover.adapters.http import LoopbackHttp
from cutover.errors import ReleaseUnreachable

from packages.cutover.tests.move import V2, Move
from packages.cutover.tests.web.servers import Caller, LoopThread, RunningGateway, gateway_of


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x"}, {"authorization": "Basic y"}])
def test_without_the_token_nothing_is_said(gateway: RunningGateway, headers: dict[str, str]) -> None:
    control = Caller(gateway.here.control_url)
    for method, path in (("POST", "/control/refresh"), ("GET", "/control/stats"), ("GET", "/")):
        reply = control.request(method, path, headers=headers)
        assert reply.status == 401
        assert "token" in json.loads(reply.body)["error"]


def test_control_is_not_on_the_traffic_socket(gateway: RunningGateway) -> None:
    assert gateway.request("POST", "/control/refresh").status == 404


def test_the_token_is_for_its_owner_only(move: Move, gateway: RunningGateway) -> None:
    assert gateway.here.pid > 0
    assert (move.folder / "run" / "control.token").stat().st_mode & 0o777 == 0o600


def test_the_client_finds_the_gateway_through_the_folder(move: Move, gateway: RunningGateway) -> None:
    client = HttpGateway(LoopbackHttp(), move.folder)
    assert client.refresh().routes == {V2: "v0.3.2"}
    assert client.stats().log_size == move.log.read().head.size
    gateway.ask(V2)
    assert client.stats().served == {"v0.3.2": 1}


def test_a_gateway_that_is_gone_is_unreachable(move: Move, thread: LoopThread) -> None:
    client = HttpGateway(LoopbackHttp(), move.folder)
    with gateway_of(move.station(), thread):
        place = (move.folder / "run" / "gateway.json").read_bytes()
    with pytest.raises(ReleaseUnreachable, match="no gateway runs here"):
        client.stats()
    (move.folder / "run" / "gateway.json").write_bytes(place)
    with pytest.raises(ReleaseUnreachable):
        client.refresh()


def test_a_stranger_s_token_is_reported(move: Move, gateway: RunningGateway) -> None:
    (move.folder / "run" / "control.token").write_text("stale")
    with pytest.raises(ReleaseUnreachable, match="answered 401"):
        HttpGateway(LoopbackHttp(), move.folder).stats()
    assert gateway.ask(V2).status == 200
