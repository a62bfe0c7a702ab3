"""The package as a library: what it offers is there, and is enough to draft."""

from pathlib import Path

import assistsupport
from assistsupport import LaneSettings, Ticket, open_desk

from packages.assistsupport.tests.desk_world import TICKETS, NoProgress, write_articles


def test_public_names_are_sorted_and_there() -> None:
    assert sorted(assistsupport.__all__) == assistsupport.__all__
    assert all(hasattr(assistsupport, name) for name in assistsupport.__all__)


def test_a_program_can_draft(tmp_path: Path) -> None:
    with open_desk(tmp_path / "data", LaneSettings(), None) as parts:
        parts.knowledge.add([write_articles(tmp_path / "kb")], None, NoProgress())
        reply = parts.desk.draft(Ticket(text=TICKETS[0].text))
    assert reply.draft.sources[0].article_id == "kb/network/vpn-certificate.md"
