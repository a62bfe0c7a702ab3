"""The record: the sections of February 2026, what that record lacked, and the same bytes every time."""

from __future__ import annotations

import html.parser
import json
import re
from datetime import timedelta

import msgspec
import pytest
from cutover.core.case import Case
from cutover.core.entry import EvidenceCollected, Operation, Scope, StopCondition
from cutover.core.key import Party
from cutover.core.record import calculate_record, render_html, render_json, render_markdown

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase

SECTIONS = [
    "Decision Scope",
    "Decision Outcome",
    "Approved Runtime Cutover Window",
    "Ownership (Named Roles)",
    "Decision Inputs",
    "Stop Conditions (Immediate Abort / Rollback)",
    "Runtime Cutover Completion Evidence",
    "Status",
]
PHASES = ("open", "hand-off", "verify", "decide-rehearsal", "drill", "approve-execution", "complete")


@pytest.fixture(scope="module")
def complete() -> Case:
    """A program that came to its end."""
    return GoodCase().run().case()


class _Page(html.parser.HTMLParser):
    """Collects headings and what a page would load, and checks that elements are closed in order."""

    VOID = frozenset({"meta", "link", "img", "br", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href")]
        self.loads += [tag] if tag in ("script", "link", "iframe") else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def read_page(data: bytes) -> _Page:
    page = _Page()
    page.feed(data.decode())
    page.close()
    return page


class TestSections:
    def test_markdown_has_them_in_order(self, complete: Case) -> None:
        text = render_markdown(complete).decode()
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
        assert text.startswith("# Runtime Cutover Decision Record (Joint)\n")

    def test_the_page_has_them_in_order_and_loads_nothing(self, complete: Case) -> None:
        page = read_page(render_html(complete))
        assert page.headings == SECTIONS
        assert page.loads == []
        assert page.open == []

    @pytest.mark.parametrize("until", PHASES)
    def test_they_are_there_in_every_phase(self, until: str) -> None:
        case = GoodCase().run(until=until).case()
        assert re.findall(r"^## (.*)$", render_markdown(case).decode(), re.MULTILINE) == SECTIONS
        assert read_page(render_html(case)).headings == SECTIONS
        assert json.loads(render_json(case))["log_size"] == len(case.entries)

    def test_an_empty_log_renders_too(self) -> None:
        record = calculate_record(GoodCase().case())
        assert (record.phase, record.status) == ("unopened", "NOT OPENED")
        assert render_markdown(GoodCase().case())


def test_the_same_log_gives_the_same_bytes_at_any_time(complete: Case) -> None:
    later = msgspec.structs.replace(complete, now=complete.now + timedelta(days=900))
    again = GoodCase().run().case()
    for render in (render_markdown, render_html, render_json):
        assert render(complete) == render(later) == render(again)


class TestWhatTheFirstRecordLacked:
    def test_times_and_rollback_target(self, complete: Case) -> None:
        text = render_markdown(complete).decode()
        assert "2026-02-08T12:00:10.000Z to 2026-02-09T12:00:00.000Z" in text
        window = calculate_record(complete).window
        assert window.rollback_target["commit_sha"] == good.BASELINE_COMMIT
        assert window.rollback_target["inverse_commit"] == good.INVERSE

    def test_a_digest_for_every_input(self, complete: Case) -> None:
        record = calculate_record(complete)
        text = render_markdown(complete).decode()
        names = [line.name for line in record.inputs]
        assert "producer hand-off" in names
        assert sum(name.startswith("evidence for") for name in names) == 11
        for line in record.inputs:
            assert re.fullmatch(r"[0-9a-f]{64}", line.digest)
            assert line.digest in text

    def test_who_signed(self, complete: Case) -> None:
        for outcome in calculate_record(complete).outcomes:
            assert [approval.party for approval in outcome.approvals] == ["consumer", "producer"]
            assert outcome.recomputes is True

    def test_how_long_the_way_back_took(self, complete: Case) -> None:
        (move,) = calculate_record(complete).moves
        assert (move.operation, move.condition) == ("drill", "drill-return")
        assert (move.decided_ms, move.routed_ms, move.first_baseline_reply_ms) == (2.0, 5.0, 20.0)
        assert move.counts == {"enriched": 120, "fallback/offline": 2, "gateway-made": 2}
        assert "20.0 ms" in render_markdown(complete).decode()

    def test_named_holders_with_keys(self, complete: Case) -> None:
        roles = calculate_record(complete).roles
        assert len(roles) == len(good.ROLES)
        assert all(r.holder and r.keyid and r.acknowledged_at and r.problem is None for r in roles)


class TestStatus:
    def status(self, log: GoodCase) -> tuple[str, str, tuple[str, ...]]:
        record = calculate_record(log.case())
        assert record.status in render_markdown(log.case()).decode()
        return record.status, record.posture, record.why

    def test_complete(self) -> None:
        assert self.status(GoodCase().run()) == ("COMPLETE", "GO", ())
        assert all(line.is_shown for line in calculate_record(GoodCase().run().case()).completion)

    def test_rolled_back_says_what_stopped_it(self) -> None:
        log = GoodCase().run(until="approve-execution")
        log.execute(until="reload-consumer")
        log.stop(StopCondition.CONTRACT_MISMATCH, "wrong-version: service_contract_version")
        log.restore(Operation.ABORT)
        status, posture, why = self.status(log)
        assert (status, posture) == ("ROLLED BACK", "on the baseline v0.3.2")
        assert why == ("contract-mismatch: wrong-version: service_contract_version",)
        record = calculate_record(log.case())
        assert [move.operation for move in record.moves] == ["drill", "abort"]
        assert record.moves[1].condition == "contract-mismatch"
        repin = record.completion[1]
        assert (repin.is_shown, repin.fact) == (False, "taken back")

    def test_refused_says_which_gates(self) -> None:
        log = GoodCase({"data": None}).run(until="decide-rehearsal")
        status, _, why = self.status(log)
        assert status == "REFUSED"
        assert why == ("data: UNKNOWN (no-evidence) nobody looked; expected evidence for data",)

    def test_one_approval_is_not_approved(self) -> None:
        log = GoodCase().run(until="decide-execution")
        log.approve(Scope.EXECUTION, "producer")
        status, _, why = self.status(log)
        assert (status, why) == ("NOT APPROVED", ("the execution GO is approved by producer only",))

    def test_under_way(self) -> None:
        log = GoodCase().run(until="approve-execution")
        log.execute(until="move-ref")
        assert self.status(log) == ("IN PROGRESS", "moving", ())


def test_a_document_that_does_not_recompute_is_said_aloud() -> None:
    log = GoodCase().run(until="approve-rehearsal")
    _, collected = log.case().all(EvidenceCollected)[0]
    del log.stored[collected.digest]
    assert "DOES NOT RECOMPUTE" in render_markdown(log.case()).decode()


def test_a_role_that_nobody_holds_is_said_aloud() -> None:
    log = GoodCase()
    log.open(roles=[])
    assert render_markdown(log.case()).decode().count("**NOT RESOLVED**, nobody is bound") == len(good.ROLES)


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "a\n## Status\n- **GO**", "x | y `z` [l](u)"]
)
def test_texts_from_the_log_stay_texts(hostile: str) -> None:
    """Names and reasons come from whoever may sign; they cannot add markup, sections or columns."""
    log = GoodCase().run(until="open")
    log.bind("producer-rollback-owner", Party.PRODUCER, holder=hostile)
    log.stop(StopCondition.MANUAL, hostile, signer=hostile)
    text = render_markdown(log.case()).decode()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert not re.search(r"(?<!\\)<script", text)
    page = read_page(render_html(log.case()))
    assert (page.loads, page.headings) == ([], SECTIONS)
