"""The probes of the envelope gate: complete over both published contracts, and each what its name says."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from contracts.core.openapi import parse_openapi
from contracts.documents import load_openapi
from cutover.core.probe_set import (
    ADDED_PROBES,
    MAX_BODY_BYTES,
    PROBES,
    READ_BACK_QUESTION,
    READ_BACK_WRITE,
    Probe,
    select_probes,
)

REFERENCE = re.compile(r"\{\{id:([^{}\"]+)\}\}")
EVERY = (*PROBES, *ADDED_PROBES)
WRITING = {probe.route for probe in EVERY if probe.method == "POST" and "/db/" not in probe.path}


def list_routes(version: str) -> set[str]:
    paths: Any = parse_openapi(load_openapi(version))["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item}


@pytest.mark.parametrize("version", ["service.v2", "service.v3", "service.v4"])
def test_every_route_is_met_by_a_valid_request(version: str) -> None:
    routes = list_routes(version)
    assert routes == {probe.route for probe in select_probes(routes) if probe.is_valid}


def test_a_release_is_not_asked_for_routes_that_came_later() -> None:
    assert select_probes(list_routes("service.v3")) == PROBES


@pytest.mark.parametrize("route", sorted(WRITING))
def test_every_route_that_takes_a_body_is_met_by_every_kind_of_bad_one(route: str) -> None:
    kinds = {probe.name.split("/")[1].split("-")[0] for probe in EVERY if probe.route == route}
    assert kinds >= {"malformed", "not", "too", "missing", "mistyped", "blank"}


def test_names_are_unique() -> None:
    names = [probe.name for probe in EVERY]
    assert len(set(names)) == len(names)


def test_an_id_is_kept_before_it_is_used() -> None:
    kept: set[str] = set()
    for probe in EVERY:
        used = REFERENCE.findall(probe.path) + REFERENCE.findall((probe.body or b"").decode(errors="replace"))
        assert set(used) <= kept, probe.name
        kept |= {probe.keeps} if probe.keeps else set()


def parse(probe: Probe) -> dict[str, object]:
    found = msgspec.json.decode(probe.body or b"{}")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("probe", [p for p in EVERY if "/missing-" in p.name], ids=lambda p: p.name)
def test_a_probe_without_a_field_lacks_exactly_that_one(probe: Probe) -> None:
    group, _, field = probe.name.partition("/missing-")
    good = next(parse(p) for p in EVERY if p.name == f"{group}/ok")
    assert set(good) - set(parse(probe)) == {field}


def test_bad_bodies_are_what_their_names_say() -> None:
    for probe in EVERY:
        if probe.name.endswith("/too-large"):
            assert len(probe.body or b"") > MAX_BODY_BYTES
        if probe.name.endswith("/malformed"):
            with pytest.raises(msgspec.DecodeError):
                parse(probe)
        if probe.name.endswith("/not-json"):
            assert probe.content_type == "text/plain"


def test_what_is_written_to_be_read_back_is_what_the_question_asks_for() -> None:
    body = msgspec.json.decode(READ_BACK_WRITE.body)
    question = READ_BACK_QUESTION
    assert (body["actor"], body["action"], body["resource"]) == (
        question.actor,
        question.action,
        question.resource,
    )
