"""Turns: one at a time, one executor, let go of by the kernel when their holder dies."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from cutover.errors import Refused
from cutover.service.turn import be_the_executor, take_turn


def test_who_comes_second_waits_for_its_turn(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with take_turn(tmp_path):
            order.append("second")

    with take_turn(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(10.0)
    assert order == ["first", "second"]


def test_a_second_executor_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    with (
        be_the_executor(tmp_path),
        pytest.raises(Refused, match="another executor"),
        be_the_executor(tmp_path),
    ):
        raise AssertionError("both are at work")
    with be_the_executor(tmp_path):
        pass


def test_an_executor_takes_turns(tmp_path: Path) -> None:
    with be_the_executor(tmp_path), take_turn(tmp_path):
        pass


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with be_the_executor(tmp_path), take_turn(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with be_the_executor(tmp_path), take_turn(tmp_path):
        pass


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="within"), take_turn(tmp_path):
        raise ValueError("within")
    with take_turn(tmp_path):
        pass
