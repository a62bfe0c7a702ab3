"""Group commit on a server that goes away, and on one whose client does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from memorykernel import open_kernel
from memorykernel.adapters.postgres_group import PostgresGroup
from memorykernel.core.request import AddConstraint, Ask, read_request
from memorykernel.core.ticket import Ticket
from memorykernel.errors import QueryFailed, WriteFailed
from memorykernel.wiring import Durability, Kernel

from packages.memorykernel.tests.postgres_cluster import Server


@pytest.fixture
def store_kind() -> str:
    return "postgresql"


@pytest.fixture
def grouped(world: Any, kit: Any) -> Iterator[Kernel]:
    kernel = open_kernel(world.location, kit.release(), clock=kit.clock(), durability=Durability.FULL)
    kernel.schema_care.migrate(dry_run=False)
    yield kernel
    kernel.file.close()


def ask(kernel: Kernel, kit: Any, number: int = 0) -> Ticket[bytes]:
    return kernel.asking.begin_ask(read_request(kit.ask(text=f"question {number}?"), Ask, strict=True))


def add(kernel: Kernel, kit: Any) -> Any:
    request = read_request(kit.constraint(), AddConstraint, strict=True)
    assert kernel.writes is not None
    return kernel.writes.begin_write(lambda: kernel.remembering.add_record(request))


def rows(world: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = world.stranger.run(
        "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM answers)"
    )
    return found


def test_a_restart_between_two_groups_goes_unnoticed(
    grouped: Kernel, kit: Any, world: Any, postgres: Server
) -> None:
    add(grouped, kit).wait()
    ask(grouped, kit).wait()
    postgres.restart("immediate")
    ask(grouped, kit, 1).wait()
    postgres.restart()
    add(grouped, kit).wait()
    assert rows(world) == [(2, 2)]


def test_a_server_that_does_not_wait_for_its_disk_is_made_to(world: Any, kit: Any) -> None:
    hasty = f"{world.location}%20-csynchronous_commit%3Doff"
    kernel = open_kernel(hasty, kit.release(), clock=kit.clock(), durability=Durability.FULL)
    kernel.schema_care.migrate(dry_run=False)
    file = kernel.file
    assert isinstance(file, PostgresGroup)
    shown: list[tuple[Any, ...]] = []

    def write() -> None:
        with file.writing("SELECT 1") as writing:
            shown.extend(writing.read("SHOW synchronous_commit"))

    write()
    file.begin_write(write).wait()
    assert shown == [("on",), ("on",)]
    with file.writing("SELECT 1", durable=False) as writing:
        assert writing.read("SHOW synchronous_commit") == [("off",)]
    file.close()


def test_a_group_that_is_cut_off_keeps_nothing_and_says_so(
    grouped: Kernel, kit: Any, world: Any, postgres: Server
) -> None:
    assert grouped.writes is not None
    ask(grouped, kit).wait()

    def cut_off() -> None:
        grouped.remembering.memory.write(lambda write: write.find_request("x"), now_us=0)
        postgres.terminate_backends()
        grouped.remembering.memory.write(lambda write: write.find_request("x"), now_us=0)

    with pytest.raises(WriteFailed, match="repeat"):
        grouped.writes.begin_write(cut_off).wait()
    ask(grouped, kit, 1).wait()
    assert rows(world) == [(0, 2)]
    assert grouped.check_integrity().ok


def test_who_shares_a_group_that_is_cut_off_hears_of_it(
    grouped: Kernel, kit: Any, world: Any, postgres: Server
) -> None:
    assert grouped.writes is not None
    waiting: list[Any] = []

    def cut_off() -> None:
        postgres.terminate_backends()
        grouped.remembering.memory.write(lambda write: write.find_request("x"), now_us=0)

    kept = open_kernel(world.location, kit.release(), clock=kit.clock())
    ask(kept, kit).wait()
    stored = kept.asking.answers.list_policy_answers(after=0, limit=1)[0]
    assert stored.asked is not None
    assert grouped.asking.keeper is not None

    def gather() -> None:
        waiting.append(add(grouped, kit))
        waiting.append(grouped.writes.begin_write(cut_off))  # type: ignore[union-attr]  # it has
        waiting.append(grouped.asking.keeper.begin_answer("cpkg_7", b"{}", stored.asked))  # type: ignore[union-attr, arg-type]  # it has

    grouped.writes.begin_write(gather).wait()
    for ticket, error in zip(waiting, (WriteFailed, WriteFailed, QueryFailed), strict=True):
        with pytest.raises(error, match=r"not kept|could not be kept|nothing was kept"):
            ticket.wait()
    kept.file.close()
    assert rows(world) == [(0, 1)]


def test_a_group_in_which_a_statement_failed_is_not_taken_for_kept(grouped: Kernel, kit: Any) -> None:
    assert isinstance(grouped.file, PostgresGroup)
    assert grouped.writes is not None

    def spoil() -> None:
        grouped.remembering.memory.write(lambda write: write.find_request("x"), now_us=0)
        with pytest.raises(psycopg.Error):
            grouped.file.query("SELECT 1 / 0")  # type: ignore[union-attr]  # a group

    with pytest.raises(WriteFailed, match="not kept"):
        grouped.writes.begin_write(spoil).wait()
    ask(grouped, kit).wait()


_KILLED = """
import os, signal, sys
from memorykernel import Release, open_kernel
from memorykernel.core.request import AddConstraint, read_request
from memorykernel.wiring import Durability

kernel = open_kernel(sys.argv[1], Release(service_contract="service.v3", ruleset="ordering.v2",
    recall_ruleset="recall-ordering.v2", schema_version=4), durability=Durability.FULL)
request = read_request(eval(sys.argv[2]), AddConstraint, strict=True)

def write_and_die():
    kernel.remembering.add_record(request)
    print("written", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

kernel.writes.begin_write(write_and_die).wait()
print("acknowledged", flush=True)
"""


def test_a_process_that_dies_between_a_batch_and_its_commit_leaves_nothing_of_it(
    grouped: Kernel, kit: Any, world: Any
) -> None:
    command = [sys.executable, "-c", _KILLED, world.location, repr(kit.constraint())]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"written\n"), done.stderr
    add(grouped, kit).wait()
    ask(grouped, kit).wait()
    assert rows(world) == [(1, 1)]
    assert grouped.check_integrity().ok
