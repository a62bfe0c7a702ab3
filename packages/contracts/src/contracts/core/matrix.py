"""The consumer's compatibility matrix: Markdown that people read, parsed as structure and nothing else.

Only headings, list items and table cells of the document itself count. A sentence, a quotation, a
code block or a comment that looks like a pin is prose; this format has been misread that way before.

Source: wire contract, section 3.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NoReturn

from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec import Struct
from msgspec.structs import asdict

from contracts.core.json_value import JsonValue
from contracts.core.strict_json import decode_text
from contracts.core.text_format import (
    ApiContract,
    CommitSha,
    ProgramVersion,
    ReleaseTag,
    ServiceContract,
    Sha256Hex,
)
from contracts.core.typed_reader import convert_record
from contracts.errors import MalformedDocument

MAX_MATRIX_BYTES: Final = 256 * 1024
_PIN_HEADING: Final = "Baseline Pin"
_PAIRS_HEADING: Final = "Approved Version Pairs"

PIN_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MemoryKernel release tag": "release_tag",
        "MemoryKernel commit sha": "commit_sha",
        "Service contract version": "expected_service_contract_version",
        "API contract version": "expected_api_contract_version",
        "Integration baseline": "expected_integration_baseline",
        "Producer manifest sha256": "expected_producer_manifest_sha256",
    }
)
"""Labels of the list, and the pin's field of the same value."""

_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Consumer version": "consumer_version",
        "Consumer commit": "consumer_commit",
        "Producer tag": "producer_tag",
        "Producer commit": "producer_commit",
        "Service": "service",
        "API": "api",
        "Integration": "integration",
        "Status": "status",
    }
)


class _BaselinePin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    release_tag: ReleaseTag
    commit_sha: CommitSha
    expected_service_contract_version: ServiceContract
    expected_api_contract_version: ApiContract
    expected_integration_baseline: Literal["integration/v1"]
    expected_producer_manifest_sha256: Sha256Hex


class VersionPair(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row: this consumer with that producer, and what became of it."""

    consumer_version: ProgramVersion
    consumer_commit: CommitSha
    producer_tag: ReleaseTag
    producer_commit: CommitSha
    service: ServiceContract
    api: ApiContract
    integration: Literal["integration/v1"]
    status: Literal["Approved", "Superseded", "Candidate", "Rejected"]


class _Wire(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    baseline_pin: _BaselinePin
    pairs: tuple[VersionPair, ...]


class CompatibilityMatrix(Struct, frozen=True, kw_only=True):
    """The matrix; `baseline_pin` has the pin's own field names (the values of `PIN_LABELS`), all six."""

    baseline_pin: Mapping[str, str]
    pairs: tuple[VersionPair, ...]


def parse_matrix(data: bytes) -> CompatibilityMatrix:
    """Read a matrix strictly from its structure.

    Args:
        data: The file's bytes.

    Returns:
        The matrix, pairs in the order of the table.

    Raises:
        MalformedDocument: With the field (`baseline_pin.release_tag`, `pairs[2].status`, or a
            heading's name) and the reason.
    """
    tokens = MarkdownIt("commonmark").enable("table").parse(decode_text(data, max_bytes=MAX_MATRIX_BYTES))
    pin = dict(_read_pin(_find_section(tokens, _PIN_HEADING)))
    pairs: list[JsonValue] = list(_read_pairs(_find_section(tokens, _PAIRS_HEADING)))
    wire = convert_record({"baseline_pin": pin, "pairs": pairs}, _Wire)
    _verify_pairs(wire.pairs)
    return CompatibilityMatrix(baseline_pin=asdict(wire.baseline_pin), pairs=wire.pairs)


def render_matrix(matrix: CompatibilityMatrix) -> bytes:
    """Write a matrix; `parse_matrix(render_matrix(m)) == m`, and equal ones give equal bytes.

    Args:
        matrix: The matrix.

    Returns:
        Markdown with one final line break.

    Raises:
        MalformedDocument: When the reader would refuse the result.
    """
    pin = [f"- {label}: `{matrix.baseline_pin.get(name, '')}`" for label, name in PIN_LABELS.items()]
    rows = [_render_row([getattr(pair, name) for name in _COLUMNS.values()]) for pair in matrix.pairs]
    lines = [
        "# MemoryKernel compatibility matrix",
        "",
        "Which AssistSupport runs with which MemoryKernel; pin, matrix and manifest change together.",
        "",
        f"## {_PIN_HEADING}",
        "",
        *pin,
        "",
        f"## {_PAIRS_HEADING}",
        "",
        _render_row(list(_COLUMNS)),
        _render_row(["---"] * len(_COLUMNS)),
        *rows,
        "",
    ]
    data = "\n".join(lines).encode()
    if parse_matrix(data) != matrix:
        _refuse("baseline_pin", "expected values that a Markdown table keeps as they are")
    return data


def _render_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _refuse(field: str, reason: str) -> NoReturn:
    raise MalformedDocument(field, reason)


def _find_section(tokens: Sequence[Token], heading: str) -> Sequence[Token]:
    """The tokens between the one heading of that name and the next heading of its rank or above."""
    found = [
        index
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and tokens[index + 1].content == heading
    ]
    if len(found) != 1:
        _refuse(heading, f"expected one heading of this name, got {len(found)}")
    opening = tokens[found[0]]
    body = tokens[found[0] + 3 :]
    ends = (
        i for i, t in enumerate(body) if t.type == "heading_open" and t.level == 0 and t.tag <= opening.tag
    )
    return body[: next(ends, len(body))]


def _find_block(section: Sequence[Token], kind: str, heading: str) -> Sequence[Token]:
    """The tokens of the one list or table that stands in a section itself, not in a quotation or a list."""
    opens = [i for i, token in enumerate(section) if token.type == f"{kind}_open" and token.level == 0]
    if len(opens) != 1:
        _refuse(heading, f"expected one {kind.replace('_', ' ')} under this heading, got {len(opens)}")
    rest = section[opens[0] :]
    end = next(i for i, token in enumerate(rest) if token.type == f"{kind}_close" and token.level == 0)
    return rest[:end]


def _read_pin(section: Sequence[Token]) -> Iterator[tuple[str, JsonValue]]:
    seen: set[str] = set()
    for index, item in enumerate(_split(_find_block(section, "bullet_list", _PIN_HEADING), "list_item", 1)):
        inlines = [token for token in item if token.type == "inline"]
        if len(inlines) != 1:
            _refuse(f"baseline_pin[{index}]", "expected one line of text per item")
        label, colon, value = _read_text(inlines[0], f"baseline_pin[{index}]").partition(": ")
        if not colon or label not in PIN_LABELS:
            _refuse(
                f"baseline_pin[{index}]",
                f"expected '<label>: <value>' with one of the labels {', '.join(PIN_LABELS)}",
            )
        if label in seen:
            _refuse(f"baseline_pin.{PIN_LABELS[label]}", "expected every label once; remove one")
        seen.add(label)
        yield PIN_LABELS[label], value.strip()


def _read_pairs(section: Sequence[Token]) -> Iterator[dict[str, JsonValue]]:
    table = _find_block(section, "table", _PAIRS_HEADING)
    rows = [[token for token in row if token.type == "inline"] for row in _split(table, "tr", 2)]
    header = [_read_text(cell, _PAIRS_HEADING) for cell in rows[0]]
    if [name.casefold() for name in header] != [name.casefold() for name in _COLUMNS]:
        _refuse(_PAIRS_HEADING, f"expected the columns {', '.join(_COLUMNS)}, got {', '.join(header)[:200]}")
    for index, row in enumerate(rows[1:]):
        cells = zip(_COLUMNS.values(), row, strict=True)
        yield {name: _read_text(cell, f"pairs[{index}].{name}") for name, cell in cells}


def _split(tokens: Sequence[Token], kind: str, level: int) -> Iterator[Sequence[Token]]:
    """Cut a block into its items or rows, those of its own level only."""
    start = 0
    for index, token in enumerate(tokens):
        if token.type == f"{kind}_open" and token.level == level:
            start = index
        elif token.type == f"{kind}_close" and token.level == level:
            yield tokens[start:index]


def _read_text(inline: Token, field: str) -> str:
    """Text and code of one line; a link, emphasis or an image would show something else than it says."""
    children = inline.children or []
    if odd := next((child.type for child in children if child.type not in ("text", "code_inline")), None):
        _refuse(field, f"expected plain text or code, got {odd.removesuffix('_open').replace('_', ' ')}")
    return "".join(child.content for child in children).strip()


def _verify_pairs(pairs: tuple[VersionPair, ...]) -> None:
    """A pair has one status; two rows for it could say both."""
    seen: set[tuple[str, ...]] = set()
    for index, pair in enumerate(pairs):
        key = tuple(getattr(pair, name) for name in VersionPair.__struct_fields__ if name != "status")
        if key in seen:
            _refuse(f"pairs[{index}]", "expected one row per version pair; remove one")
        seen.add(key)
