"""Recall by meaning through the library, a server, the command and another kind of store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from memorykernel import Kernel
from memorykernel.adapters.minilm_encoder import MINILM
from memorykernel.client import Client
from memorykernel.errors import InvalidRequest, MistypedField, ModeUnavailable
from memorykernel.surface import Surface

SAID: dict[str, Any] = {
    "writer": "policy-team",
    "justification": "approved",
    "source_uri": "file:///policies.md",
    "authority": "authoritative",
}
QUESTION = "Can I plug a flash drive into my work computer?"


@pytest.fixture(params=["library", "client"])
def surface(request: pytest.FixtureRequest, tmp_path: Path, kit: Any) -> Iterator[Surface]:
    path = tmp_path / "memory.db"
    if request.param == "library":
        with Kernel.open(path, create=True) as kernel:
            yield kernel
        return
    with kit.serve(path, "--service-contract", "service.v4") as server, Client(server.url) as client:
        yield client


def test_meaning_finds_what_no_word_does_and_the_default_stays_lexical(surface: Surface) -> None:
    surface.add_decision("The cafeteria closes at five", **SAID)
    media = surface.add_decision("Removable media is forbidden on laptops", **SAID)
    by_words = surface.recall(QUESTION)
    assert by_words.determinism.ruleset_version == "recall-ordering.v3"
    assert by_words.selected_items == ()
    by_meaning = surface.recall(QUESTION, mode="semantic")
    assert [each.memory_version_id for each in by_meaning.selected_items] == [media.memory_version_id]
    assert by_meaning.determinism.ruleset_version == "recall-semantic.v1"
    assert isinstance(by_meaning.determinism.meaning, msgspec.Struct)
    assert by_meaning.determinism.meaning.weights_sha256 == MINILM.weights_sha256
    assert surface.find(by_meaning.context_package_id) == by_meaning
    assert surface.replay(by_meaning.context_package_id).identical


def test_a_mode_that_nobody_knows_is_refused(surface: Surface) -> None:
    with pytest.raises(MistypedField, match=r"'mode' has an unknown value: expected one of lexical, "):
        surface.recall("usb", mode="telepathic")


def test_a_store_without_vectors_refuses_the_mode(postgres: Any) -> None:
    with Kernel.open(postgres.make_schema(), create=True) as kernel:
        with pytest.raises(ModeUnavailable, match="expected an SQLite file for mode 'semantic'"):
            kernel.recall("usb", mode="semantic")
        with pytest.raises(ModeUnavailable, match="keeps no vectors"):
            kernel.embed()


def test_a_server_that_must_embed_first_says_so_in_a_valid_envelope(tmp_path: Path, kit: Any) -> None:
    path = tmp_path / "memory.db"
    with Kernel.open(path, create=True) as kernel:
        for number in range(65):
            kernel.add_event(f"usb drive {number}", **SAID)
    with kit.serve(path, "--service-contract", "service.v4") as server:
        body = {"text": "usb", "record_types": [], "mode": "semantic"}
        reply = server.call("POST", "/v1/query/recall", body)
        assert reply.status == 400
        assert reply.json()["error"]["code"] == "validation_error"
        assert "mk db embed" in reply.json()["error"]["message"]
        with Client(server.url) as client, pytest.raises(InvalidRequest, match="mk db embed"):
            client.recall("usb", mode="semantic")


def test_the_commands_embed_recall_replay_and_verify(tmp_path: Path, run_mk: Any) -> None:
    path = tmp_path / "memory.db"
    with Kernel.open(path, create=True) as kernel:
        kernel.add_decision("Removable media is forbidden on laptops", **SAID)
    made = run_mk("db", "embed", "--db", str(path))
    assert json.loads(made.stdout)["encoded"] == 1
    assert "embedding: 1 of 1" in made.stderr
    asked = run_mk("query", "recall", "--text", QUESTION, "--mode", "semantic", "--db", str(path))
    package = json.loads(asked.stdout)
    assert len(package["selected_items"]) == 1
    assert run_mk("replay", package["context_package_id"], "--db", str(path)).returncode == 0
    verified = json.loads(run_mk("verify", "--db", str(path)).stdout)
    assert (verified["ok"], verified["replayed"], verified["not_replayable"]) == (True, 1, 0)


def test_an_older_contract_has_no_modes(tmp_path: Path, run_mk: Any) -> None:
    arguments = ("--text", "usb", "--mode", "semantic", "--service-contract", "service.v3")
    refused = run_mk("query", "recall", *arguments, "--db", str(tmp_path / "memory.db"))
    assert refused.returncode == 2
    assert "service.v3 knows no --as-known-at, no --cursor, no --mode" in refused.stderr
