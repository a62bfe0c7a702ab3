"""What every store does: migrations, append-only tables, chains, evidence, answers; run on each of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memorykernel import default_release, open_kernel
from memorykernel.core.evidence import Candidate
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.request import AddLink, Ask, Recall, read_request
from memorykernel.core.terms import describe_content, unicode_terms
from memorykernel.core.vocabulary import RecordType
from memorykernel.errors import (
    ContextPackageNotFound,
    MigrationFailed,
    QueryFailed,
    SchemaUnavailable,
    WriteConflict,
    WriteFailed,
)
from memorykernel.wiring import Kernel

OTHER_BYTES = "(SELECT digest FROM answer_chain WHERE entry_seq = 1)"
TABLES = ("schema_migrations", "records", "links", "memory_chain", "answers", "answer_chain")


def link_body(new: str, old: str, relation: str = "supersedes", writer: str = "w") -> AddLink:
    body: dict[str, Any] = {
        "from": new,
        "to": old,
        "relation": relation,
        "writer": writer,
        "justification": "j",
    }
    return read_request(body, AddLink, strict=True)


def ask(kernel: Kernel, body: dict[str, Any]) -> bytes:
    return kernel.asking.ask(read_request(body, Ask, strict=True))


def head(kernel: Kernel) -> str:
    return kernel.check_integrity().memory_head


# --- schema ------------------------------------------------------------------------------------


def test_migrating_says_what_it_did_and_does_it_once(world: Any) -> None:
    kernel = world.open(schema_version=2, migrate=False)
    first = kernel.schema_care.migrate(dry_run=False)
    assert (first.would_apply_versions, first.after_version, first.up_to_date) == ((1, 2), 2, True)
    again = kernel.schema_care.migrate(dry_run=False)
    assert (again.current_version, again.would_apply_versions, again.up_to_date) == (2, (), True)


def test_an_older_schema_is_unavailable_until_it_is_migrated(world: Any, kit: Any) -> None:
    world.open("v1", schema_version=2)
    newer = world.open(migrate=False)
    with pytest.raises(SchemaUnavailable, match=r"schema is 2, expected 4; run 'mk db migrate'"):
        newer.schema_care.check_ready()
    with pytest.raises(SchemaUnavailable):
        ask(newer, kit.ask())
    newer.schema_care.migrate(dry_run=False)
    assert newer.schema_care.check_ready().pending_migrations == 0


def test_a_release_of_the_older_schema_works_on_the_newer_one(world: Any, kit: Any) -> None:
    old = world.open("v1", schema_version=2)
    kit.add(old, kit.summary("written before the migration"))
    new = world.open()
    checks = old.schema_care.check_ready()
    assert (checks.current_schema_version, checks.target_schema_version, checks.pending_migrations) == (
        4,
        2,
        0,
    )
    kit.add(old, kit.summary("written after the migration"))
    assert b'"v1"' not in ask(old, kit.ask())
    package = new.asking.recall(read_request({"text": "migration", "record_types": []}, Recall, strict=True))
    assert b"selected 2 memories" in package
    assert new.check_integrity().ok


def test_a_schema_from_the_future_is_unavailable(world: Any, kit: Any) -> None:
    world.open()
    world.stranger.run("INSERT INTO schema_migrations VALUES (5, 'later')")
    with pytest.raises(SchemaUnavailable, match="schema 5 is newer than this program knows"):
        ask(world.open(migrate=False), kit.ask())


def test_a_schema_4_that_was_not_final_is_refused_and_left_alone(world: Any, kit: Any) -> None:
    world.open().file.close()
    world.stranger.tamper("DROP TABLE postings")
    kernel = world.open(migrate=False)
    for attempt in (
        kernel.schema_care.load_status,
        kernel.schema_care.check_ready,
        lambda: kernel.schema_care.migrate(dry_run=False),
        lambda: kit.add(kernel, kit.constraint()),
    ):
        with pytest.raises(SchemaUnavailable, match="made before schema 4 was final"):
            attempt()
    assert "postings" in world.stranger.refusal("SELECT * FROM postings")


def test_a_failing_migration_leaves_nothing_behind(world: Any) -> None:
    kernel = world.open("v1", schema_version=2)
    world.stranger.run("CREATE TABLE record_terms (in_the_way INTEGER)")
    with pytest.raises(MigrationFailed, match="already exists"):
        world.open()
    assert kernel.schema_care.load_status().current_version == 2


# --- append-only -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_what_was_written_can_be_neither_changed_nor_deleted(world: Any, kit: Any, table: str) -> None:
    kernel = world.open()
    first = kit.add(kernel, kit.constraint())
    kernel.remembering.add_link(link_body(kit.add(kernel, kit.constraint()), first))
    ask(kernel, kit.ask())
    column = world.stranger.columns(table)[0]
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):  # noqa: S608  # our own names
        assert f"{table} is append-only" in world.stranger.refusal(statement)


# --- writing -----------------------------------------------------------------------------------


def test_the_same_version_twice_is_a_conflict_and_keeps_nothing(kernel: Kernel, kit: Any) -> None:
    body = kit.constraint(memory_id="0" * 26)
    kit.add(kernel, body)
    before = head(kernel)
    with pytest.raises(WriteConflict, match="has a version 1 already; send the next one"):
        kit.add(kernel, body)
    assert head(kernel) == before
    kit.add(kernel, {**body, "version": 2})


@pytest.mark.parametrize("field", ["supersedes", "contradicts"])
def test_a_record_that_links_to_nowhere_is_not_kept(kernel: Kernel, kit: Any, field: str) -> None:
    before = head(kernel)
    with pytest.raises(WriteConflict, match="no record has version id 7ZZ"):
        kit.add(kernel, kit.constraint(**{field: ["7ZZ" + "0" * 23]}))
    assert (head(kernel), kernel.check_integrity().records) == (before, 0)


def test_a_link_needs_both_ends(kernel: Kernel, kit: Any) -> None:
    known = kit.add(kernel, kit.constraint())
    for link in (link_body(known, "7" * 26), link_body("7" * 26, known)):
        with pytest.raises(WriteConflict, match=r"no record has version id 7{26}"):
            kernel.remembering.add_link(link)


def test_a_cycle_of_supersessions_is_refused(kernel: Kernel, kit: Any) -> None:
    a, b, c = (kit.add(kernel, kit.constraint()) for _ in range(3))
    kernel.remembering.add_link(link_body(b, a))
    kernel.remembering.add_link(link_body(c, b))
    with pytest.raises(WriteConflict, match="a cycle is refused"):
        kernel.remembering.add_link(link_body(a, c))
    kernel.remembering.add_link(link_body(a, c, "contradicts"))


def test_a_repeated_statement_is_kept_once_another_writer_s_is_kept_too(kernel: Kernel, kit: Any) -> None:
    old, new = (kit.add(kernel, kit.constraint()) for _ in range(2))
    kernel.remembering.add_link(link_body(new, old))
    before = head(kernel)
    kernel.remembering.add_link(link_body(new, old))
    assert head(kernel) == before
    kernel.remembering.add_link(link_body(new, old, writer="other"))
    assert kernel.check_integrity().links == 2


def test_damage_under_a_running_store_is_reported_as_this_package_s_errors(world: Any, kit: Any) -> None:
    kernel = world.open()
    world.stranger.run("DROP TABLE answers")
    world.stranger.run("DROP TABLE record_terms")
    with pytest.raises(QueryFailed, match="could not be kept"):
        ask(kernel, kit.ask())
    with pytest.raises(WriteFailed, match="nothing was kept"):
        kit.add(kernel, kit.constraint())
    with pytest.raises(QueryFailed, match="could not be read for"):
        kernel.asking.recall(read_request({"text": "x y", "record_types": []}, Recall, strict=True))


# --- reading -----------------------------------------------------------------------------------


def test_evidence_is_what_can_match_and_who_supersedes_it(kernel: Kernel, kit: Any) -> None:
    rule = kit.add(kernel, kit.constraint())
    wildcard = kit.add(kernel, kit.constraint("*"))
    kit.add(kernel, kit.constraint("somebody else"))
    decision = kit.add(kernel, kit.summary(supersedes=[rule]))
    question = PolicyQuestion(text="x", actor="user", action="use", resource="usb_drive", as_of_us=0)
    evidence = kernel.asking.memory.read_policy_evidence(question, version_index=False)
    assert {each.memory_version_id for each in evidence.candidates} == {rule, wildcard}
    assert [(each.superseded_id, each.superseder_id) for each in evidence.supersessions] == [(rule, decision)]
    assert evidence.head == head(kernel)


def test_a_confidence_of_minus_zero_is_no_damage(world: Any, kit: Any) -> None:
    kernel = world.open()
    kit.add(kernel, kit.constraint(confidence=-0.0))
    assert kernel.check_integrity().damage == ()


def test_the_version_index_follows_every_write(world: Any, kernel: Kernel, kit: Any) -> None:
    question = PolicyQuestion(text="x", actor="user", action="use", resource="usb_drive", as_of_us=0)
    for _ in range(3):
        kit.add(kernel, kit.constraint())
        evidence = kernel.asking.memory.read_policy_evidence(question, version_index=True)
        names = world.stranger.run("SELECT memory_id || ':' || memory_version_id FROM records")
        assert evidence.version_index == "".join(sorted(name for (name,) in names)).encode()


@settings(max_examples=30)
@given(summaries=st.lists(st.text(alphabet="ab cÉ日_-7", min_size=1).filter(str.strip), max_size=5))
def test_the_term_index_finds_what_the_words_say(world: Any, kit: Any, summaries: list[str]) -> None:
    kernel = open_kernel(world.stranger.elsewhere(), default_release())
    kernel.schema_care.migrate(dry_run=False)
    for summary in summaries:
        kit.add(kernel, kit.summary(summary))
    terms = unicode_terms("aa É 日 7 ab-c")
    found = kernel.asking.memory.read_recall_evidence(tuple(RecordType), terms)
    everything = kernel.asking.memory.read_every_record(tuple(RecordType))

    def matched(candidate: Candidate) -> int:
        return len(set(terms) & set(unicode_terms(describe_content(candidate.content))))

    expected = {each.memory_version_id: matched(each) for each in everything.candidates if matched(each)}
    assert dict(found.matched) == expected
    assert {each.memory_version_id for each in found.candidates} == set(expected)
    kernel.file.close()


# --- answers -----------------------------------------------------------------------------------


def test_the_same_question_time_and_state_is_one_answer(kernel: Kernel, kit: Any) -> None:
    kit.add(kernel, kit.constraint())
    body = kit.ask(as_of="2030-01-01T00:00:00Z")
    first = ask(kernel, body)
    assert ask(kernel, body) == first
    assert kernel.check_integrity().answers == 1
    kit.add(kernel, kit.summary("something else"))
    assert ask(kernel, body) != first


def test_a_null_as_of_is_the_server_s_time_in_microseconds(kernel: Kernel, kit: Any) -> None:
    assert b'"as_of":"2026-02-08T13:19:53.5Z"' in ask(kernel, kit.ask(as_of=None))


def test_every_record_and_link_changes_the_snapshot(kernel: Kernel, kit: Any) -> None:
    heads = [head(kernel)]
    a = kit.add(kernel, kit.constraint())
    heads.append(head(kernel))
    b = kit.add(kernel, kit.constraint())
    heads.append(head(kernel))
    kernel.remembering.add_link(link_body(b, a))
    heads.append(head(kernel))
    assert len(set(heads)) == 4
    ask(kernel, kit.ask())
    assert head(kernel) == heads[-1]


def test_an_answer_is_found_as_it_was_given_by_a_later_opener(world: Any, kit: Any) -> None:
    package = ask(world.open(), kit.ask())
    package_id = package.split(b'"')[3].decode()
    assert world.open().asking.find(package_id) == package
    with pytest.raises(ContextPackageNotFound):
        world.open().asking.find("cpkg_unknown")


def test_v1_answers_of_one_second_share_an_id_and_the_newest_is_found(world: Any, kit: Any) -> None:
    kernel = world.open("v1")
    first = ask(kernel, kit.ask())
    world.clock.us += 1000
    second = ask(kernel, kit.ask())
    package_id = second.split(b'"')[3].decode()
    assert first.split(b'"')[3].decode() == package_id
    assert kernel.asking.find(package_id) == second != first
    assert kernel.check_integrity().answers == 2


# --- integrity ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "table", "finding"),
    [
        ("UPDATE records SET effect = 'allow' WHERE record_seq = 2", "records", "content is not what"),
        ("UPDATE records SET note = '' WHERE record_seq = 2", "records", "content is not what"),
        ("UPDATE links SET writer = 'x'", "links", "content is not what"),
        (
            "UPDATE answers SET package = (SELECT head FROM answer_chain WHERE entry_seq = 0)",
            "answers",
            "content is not what",
        ),
        ("DELETE FROM links", "links", "row is missing"),
        ("UPDATE memory_chain SET head = digest WHERE entry_seq = 2", "memory_chain", "head does not follow"),
        ("DELETE FROM memory_chain WHERE entry_seq = 2", "memory_chain", "entry is missing"),
        (
            f"UPDATE memory_chain SET head = {OTHER_BYTES} WHERE entry_seq = 0",  # noqa: S608  # constants
            "memory_chain",
            "first head",
        ),
        ("UPDATE memory_chain SET kind = 'other' WHERE entry_seq = 2", "memory_chain", "unknown kind"),
        ("DELETE FROM record_terms WHERE record_seq = 2", "record_terms", "words in the index"),
        ("INSERT INTO record_terms VALUES ('new', 1)", "record_terms", "words in the index"),
        ("DELETE FROM postings WHERE record_seq = 2", "postings", "places in the lists"),
        ("UPDATE postings SET slot = 1 WHERE record_seq = 2", "postings", "places in the lists"),
    ],
)
def test_integrity_check_names_what_was_tampered_with(
    world: Any, kit: Any, statement: str, table: str, finding: str
) -> None:
    kernel = world.open()
    first = kit.add(kernel, kit.constraint())
    kit.add(kernel, kit.constraint("*", supersedes=[first]))
    ask(kernel, kit.ask())
    assert kernel.check_integrity().damage == ()
    kernel.file.close()
    world.stranger.tamper(statement)
    report = kernel.check_integrity()
    assert not report.ok
    assert any(each.table == table and finding in each.finding for each in report.damage)


def test_a_record_smuggled_in_beside_the_chain_is_found(world: Any, kit: Any) -> None:
    kernel = world.open()
    kit.add(kernel, kit.constraint())
    names = ", ".join(world.stranger.columns("records")[1:])
    values = names.replace("memory_version_id", "'x'").replace("memory_id,", "'y',")
    world.stranger.run(f"INSERT INTO records (record_seq, {names}) SELECT 2, {values} FROM records")  # noqa: S608  # our own names
    findings = [each.finding for each in kernel.check_integrity().damage]
    assert "rows and chain entries differ in number" in findings
