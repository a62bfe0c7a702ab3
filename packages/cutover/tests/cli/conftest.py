"""Stages of a small program, each reached by the commands that lead there."""

from __future__ import annotations

from pathlib import Path

import pytest

from packages.cutover.tests.cli.world import World


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    """A program that nobody has opened yet."""
    return World(tmp_path, lambda: tuple(capsys.readouterr()))  # type: ignore[arg-type,return-value]  # a pair


@pytest.fixture
def opened(world: World) -> World:
    """A program that both parties opened."""
    world.open()
    return world


@pytest.fixture
def handed_off(world: World) -> World:
    """A program with a hand-off."""
    world.hand_off()
    return world


@pytest.fixture
def prepared(handed_off: World) -> World:
    """A program with a prepared repin."""
    handed_off.did("prepare", keys="consumer")
    return handed_off
