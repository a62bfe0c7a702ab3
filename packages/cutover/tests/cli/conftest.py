"""Stages of a small program, each reached once by the commands that lead there and copied for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from packages.cutover.tests.cli.world import World


@pytest.fixture(scope="session")
def unopened_stage(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Repositories, material and program file."""
    return World(tmp_path_factory.mktemp("unopened"))


@pytest.fixture(scope="session")
def opened_stage(unopened_stage: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Opened by both parties."""
    world = unopened_stage.copy_to(tmp_path_factory.mktemp("opened"))
    world.open()
    return world


@pytest.fixture(scope="session")
def handed_off_stage(opened_stage: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """With a hand-off."""
    world = opened_stage.copy_to(tmp_path_factory.mktemp("handed-off"))
    world.did("handoff", keys="producer")
    return world


@pytest.fixture(scope="session")
def prepared_stage(handed_off_stage: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """With a prepared repin."""
    world = handed_off_stage.copy_to(tmp_path_factory.mktemp("prepared"))
    world.did("prepare", keys="consumer")
    return world


@pytest.fixture
def world(unopened_stage: World, tmp_path: Path) -> World:
    """A program that nobody has opened yet."""
    return unopened_stage.copy_to(tmp_path)


@pytest.fixture
def opened(opened_stage: World, tmp_path: Path) -> World:
    """A program that both parties opened."""
    return opened_stage.copy_to(tmp_path)


@pytest.fixture
def handed_off(handed_off_stage: World, tmp_path: Path) -> World:
    """A program with a hand-off."""
    return handed_off_stage.copy_to(tmp_path)


@pytest.fixture
def prepared(prepared_stage: World, tmp_path: Path) -> World:
    """A program with a prepared repin."""
    return prepared_stage.copy_to(tmp_path)
