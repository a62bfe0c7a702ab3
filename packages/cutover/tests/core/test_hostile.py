"""Any document of the right shape gets a verdict: gates are total, whatever a collector wrote."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

import msgspec
import pytest
from cutover.core import evidence as seen
from cutover.core.evidence import Evidence
from cutover.core.gate.table import EXECUTION_GATES
from cutover.core.outcome import Outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.cutover.tests import good_evidence as good

KINDS: Mapping[str, type[Evidence]] = {
    **{name: type(document) for name, document in good.make_evidence().items()},
    "handoff": seen.Handoff,
    "roles": seen.Roles,
    "window": seen.WindowFacts,
    "checkpoints": seen.Checkpoints,
}
text = st.sampled_from(["", "0", "a", "producer", "consumer", "allow", "fallback", "service.v2", "é/…"])
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone


def strategy_for(hint: object) -> st.SearchStrategy[object]:
    """Return anything that the wire format admits for a field of this type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return documents(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(strategy_for, arguments))
    if origin is tuple:
        return st.lists(strategy_for(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(strategy_for(arguments[0]), strategy_for(arguments[1]), max_size=3)
    plain: Mapping[object, st.SearchStrategy[object]] = {
        str: text,
        bool: st.booleans(),
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        datetime: instants,
        type(None): st.none(),
    }
    return plain[hint]


@cache  # hypothesis checks a strategy when it is first drawn from, which takes longer than drawing
def documents(kind: type[msgspec.Struct]) -> st.SearchStrategy[object]:
    """Return any record of a kind."""
    hints = typing.get_type_hints(kind)
    fields = {name: strategy_for(hints[name]) for name in kind.__struct_fields__}
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


@pytest.mark.parametrize("gate", EXECUTION_GATES, ids=lambda gate: str(gate.name))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_document_gets_a_verdict(gate: typing.Any, data: st.DataObject) -> None:
    evidence = data.draw(documents(KINDS[gate.name]))
    verdict = gate.check(evidence)
    assert verdict.outcome in Outcome
    assert "\n" not in verdict.reason
    if verdict.outcome in (Outcome.PASSED, Outcome.WARNED):
        gate.twins(evidence)


@pytest.mark.parametrize("gate", EXECUTION_GATES, ids=lambda gate: str(gate.name))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_one_wild_fact_in_valid_evidence_gets_a_verdict_too(gate: typing.Any, data: st.DataObject) -> None:
    document = good.make_evidence().get(gate.name)
    if document is None:
        document = typing.cast("Evidence", data.draw(documents(KINDS[gate.name])))
    name = data.draw(st.sampled_from(sorted(document.__struct_fields__)))
    wild = data.draw(strategy_for(typing.get_type_hints(type(document))[name]))
    changed = msgspec.structs.replace(document, **{name: wild})
    verdict = gate.check(changed)
    if verdict.outcome in (Outcome.PASSED, Outcome.WARNED):
        for twin in gate.twins(changed):
            assert gate.check(twin.evidence).outcome is Outcome.FAILED


def test_packets_for_a_target_without_facts_fail() -> None:
    packets = tuple(
        seen.PacketFacts(
            party=party,
            release_tag="",
            commit_sha="",
            service_contract_version="",
            log_head="",
            log_size=0,
            head_is_ours=True,
        )
        for party in ("producer", "consumer")
    )
    gate = next(gate for gate in EXECUTION_GATES if gate.name == "checkpoints")
    verdict = gate.check(seen.Checkpoints(packets=packets, target={}, entries_after_head=()))
    assert verdict.outcome is Outcome.FAILED
    assert "release tag is , expected None" in verdict.reason
