"""Group commit: one transaction for many, each on its own terms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from memorykernel import MemoryKernelError, open_kernel
from memorykernel.adapters.group_commit import CommitThread
from memorykernel.core.request import AddConstraint, Ask, read_request
from memorykernel.errors import Stopped
from memorykernel.service.attempt import Attempt
from memorykernel.wiring import Durability, Kernel


@pytest.fixture
def grouped(world: Any, kit: Any) -> Iterator[Kernel]:
    kernel = open_kernel(world.location, kit.release(), clock=kit.clock(), durability=Durability.FULL)
    kernel.schema_care.migrate(dry_run=False)
    yield kernel
    kernel.file.close()


@pytest.fixture
def held(grouped: Kernel) -> Iterator[Callable[[], None]]:
    """Keeps the writing thread busy, so that all that follows is one group; call it to let go."""
    entered, let_go = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        let_go.wait(30)

    assert grouped.writes is not None
    ticket = grouped.writes.begin_write(wait)
    assert entered.wait(30)
    yield let_go.set
    let_go.set()
    ticket.wait()


def ask(kit: Any, number: int) -> Ask:
    return read_request(kit.ask(text=f"question {number}?"), Ask, strict=True)


def keep(kernel: Kernel) -> Callable[..., Any]:
    assert kernel.asking.keeper is not None
    return kernel.asking.keeper.begin_answer


def write(kernel: Kernel, body: dict[str, Any]) -> Any:
    request = read_request(body, AddConstraint, strict=True)
    assert kernel.writes is not None
    return kernel.writes.begin_write(lambda: kernel.remembering.add_record(request))


@pytest.fixture
def count(world: Any) -> Callable[[str], int]:
    """How many rows of a table anybody can see."""

    def look(table: str) -> int:
        return int(world.stranger.run(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608

    return look


def error_of(act: Callable[[], object]) -> MemoryKernelError | None:
    try:
        act()
    except MemoryKernelError as error:
        return error
    return None


class _Nothing:
    """A connection on which a group writes nothing."""

    is_lost = False

    def group(self, *, durable: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def insert(self, claim: Callable[[], Any]) -> None:
        claim()

    def guard(self, attempt: Attempt | None) -> None:
        pass

    def explain(self, error: Exception) -> None:
        pass

    def close(self) -> None:
        pass


def test_no_thread_is_taken_for_one_that_ended() -> None:
    committing = CommitThread(_Nothing(), durable=True, max_group=1)
    assert committing.begin_write(lambda: committing.is_current, None).wait()
    committing.close()
    # Numbers of threads are given out again, as a rule at once.
    for _ in range(20):
        seen: list[bool] = []
        other = threading.Thread(target=lambda seen=seen: seen.append(committing.is_current))
        other.start()
        other.join()
        assert seen == [False]


def test_an_answer_is_the_same_and_found_when_its_ticket_is_done(
    grouped: Kernel, kit: Any, count: Callable[[str], int], world: Any
) -> None:
    plain = open_kernel(world.location, kit.release(), clock=kit.clock())

    package = grouped.asking.begin_ask(ask(kit, 1)).wait()

    assert package == plain.asking.ask(ask(kit, 1))
    assert count("answers") == 1
    plain.file.close()


def test_all_that_waits_is_one_transaction(
    grouped: Kernel, kit: Any, held: Callable[[], None], count: Callable[[str], int]
) -> None:
    tickets = [grouped.asking.begin_ask(ask(kit, number)) for number in range(40)]
    tickets.append(write(grouped, kit.constraint()))
    assert not any(ticket.is_done for ticket in tickets)
    begun = count("answers")

    held()
    for ticket in tickets:
        ticket.wait()

    assert (begun, count("answers"), count("records")) == (0, 40, 1)
    assert grouped.check_integrity().ok


def test_evidence_is_read_while_a_commit_is_under_way(
    grouped: Kernel, kit: Any, held: Callable[[], None]
) -> None:
    question = grouped.asking.begin_ask(ask(kit, 1))

    assert not question.is_done
    assert grouped.schema_care.load_status().current_version == 4
    held()
    question.wait()


def test_a_refused_write_spoils_no_other(
    grouped: Kernel, kit: Any, held: Callable[[], None], count: Callable[[str], int]
) -> None:
    first = write(grouped, kit.constraint(memory_id="01J00000000000000000000001"))
    again = write(grouped, kit.constraint(memory_id="01J00000000000000000000001"))
    other = write(grouped, kit.constraint(memory_id="01J00000000000000000000002"))
    answer = grouped.asking.begin_ask(ask(kit, 1))
    held()

    refusal = error_of(again.wait)

    assert refusal is not None
    assert refusal.code == "write_conflict"
    first.wait(), other.wait(), answer.wait()  # none of them raises
    assert (count("records"), count("answers")) == (2, 1)
    assert grouped.check_integrity().ok


def test_a_write_that_crashes_fails_alone(
    grouped: Kernel, kit: Any, held: Callable[[], None], count: Callable[[str], int]
) -> None:
    assert grouped.writes is not None
    crashed = grouped.writes.begin_write(lambda: 1 // 0)
    answer = grouped.asking.begin_ask(ask(kit, 1))
    held()

    with pytest.raises(ZeroDivisionError):
        crashed.wait()
    answer.wait()
    assert count("answers") == 1


def test_a_stopped_answer_or_write_is_not_kept(
    grouped: Kernel, kit: Any, held: Callable[[], None], count: Callable[[str], int]
) -> None:
    attempts = [Attempt(), Attempt(), Attempt()]
    tickets = []
    for number, attempt in enumerate(attempts[:2]):
        grouped.file.guard(attempt)
        tickets.append(grouped.asking.begin_ask(ask(kit, number)))
    grouped.file.guard(attempts[2])
    tickets.append(write(grouped, kit.constraint()))
    grouped.file.guard(None)

    assert (attempts[0].stop(), attempts[2].stop()) == (True, True)
    held()
    tickets[1].wait()

    for ticket in (tickets[0], tickets[2]):
        with pytest.raises(Stopped):
            ticket.wait()
    assert not attempts[1].stop()
    assert (count("answers"), count("records")) == (1, 0)


def test_the_same_answer_is_kept_once_and_a_different_one_beside_it(
    grouped: Kernel, kit: Any, held: Callable[[], None], count: Callable[[str], int]
) -> None:
    asked = _asked(grouped, kit)
    for package in (b"one", b"one", b"two", b"one"):
        ticket = keep(grouped)("cpkg_same", package, asked)
    held()
    ticket.wait()

    assert count("answers") == 3
    assert grouped.check_integrity().ok


def test_groups_of_any_size_make_one_chain(grouped: Kernel, kit: Any, count: Callable[[str], int]) -> None:
    asked = _asked(grouped, kit)
    for size in (1, 2, 3, 63, 64, 65, 127, 255):
        tickets = [keep(grouped)(f"cpkg_{size}_{n}", b"x" * n, asked) for n in range(size)]
        for ticket in tickets:
            ticket.wait()

    assert count("answers") == 580
    assert grouped.check_integrity().ok


def test_closing_writes_what_waits_and_opens_again(
    grouped: Kernel, kit: Any, count: Callable[[str], int]
) -> None:
    tickets = [grouped.asking.begin_ask(ask(kit, number)) for number in range(20)]
    grouped.file.close()

    assert all(ticket.is_done for ticket in tickets)
    grouped.asking.ask(ask(kit, 99))
    assert count("answers") == 21


def _asked(kernel: Kernel, kit: Any) -> Any:
    from memorykernel.core.admission import admit_ask
    from memorykernel.core.stored_question import StoredQuestion

    question = admit_ask(ask(kit, 1), kit.now_us)
    return StoredQuestion(ruleset=kernel.release.ruleset, head="00" * 32, question=question)
