"""Recalls by meaning on a store: what they find, which state they see, and what becomes of vectors."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from memorykernel.adapters.sqlite_verify import verify
from memorykernel.core.instant import format_instant
from memorykernel.core.vector import Model
from memorykernel.errors import ModeUnavailable, QueryFailed
from memorykernel.service.exclusions import Exclusions
from memorykernel.service.semantic_recall import MAX_AT_ONCE

SECOND = 1_000_000


def change_beside(meanings: Any, statement: str) -> None:
    with closing(sqlite3.connect(meanings.beside)) as connection, connection:
        connection.execute(statement)


def test_the_nearest_come_first_and_what_is_far_does_not_come(meanings: Any) -> None:
    far = meanings.add("the cafeteria closes at five")
    near = meanings.add("usb drives were banned")
    nearest = meanings.add("usb drives")
    assert meanings.found("usb drives") == [nearest, near]
    assert meanings.found("cafeteria") == [far]


def test_types_are_respected_and_every_kind_of_record_is_found(meanings: Any) -> None:
    event = meanings.add("usb drive", record_type="event")
    decision = meanings.add("usb drive")
    rule = meanings.add_rule("usb")
    assert set(meanings.found("usb drive")) == {event, decision}
    assert meanings.found("usb drive", record_types=["event"]) == [event]
    assert rule in meanings.found("usb", record_types=["constraint"])


def test_what_does_not_count_is_excluded_with_its_reason(meanings: Any, kit: Any) -> None:
    now = kit.now_us
    times = {
        "not in effect": {"effective_at": format_instant(now + SECOND)},
        "expired": {"effective_at": format_instant(now - SECOND), "expires_at": format_instant(now)},
        "retracted": {"truth_status": "retracted"},
        "superseded": {},
    }
    ids = {reason: meanings.add("usb drive", **changes) for reason, changes in times.items()}
    newest = meanings.add("usb drive")
    meanings.supersede(newest, ids["superseded"])
    package = meanings.recall("usb drive")
    assert [item.memory_version_id for item in package.selected_items] == [newest]
    assert {item.memory_version_id for item in package.excluded_items} == set(ids.values())
    assert package.exclusions.by_reason == dict.fromkeys(times, 1)
    later = meanings.found("usb drive", as_of=format_instant(now + SECOND))
    assert set(later) == {newest, ids["not in effect"]}


def test_an_earlier_state_is_answered_as_it_was_known(meanings: Any) -> None:
    first = meanings.add("usb drive")
    then = meanings.recall("usb drive").determinism.snapshot_id
    second = meanings.add("usb drive")
    meanings.supersede(second, first)
    assert meanings.found("usb drive") == [second]
    assert meanings.found("usb drive", as_known_at=then) == [first]


def test_an_active_record_is_found_behind_hundreds_that_do_not_count(meanings: Any) -> None:
    kept = meanings.add("usb drive prices fell")
    for _ in range(300):
        meanings.add("usb drive", truth_status="retracted")
    meanings.semantic().embed(lambda done, total: None)
    package = meanings.recall("usb drive")
    assert [item.memory_version_id for item in package.selected_items] == [kept]
    assert package.exclusions.total == 300
    assert meanings.replay(package.context_package_id).identical


def test_vectors_are_made_once(meanings: Any) -> None:
    for number in range(5):
        meanings.add(f"usb drive {number}")
    meanings.recall("usb drive")
    meanings.recall("usb drive")
    assert meanings.encoder.encoded == 5 + 2


def test_a_recall_refuses_when_many_vectors_are_missing_and_says_what_to_run(meanings: Any) -> None:
    for number in range(MAX_AT_ONCE + 1):
        meanings.add(f"usb drive {number}")
    with pytest.raises(ModeUnavailable, match=f"^{MAX_AT_ONCE + 1} records .* make them with 'mk db embed'"):
        meanings.recall("usb drive")
    told: list[tuple[int, int]] = []
    made = meanings.semantic().embed(lambda done, total: told.append((done, total)))
    assert (made.records, made.encoded, told[-1]) == (65, 65, (65, 65))
    assert len(meanings.found("usb drive")) == 50
    assert meanings.semantic().embed(lambda done, total: None).encoded == 0


def test_embedding_goes_on_where_it_was_stopped(meanings: Any) -> None:
    for number in range(20):
        meanings.add(f"usb drive {number}")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        meanings.semantic().embed(stop)
    before = meanings.encoder.encoded
    assert meanings.semantic().embed(lambda done, total: None).encoded == 20 - before
    assert 0 < before < 20


def test_an_answer_replays_after_its_vectors_were_made_again(meanings: Any) -> None:
    meanings.add("usb drive")
    package_id = meanings.recall("usb drive").context_package_id
    meanings.add("usb drives")
    assert meanings.replay(package_id).identical
    meanings.beside.unlink()
    assert meanings.replay(package_id).identical
    assert meanings.semantic().embed(lambda done, total: None, rebuild=True).encoded == 2
    assert meanings.replay(package_id).identical


def test_a_replay_with_other_vectors_says_that_it_is_them(meanings: Any) -> None:
    meanings.add("usb drive")
    package_id = meanings.recall("usb drive").context_package_id
    assert meanings.replay(package_id).other_vectors is msgspec.UNSET
    change_beside(meanings, "UPDATE vectors SET vector = CAST(x'01' || substr(vector, 2) AS BLOB)")
    replayed = meanings.replay(package_id)
    assert (replayed.identical, replayed.other_vectors) == (False, True)


def test_a_replay_with_other_weights_is_refused_and_names_both(meanings: Any) -> None:
    meanings.add("usb drive")
    package_id = meanings.recall("usb drive").context_package_id
    meanings.encoder.model = Model(name="words", weights_sha256="f" * 64)
    with pytest.raises(ModeUnavailable, match=f"expected words {'f' * 64}, got words {'0' * 64}"):
        meanings.replay(package_id)
    assert len(meanings.found("usb drive")) == 1


def test_vectors_of_another_store_are_as_good_as_missing(meanings: Any) -> None:
    found = [meanings.add("usb drive")]
    meanings.recall("usb drive")
    change_beside(meanings, "UPDATE vectors SET memory_version_id = 'other', vector = zeroblob(384)")
    assert meanings.found("usb drive") == found
    change_beside(meanings, "UPDATE vectors SET vector = x'00'")
    assert meanings.found("usb drive") == found


def test_the_first_vector_that_was_kept_stays(meanings: Any) -> None:
    meanings.add("usb drive")
    here, there = meanings.semantic(), replace(meanings.semantic(), encoder=replace(meanings.encoder))
    there.encoder.salt = "another processor"
    state = meanings.kernel.asking.memory.find_snapshot(2**62)
    text = here.vectors.list_missing(state, limit=1)[0]
    assert there.vectors.list_missing(state, limit=1) == (text,)
    here.vectors.keep([(text, here.encoder.encode(text.text))])
    there.vectors.keep([(text, there.encoder.encode(text.text))])
    types = ("decision",)
    asked = {"known": state, "limit": 1, "at_least": 100}
    question = here.encoder.encode("usb drive")
    one, other = (each.vectors.read_nearest(question, types, **asked) for each in (here, there))
    assert one == other
    assert len(one.candidates) == 1


def test_the_file_beside_is_readable_by_whom_the_store_is(meanings: Any) -> None:
    meanings.path.chmod(0o600)
    meanings.add("usb drive")
    meanings.recall("usb drive")
    assert stat.S_IMODE(meanings.beside.stat().st_mode) == 0o600


def test_a_damaged_file_beside_is_named_with_its_remedy(meanings: Any) -> None:
    meanings.add("usb drive")
    meanings.beside.write_bytes(b"no database" * 1000)
    with pytest.raises(QueryFailed, match=r"'memory.db.vectors' cannot be used.*delete the file"):
        meanings.recall("usb drive")


def test_a_store_that_lacks_records_is_not_searched(meanings: Any) -> None:
    meanings.add("usb drive")
    meanings.add("usb drive")
    meanings.kernel.file.close()
    with closing(sqlite3.connect(meanings.path)) as connection, connection:
        connection.execute("DROP TRIGGER records_no_DELETE")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM records WHERE record_seq = 1")
    with pytest.raises(
        QueryFailed, match="expected 2 behind number 0, got 1; find the damage with 'mk verify'"
    ):
        meanings.recall("usb drive")


def test_exclusions_are_listed_page_by_page(meanings: Any) -> None:
    for _ in range(30):
        meanings.add("usb drive", truth_status="retracted")
    package = meanings.recall("usb drive")
    listing = Exclusions(remembered=meanings.remembered(), schema_care=meanings.kernel.schema_care)
    page = listing.list_page(package.context_package_id, package.exclusions.next_cursor)
    assert [item.rank for item in page.excluded_items] == list(range(21, 31))


def test_verify_counts_what_has_no_vectors_here_and_calls_it_no_damage(meanings: Any) -> None:
    meanings.add("usb drive")
    meanings.recall("usb drive")
    # The words of these tests are no model that `mk verify` has.
    report = verify(meanings.path, answers=True, jobs=1, progress=lambda done, total: None)
    assert (report.ok, report.replayed, report.not_replayable) == (True, 0, 1)
