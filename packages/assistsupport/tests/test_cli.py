"""The command line: results on stdout, one-line refusals with a remedy, exit codes as promised."""

import http.client
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from assistsupport.adapters.desk_file import load_tickets
from assistsupport.cli.main import app
from assistsupport.cli.output import StderrLogger
from assistsupport.errors import TicketRefused
from assistsupport.web.server import describe_exposure
from typer.testing import CliRunner, Result

from packages.assistsupport.tests.desk_world import TICKETS, write_articles


@pytest.fixture
def data(tmp_path: Path) -> Path:
    assert run("kb", "add", write_articles(tmp_path / "kb"), "--data", tmp_path / "data").exit_code == 0
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    """A command configures logging for its process; here the process goes on."""
    yield
    structlog.reset_defaults()


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def refusal(result: Result) -> str:
    [line] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.output
    return line


@contextmanager
def serve(*arguments: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a server process until the end of the block; it must end with exit code 0."""
    program = "from assistsupport.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--bind", "127.0.0.1:0", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["pid"]) == ("ready", process.pid)
        yield ready["url"], process
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.communicate()


def post(url: str, path: str, value: object) -> Any:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", path, json.dumps(value), {"content-type": "application/json"})
        return json.load(connection.getresponse())
    finally:
        connection.close()


def test_kb_add_reports_and_is_incremental(tmp_path: Path, data: Path) -> None:
    report = json.loads(run("kb", "add", tmp_path / "kb", "--data", data, "--json").stdout)
    assert (report["unchanged"], report["added"], report["documents"]) == (4, 0, 4)
    (tmp_path / "kb" / "bad.md").write_bytes(b"\xff")
    result = run("kb", "add", tmp_path / "kb", "--data", data)
    assert result.exit_code == 1
    assert "refused kb/bad.md: file is not UTF-8" in result.stderr


def test_kb_search_finds_or_says_no(data: Path) -> None:
    assert "kb/printing/followme.md" in run("kb", "search", "printer", "--data", data).stdout
    found = json.loads(run("kb", "search", "printer", "--data", data, "--json").stdout)
    assert found["results"][0]["article_id"] == "kb/printing/followme.md"
    assert run("kb", "search", "zebra", "--data", data).exit_code == 1


def test_draft_prints_the_reply_alone_on_stdout(data: Path, tmp_path: Path) -> None:
    (tmp_path / "ticket.txt").write_text(TICKETS[0].text)
    from_file = run("draft", tmp_path / "ticket.txt", "--data", data)
    from_stdin = run("draft", "-", "--data", data, stdin=TICKETS[0].text)
    assert from_file.exit_code == 0
    assert from_file.stdout == from_stdin.stdout
    assert from_file.stdout.startswith("Hello,\n")
    assert "policy: may employee use vpn? fallback (feature-disabled" in from_file.stderr
    found = json.loads(run("draft", "-", "--data", data, "--json", stdin=TICKETS[0].text).stdout)
    assert found["draft"]["text"] + "\n" == from_file.stdout


def test_draft_that_cannot_answer_exits_3(data: Path) -> None:
    assert run("draft", "-", "--data", data, stdin=TICKETS[2].text).exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["draft", "none.txt"], 1, "cannot read 'none.txt'"),
        (["draft", "-"], 1, "ticket has no text"),
        (["draft", "-", "--governance", "nowhere"], 1, "expected REPO@REF"),
        (["draft", "-", "--producer-url", "http://127.0.0.1:1"], 2, "pass --governance"),
        (["draft", "-", "--governance", "a@b", "--producer-url", "http://example.org"], 2, "loopback"),
        (["draft", "-", "--catalogue", "none.toml"], 2, "cannot read none.toml"),
        (["kb", "add", "none"], 1, "does not exist"),
        (["status", "--url", "http://127.0.0.1:1"], 1, "is 'assistsupport serve' running?"),
        (["status", "--url", "file:///etc/passwd"], 1, "expected http://HOST:PORT"),
        (["serve", "--bind", "nowhere"], 2, "expected HOST:PORT"),
        (["serve", "--bind", "127.0.0.1:99999"], 2, "expected HOST:PORT"),
        (["serve", "--tickets", "none.jsonl"], 1, "cannot read none.jsonl"),
        (["serve", "--control-token-file", "none"], 2, "cannot be read"),
    ],
)
def test_refusals_are_one_line_with_a_remedy(
    data: Path, arguments: list[str], code: int, complaint: str
) -> None:
    result = run(*arguments, "--data", data, stdin=" ")
    assert result.exit_code == code
    assert complaint in refusal(result)


@pytest.mark.parametrize(
    ("ticket", "complaint"),
    [
        (b"\xff\xfe\x00bad", "is not text: expected the ticket in UTF-8, got byte 0xff at offset 0"),
        (b"caf\xc3", "got byte 0xc3 at offset 3"),
        (b"a" * 80_001, "is too long: expected at most 20000 characters"),
    ],
)
def test_a_ticket_that_is_no_text_is_refused_from_stdin_as_from_a_file(
    data: Path, tmp_path: Path, ticket: bytes, complaint: str
) -> None:
    (tmp_path / "ticket.txt").write_bytes(ticket)
    for result in (
        run("draft", "-", "--data", data, stdin=ticket),
        run("draft", tmp_path / "ticket.txt", "--data", data),
    ):
        assert result.exit_code == 1
        assert complaint in refusal(result)


@pytest.mark.parametrize("command", [["kb", "search", "vpn"], ["draft", "-"], ["status"]])
def test_a_reading_command_in_the_wrong_folder_leaves_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*command, stdin="vpn?")
    assert result.exit_code == 2
    assert refusal(result) == (
        "error: no knowledge base in ./assistsupport-data; run 'assistsupport kb add' or pass --data"
    )
    assert list(tmp_path.iterdir()) == []


def test_serve_says_that_it_creates_a_knowledge_base(tmp_path: Path) -> None:
    with serve("--data", tmp_path / "new") as (_, process):
        assert process.stderr is not None
        assert "created an empty knowledge base" in process.stderr.readline()
        assert "serving on" in process.stderr.readline()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_needs_no_warning(host: str) -> None:
    assert describe_exposure(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "fe80::1%eth0"])  # noqa: S104 - none is bound
def test_a_server_for_other_machines_warns(host: str) -> None:
    assert f"{host} is reachable from other machines" in str(describe_exposure(host))


def test_a_weak_control_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short\n")
    result = run("serve", "--control-token-file", tmp_path / "token", "--data", tmp_path / "data")
    assert "too weak" in refusal(result)


def test_usage_errors_exit_2() -> None:
    assert run("kb", "search").exit_code == 2
    assert run("nothing").exit_code == 2


@pytest.mark.parametrize("line", ["{", '{"text": 1}', '{"text": ""}', "[]", "\xff"])
def test_a_malformed_inbox_names_the_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "fine"}\n\n' + line + "\n", encoding="latin-1")
    with pytest.raises(TicketRefused, match=r"t\.jsonl:3: "):
        load_tickets(tmp_path / "t.jsonl")


def test_serve_drafts_as_the_command_does_and_ends_on_a_signal(data: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox.jsonl"
    inbox.write_text(json.dumps({"ticket_id": "T-1", "text": "hello", "from": "Ana", "labels": {}}) + "\n")
    command = json.loads(run("draft", "-", "--data", data, "--json", stdin=TICKETS[0].text).stdout)
    with serve("--data", data, "--tickets", inbox, "--no-enrichment") as (url, _):
        draft = post(url, "/api/v1/drafts", {"text": TICKETS[0].text})
        status = json.loads(run("status", "--url", url, "--json").stdout)
        assert "4 articles" in run("status", "--url", url).stdout
    assert draft["draft"]["sha256"] == command["draft"]["sha256"]
    assert draft["policy"]["reason"] == "feature-disabled"
    assert status["counts"]["drafts"] == 1
    assert "4 articles" in run("status", "--data", data).stdout


def test_serve_refuses_a_taken_address(data: Path) -> None:
    with serve("--data", data) as (url, _):
        result = run("serve", "--data", data, "--bind", url.removeprefix("http://"))
        assert result.exit_code == 2
        assert "choose another --bind" in refusal(result)


def test_logging_survives_a_standard_error_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    StderrLogger().error("nobody hears this")
