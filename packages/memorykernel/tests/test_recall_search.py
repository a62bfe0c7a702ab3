"""A store searches as `core.recall_search` says, wherever it is cut: against the specification."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec
import pytest
from memorykernel import open_kernel
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.context_package import encode_package
from memorykernel.core.evidence import UNREAD, Snapshot, WordCount
from memorykernel.core.posting import first_in_effect, index_word, place_record, sort_key
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v3 import NAME, plan_search, resolve_recall_v3
from memorykernel.core.recall_search import BOUNDS, SearchBounds, plan_reading
from memorykernel.core.release import default_release
from memorykernel.core.request import AddConstraintV4, AddSummaryV4, RecallV4, read_request
from memorykernel.core.vocabulary import Authority, RecordType, SummaryType, TruthStatus
from memorykernel.service.known_state import Remembered
from memorykernel.service.replaying import Replaying
from memorykernel.wiring import Kernel

from packages.memorykernel.tests.core_v4.naive_recall import SUMMARIES, spec_pages
from packages.memorykernel.tests.core_v4.small_world import Universe

START_US: Final = 1_770_000_000_000_000
SECOND_US: Final = 1_000_000
LONG: Final = "w" * 300
WORDS: Final = ("policy", "usb", "drive", "политика", "7", LONG, "seldom")
WEIGHTS: Final = (20, 8, 8, 4, 3, 2, 1)
SURE: Final = ("asserted", "observed", "retracted")
TIGHT: Final = SearchBounds(max_words=3, max_read=9, max_seen=4)
LOOSE: Final = SearchBounds(max_words=5, max_read=30, max_seen=10)


def deal_record(dice: random.Random, number: int) -> NewRecord:
    begins = START_US + dice.randint(0, 4) * SECOND_US
    truth = dice.choice(("asserted", *TruthStatus))
    body: dict[str, Any] = {
        "version": 1,
        "writer": "w",
        "justification": "j",
        "source_uri": "file:///x",
        "evidence": [],
        "truth_status": truth,
        "authority": dice.choice(list(Authority)),
        "confidence": dice.choice((None, 0.0, 0.29, 1) if truth in SURE else (0.3, 0.30009, 0.9)),
        "supersedes": [f"01V{dice.randrange(number):023d}"] if number and dice.randrange(4) == 0 else [],
        "contradicts": [],
        "effective_at": f"2026-02-02T02:40:{(begins - START_US) // SECOND_US:02d}Z",
        "expires_at": dice.choice((None, None, "2026-02-02T02:40:05Z")),
    }
    text = " ".join(dice.choices(WORDS, WEIGHTS, k=dice.randint(1, 4)))
    fresh = Fresh(memory_version_id=f"01V{number:023d}", memory_id=f"01M{number:023d}", now_us=START_US)
    if dice.randrange(5) == 0:
        rule = {**body, "actor": "ann", "action": "use", "resource": "usb", "effect": "deny", "note": text}
        return admit_record(read_request(rule, AddConstraintV4, strict=True), fresh)
    summary = {**body, "record_type": dice.choice(list(SummaryType)), "summary": text}
    return admit_record(read_request(summary, AddSummaryV4, strict=True), fresh)


def deal_question(dice: random.Random) -> RecallQuestion:
    types = dice.choice(((), (), (RecordType.DECISION,), (RecordType.CONSTRAINT, RecordType.EVENT)))
    return RecallQuestion(
        text=" ".join(dice.sample((*WORDS, "unheard"), dice.randint(1, 6))),
        record_types=types,
        as_of_us=START_US + dice.randint(-1, 6) * SECOND_US,
        as_known_at=None,
    )


def look(kernel: Kernel, known: Snapshot | None) -> Universe:
    """Everything that a state holds, read the slow way."""
    everything = kernel.asking.memory.read_every_record(tuple(RecordType), known=known)
    at = {record.memory_version_id: number for number, record in enumerate(everything.candidates)}
    claims = everything.supersessions
    return Universe(everything.candidates, tuple((at[c.superseder_id], at[c.superseded_id]) for c in claims))


def compare(kernel: Kernel, question: RecallQuestion, bounds: SearchBounds, known: Snapshot | None) -> int:
    """Compare all pages of a recall with the specification; how many there are."""
    types = tuple(question.record_types) or SUMMARIES
    pages = spec_pages(look(kernel, known), question.text, question.as_of_us, bounds, types)
    cursor: str | None = None
    for page in pages:
        asked = msgspec.structs.replace(question, cursor=cursor)
        evidence = kernel.asking.memory.search_records(plan_search(asked, bounds), known=known)
        assert len(evidence.candidates) <= bounds.max_seen + 1
        package = resolve_recall_v3(asked, evidence, bounds)
        assert [item.memory_version_id for item in package.selected_items] == page.selected
        assert [item.memory_version_id for item in package.excluded_items] == [
            i for i, _ in page.excluded[:20]
        ]
        assert isinstance(package.determinism.inputs, msgspec.Struct)
        assert package.determinism.inputs.complete is page.complete
        assert isinstance(package.next_cursor, str | None)
        cursor = package.next_cursor
    assert cursor is None
    return len(pages)


@pytest.mark.parametrize("seed", range(3))
def test_every_search_finds_what_the_specification_says(world: Any, seed: int) -> None:
    dice = random.Random(seed)
    kernel = world.open()
    memory = kernel.asking.memory
    records = [deal_record(dice, number) for number in range(60)]
    memory.add_records(records[:25], now_us=START_US)
    halfway = memory.find_snapshot(START_US + 1)
    memory.add_records(records[25:], now_us=START_US + 5)
    pages = [
        compare(
            kernel, deal_question(dice), dice.choice((TIGHT, LOOSE, BOUNDS)), dice.choice((None, halfway))
        )
        for _ in range(60)
    ]
    assert max(pages) > 2


def test_long_words_queue_by_the_names_that_the_lists_have(world: Any, kit: Any) -> None:
    kernel = world.open()
    long, short = "a" * 70, "bbb"
    for number in range(6):
        kit.add(kernel, kit.summary(f"{long} {number}"))
        kit.add(kernel, kit.summary(f"{short} {number}"))
    question = RecallQuestion(text=f"{long} {short}", record_types=(), as_of_us=2**52)
    assert compare(kernel, question, TIGHT, None) > 1
    evidence = kernel.asking.memory.search_records(plan_search(question, TIGHT))
    (told,) = (
        each
        for each in resolve_recall_v3(question, evidence, TIGHT).ordering_trace
        if each.startswith("limit: the best records")
    )
    assert "'aaa" in told


def test_the_order_of_writing_changes_nothing_but_the_state(world: Any) -> None:
    dice = random.Random(7)
    records = [deal_record(dice, 0)] + [deal_record(dice, 10 * number) for number in range(1, 40)]
    records = [msgspec.structs.replace(each, record=_without_links(each)) for each in records]
    seen = []
    for order in (records, records[::-1]):
        kernel: Any = open_kernel(world.stranger.elsewhere(), default_release("service.v4"))
        kernel.schema_care.migrate(dry_run=False)
        kernel.asking.memory.add_records(order, now_us=START_US)
        question = RecallQuestion(text="policy usb", record_types=(), as_of_us=START_US + 9 * SECOND_US)
        evidence = kernel.asking.memory.search_records(plan_search(question, TIGHT))
        package = resolve_recall_v3(question, msgspec.structs.replace(evidence, head="ab" * 32), TIGHT)
        seen.append(encode_package(package))
        kernel.file.close()
    assert seen[0] == seen[1]
    assert b'"complete":false' in seen[0]


def _without_links(new: NewRecord) -> Any:
    return msgspec.structs.replace(new.record, supersedes=())


def test_a_cut_search_says_so_and_replays(world: Any, kit: Any) -> None:
    kernel = world.open("v3")
    records = [deal_record(random.Random(number), number) for number in range(BOUNDS.max_read * 2)]
    records = [msgspec.structs.replace(each, record=_without_links(each)) for each in records]
    kernel.asking.memory.add_records(records, now_us=START_US)
    body: dict[str, Any] = {"text": "seldom policy", "record_types": [], "as_of": "2026-02-02T02:40:09Z"}
    package = msgspec.json.decode(kernel.asking.recall(read_request(body, RecallV4, strict=True)))
    assert package["determinism"]["ruleset_version"] == NAME
    assert package["determinism"]["inputs"]["complete"] is False
    assert package["exclusions"]["at_least"] is True
    told = "limit: the best records in effect are read of the many with 'policy'"
    assert told in package["ordering_trace"]
    assert "seldom" not in told
    kit.add(kernel, kit.summary("policy seldom, written later"))
    asking = kernel.asking
    replaying = Replaying(
        remembered=Remembered(memory=asking.memory, answers=asking.answers), schema_care=kernel.schema_care
    )
    assert replaying.replay(package["context_package_id"]).identical
    assert not kernel.check_integrity().damage


def test_texts_are_not_read(world: Any, kit: Any) -> None:
    kernel = world.open()
    kit.add(kernel, kit.summary("usb " * 100))
    question = RecallQuestion(text="usb", record_types=(), as_of_us=2**52)
    evidence = kernel.asking.memory.search_records(plan_search(question))
    assert [each.content for each in evidence.candidates] == [UNREAD]


# --- the rule itself ---------------------------------------------------------------------------


def test_rare_words_are_read_whole_and_one_is_cut() -> None:
    words = [WordCount("b", 4), WordCount("c", 9), WordCount("a", 4), WordCount("d", 1), WordCount("e", 0)]
    reading = plan_reading(words, 8)
    assert [each.word for each in reading.whole] == ["d", "a"]
    assert [each.word for each in reading.cut] == ["b"]
    assert [each.word for each in reading.ranking] == ["c"]


def test_no_room_is_left_when_the_whole_lists_fill_it() -> None:
    reading = plan_reading([WordCount("a", 3), WordCount("b", 5), WordCount("c", 6)], 8)
    assert (len(reading.whole), reading.cut, len(reading.ranking)) == (2, (), 1)


def test_what_is_in_effect_stands_behind_its_instant() -> None:
    facts: dict[str, Any] = {
        "record_type": RecordType.EVENT,
        "authority": Authority.NOTE,
        "truth_status": TruthStatus.OBSERVED,
        "confidence": None,
    }
    ranks = [place_record("V", **facts, effective_at_us=at).rank for at in (-5, 0, 10, 11)]
    assert ranks == sorted(ranks, reverse=True)
    assert [rank >= first_in_effect(10) for rank in ranks] == [True, True, True, False]
    assert {len(sort_key(rank)) for rank in ranks} == {19}


def test_a_retracted_record_of_high_authority_does_not_hide_a_note() -> None:
    facts: dict[str, Any] = {"record_type": RecordType.EVENT, "confidence": 1.0, "effective_at_us": 0}
    gone = place_record("V", **facts, authority=Authority.AUTHORITATIVE, truth_status=TruthStatus.RETRACTED)
    note = place_record("W", **facts, authority=Authority.NOTE, truth_status=TruthStatus.SPECULATIVE)
    assert gone.slot > note.slot
    assert sort_key(gone.rank) < sort_key(note.rank)


def test_a_long_word_is_its_digest() -> None:
    assert index_word("w" * 64) == "w" * 64
    assert index_word("w" * 65).startswith("~")
    assert index_word("w" * 65) != index_word("w" * 66)
