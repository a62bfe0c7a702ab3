"""The jumps of the chain: where they lead, how short the ways are, and that the store makes them so."""

from __future__ import annotations

from itertools import pairwise
from math import log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorykernel.core.chain import GENESIS_MEMORY, JumpHeads, find_jump, find_path, next_timed_head


def test_the_first_jumps_are_those_of_the_paper() -> None:
    assert [find_jump(number) for number in range(1, 11)] == [0, 1, 0, 3, 4, 3, 0, 7, 8, 7]


@given(st.integers(1, 2**40), st.data())
def test_a_way_is_short_and_each_step_is_one_that_a_head_binds(newest: int, data: st.DataObject) -> None:
    oldest = data.draw(st.integers(0, newest))
    path = find_path(newest, oldest)
    assert (path[0], path[-1]) == (newest, oldest)
    assert all(after in (before - 1, find_jump(before)) for before, after in pairwise(path))
    assert len(path) - 1 <= 3 * log2(newest + 1)


def test_a_walk_knows_every_head_that_is_jumped_to() -> None:
    jumps, heads = JumpHeads(b"0"), {0: b"0"}
    for number in range(1, 3000):
        assert jumps.find(number) == heads[find_jump(number)]
        heads[number] = str(number).encode()
        jumps.push(number, heads[number])


def test_a_jump_over_a_missing_entry_leads_nowhere() -> None:
    jumps = JumpHeads(b"0")
    jumps.find(1)
    jumps.push(1, b"1")
    assert jumps.find(5) == b""
    jumps.push(5, b"5")
    assert jumps.find(6) == b""


def test_a_walk_that_stumbles_does_not_jump_wrongly() -> None:
    jumps = JumpHeads(b"0")
    for number in range(1, 5):
        jumps.find(number)
        jumps.push(number, str(number).encode())
    assert jumps.find(5) == jumps.find(5) == str(find_jump(5)).encode()
    jumps.find(9)
    assert jumps.find(6) in (b"", str(find_jump(6)).encode())


@pytest.mark.parametrize("changed", ["jump_head", "entry_seq", "recorded_at_us", "subject"])
def test_a_head_binds_all_that_it_is_made_of(changed: str) -> None:
    parts: dict[str, Any] = {
        "jump_head": b"j" * 32,
        "entry_seq": 9,
        "kind": "record",
        "subject": 4,
        "digest": b"d" * 32,
        "recorded_at_us": 7,
    }
    other = parts | {changed: b"k" * 32 if changed == "jump_head" else parts[changed] + 1}
    assert next_timed_head(GENESIS_MEMORY, **parts) != next_timed_head(GENESIS_MEMORY, **other)


def test_the_store_writes_such_heads_and_a_jump_elsewhere_is_found(world: Any, kit: Any) -> None:
    kernel = world.open()
    for number in range(12):
        kit.add(kernel, kit.constraint(note=str(number)))
    assert kernel.check_integrity().ok
    with kernel.file.writing(durable=True) as connection:
        rows = connection.execute("SELECT * FROM memory_chain ORDER BY entry_seq").fetchall()
        heads = {row[0]: row[4] for row in rows}
        _, kind, subject, digest, _, recorded_at_us = rows[-1]
        parts: dict[str, Any] = {"kind": kind, "subject": subject, "digest": digest}
        parts |= {"entry_seq": 12, "recorded_at_us": recorded_at_us}
        assert next_timed_head(heads[11], jump_head=heads[find_jump(12)], **parts) == heads[12]
        connection.execute("DROP TRIGGER memory_chain_no_UPDATE")
        astray = next_timed_head(heads[11], jump_head=heads[9], **parts)
        connection.execute("UPDATE memory_chain SET head = ? WHERE entry_seq = 12", (astray,))
    (damage,) = kernel.check_integrity().damage
    assert (damage.table, damage.row) == ("memory_chain", 12)
