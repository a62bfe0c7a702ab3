"""Fixtures of the package's tests.

`fault_server` starts a misbehaving producer by the name of its fault and returns its URL; a test that takes
`fault_name` runs once per fault of the catalogue.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from assistsupport.adapters.producer_client import ProducerClient
from assistsupport.adapters.producer_pilot import LaneSettings
from assistsupport.core.breaker import BreakerSettings

from packages.assistsupport.tests.fault_catalogue import CATALOGUE, FAULTS
from packages.assistsupport.tests.fault_server import ASK, FaultServer
from packages.assistsupport.tests.policy_world import FixedClock, MemoryGovernance, make_governance


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a fault's name once per fault."""
    everywhere = [name for name, fault in CATALOGUE.items() if fault.everywhere]
    for argument, names in (
        ("fault_name", list(FAULTS)),
        ("policy_fault", list(FAULTS)),
        ("preflight_fault", everywhere),
    ):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, names)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Close what the test opened, newest first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def serve_fault(closing: ExitStack) -> Callable[..., FaultServer]:
    """Start a producer with the fault of a name, None for a healthy one."""

    def serve(
        name: str | None, *, contract: str = "service.v3", routes: tuple[str, ...] = (ASK,)
    ) -> FaultServer:
        fault = CATALOGUE[name] if name else None
        server = fault.serve(contract=contract, routes=routes) if fault else FaultServer(contract=contract)
        closing.callback(server.close)
        return server

    return serve


@pytest.fixture
def fault_server(serve_fault: Callable[..., FaultServer]) -> Callable[[str], str]:
    """Start a producer with the fault of a name and return its URL."""

    def serve(name: str) -> str:
        return serve_fault(name).url

    return serve


@pytest.fixture
def faults() -> Mapping[str, str]:
    """The catalogue: name of a fault, and the reason of the first question that meets it."""
    return FAULTS


@pytest.fixture
def start_lane(closing: ExitStack) -> Callable[..., ProducerClient]:
    """Start a policy lane whose pin names a URL, quick to look and with a breaker out of the way."""

    def start(
        url: str,
        contract: str = "service.v3",
        *,
        source: MemoryGovernance | None = None,
        timeout_ms: int = 2500,
        settings: LaneSettings | None = None,
    ) -> ProducerClient:
        patient = LaneSettings(breaker=BreakerSettings(threshold=1000))
        lane = ProducerClient(
            source or MemoryGovernance(make_governance(url, contract, timeout_ms=timeout_ms)),
            FixedClock(),
            settings=settings or patient,
        )
        closing.callback(lane.close)
        lane.start()
        return lane

    return start
