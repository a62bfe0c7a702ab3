"""What is judged does not know how it is tested: scenarios are the demo's, and the demo's alone.

Executor, gateway and gates meet a fault, a moved tag or a missing key as they would meet it in the world.
Five names are both a scenario and one of the record's own words for why a cutover stops; those words
belong to `StopCondition`, and may stand where it is written and where it is explained, nowhere else. A
fault's name never coincides with a scenario's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cutover.core.entry import StopCondition
from cutover.core.fault import FAULTS
from cutover.demo.scenario import SCENARIOS

SOURCES = Path(__file__).parents[1] / "packages" / "cutover" / "src" / "cutover"
JUDGING = ("core", "service", "adapters", "web", "wiring")
RECORDS_OWN_WORDS = frozenset(StopCondition) & frozenset(SCENARIOS)
# The enum, and the record's list of its four conditions with what each means.
WHERE_THEY_STAND = {"core/entry.py", "core/record/content.py"}
SPELLED = "|".join(re.escape(name).replace(r"\-", "[-_ ]") for name in SCENARIOS)
NAMES = re.compile(rf"(?<![\w-])(?:{SPELLED})(?![\w-])", re.IGNORECASE)


def list_modules() -> list[Path]:
    found = [path for layer in JUDGING for path in sorted((SOURCES / layer).rglob("*.py"))]
    return [*found, SOURCES / "ports.py", SOURCES / "errors.py"]


def name_of(module: Path) -> str:
    return module.relative_to(SOURCES).as_posix()


def read_code(module: Path) -> Iterator[str]:
    """Return every name, attribute, argument and text of a module, without comments and docstrings."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    prose = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if node not in prose:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.keyword(arg=str(name)):
                yield name
            case _:
                continue


def list_imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def find_scenarios(text: str) -> set[str]:
    """Return the scenarios whose names a text has as words of their own, in any spelling."""
    return {re.sub("[_ ]", "-", found.lower()) for found in NAMES.findall(text)}


def test_there_is_something_to_look_at() -> None:
    assert len(list_modules()) > 80
    assert len(SCENARIOS) >= 11
    names = {text for module in list_modules() for text in read_code(module)}
    assert {"calculate_decision", "take_back", "decision-not-go"} <= names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("moved-tag", {"moved-tag"}),
        ("MOVED_TAG", {"moved-tag"}),
        ("the moved tag or the one key two parties", {"moved-tag", "one-key-two-parties"}),
        ("unmoved-tag", set()),
        ("tag-moved", set()),
    ],
)
def test_a_name_is_found_in_every_spelling(text: str, found: set[str]) -> None:
    assert find_scenarios(text) == found


@pytest.mark.parametrize("module", list_modules(), ids=name_of)
def test_no_module_that_judges_knows_the_demo(module: Path) -> None:
    assert not [name for name in list_imports(module) if re.match(r"cutover\.(demo|cli)\b", name)]
    assert not [text for text in read_code(module) if re.search(r"scenario", text, re.IGNORECASE)]


@pytest.mark.parametrize("module", list_modules(), ids=name_of)
def test_no_module_that_judges_names_a_scenario(module: Path) -> None:
    # `StopCondition.CONTRACT_MISMATCH` is how the record's own words are meant to be used.
    texts = [text for text in read_code(module) if text not in StopCondition.__members__]
    known = set().union(*map(find_scenarios, texts))
    assert known <= (RECORDS_OWN_WORDS if name_of(module) in WHERE_THEY_STAND else frozenset())


def test_the_words_that_are_both_are_stop_conditions() -> None:
    assert {
        "contract-mismatch",
        "fallback-regression",
        "rollback-owner-ambiguity",
        "suite-failure",
        "manual-stop",
    } == RECORDS_OWN_WORDS


def test_no_fault_is_called_like_a_scenario() -> None:
    assert not [fault for fault in FAULTS if find_scenarios(fault)]
