"""cutover.toml: read as a whole, every problem with its line and what to do."""

from __future__ import annotations

import tomllib

import pytest
from cutover.core.key import Party
from cutover.core.program_file import parse_program
from cutover.core.toml_place import Places
from cutover.errors import InvalidProgram
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.cutover.tests.cli.world import PROGRAM

GOOD = (
    PROGRAM.replace("NOT_BEFORE", "2026-02-08T12:00:00Z")
    .replace("OPENS_AT", "2026-02-08T13:00:00Z")
    .replace("CLOSES_AT", "2026-02-08T15:00:00Z")
)


def _problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidProgram) as caught:
        parse_program(text.encode())
    return caught.value.problems


def _line_of(text: str, fragment: str) -> int:
    return text[: text.index(fragment)].count("\n") + 1


def test_a_good_file_is_read() -> None:
    program = parse_program(GOOD.encode())
    assert (program.name, program.baseline.release_tag, program.target.release_tag) == (
        "test",
        "v0.3.2",
        "v0.4.0",
    )
    assert program.roles["joint-decision-log-owner"].party is None
    assert program.roles["producer-rollback-owner"].party is Party.PRODUCER
    assert program.producer.suites[0].command == ("{python}", "suites/run.py")
    assert program.thresholds.applied_share == 0.99


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('phase = "Phase 8"', "phase = 8", "phase: expected `str`, got `int`"),
        ('phase = "Phase 8"', 'phase = " "', "one line of text that is not blank"),
        ('name = "test"', 'name = "Test 1"', "lower-case letters, digits and '-'"),
        ('origin = "producer.git"', 'origin = "/srv/producer.git"', "a path below this folder"),
        ('token_file = "run/consumer.token"', 'token_file = "../token"', "a path below this folder"),
        ('pin_path = "config/pin.json"', 'pin_path = "../pin.json"', "a path inside the repository"),
        ('metadata_paths = ["contracts/"', 'metadata_paths = ["/contracts/"', "a path inside the repository"),
        ('branch = "refs/heads/main"', 'branch = "main"', "a full ref like refs/heads/main"),
        ('live_ref = "refs/heads/main"', 'live_ref = "refs/heads/a..b"', "a full ref like refs/heads/main"),
        ('release_tag = "v0.4.0"', 'release_tag = "0.4"', "a tag like v1.2.3"),
        ('release_tag = "v0.4.0"', 'release_tag = "v0.3.2"', "another release than the baseline's"),
        ('"service.v3"', '"service.v2"', "another service contract than the baseline's"),
        ('"service.v3"', '"service.v9"', "expected one of service.v2, service.v3"),
        ('"service.v3"', '"service.v3"\napi_contract_version = "api.v2"', "expected api.v1"),
        ("opens_at = 2026-02-08T13", "opens_at = 2026-02-08T11", "a time after not_before"),
        ("closes_at = 2026-02-08T15", "closes_at = 2026-02-08T13", "a time after opens_at"),
        ("opens_at = 2026-02-08T13:00:00Z", "opens_at = 2026-02-08T13:00:00", "a time with its zone"),
        ("notice_days = 0", "notice_days = -1", "expected 0 to 3650, got -1"),
        ("[thresholds]", "[thresholds]\napplied_share = 1.5", "expected 0.5 to 1, got 1.5"),
        ("[thresholds]", "[thresholds]\napplied_share = nan", "expected 0.5 to 1, got nan"),
        ("[thresholds]", "[thresholds]\nmin_drill_drafts = 0", "expected 1 to 1e+06, got 0"),
        ("[watch]", "[watch]\nmax_timeouts = 0", "expected 1 to 1000, got 0"),
        ("[watch]", "[watch]\nmax_timeout = 1", "watch.max_timeout: unknown key"),
        ('party = "joint"', 'party = "producer"', "expected 'joint'"),
        ('party = "joint"', 'party = "nobody"', "'joint'"),
        ("[roles.joint-decision-log-owner]", "[roles.scribe]", "role joint-decision-log-owner is missing"),
        ('"{port}", "{data}", "{release}"]', '"{data}", "{release}"]', "placeholder {port} is missing"),
        ('"{data}", "{port}"]', '"{data}", "{port}", "{shell}"]', "placeholder {shell} is unknown"),
        ('["{python}", "suites/run.py"]', "[]", "got an empty one; name a program"),
        ('ready_path = "/v1/health"', 'ready_path = "v1/health"', "a path like /v1/ready"),
        ('"suites/run.py"]', '"suites/run.py"]\ntimeout_s = 0', "more than 0 and at most 3600 seconds"),
        ('engine = "embedded"', 'engine = "haproxy"', "other engines come later"),
        ('bind = "127.0.0.1:4010"', 'bind = "0.0.0.0:4010"', "a loopback address and port"),
        ('bind = "127.0.0.1:4010"', 'bind = "127.0.0.1:4020"', "another port than traffic.bind"),
        ('url = "http://127.0.0.1:4020"', 'url = "http://desk.example:80"', "a loopback URL"),
        ('questions = "questions.jsonl"\n', "", "traffic: questions is missing"),
        ("[watch]", "watch = 1\n[ignored]", "unknown key"),
    ],
)
def test_each_problem_is_named_with_what_to_do(old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert any(message in problem for problem in _problems(GOOD.replace(old, new, 1)))


def test_problems_carry_the_line_they_stand_on() -> None:
    text = GOOD.replace("notice_days = 0", "notice_days = -1")
    assert _problems(text)[0].startswith(f"line {_line_of(text, 'notice_days')}: window.notice_days: ")


def test_every_problem_is_named_at_once_in_the_order_of_the_file() -> None:
    text = (
        GOOD.replace('phase = "Phase 8"', "phase = 8")
        .replace('branch = "refs/heads/main"', 'branch = "main"')
        .replace("notice_days = 0", 'notice_days = "none"')
        .replace('engine = "embedded"', 'engine = "haproxy"')
    )
    lines = [int(problem.split(":")[0].removeprefix("line ")) for problem in _problems(text)]
    assert lines == [_line_of(text, f) for f in ("phase = 8", "branch", "notice_days", "engine")]


def test_two_suites_of_one_name_are_refused() -> None:
    suite = '[[producer.suites]]\nname = "suite"\ncommand = ["{python}", "suites/run.py"]\n'
    assert any(
        "expected every suite once" in problem for problem in _problems(GOOD.replace(suite, suite * 2, 1))
    )


def test_a_party_without_a_suite_is_refused() -> None:
    before, rest = GOOD.split("[[consumer.suites]]")
    after = rest[rest.index("[baseline]") :]
    assert any("suites is missing" in problem for problem in _problems(before + after))
    empty = before.replace("[consumer]\n", "[consumer]\nsuites = []\n") + after
    assert any("at least one verification command" in problem for problem in _problems(empty))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = \n", "not TOML: invalid value (at line 1, column 8)"),
        ('name = "a"\nname = "b"\n', "line 2"),
        ("# " + "x" * 300_000, "expected at most 262144"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_place(text: str, message: str) -> None:
    assert any(message in problem for problem in _problems(text))


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(InvalidProgram, match="byte 8 is not UTF-8"):
        parse_program(b'name = "\xff"')


def test_an_empty_file_misses_everything() -> None:
    problems = _problems("")
    assert {"producer", "consumer", "window", "roles"} <= {p.split(": ")[-1].split(" ")[0] for p in problems}


def test_places_see_through_strings_comments_and_lists() -> None:
    text = (
        '# x\na = """\n[b]\nc = 1\n"""\nl = [\n  1, # ]\n  "]",\n  { q = "}" },\n]\n'
        "[t.\"x y\"]\nd.e = '#' # f\n"
    )
    tomllib.loads(text)
    places = Places(text)
    assert places.line(("a",)) == 2
    assert places.line(("l", 2, "q")) == 6
    assert places.line(("t", "x y")) == 11
    assert places.line(("t", "x y", "d", "e")) == 12
    assert places.line(("nothing",)) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, GOOD.count("\n") - 1))
def test_without_any_one_line_the_file_is_read_or_refused_with_lines(number: int) -> None:
    lines = GOOD.splitlines(keepends=True)
    text = "".join(lines[:number] + lines[number + 1 :])
    for problem in _find_problems(text):
        assert "line " in problem


def _find_problems(text: str) -> tuple[str, ...]:
    try:
        parse_program(text.encode())
    except InvalidProgram as refused:
        return refused.problems
    return ()
