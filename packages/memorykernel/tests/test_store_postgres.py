"""What only the PostgreSQL store does: servers that go away, replicas, plans, text that SQL cannot hold."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from memorykernel import open_kernel
from memorykernel.adapters.postgres_chain import OPEN_MEMORY
from memorykernel.adapters.postgres_database import Entry, PostgresDatabase, lock_chain
from memorykernel.adapters.postgres_evidence import ask_policy, ask_terms
from memorykernel.adapters.postgres_line import name_database
from memorykernel.adapters.postgres_memory import PostgresMemory
from memorykernel.adapters.postgres_postings import ask_search
from memorykernel.adapters.postgres_schema import PostgresSchema
from memorykernel.adapters.postgres_text import decode_text, encode_value
from memorykernel.core.question import PolicyQuestion, RecallQuestion
from memorykernel.core.recall_ordering_v3 import plan_search
from memorykernel.core.request import Ask, Recall, read_request
from memorykernel.core.vocabulary import RecordType
from memorykernel.errors import (
    DriverMissing,
    InvalidRequest,
    MigrationFailed,
    QueryFailed,
    SchemaUnavailable,
    Stopped,
    WriteFailed,
)
from memorykernel.service.attempt import Attempt
from memorykernel.wiring import Kernel, open_replaying

from packages.memorykernel.tests.postgres_cluster import Server

ASKED = PolicyQuestion(text="?", actor="user", action="use", resource="usb_drive", as_of_us=0)


@pytest.fixture
def store_kind() -> str:
    return "postgresql"


def ask(kernel: Kernel, body: dict[str, Any]) -> bytes:
    return kernel.asking.ask(read_request(body, Ask, strict=True))


def records(kernel: Kernel) -> int:
    return kernel.check_integrity().records


def wait_until(holds: Callable[[], bool]) -> None:
    """Look until it holds; a standby follows in milliseconds."""
    over = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < over


# --- servers that go away ------------------------------------------------------------------------


def test_a_restart_or_a_crash_between_two_uses_goes_unnoticed(world: Any, kit: Any, postgres: Server) -> None:
    kernel = world.open()
    kit.add(kernel, kit.constraint())
    postgres.restart()
    assert b'"deny"' in ask(kernel, kit.ask())
    postgres.restart("immediate")
    kit.add(kernel, kit.constraint())
    report = kernel.check_integrity()
    assert (report.ok, report.records) == (True, 2)


def test_a_connection_that_was_cut_off_is_replaced(world: Any, kit: Any, postgres: Server) -> None:
    kernel = world.open()
    for _ in range(2):
        kit.add(kernel, kit.constraint())
        postgres.terminate_backends()
        ask(kernel, kit.ask())
        postgres.terminate_backends()
    assert records(kernel) == 2


def test_while_the_server_is_down_every_use_says_so_and_the_next_works(
    world: Any, kit: Any, postgres: Server
) -> None:
    kernel = world.open()
    ask(kernel, kit.ask())
    postgres.stop()
    try:
        with pytest.raises(QueryFailed, match="refused"):
            ask(kernel, kit.ask())
        with pytest.raises(WriteFailed, match=r"nothing was kept: .*refused.*; repeat the write"):
            kit.add(kernel, kit.constraint())
        with pytest.raises(SchemaUnavailable, match="check the server"):
            kernel.schema_care.check_ready()
        with pytest.raises(SchemaUnavailable, match="does not answer"):
            kernel.file.require_writable()
    finally:
        postgres.start()
    kit.add(kernel, kit.constraint())
    assert records(kernel) == 1


def test_a_server_that_says_nothing_is_given_up_on_and_used_again_when_it_speaks(
    world: Any, kit: Any, postgres: Server
) -> None:
    world.open()
    database = PostgresDatabase(world.location, timeout_ms=100, silence_ms=100)
    memory = PostgresMemory(database)
    memory.read_policy_evidence(ASKED)
    with postgres.frozen(), pytest.raises(QueryFailed, match="could not be read for"):
        memory.read_policy_evidence(ASKED)
    assert memory.read_policy_evidence(ASKED).candidates == ()
    database.close()


def test_a_write_that_is_cut_off_before_its_commit_is_not_kept(
    world: Any, kit: Any, postgres: Server
) -> None:
    kernel = world.open()

    def job(write: Any) -> None:
        write.find_request("x")
        postgres.terminate_backends()
        write.find_request("x")

    with pytest.raises(WriteFailed, match="nothing was kept"):
        kernel.remembering.memory.write(job, now_us=0)
    kit.add(kernel, kit.constraint())
    assert records(kernel) == 1


def test_a_commit_whose_reply_is_lost_is_looked_up_in_the_chain(world: Any, kit: Any) -> None:
    kernel = world.open()
    database = kernel.file
    with database.writing(OPEN_MEMORY) as writing:
        commit = writing.commit

        def lose_the_reply() -> None:
            commit()
            raise psycopg.OperationalError("the connection was lost")

        writing.commit = lose_the_reply
        new_head = b"\x07" * 32
        writing.put("INSERT INTO memory_chain VALUES (1, 'x', 1, %s, %s, NULL)", (new_head, new_head))
        writing.newest = Entry("memory_chain", 1, new_head)
    ((found,),) = database.query("SELECT head FROM memory_chain WHERE entry_seq = 1")
    assert bytes(found) == new_head


def test_work_that_is_stopped_stops_waiting_and_keeps_nothing(world: Any, kit: Any) -> None:
    kernel, other = world.open(), world.open()
    attempt = Attempt()
    kernel.file.guard(attempt)
    with other.file.writing(lock_chain("memory_chain")):
        threading.Timer(0.1, attempt.stop).start()
        with pytest.raises(Stopped):  # while the other one still has the lock
            kit.add(kernel, kit.constraint())
    kernel.file.guard(None)
    kit.add(kernel, kit.constraint())
    assert records(kernel) == 1


def test_work_that_could_be_stopped_and_is_not_is_done(world: Any, kit: Any) -> None:
    kernel = world.open()
    kernel.file.guard(Attempt())
    kit.add(kernel, kit.constraint())
    ask(kernel, {"text": "?", "actor": "user", "action": "use", "resource": "usb_drive", "as_of": None})
    kernel.file.guard(None)
    assert records(kernel) == 1


def test_work_that_was_stopped_does_not_commit(world: Any, kit: Any) -> None:
    kernel = world.open()
    attempt = Attempt()
    kernel.file.guard(attempt)

    def job(write: Any) -> None:
        write.find_request("x")
        attempt.stop()

    with pytest.raises(Stopped):
        kernel.remembering.memory.write(job, now_us=0)


def test_a_writer_that_waits_too_long_says_so_and_readers_do_not_wait(world: Any, kit: Any) -> None:
    kernel = world.open()
    kit.add(kernel, kit.constraint())
    impatient = PostgresDatabase(world.location, timeout_ms=50)
    with kernel.file.writing(OPEN_MEMORY):
        with pytest.raises(WriteFailed, match="timeout"):
            PostgresMemory(impatient).write(lambda write: write.find_request("x"), now_us=0)
        assert len(PostgresMemory(impatient).read_policy_evidence(ASKED).candidates) == 1
    impatient.close()


def test_writers_of_many_processes_append_to_one_chain(world: Any, kit: Any) -> None:
    kernels = [world.open() for _ in range(3)]

    def write(kernel: Kernel) -> None:
        for _ in range(10):
            kit.add(kernel, kit.constraint())
            ask(kernel, kit.ask())

    threads = [threading.Thread(target=write, args=(kernel,)) for kernel in kernels]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    report = kernels[0].check_integrity()
    assert (report.damage, report.records) == ((), 30)


# --- replicas ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standby(postgres: Server) -> Iterator[Server]:
    with postgres.standby() as follower:
        yield follower


def follow(world: Any, standby: Server) -> str:
    """Migrate, wait until the standby has the tables, and name them there."""
    world.open()
    schema = world.location.rpartition("%3D")[2]
    statement = f"SELECT to_regclass('{schema}.request_keys') IS NOT NULL"  # our own name
    wait_until(lambda: standby.execute(statement) == [(True,)])
    return standby.dsn(schema)


def test_reads_go_to_the_replica_and_include_what_was_written_once_it_is_there(
    world: Any, kit: Any, postgres: Server, standby: Server
) -> None:
    replica = follow(world, standby)
    kernel = open_kernel(world.location, kit.release(), clock=world.clock, ids=world.ids, replica=replica)
    kit.add(kernel, kit.constraint())
    head = kernel.check_integrity().memory_head
    # The replica may lack the write: then the primary is asked, until it has it.
    assert kernel.asking.memory.find_snapshot(head) is not None
    package = ask(kernel, kit.ask())
    assert b'"deny"' in package
    assert open_replaying(kernel).replay(package.split(b'"')[3].decode()).identical
    assert kernel.asking.find(package.split(b'"')[3].decode()) == package
    assert isinstance(kernel.file, PostgresDatabase)
    wait_until(lambda: kernel.file.query("SELECT pg_is_in_recovery()") == [(True,)])  # type: ignore[union-attr]  # a server
    kernel.file.close()


def test_a_replica_that_lacks_a_state_is_not_read_for_it(
    world: Any, kit: Any, postgres: Server, standby: Server
) -> None:
    replica = follow(world, standby)
    kernel = open_kernel(world.location, kit.release(), clock=world.clock, ids=world.ids, replica=replica)
    memory = kernel.asking.memory
    assert isinstance(kernel.file, PostgresDatabase)
    wait_until(lambda: kernel.file.query("SELECT pg_is_in_recovery()") == [(True,)])  # type: ignore[union-attr]  # a server
    standby.execute("SELECT pg_wal_replay_pause()")
    try:
        kit.add(kernel, kit.constraint())
        assert memory.read_policy_evidence(ASKED).candidates == ()
        head = kernel.check_integrity().memory_head
        known = world.open().asking.memory.find_snapshot(head)
        assert known is not None
        assert len(memory.read_policy_evidence(ASKED, known=known).candidates) == 1
        assert memory.read_policy_evidence(ASKED).candidates == ()
        assert memory.find_snapshot(head) == known
        assert len(memory.read_policy_evidence(ASKED).candidates) == 1
    finally:
        standby.execute("SELECT pg_wal_replay_resume()")
    wait_until(lambda: kernel.file.query("SELECT pg_is_in_recovery()") == [(True,)])  # type: ignore[union-attr]  # a server
    kernel.file.close()


def test_a_replica_that_is_not_there_is_left_alone(world: Any, kit: Any) -> None:
    world.open()
    nowhere = "postgresql://memory@127.0.0.1:1/postgres"
    kernel = open_kernel(world.location, kit.release(), replica=nowhere)
    kit.add(kernel, kit.constraint())
    assert b'"deny"' in ask(kernel, kit.ask())
    kernel.file.close()


def test_a_standby_takes_no_writes_and_says_so(world: Any, kit: Any, standby: Server) -> None:
    kernel = open_kernel(follow(world, standby), kit.release())
    with pytest.raises(WriteFailed, match="read-only"):
        kit.add(kernel, kit.constraint())
    with pytest.raises(SchemaUnavailable, match="takes no writes"):
        kernel.file.require_writable()
    assert records(kernel) == 0
    kernel.file.close()


# --- schema --------------------------------------------------------------------------------------


def test_an_empty_schema_is_at_version_0_and_stays_empty_when_looked_at(world: Any) -> None:
    assert world.open(migrate=False).schema_care.load_status().pending_versions == (1, 2, 3, 4)
    assert world.stranger.columns("pg_class")
    assert "does not exist" in world.stranger.refusal("SELECT * FROM schema_migrations")


def test_another_program_s_schema_is_left_alone(world: Any) -> None:
    world.stranger.run("CREATE TABLE schema_migrations (version text)")
    with pytest.raises(SchemaUnavailable, match="another program's tables"):
        world.open()
    assert world.stranger.columns("schema_migrations") == ["version"]


def test_a_schema_that_does_not_exist_is_named(postgres: Server) -> None:
    database = PostgresDatabase(postgres.dsn("nowhere"))
    schema = PostgresSchema(database, 4)
    with pytest.raises(SchemaUnavailable, match="no schema to use"):
        schema.load_status()
    with pytest.raises(SchemaUnavailable, match="no schema to use"):
        schema.migrate(0)
    database.close()


def test_a_database_that_does_not_exist_is_named_without_its_password(postgres: Server) -> None:
    dsn = f"postgresql://memory:secret@127.0.0.1:{postgres.port}/nowhere?sslmode=disable"
    database = PostgresDatabase(dsn)
    with pytest.raises(SchemaUnavailable, match='"nowhere" does not exist') as caught:
        PostgresSchema(database, 4).load_status()
    with pytest.raises(MigrationFailed, match="was not applied"):
        PostgresSchema(database, 4).migrate(0)
    assert "secret" not in caught.value.message
    assert name_database(dsn) == f"postgresql://memory@127.0.0.1:{postgres.port}/nowhere"


@pytest.mark.parametrize("password", ["s3%zzret", "a@s3ret", "s3/ret", "s3?ret", "s3#ret", "s3:ret", "s3ret"])
def test_a_password_is_not_shown_however_wrong_it_is_written(password: str) -> None:
    dsn = f"postgresql://memory:{password}@127.0.0.1:1/nowhere"
    with pytest.raises(SchemaUnavailable) as caught:
        PostgresSchema(PostgresDatabase(dsn), 4).load_status()
    for shown in (caught.value.message, name_database(dsn)):
        assert "s3" not in shown
        assert "ret" not in shown


@pytest.mark.parametrize("name", ["postgresql:/x", "postgres:x", "POSTGRES:/x/y", "pg://host/x"])
def test_what_is_nearly_a_dsn_is_refused_with_what_to_write(name: str, run_mk: Any, kit: Any) -> None:
    with pytest.raises(InvalidRequest, match="write postgresql://USER@HOST:PORT/NAME"):
        open_kernel(name, kit.release())
    refused = run_mk("verify", "--db", name)
    assert (refused.returncode, "with two slashes" in refused.stderr) == (2, True)


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_copying_a_file_names_what_copies_a_server_s_database(
    world: Any, run_mk: Any, tmp_path: Any, command: str
) -> None:
    refused = run_mk(command, tmp_path / "copy", "--db", world.location)
    assert refused.returncode == 2
    for part in ("pg_dump", "pg_restore", "mk export"):
        assert part in refused.stderr


def test_two_migrations_at_once_apply_once(world: Any) -> None:
    kernels = [world.open(migrate=False) for _ in range(2)]
    done: list[int | None] = []

    def migrate(kernel: Kernel) -> None:
        done.append(kernel.schema_care.migrate(dry_run=False).after_version)

    threads = [threading.Thread(target=migrate, args=(kernel,)) for kernel in kernels]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert done == [4, 4]


def test_a_truncate_is_refused_too(world: Any) -> None:
    world.open()
    assert "records is append-only" in world.stranger.refusal("TRUNCATE records, links")


def test_a_missing_driver_is_named_with_the_remedy(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if "postgres_" in name and "memorykernel.adapters" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DriverMissing, match="with its extra 'postgresql'"):
        world.open()


# --- plans and text ------------------------------------------------------------------------------


def explain(kernel: Kernel, statement: str, values: Any) -> str:
    assert isinstance(kernel.file, PostgresDatabase)
    with kernel.file.writing("SELECT") as writing:
        # Prepared statements may get a plan for any values: that one must do, too.
        writing.read("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")
        return "\n".join(str(row[0]) for row in writing.read(f"EXPLAIN {statement}", values))


@pytest.fixture
def filled(world: Any, kit: Any) -> Kernel:
    """A store with 20,000 constraints, whose statistics nobody has collected."""
    kernel: Kernel = world.open()
    first = kit.add(kernel, kit.constraint())
    kit.add(kernel, kit.constraint(supersedes=[first]))
    columns = ", ".join(world.stranger.columns("records")[3:])
    world.stranger.tamper(
        f"INSERT INTO records (record_seq, memory_version_id, memory_id, {columns})"  # noqa: S608  # our own names
        f" SELECT n + 2, 'v' || n, 'm' || n, {columns} FROM records, generate_series(1, 20000) n"
        " WHERE record_seq = 1;"
        "INSERT INTO constraint_scopes SELECT '=actor' || n % 500, '=use', '=thing' || n, n + 2"
        " FROM generate_series(1, 20000) n;"
        "INSERT INTO postings SELECT 'word' || n % 5000, 4, decode(lpad(to_hex(n), 38, '0'), 'hex'), n + 2"
        " FROM generate_series(1, 20000) n;"
        "INSERT INTO links SELECT n + 1, 'v' || n, 'v' || n + 1, 'supersedes', 'w', 'j'"
        " FROM generate_series(1, 19999) n;"
        "INSERT INTO record_terms SELECT 'word' || n % 5000, n + 2 FROM generate_series(1, 20000) n;"
        "INSERT INTO memory_chain SELECT n + 3, 'record', n + 2, head, head, NULL"
        " FROM memory_chain, generate_series(1, 20000) n WHERE entry_seq = 0"
    )
    return kernel


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_question_enters_every_table_by_an_index(world: Any, filled: Kernel, analyzed: bool) -> None:
    if analyzed:
        world.stranger.run("ANALYZE")
    asked = [
        ask_policy(ASKED, patterns=False, known=None),
        ask_policy(ASKED, patterns=True, known=None),
        ask_terms(tuple(RecordType), ("word7", "word8"), None),
        ask_search(plan_search(RecallQuestion(text="word7 word8", record_types=(), as_of_us=0)), None),
    ]
    for statement, values in asked:
        plan = explain(filled, statement, values)
        for table in ("records", "links", "memory_chain", "constraint_scopes", "record_terms", "postings"):
            assert f"Seq Scan on {table}" not in plan, plan
    assert "constraint_scopes_by_" in explain(filled, *asked[0])
    assert "record_terms_by_term" in explain(filled, *asked[2])


def test_text_longer_than_an_index_entry_is_kept_and_found(world: Any, kit: Any) -> None:
    kernel = world.open()
    long = "".join(chr(0x4E00 + n % 20_000) for n in range(30_000))
    almost = f"{long[:-1]}x"
    kit.add(kernel, kit.constraint(long, resource=long, note="x" * 9000))
    kit.add(kernel, kit.constraint(almost, resource=long))
    kit.add(kernel, kit.summary(f"{'a' * 30_000} and more"))
    package = ask(kernel, kit.ask(actor=long, resource=long))
    assert b'"deny"' in package
    found = kernel.asking.memory.read_policy_evidence(
        PolicyQuestion(text="?", actor=long, action="use", resource=long, as_of_us=0)
    )
    assert len(found.candidates) == 1
    recalled = kernel.asking.memory.read_recall_evidence(tuple(RecordType), ("a" * 30_000,))
    assert len(recalled.candidates) == 1
    assert kernel.check_integrity().ok


@pytest.mark.parametrize("text", ["a\0b", "\x01", "\x010", "\0\x01\0", "plain", "", "\x01\x01" * 3 + "1"])
def test_text_with_characters_that_sql_cannot_hold_comes_back_as_it_was(text: str) -> None:
    encoded = encode_value(text)
    assert "\0" not in encoded
    assert decode_text(encoded) == text
    assert encode_value([text]) == [encoded]


def test_u_0000_is_kept_and_found(world: Any, kit: Any) -> None:
    kernel = world.open()
    kit.add(kernel, kit.constraint("a\0b", note="\x01\0"))
    kit.add(kernel, kit.summary("nul\0character"))
    assert b'"deny"' in ask(kernel, kit.ask(actor="a\0b"))
    assert b'"inconclusive"' in ask(kernel, kit.ask(actor="a"))
    request = read_request({"text": "character", "record_types": []}, Recall, strict=True)
    assert b"selected 1 memories" in kernel.asking.recall(request)
    assert kernel.check_integrity().ok
