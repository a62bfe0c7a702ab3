"""The same program against an embedded kernel and a server: same methods, same objects, same errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from memorykernel import Kernel
from memorykernel.client import Client
from memorykernel.core.record import ConstraintContent, MembershipContent, SummaryContent
from memorykernel.core.vocabulary import Effect, Match, Relation, Result
from memorykernel.errors import (
    ContextPackageNotFound,
    DatabaseMissing,
    InvalidRequest,
    MistypedField,
    RecordNotFound,
    SchemaUnavailable,
    WriteConflict,
)
from memorykernel.surface import ConflictWarning, Surface

SAID: dict[str, Any] = {
    "writer": "policy-team",
    "justification": "approved",
    "source_uri": "file:///policies.md",
    "authority": "authoritative",
}
UNKNOWN = "01J00000000000000000000000"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["library", "client"])
def surface(request: pytest.FixtureRequest, tmp_path: Path, kit: Any) -> Iterator[Surface]:
    path = tmp_path / "memory.db"
    if request.param == "library":
        with Kernel.open(path, create=True) as kernel:
            yield kernel
        return
    with kit.serve(path, "--service-contract", "service.v4") as server, Client(server.url) as client:
        yield client


def test_a_rule_on_a_group_and_a_prefix_answers_and_is_found_again(surface: Surface) -> None:
    rule = surface.add_constraint(
        actor="staff",
        actor_match="group",
        action="connect",
        resource="network/",
        resource_match=Match.PREFIX,
        effect=Effect.ALLOW,
        note="networks are for staff",
        **SAID,
    )
    member = surface.add_membership(field="actor", group="staff", member="ana", **SAID)
    assert isinstance(rule.payload.payload, ConstraintContent)
    assert isinstance(member.payload.payload, MembershipContent)
    package = surface.ask(actor="ana", action="connect", resource="network/vpn")
    assert package.answer.result is Result.ALLOW
    assert package.answer.holds_until is None
    assert [item.memory_version_id for item in package.selected_items] == [rule.memory_version_id]
    assert surface.find(package.context_package_id) == package
    assert surface.replay(package.context_package_id).identical
    assert surface.show_record(rule.memory_version_id).record == rule
    assert surface.prove(package.context_package_id).startswith(b'{"proof_version"')


def test_two_times_are_aware_datetimes_or_text(surface: Surface) -> None:
    rule = surface.add_constraint(
        actor="ana",
        action="use",
        resource="usb",
        effect="deny",
        effective_at=START,
        expires_at=START.astimezone(timezone(timedelta(hours=2))) + timedelta(days=10),
        **SAID,
    )
    assert (rule.effective_at, rule.expires_at) == ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z")
    asked = {"actor": "ana", "action": "use", "resource": "usb"}
    within = surface.ask(**asked, as_of=START + timedelta(days=1))
    assert (within.answer.result, within.answer.holds_until) == (Result.DENY, "2026-01-11T00:00:00Z")
    assert surface.ask(**asked, as_of="2026-01-11T00:00:00Z").answer.result is Result.INCONCLUSIVE
    before = surface.ask(**asked, as_of=START, as_known_at="2025-01-01T00:00:00Z")
    assert before.answer.result is Result.INCONCLUSIVE
    known = surface.ask(**asked, as_of=START, as_known_at=within.determinism.snapshot_id)
    assert known.answer.result is Result.DENY
    with pytest.raises(MistypedField, match="'as_of' has no time zone"):
        surface.ask(**asked, as_of=datetime(2026, 1, 1))  # noqa: DTZ001  # what is refused here


def test_every_kind_of_summary_is_recalled(surface: Surface) -> None:
    for add in (surface.add_decision, surface.add_preference, surface.add_event, surface.add_outcome):
        record = add("USB drives were banned", **SAID)
        assert isinstance(record.payload.payload, SummaryContent)
    found = surface.recall("drives")
    assert {item.record_type.value for item in found.selected_items} == {
        "decision",
        "preference",
        "event",
        "outcome",
    }
    assert len(surface.recall("drives", record_types=["event"]).selected_items) == 1


def test_a_version_supersedes_and_the_lineage_tells(surface: Surface) -> None:
    asked: Any = {"actor": "ana", "action": "use", "resource": "usb"}
    first = surface.add_constraint(**asked, effect="deny", **SAID)
    second = surface.add_constraint(
        **asked,
        effect="allow",
        memory_id=first.memory_id,
        version=2,
        supersedes=[first.memory_version_id],
        **SAID,
    )
    story = surface.show_lineage(first.memory_id)
    assert [each.record.version for each in story.versions] == [1, 2]
    assert story.versions[0].superseded_by == (second.memory_version_id,)
    package = surface.ask(**asked)
    assert package.answer.result is Result.ALLOW
    page = surface.list_exclusions(package.context_package_id)
    assert [item.memory_version_id for item in page.excluded_items] == [first.memory_version_id]
    flips = surface.find_counterfactual(package.context_package_id)
    assert flips.smallest is not None
    radius = surface.find_blast_radius(second.memory_version_id)
    assert [(each.context_package_id, each.after) for each in radius.answers] == [
        (package.context_package_id, Result.DENY)
    ]
    compared = surface.compare("ordering.v2", "ordering.v3")
    assert (compared.compared, compared.same) == (1, 1)


def test_a_link_is_stated_and_a_cycle_is_refused(surface: Surface) -> None:
    one = surface.add_event("the door was open", **SAID).memory_version_id
    other = surface.add_event("the door was shut", **SAID).memory_version_id
    link = surface.link(other, "contradicts", one, writer="ana", justification="I was there")
    assert link.relation is Relation.CONTRADICTS
    assert surface.show_record(one).contradicted_by == (other,)
    surface.link(other, "supersedes", one, writer="ana", justification="I was there")
    with pytest.raises(WriteConflict):
        surface.link(one, "supersedes", other, writer="ben", justification="so was I")


def test_a_conflict_is_foreseen_with_a_witness_and_warned_of(surface: Surface) -> None:
    rule: Any = {"actor": "*", "action": "use", "resource": "usb", **SAID}
    allowed = surface.add_constraint(effect="allow", **rule)
    found = surface.check_constraint(effect="deny", **rule)
    assert [each.memory_version_id for each in found.conflicts] == [allowed.memory_version_id]
    with pytest.warns(ConflictWarning, match=allowed.memory_version_id) as warned:
        surface.add_constraint(effect="deny", **rule)
    assert warned[0].filename == __file__
    witness = found.conflicts[0].witness
    answer = surface.ask(actor=witness.actor, action=witness.action, resource=witness.resource).answer
    assert answer.result is Result.INCONCLUSIVE


def test_a_request_key_makes_a_write_happen_once(surface: Surface) -> None:
    one = surface.add_event("it rained", request_key="rain-1", **SAID)
    assert surface.add_event("it rained", request_key="rain-1", **SAID) == one
    with pytest.raises(WriteConflict, match="another request"):
        surface.add_event("it snowed", request_key="rain-1", **SAID)


def test_refusals_are_the_same_errors(surface: Surface) -> None:
    misspelled: Any = {**SAID, "spelled_wrong": 1}
    with pytest.raises(ContextPackageNotFound) as missing:
        surface.find("cpkg_nowhere")
    assert missing.value.code == "context_package_not_found"
    with pytest.raises(RecordNotFound):
        surface.show_record(UNKNOWN)
    with pytest.raises(RecordNotFound):
        surface.show_lineage(UNKNOWN)
    with pytest.raises(MistypedField, match="effect"):
        surface.add_constraint(actor="a", action="b", resource="c", effect="maybe", **SAID)
    with pytest.raises(MistypedField, match="memory_version_id"):
        surface.show_record("nonsense")
    with pytest.raises(InvalidRequest, match="blank"):
        surface.add_event(" ", **SAID)
    with pytest.raises(MistypedField, match="spelled_wrong"):
        surface.add_event("x", **misspelled)


def test_threads_share_one_surface(surface: Surface) -> None:
    surface.add_constraint(actor="*", action="use", resource="usb", effect="deny", **SAID)
    results: list[Result] = []

    def ask(number: int) -> None:
        for turn in range(5):
            surface.add_event(f"thread {number} turn {turn}", **SAID)
            answer = surface.ask(actor=f"a{number}", action="use", resource="usb").answer
            results.append(answer.result)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [Result.DENY] * 20


def test_a_mistyped_path_is_no_new_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissing, match="create=True"):
        Kernel.open(tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()


def test_an_older_database_is_not_migrated_unasked(tmp_path: Path, world: Any) -> None:
    world.open("v2", schema_version=3)
    with pytest.raises(SchemaUnavailable):
        Kernel.open(world.path)
    with Kernel.open(world.path, create=True) as kernel:
        assert kernel.ask(actor="a", action="b", resource="c").answer.result is Result.INCONCLUSIVE


def test_conflicts_can_be_refused_or_ignored(tmp_path: Path) -> None:
    rule: Any = {"actor": "*", "action": "use", "resource": "usb", **SAID}
    with Kernel.open(tmp_path / "refusing.db", create=True, conflicts="refuse") as kernel:
        kernel.add_constraint(effect="allow", **rule)
        with pytest.raises(WriteConflict):
            kernel.add_constraint(effect="deny", **rule)
    with Kernel.open(tmp_path / "ignoring.db", create=True, conflicts="ignore") as kernel:
        kernel.add_constraint(effect="allow", **rule)
        kernel.add_constraint(effect="deny", **rule)


def test_a_closed_kernel_opens_again(tmp_path: Path) -> None:
    kernel = Kernel.open(tmp_path / "memory.db", create=True)
    kernel.close()
    assert kernel.recall("anything").selected_items == ()
    kernel.close()
