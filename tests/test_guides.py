"""The guides name commands and options that exist; a guide that drifts from the command line fails here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
from assistsupport.cli.main import app as assistsupport
from cutover.cli.main import app as cutover
from memorykernel.cli.main import app as mk

ROOT: Final = Path(__file__).parents[1]
GUIDES: Final = (*sorted((ROOT / "docs/guides").glob("*.md")), ROOT / "README.md", ROOT / "SECURITY.md")
APPS: Final = {"assistsupport": assistsupport, "cutover": cutover, "mk": mk}
MAKE_TARGETS: Final = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
_BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")


def commands(text: str) -> Iterator[list[str]]:
    """Yield the command lines of ours in a document, as words; spans in prose count as well."""
    blocks = "\n".join(_BLOCK.findall(text)).replace("\\\n", " ")
    spans = _SPAN.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in (*blocks.splitlines(), *spans):
        for part in re.split(r"\||&&|;|\s&\s*$", line.removeprefix("$ ")):
            try:
                words = shlex.split(part.split("<<<")[0], comments=True)
            except ValueError:
                continue  # half a quotation: prose
            if len(words) > 1 and words[0] in {*APPS, "make"}:
                yield words


def find_problem(words: list[str]) -> str | None:
    """Say what the command line does not know, or None."""
    if words[0] == "make":
        unknown = [word for word in words[1:] if "=" not in word and word not in MAKE_TARGETS]
        return f"no target {unknown}" if unknown else None
    command: Any = typer.main.get_command(APPS[words[0]])
    rest = words[1:]
    while rest and getattr(command, "commands", None) and not rest[0].startswith("-"):
        default = getattr(command, "default_command", None)
        if rest[0] not in command.commands and default is not None:
            rest = [default, *rest]
        if rest[0] not in command.commands:
            return f"no command {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
    return f"no option {unknown}" if unknown else None


@pytest.mark.parametrize("guide", [path for path in GUIDES if path.exists()], ids=lambda path: path.name)
def test_every_command_in_a_guide_exists(guide: Path) -> None:
    found = list(commands(guide.read_text(encoding="utf-8")))
    assert found, "a guide without a command guides nobody"
    problems = {" ".join(words): problem for words in found if (problem := find_problem(words))}
    assert not problems


@pytest.mark.parametrize(
    "line", ["cutover levitate", "mk query ask --loudly", "make coffee", "assistsupport kb forget everything"]
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    (words,) = commands(f"```sh\n{line}\n```\n")
    assert find_problem(words)
