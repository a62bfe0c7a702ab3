"""The example program with everything that `verify` collects, collected once from real processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from cutover.core.entry import Scope
from cutover.core.key import Party
from cutover.core.outcome import DecisionOutcome
from cutover.demo.world import Twist
from cutover.service.approve import approve
from cutover.service.collect.scratch import Scratch
from cutover.service.decide import decide
from cutover.service.rehearse import rehearse
from cutover.service.release import run_release
from cutover.service.seed import fill
from cutover.service.verify import COLLECTORS, verify

from packages.cutover.tests.example_program import ExampleProgram


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> ExampleProgram:
    """The example, handed off and prepared; nothing is collected yet."""
    program = ExampleProgram(tmp_path_factory.mktemp("example"), Twist())
    program.index_knowledge()
    return program


@pytest.fixture(scope="session")
def verified(example: ExampleProgram) -> ExampleProgram:
    """The example with all that `verify` collects; all three collect at once, as in a real program."""
    with ThreadPoolExecutor(len(COLLECTORS)) as pool:
        for collected in [pool.submit(verify, example.station(who), who) for who in COLLECTORS]:
            collected.result()
    return example


@pytest.fixture(scope="session")
def rehearsed(verified: ExampleProgram) -> ExampleProgram:
    """The verified example, decided and rehearsed on both live releases."""
    executor, program = verified.station("executor"), verified.workspace.program
    _, decision = decide(executor, Scope.REHEARSAL)
    assert decision.outcome is DecisionOutcome.GO, decision.reasons
    for party in Party:
        approve(verified.station(party), party, Scope.REHEARSAL)
    with ExitStack() as stack:
        for target in (program.baseline, program.target):
            running, _ = stack.enter_context(
                run_release(
                    verified.folder,
                    program,
                    origin=executor.producer_origin,
                    launcher=executor.launcher,
                    python=executor.python,
                    release_tag=target.release_tag,
                )
            )
            if target is program.baseline:
                headers = {"Service-Contract-Version": target.service_contract_version}
                fill(executor.http, running.url, executor.material.seed, headers=headers)
        rehearse(executor)
    return verified


@pytest.fixture
def scratch(example: ExampleProgram, request: pytest.FixtureRequest) -> Iterator[Scratch]:
    """Processes and databases of one test."""
    with Scratch(example.station("executor"), request.node.name) as scratch:
        yield scratch
