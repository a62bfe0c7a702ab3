"""Commands that only look: the log, the record, status and check; and the processes that stay."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cutover.adapters.http import LoopbackHttp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packages.cutover.tests.cli.world import AUTHOR, WHEN, World

CUTOVER = (sys.executable, "-m", "cutover.cli")


def test_a_change_of_one_byte_anywhere_in_a_line_names_its_entry(prepared: World) -> None:
    path = prepared.folder / "log" / "entries.jsonl"
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, len(lines) - 1), st.integers(0, 10**6), st.integers(1, 255))
    def change(index: int, offset: int, difference: int) -> None:
        line = bytearray(lines[index])
        line[offset % (len(line) - 1)] ^= difference
        path.write_bytes(b"".join((*lines[:index], bytes(line), *lines[index + 1 :])))
        ran = prepared.run("log", "verify")
        assert ran.code == 1
        assert f"entry {index} of the decision log does not verify" in ran.err

    change()
    path.write_bytes(good)
    assert prepared.run("log", "verify").code == 0


def test_truncation_is_found_only_against_a_kept_head(prepared: World, tmp_path: Path) -> None:
    kept = tmp_path / "head.json"
    kept.write_text(prepared.did("log", "head", "--json").out)
    path = prepared.folder / "log" / "entries.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    alone = prepared.did("log", "verify")
    assert "without --against a kept head" in alone.err
    ran = prepared.run("log", "verify", "--against", str(kept))
    assert (ran.code, "truncated" in ran.err) == (1, True)


def test_a_log_that_grew_still_contains_a_kept_head(handed_off: World, tmp_path: Path) -> None:
    kept = tmp_path / "head.json"
    kept.write_text(handed_off.did("log", "head", "--json").out)
    handed_off.did("prepare", keys="consumer")
    assert handed_off.did("log", "verify", "--against", str(kept), "--json").document["size"] == 3


def test_a_kept_head_that_does_not_read_decides_nothing(prepared: World, tmp_path: Path) -> None:
    ran = prepared.run("log", "verify", "--against", str(tmp_path / "nope.json"))
    assert (ran.code, "does not read as a kept head" in ran.err) == (3, True)


def test_the_record_is_rendered_from_the_log_and_a_changed_file_is_found(prepared: World) -> None:
    assert prepared.did("record", "--json").document["written"] == ["record.md", "record.json", "record.html"]
    assert prepared.did("record", "--verify", "--json").document["differing"] == []
    path = prepared.folder / "record.md"
    path.write_text(path.read_text().replace("NO", "GO"))
    ran = prepared.run("record", "--verify", "--json")
    assert (ran.code, ran.document["differing"]) == (1, ["record.md"])


def test_the_record_of_a_program_that_was_never_opened_says_so(world: World) -> None:
    world.did("record")
    assert "**NOT OPENED**" in (world.folder / "record.md").read_text()


def test_status_ends_with_the_next_command_and_who_runs_it(
    world: World, opened_stage: World, handed_off_stage: World, prepared_stage: World
) -> None:
    stages = (world, opened_stage, handed_off_stage, prepared_stage)
    states = [stage.did("status", "--json").document for stage in stages]
    assert [state["phase"] for state in states] == ["unopened", "opened", "handed-off", "prepared"]
    assert [(state["next"]["command"], state["next"]["by"]) for state in states[:3]] == [
        ("open", "producer"),
        ("handoff", "producer"),
        ("prepare", "consumer"),
    ]
    assert "next: consumer runs 'cutover prepare'" in handed_off_stage.did("status").out.splitlines()[-1]


def test_status_works_without_repositories_and_material(prepared: World) -> None:
    for name in ("producer.git", "consumer.git", "questions.jsonl"):
        (prepared.folder / name).rename(prepared.folder / f"{name}.gone")
    assert prepared.did("status", "--json").document["phase"] == "prepared"


def test_check_finds_nothing_missing_in_a_complete_program(opened: World) -> None:
    findings = opened.did("check", "--json", keys="producer").document
    assert [finding for finding in findings if not finding["ok"]] == []
    assert {"tag v0.4.0", "consumer.live_ref", "producer.launch", "key party"} <= {
        f["subject"] for f in findings
    }


def test_check_says_everything_that_is_missing_at_once(world: World) -> None:
    (world.folder / "questions.jsonl").unlink()
    (world.folder / "consumer.git").rename(world.folder / "elsewhere.git")
    path = world.folder / "cutover.toml"
    path.write_text(path.read_text().replace('"{python}", "suites/run.py"', '"no-such-program"'))
    ran = world.run("check", "--json", keys="producer")
    assert ran.code == 1
    missing = {finding["subject"]: finding["detail"] for finding in ran.document if not finding["ok"]}
    assert "is not there" in missing["repositories"]
    assert "questions.jsonl cannot be read" in missing["material"]
    assert "no-such-program is not on the PATH" in missing["producer.suites.suite"]
    assert "has no key" in missing["keys"]


def test_a_program_file_with_problems_names_each_on_a_line_of_its_own(world: World) -> None:
    path = world.folder / "cutover.toml"
    path.write_text(path.read_text().replace("notice_days = 0", "notice_days = -1").replace("v0.4.0", "four"))
    ran = world.run("check")
    assert ran.code == 1
    assert [line.split(": ")[:2] for line in ran.err.splitlines()] == [
        ["error", "line 52"],
        ["error", "line 79"],
    ]


@pytest.mark.parametrize("arguments", [("nonsense",), ("decide",), ("decide", "--scope", "other")])
def test_wrong_usage_exits_two(world: World, arguments: tuple[str, ...]) -> None:
    assert world.run(*arguments).code == 2


def test_a_release_runs_from_an_export_of_its_tag_until_sigterm(opened: World) -> None:
    command = (*CUTOVER, "release", "run", "--tag", "v0.4.0", "--program", str(opened.folder))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = msgspec.json.decode(process.stdout.readline())
        record = opened.folder / "run" / "releases" / "v0.4.0.json"
        facts = msgspec.json.decode(record.read_bytes())
        reply = LoopbackHttp().request("GET", f"{ready['url']}/v1/health")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert ready["event"] == "ready"
    assert (facts["url"], facts["address"], facts["pid"]) == (ready["url"], ready["url"], ready["pid"])
    assert b"run/releases/v0.4.0" in reply.body
    assert not record.exists()


def test_a_release_that_is_not_of_the_program_does_not_run(opened: World) -> None:
    ran = opened.run("release", "run", "--tag", "v9.9.9")
    assert (ran.code, "expected v0.3.2 or v0.4.0" in ran.err) == (1, True)


def test_a_release_that_runs_already_is_not_started_again(opened: World) -> None:
    folder = opened.folder / "run" / "releases"
    folder.mkdir(parents=True)
    running = {
        "release_tag": "v0.4.0", "url": "http://127.0.0.1:1", "address": "http://127.0.0.1:1",
        "pid": 1, "command": ["x"], "tree_id": "0" * 40, "folder": "x",
    }  # fmt: skip
    (folder / "v0.4.0.json").write_bytes(msgspec.json.encode(running))
    ran = opened.run("release", "run", "--tag", "v0.4.0")
    assert (ran.code, "runs already as process 1" in ran.err) == (1, True)


def test_a_release_that_does_not_start_says_why(opened: World) -> None:
    (opened.producer.folder / "server.py").write_text("raise SystemExit('no such database')\n")
    commit = opened.producer.commit_all(AUTHOR, WHEN, "Break it")
    opened.producer.annotated_tag("v0.4.0", author=AUTHOR, when=WHEN, message="x", commit=commit, force=True)
    opened.producer.push("refs/tags/v0.4.0", force=True)
    ran = opened.run("release", "run", "--tag", "v0.4.0")
    assert (ran.code, "before it was ready" in ran.err) == (1, True)


def test_a_gateway_does_not_start_before_the_baseline_runs(opened: World) -> None:
    ran = opened.run("gateway", keys="executor")
    assert (ran.code, "v0.3.2 is not running here" in ran.err) == (1, True)


def test_a_gateway_does_not_start_before_the_program_is_open(world: World) -> None:
    world.make_keys()
    ran = world.run("gateway", keys="executor")
    assert (ran.code, "not open yet" in ran.err) == (1, True)


def test_a_gateway_whose_address_is_taken_says_so(opened: World) -> None:
    running = {
        "release_tag": "v0.3.2", "url": "http://127.0.0.1:1", "address": "http://127.0.0.1:1",
        "pid": 1, "command": ["x"], "tree_id": "0" * 40, "folder": "x",
    }  # fmt: skip
    (opened.folder / "run" / "releases").mkdir(parents=True)
    (opened.folder / "run" / "releases" / "v0.3.2.json").write_bytes(msgspec.json.encode(running))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        command = (*CUTOVER, "gateway", "--bind", bind, "--program", str(opened.folder))
        keys = ("--keys", str(opened.keys("executor")))
        ran = subprocess.run((*command, *keys), capture_output=True, check=False, timeout=30)
    assert ran.returncode == 3
    assert b"error: the system refused" in ran.stderr
    assert b"Traceback" not in ran.stderr
