"""A party's own eyes: what was seen answering, in order, until the drill has ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cutover.core.entry import Observed, Operation, Restored
from cutover.core.key import Party
from cutover.errors import ReleaseUnreachable
from cutover.service.probe import Look, look_as_consumer, look_as_producer, probe

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import make_signer
from packages.cutover.tests.service.fakes import V2, V3, FakeWorld

GATEWAY = "http://127.0.0.1:9"
HEALTH = f"{GATEWAY}/v1/health"


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="approve-rehearsal")


def end_drill(world: FakeWorld, operation: Operation = Operation.DRILL) -> None:
    now = world.clock.now()
    world.add(
        Restored(
            operation=operation,
            attempt=1,
            t_observed=now,
            t_decided=now,
            t_routed=now,
            t_first_baseline_reply=now,
            requests_at_risk=0,
            counts={},
        )
    )


def look_at(world: FakeWorld, tags: list[str | None]) -> Look:
    """Return a look that sees these in turn; before the last one the drill ends."""
    left: Iterator[str | None] = iter(tags)
    at = 0

    def look() -> str | None:
        nonlocal at
        at += 1
        if at == len(tags) - 1:
            end_drill(world)
        return next(left)

    return look


def run(world: FakeWorld, look: Look, *, timeout_s: float = 60.0) -> Observed:
    entry = probe(
        Party.CONSUMER,
        look,
        log=world.log,
        clock=world.clock,
        signer=make_signer("consumer"),
        timeout_s=timeout_s,
        narrate=world.narrated.append,
    )
    assert isinstance(entry.body, Observed)
    assert entry.signer.party is Party.CONSUMER
    return entry.body


def test_what_was_seen_is_written_without_repeats_and_without_gaps(world: FakeWorld) -> None:
    a, b = good.BASELINE_TAG, good.TARGET_TAG
    seen = run(world, look_at(world, [a, a, None, a, b, b, None, a, a]))
    assert (seen.subject, seen.facts) == ("probe/consumer", {"saw": f"{a},{b},{a}"})


def test_it_looks_once_more_after_the_drill_ended(world: FakeWorld) -> None:
    seen = run(world, look_at(world, [good.TARGET_TAG, good.TARGET_TAG, good.BASELINE_TAG]))
    assert seen.facts["saw"].endswith(good.BASELINE_TAG)


def test_a_drill_from_before_does_not_end_it_and_an_abort_neither(world: FakeWorld) -> None:
    end_drill(world)

    def look() -> str | None:
        end_drill(world, Operation.ABORT)
        return good.BASELINE_TAG

    with pytest.raises(ReleaseUnreachable, match="no drill ended within 1 s"):
        run(world, look, timeout_s=1.0)


def test_nothing_seen_is_written_as_nothing(world: FakeWorld) -> None:
    assert run(world, look_at(world, [None, None, None])).facts == {"saw": ""}


def health(contract: str) -> bytes:
    return f'{{"service_contract_version": "{contract}"}}'.encode()


def test_the_producer_sees_the_newest_contract_that_is_answered(world: FakeWorld) -> None:
    look = look_as_producer(world.http, GATEWAY, world.program)
    assert look() is None
    world.http.put(f"{HEALTH}#{V2}", body=health(V2))
    world.http.put(f"{HEALTH}#{V3}", status=503, body=b"{}")
    assert look() == good.BASELINE_TAG
    world.http.put(f"{HEALTH}#{V3}", body=health(V3))
    assert look() == good.TARGET_TAG


@pytest.mark.parametrize("body", [b"", b"{", health("service.v9"), b'{"service_contract_version": 3}'])
def test_the_producer_believes_no_strange_answer(world: FakeWorld, body: bytes) -> None:
    world.http.put(HEALTH, body=body)
    assert look_as_producer(world.http, GATEWAY, world.program)() is None


def test_the_consumer_sees_its_pin(world: FakeWorld) -> None:
    look = look_as_consumer(world.consumer)
    assert look() == good.BASELINE_TAG
    world.move_live(good.DRILL_FORWARD)
    assert look() == good.TARGET_TAG
    world.consumer.dead = True
    assert look() is None
